//! Connections to providers that are kept between requests, and what is wrong with some of them.

use crate::ask;
use crate::daemon::{Daemon, Response, Setup, eventually};
use crate::sim::{Format, Provider, Step, by_model};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A daemon with one worker, so that a second request finds the connection of the first.
fn with_sim() -> (Provider, Daemon) {
    let sim = Provider::start();
    let mut setup = Setup::with_server("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n");
    for format in Format::ALL {
        setup = setup.provider(format, format.kind(), &sim.url(), "models = [\"text\", \"echo\"]");
    }
    let daemon = setup.start();
    (sim, daemon)
}

#[test]
fn a_kept_connection_that_the_provider_closed_costs_no_request() {
    let (sim, daemon) = with_sim();
    for format in Format::ALL {
        let chats = AtomicUsize::new(0);
        // Every second request finds its connection closed, as after a provider's own idle timeout.
        sim.script(move |request| {
            request.format()?;
            let gone = chats.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            gone.then(|| by_model(request).first(Step::Cut))
        });
        for stream in [false, true, false, true] {
            let answer = daemon.call("POST", "/v1/chat/completions").key("");
            let answer = answer.json(&ask(&format!("{}/text", format.kind()), stream)).send();
            assert_eq!(answer.status, 200, "{} {stream}: {}", format.kind(), answer.text());
        }
    }
}

#[test]
fn a_provider_that_always_closes_is_asked_twice_at_the_most() {
    let (sim, daemon) = with_sim();
    let chat = || daemon.call("POST", "/v1/chat/completions").key("").json(&ask("openai/text", false)).send();
    assert_eq!(chat().status, 200);
    sim.forget();
    sim.script(|request| {
        request.format()?;
        Some(by_model(request).first(Step::Cut))
    });
    assert_eq!(chat().status, 503);
    assert_eq!(sim.chats().len(), 2, "once over the kept connection, once over a fresh one");
    assert_eq!(chat().status, 503);
    assert_eq!(sim.chats().len(), 3, "a fresh connection that is closed was no mistake of ours");
}

#[test]
fn what_a_fresh_connection_took_is_not_sent_again_whatever_came_before() {
    let (sim, daemon) = with_sim();
    let chat = || daemon.call("POST", "/v1/chat/completions").key("").json(&ask("openai/text", false)).send();
    sim.script(|request| {
        request.format()?;
        let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        Some(by_model(request).first(Step::Send([head.as_bytes(), body.as_bytes()].concat())))
    });
    assert_eq!(chat().status, 200);
    sim.forget();
    sim.script(|request| {
        request.format()?;
        Some(by_model(request).first(Step::Cut))
    });
    assert_eq!(chat().status, 503);
    assert_eq!(sim.chats().len(), 1, "no connection was kept, so none can have been stale");
}

#[test]
fn interim_answers_are_waited_out() {
    let (sim, daemon) = with_sim();
    sim.script(|request| {
        request.format()?;
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
        Some(by_model(request).first(Step::Send(interim.to_vec())))
    });
    for format in Format::ALL {
        for stream in [false, true] {
            let answer = daemon.call("POST", "/v1/chat/completions").key("");
            let answer = answer.json(&ask(&format!("{}/text", format.kind()), stream)).send();
            assert_eq!(answer.status, 200, "{} {stream}: {}", format.kind(), answer.text());
        }
    }
}

#[test]
fn an_interim_answer_never_lets_one_caller_read_anothers() {
    let (sim, daemon) = with_sim();
    let gate = sim.gate();
    let held = gate.clone();
    let first = AtomicBool::new(true);
    sim.script(move |request| {
        let hints = Step::Send(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n".to_vec());
        let is_first = request.method == "POST" && first.swap(false, Ordering::Relaxed);
        is_first.then(|| by_model(request).first(hints).first(Step::Hold(held.clone())))
    });
    let embed = |input: Value| {
        let body = json!({ "model": "openai/text", "input": input });
        daemon.call("POST", "/v1/embeddings").key("").json(&body)
    };
    let vectors = |answer: Response| answer.json()["data"].as_array().map(Vec::len);
    let first = embed(json!("one")).begin();
    eventually("the first to be asked", || (sim.beside_chats().len() == 1).then_some(()));
    assert_eq!(vectors(embed(json!(["one", "two"])).send()), Some(2));
    gate.open();
    assert_eq!(vectors(first.read().expect("an answer")), Some(1));
    // Over the connections that both left behind.
    assert_eq!(vectors(embed(json!(["one", "two", "three"])).send()), Some(3));
}

/// A server that reads the heads of requests alone and refuses every chat: on the spot, or without ever closing the connection.
fn refusing(closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let refuse = move |connection: TcpStream| {
        let mut lines = BufReader::new(&connection).lines();
        let is_chat = lines.next().and_then(Result::ok).is_some_and(|line| line.starts_with("POST"));
        while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
        let status = if is_chat { "429 Too Many Requests\r\nretry-after: 7" } else { "404 Not Found" };
        let _ = (&connection).write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}").as_bytes());
        connection
    };
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming().flatten() {
            let connection = refuse(connection);
            if !closes {
                open.push(connection);
            }
        }
    });
    url
}

#[test]
fn a_large_request_that_is_refused_halfway_tells_why() {
    for closes in [true, false] {
        let daemon = Setup::new().provider(Format::OpenAi, "openai", &refusing(closes), "models = [\"text\"]").start();
        let picture = format!("data:image/png;base64,{}", "A".repeat(24 << 20));
        let content = json!([{ "type": "image_url", "image_url": { "url": picture } }]);
        let body = json!({ "model": "openai/text", "messages": [{ "role": "user", "content": content }] });
        let answer = daemon.call("POST", "/v1/chat/completions").json(&body).send();
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")), "{}", answer.text());
    }
}

#[test]
fn the_silence_between_pieces_is_not_counted_before_the_first() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        request.format()?;
        // The head is there at once, as many servers do it; the model still reads its prompt.
        (request.model() == "text").then(|| by_model(request).after(0, Step::Hold(held.clone())))
    });
    let models = "models = [\"text\", \"hang\"]";
    let mut setup = Setup::new();
    for format in Format::ALL {
        let patient = format!("idle_timeout = \"50ms\"\n{models}");
        let short = format!("first_token_timeout = \"500ms\"\n{models}");
        setup = setup.provider(format, format.kind(), &sim.url(), &patient);
        setup = setup.provider(format, &format!("{}-short", format.kind()), &sim.url(), &short);
    }
    let daemon = setup.start();
    let begin = |format: Format| {
        let chat = ask(&format!("{}/text", format.kind()), true);
        daemon.call("POST", "/v1/chat/completions").json(&chat).begin()
    };
    let waiting: Vec<_> = Format::ALL.into_iter().map(begin).collect();
    sim.wait_for_chats(waiting.len());
    // One that waits ten times as long as those pieces may be apart is the clock.
    assert_eq!(daemon.chat(&ask("openai-short/hang", true)).status, 504);
    gate.open();
    for answer in waiting {
        let answer = answer.read().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
