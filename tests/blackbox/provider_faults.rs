//! Each way in which a provider can fail: what the caller is told, and what the provider sees of it.

use crate::ask;
use crate::daemon::{CONTROL, Daemon, Setup, eventually};
use crate::sim::{Answer, Exchange, Format, Outcome, Provider, Step, by_model, refused_address};
use contract::clock::{Clock as _, SharedClock};
use runtime::SystemClock;
use sim_cluster::{SimCluster, SimConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A daemon with the three formats, and each a second time, quick to lose patience.
fn with_sim(more: &str) -> (Provider, Daemon) {
    let sim = Provider::start();
    let mut setup = Setup::new();
    for format in Format::ALL {
        let hasty = format!("first_token_timeout = \"400ms\"\nidle_timeout = \"400ms\"\n{more}");
        setup = setup.provider(format, format.kind(), &sim.url(), more);
        setup = setup.provider(format, &format!("{}-hasty", format.kind()), &sim.url(), &hasty);
    }
    let daemon = setup.route("default", &["openai/text"]).start();
    (sim, daemon)
}

fn outcomes(chats: &[Exchange]) -> Vec<Outcome> {
    chats.iter().map(|chat| chat.outcome).collect()
}

/// Asks a model and gives status, code, `Retry-After`.
fn asked(daemon: &Daemon, model: &str, stream: bool) -> (u16, String, Option<String>) {
    let answer = daemon.chat(&ask(model, stream));
    let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    (answer.status, code, answer.header("retry-after").map(str::to_owned))
}

#[test]
fn before_the_first_text_the_caller_gets_a_status_and_the_provider_is_asked_as_often_as_is_of_use() {
    use Outcome::{Answered, Cut, Left};
    let (sim, daemon) = with_sim("");
    for (model, status, code, wait, seen) in [
        // The provider told when; nobody comes earlier.
        ("status-429", 429, "rate_limit_exceeded", Some("7"), vec![Answered]),
        ("status-503", 503, "provider_unavailable", Some("7"), vec![Answered]),
        // May pass: once more.
        ("status-500", 503, "provider_unavailable", Some("5"), vec![Answered, Answered]),
        ("status-529", 503, "provider_unavailable", Some("5"), vec![Answered, Answered]),
        // Speaks of the request or of the key: never again.
        ("status-400", 400, "", None, vec![Answered]),
        ("status-401", 502, "provider_authentication", None, vec![Answered]),
        // What was sent may have been worked on: never again.
        ("cut-head", 503, "provider_unavailable", Some("5"), vec![Cut]),
        // A head that never comes: the provider is left, so that it works for nobody no longer.
        ("hang", 504, "provider_timeout", None, vec![Left]),
    ] {
        for format in Format::ALL {
            for stream in [false, true] {
                // So that the connection is a fresh one in each case.
                sim.wait_until("the chats before to be over", |chats| {
                    chats.iter().all(|chat| chat.outcome != Outcome::Answering)
                });
                sim.forget();
                let hasty = if model == "hang" { "-hasty" } else { "" };
                let id = format!("{}{hasty}/{model}", format.kind());
                let told = asked(&daemon, &id, stream);
                // Which code a provider gives to a bad request is its own.
                let expected = if code.is_empty() { told.1.clone() } else { code.to_owned() };
                assert_eq!(told, (status, expected, wait.map(str::to_owned)), "{id} {stream}");
                sim.wait_until(&format!("{id} {stream} to be seen as {seen:?}"), |chats| {
                    let found = outcomes(chats);
                    // A kept connection that turns out to be cut is one try more.
                    found == seen || (model == "cut-head" && found == [Cut, Cut])
                });
            }
        }
    }
    daemon.wait_until_idle();
}

#[test]
fn garbage_is_a_failure_and_never_an_answer() {
    let (sim, daemon) = with_sim("");
    sim.script(|request| {
        let format = request.format()?;
        let kind = if format == Format::Ollama { "application/x-ndjson" } else { "text/event-stream" };
        let answer = by_model(request);
        Some(match (request.model().as_str(), request.streamed()) {
            ("text", false) => crate::sim::Answer::whole(200, "application/json", "<html>It works!</html>"),
            ("text", true) => crate::sim::Answer::pieces(kind, [b"data: {\"choices\": oops\n\n".to_vec()]),
            // Words first, then nonsense.
            ("long", true) => answer.after(6, Step::Cut).after(6, Step::Send(b"data: {]\n\n".to_vec())),
            _ => answer,
        })
    });
    for format in Format::ALL {
        for stream in [false, true] {
            let (status, code, _) = asked(&daemon, &format!("{}/text", format.kind()), stream);
            assert_eq!((status, code.as_str()), (503, "provider_unavailable"), "{} {stream}", format.kind());
        }
        let broken = daemon.stream(&ask(&format!("{}/long", format.kind()), true)).finish();
        assert_eq!(broken.status, 200);
        broken.assert_failed();
        assert!(broken.text().starts_with("word-0 "), "{:?}", broken.events);
    }
    daemon.wait_until_idle();
}

#[test]
fn a_stall_after_the_first_text_is_told_and_frees_the_provider() {
    let (sim, daemon) = with_sim("");
    for format in Format::ALL {
        sim.forget();
        let stalled = daemon.stream(&ask(&format!("{}-hasty/hang-mid", format.kind()), true)).finish();
        assert_eq!(stalled.assert_failed()["code"], "provider_timeout");
        sim.wait_until("the daemon to leave", |chats| outcomes(chats) == [Outcome::Left]);
    }
    daemon.wait_until_idle();
}

#[test]
fn without_a_connection_nothing_is_sent() {
    let sim = Provider::start();
    let clock: SharedClock = Arc::new(SystemClock::real());
    let foreign =
        SimCluster::start(SimConfig::default(), clock).expect("a server with a certificate that nobody trusts");
    let plain = sim.url().replace("http://", "https://");
    let models = "models = [\"text\"]";
    let daemon = Setup::new()
        .provider(Format::OpenAi, "refused", &format!("http://{}", refused_address()), models)
        .provider(Format::OpenAi, "no-tls", &plain, models)
        .provider(Format::OpenAi, "untrusted", &foreign.endpoints[0], models)
        .provider(Format::OpenAi, "good", &sim.url(), models)
        .route("all", &["refused/text", "no-tls/text", "untrusted/text", "good/text"])
        .route("default", &["good/text"])
        .start();
    for provider in ["refused", "no-tls", "untrusted"] {
        for stream in [false, true] {
            let (status, code, wait) = asked(&daemon, &format!("{provider}/text"), stream);
            assert_eq!((status, code.as_str(), wait.is_some()), (503, "provider_unavailable", true), "{provider}");
        }
    }
    assert_eq!((sim.chats().len(), foreign.request_count()), (0, 0), "no request left the house");
    let text = daemon.stream(&ask("haia/all", true)).finish();
    text.assert_whole();
    assert_eq!(sim.chats().len(), 1);
    let told = daemon.status()["providers"].as_array().cloned().unwrap_or_default();
    for provider in told.iter().filter(|provider| provider["name"] != "good") {
        assert_eq!(provider["state"], "failing", "{provider}");
        assert!(provider["last_error"].as_str().is_some_and(|why| why.starts_with("unreachable")), "{provider}");
    }
}

#[test]
fn a_refusal_whose_body_never_ends_keeps_the_next_provider_no_longer() {
    let (sim, _) = with_sim("");
    sim.script(|request| {
        request.format()?;
        (request.model() == "status-503").then(|| by_model(request).halfway(Step::Hang))
    });
    let daemon = Setup::with_sim(&sim).route("stuck", &["openai/status-503", "ollama/text"]).start();
    assert_eq!(daemon.chat(&ask("haia/stuck", false)).content(), "Hello from the simulated model.");
    sim.wait_until("the refusing one to be left", |chats| outcomes(chats) == [Outcome::Left, Outcome::Answered]);
}

#[test]
fn a_refusal_whose_body_comes_late_is_still_read_where_it_decides() {
    let (sim, _) = with_sim("");
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        request.format()?;
        (request.model() == "context-length").then(|| by_model(request).after(0, Step::Hold(held.clone())))
    });
    let daemon = Setup::with_sim(&sim).route("late", &["openai/context-length", "ollama/text"]).start();
    let begun = daemon.call("POST", "/v1/chat/completions").key(CONTROL).json(&ask("haia/late", false)).begin();
    sim.wait_for_chats(1);
    // Longer than a body is waited for that says no more than its status.
    let seen = Instant::now();
    eventually("a moment to pass", || (seen.elapsed() > Duration::from_millis(200)).then_some(()));
    gate.open();
    let answer = begun.read().expect("an answer");
    assert_eq!(answer.content(), "Hello from the simulated model.", "a longer context is elsewhere: {}", answer.text());
}

#[test]
fn another_try_comes_never_earlier_than_told_and_only_where_the_provider_lets_it() {
    let (sim, daemon) = with_sim("");
    let chats = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&chats);
    sim.script(move |request| {
        request.format()?;
        let first = seen.fetch_add(1, Ordering::Relaxed) == 0;
        let refused = |name: &str, value: &str| {
            let mut answer = by_model(request);
            answer.headers.retain(|(known, _)| known != "retry-after");
            first.then(|| answer.header(name, value)).or_else(|| Some(crate::sim::hello(request)))
        };
        match request.model().as_str() {
            "status-429" => refused("retry-after", "1"),
            "status-500" => refused("x-should-retry", "false"),
            "status-529" => refused("x-other", "1"),
            _ => None,
        }
    });
    for (model, status, tries, least) in [
        ("status-429", 200, 2, Duration::from_secs(1)),
        ("status-500", 503, 1, Duration::ZERO),
        ("status-529", 200, 2, Duration::ZERO),
    ] {
        chats.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        assert_eq!(daemon.chat(&ask(&format!("openai/{model}"), false)).status, status, "{model}");
        assert_eq!(chats.load(Ordering::Relaxed), tries, "{model}");
        assert!(begun.elapsed() >= least, "{model}: earlier than told");
    }
}

#[test]
fn a_wait_told_as_a_date_is_counted_by_the_worlds_clock() {
    let (sim, _) = with_sim("");
    sim.script(|request| {
        request.format()?;
        let at = SystemClock::real().wall() + jiff::SignedDuration::from_secs(60);
        let at = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
        let mut answer = by_model(request);
        answer.headers.retain(|(known, _)| known != "retry-after");
        Some(answer.header("retry-after", &at))
    });
    let daemon = Setup::with_sim(&sim).environment("HAIA_TIME_FACTOR", "36000").start();
    let (status, _, wait) = asked(&daemon, "openai/status-429", false);
    let wait: u64 = wait.and_then(|wait| wait.parse().ok()).expect("a wait");
    assert!(status == 429 && (30..=60).contains(&wait), "{status}: {wait}");
    assert_eq!(sim.chats().len(), 1);
}

#[test]
fn retries_are_as_many_as_configured() {
    for retries in [0, 3] {
        let (sim, daemon) = with_sim(&format!("retries = {retries}"));
        assert_eq!(daemon.chat(&ask("openai/status-500", false)).status, 503);
        assert_eq!(sim.chats().len(), 1 + retries, "retries = {retries}");
    }
}

#[test]
fn a_whole_answer_may_take_longer_than_the_first_piece_of_a_stream() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        let is_slow = matches!(request.model().as_str(), "text" | "embed");
        (is_slow && request.json()["stream"] != true).then(|| by_model(request).first(Step::Hold(held.clone())))
    });
    let models = "models = [\"text\", \"embed\", \"hang\", \"hang-mid\"]";
    let mut setup = Setup::new();
    for format in Format::ALL {
        let patient =
            format!("first_token_timeout = \"300ms\"\nanswer_timeout = \"5m\"\nidle_timeout = \"300ms\"\n{models}");
        setup = setup.provider(format, format.kind(), &sim.url(), &patient);
    }
    let daemon = setup.route("default", &["openai/text"]).start();
    let begin = |format: Format| {
        let chat = ask(&format!("{}/text", format.kind()), false);
        daemon.call("POST", "/v1/chat/completions").json(&chat).begin()
    };
    let waiting: Vec<_> = Format::ALL.into_iter().map(begin).collect();
    let embed = serde_json::json!({ "model": "openai/embed", "input": "x" });
    let embedding = daemon.call("POST", "/v1/embeddings").json(&embed).begin();
    sim.wait_for_chats(waiting.len());
    // Two that each wait as long as a first piece may take are the clock.
    for model in ["openai/hang", "ollama/hang"] {
        assert_eq!(asked(&daemon, model, true), (504, "provider_timeout".to_owned(), None));
    }
    gate.open();
    for answer in waiting.into_iter().chain([embedding]) {
        let answer = answer.read().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for format in Format::ALL {
        let answer = daemon.chat(&ask(&format!("{}/hang-mid", format.kind()), false));
        assert!(answer.status == 504 && answer.text().contains("fell silent for 0.3 s"), "{}", answer.text());
    }
    daemon.wait_until_idle();
}

#[test]
fn one_failed_call_does_not_make_haia_unready_for_long() {
    let (sim, _) = with_sim("");
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "")
        .route("default", &["openai/status-500"])
        .start();
    assert_eq!(daemon.chat(&ask("openai/status-403", false)).status, 502);
    assert_eq!(daemon.get("/ready").status, 200, "one model is refused, the provider is not");
    assert_eq!(daemon.chat(&ask("openai/status-500", false)).status, 503);
    assert_eq!(daemon.get("/ready").status, 503);
    // Within half a minute, and long before the round of every ten.
    eventually("the provider to be asked whether it is there", || (daemon.get("/ready").status == 200).then_some(()));
}

#[test]
fn a_list_of_models_that_is_refused_says_nothing_against_calls_that_work() {
    let sim = Provider::start();
    let lists = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&lists);
    sim.script(move |request| {
        (request.method == "GET").then(|| {
            let status = if seen.fetch_add(1, Ordering::Relaxed) == 0 { 403 } else { 401 };
            Answer::json(status, &serde_json::json!({ "error": { "message": "this key lists no models" } }))
        })
    });
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "models = [\"text\"]")
        .route("default", &["openai/text"])
        .start();
    assert_eq!(daemon.chat(&ask("openai/text", false)).status, 200);
    // The first call that works has the list asked for once more.
    eventually("the list to be asked for again", || (lists.load(Ordering::Relaxed) == 2).then_some(()));
    assert_eq!(daemon.chat(&ask("openai/text", false)).status, 200);
    let state = daemon.status()["providers"][0]["state"].clone();
    assert_eq!((daemon.get("/ready").status, state, lists.load(Ordering::Relaxed)), (200, "ready".into(), 2));
}
