//! The way over the network: real sockets, real connections that are refused, reset, cut and hang, and a mail server of a few lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use notifier::ChannelConfig;
use notifier::channels::{Answer, Dispatch, HttpRequest, MailRequest, Outcome, channel};
use notifier::wire::{WireError, open_network};
use serde_json::json;
use sim_receivers::{Fault, Recorder, Server};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

fn run<R>(test: impl Future<Output = R>) -> R {
    actix_rt::System::new().block_on(test)
}

fn config(json: &str) -> ChannelConfig {
    serde_json::from_str(json).unwrap()
}

async fn post(url: &str) -> Result<Answer, WireError> {
    let config = config(&format!(r#"{{"kind":"webhook","url":"{url}"}}"#));
    let mut request = HttpRequest::json(url, &json!({"text": "hello"}));
    request.headers.push(("Idempotency-Key", "row1".to_owned()));
    open_network()(&config).send(Dispatch::Http(request)).await
}

#[test]
fn a_good_receiver_gets_the_request_and_its_answer_comes_back() {
    let server = Server::start(Recorder::default()).unwrap();
    let answer = run(post(&format!("{}/hook", server.url()))).unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), Some(json!({"id": "1"})));
    let sim = server.sim();
    let request = &sim.receiver.records[0].request;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
    assert_eq!((request.header("idempotency-key"), request.header("user-agent")), (Some("row1"), Some("HAIA")));
    assert_eq!(request.json(), json!({"text": "hello"}));
}

#[test]
fn it_is_known_whether_a_failed_request_can_have_arrived() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(run(post(&format!("http://{closed}/"))), Err(WireError::NotSent(_))));
    assert!(matches!(run(post("http://no-such-host.invalid/")), Err(WireError::NotSent(_))));
    for fault in [Fault::Reset, Fault::Lost, Fault::Cut] {
        let server = Server::start(Recorder::default()).unwrap();
        server.sim().faults.push_back(fault.clone());
        let failed = run(post(&server.url()));
        assert!(matches!(failed, Err(WireError::Lost(_))), "{fault:?}: {failed:?}");
    }
    for (fault, status) in [(Fault::Status(503), 503), (Fault::Garbage, 200), (Fault::Limited(7.0), 429)] {
        let server = Server::start(Recorder::default()).unwrap();
        server.sim().faults.push_back(fault);
        assert_eq!(run(post(&server.url())).unwrap().status, status);
    }
}

#[test]
fn a_server_that_ends_idle_connections_is_reached_all_the_same() {
    let server = Server::start(Recorder::default()).unwrap();
    let address = server.address();
    run(async {
        let url = format!("http://{address}/");
        let config = config(&format!(r#"{{"kind":"webhook","url":"{url}"}}"#));
        let transport = open_network()(&config);
        let send = || transport.send(Dispatch::Http(HttpRequest::json(url.as_str(), &json!({}))));
        assert!(send().await.is_ok());
        drop(server);
        assert!(matches!(send().await, Err(WireError::NotSent(_) | WireError::Lost(_))));
        let again = Server::start_on(address, Recorder::default()).unwrap();
        assert_eq!(send().await.unwrap().status, 200);
        drop(again);
    });
}

/// A mail server that answers each command by its first word, and sends home what it was told.
fn mail_server(refuse: &'static str) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        out.write_all(b"220 mail.test ready\r\n").unwrap();
        let mut in_data = false;
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let answer = match (in_data, line.split_whitespace().next().unwrap_or_default()) {
                (true, ".") => {
                    in_data = false;
                    "250 2.0.0 queued as 77\r\n"
                }
                (true, _) => "",
                (false, word) if !refuse.is_empty() && refuse.contains(word) => refuse.split_once(' ').unwrap().1,
                (false, "EHLO") => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
                (false, "AUTH") => "235 ok\r\n",
                (false, "DATA") => {
                    in_data = true;
                    "354 go on\r\n"
                }
                (false, "QUIT") => "221 bye\r\n",
                (false, _) => "250 ok\r\n",
            };
            let _ = tell.send(line);
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("mail".to_owned()).spawn(serve).unwrap();
    (port, told)
}

async fn mail(port: u16) -> Result<Answer, WireError> {
    let config = config(&format!(
        r#"{{"kind":"email","smtp":"127.0.0.1:{port}","from":"haia@home.lan","to":"me@home.lan","username":"u","password":"p"}}"#
    ));
    let (from, to) = ("haia@home.lan".parse().unwrap(), "me@home.lan".parse().unwrap());
    let envelope = lettre::address::Envelope::new(Some(from), vec![to]).unwrap();
    let message = b"Subject: x\r\n\r\nA line\r\n.hidden\r\n".to_vec();
    open_network()(&config).send(Dispatch::Mail(MailRequest { envelope, message })).await
}

#[test]
fn a_mail_goes_out_and_refusals_keep_their_code() {
    let (port, told) = mail_server("");
    let answer = run(mail(port)).unwrap();
    assert_eq!(answer.status, 250);
    let lines: Vec<String> = told.iter().collect();
    for expected in ["MAIL FROM:<haia@home.lan>", "RCPT TO:<me@home.lan>", "A line", "..hidden", "."] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:?}");
    }
    for (refuse, status) in [
        ("RCPT 550 5.1.1 no such user\r\n", 550),
        ("RCPT 451 4.7.1 greylisted\r\n", 451),
        ("AUTH 535 5.7.8 bad login\r\n", 535),
        ("DATA 554 5.7.1 spam\r\n", 554),
    ] {
        let (port, _told) = mail_server(refuse);
        let answer = run(mail(port)).unwrap();
        assert_eq!(answer.status, status, "{refuse}: {answer:?}");
        let email = channel(&config(r#"{"kind":"email","smtp":"x","from":"a@b.c","to":"d@e.f"}"#));
        let told = match email.classify(&answer) {
            Outcome::Retry { why, .. } | Outcome::Refused { why } | Outcome::Stopped { why } => why,
            outcome => panic!("{outcome:?}"),
        };
        assert!(told.contains(refuse.trim_end().rsplit(' ').next().unwrap()), "{told}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert!(matches!(run(mail(closed)), Err(WireError::NotSent(_))));
}
