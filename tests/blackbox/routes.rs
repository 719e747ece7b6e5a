//! Routes: whom they ask, whom they leave alone after failures, how they share, and the limits of who is asked.

use crate::ask;
use crate::daemon::{CONTROL, Daemon, Setup, eventually};
use crate::sim::{Answer, Format, Provider, Step, by_model, refused_address};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const HELLO: &str = "Hello from the simulated model.";

/// How many chats of each of these models the provider saw.
fn counts<const N: usize>(sim: &Provider, models: [&str; N]) -> [usize; N] {
    let chats = sim.chats();
    models.map(|model| chats.iter().filter(|chat| chat.request.model() == model).count())
}

fn good(daemon: &Daemon, model: &str, times: usize) {
    for at in 0..times {
        assert_eq!(daemon.chat(&ask(model, false)).content(), HELLO, "{model}, number {at}");
    }
}

#[test]
fn a_route_leaves_alone_whoever_told_to_wait_or_keeps_failing() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim)
        .route("limited", &["openai/status-429", "ollama/text"])
        .route("down", &["anthropic/status-500", "ollama/text"])
        .route("refused", &["ollama/status-404", "ollama/text"])
        .start();
    good(&daemon, "haia/limited", 8);
    assert_eq!(counts(&sim, ["status-429", "text"]), [1, 8], "it told when to come back");
    sim.forget();
    good(&daemon, "haia/down", 8);
    let [down, text] = counts(&sim, ["status-500", "text"]);
    assert!((5..8).contains(&down) && text == 8, "five failures in a row open the circuit: {down} of 8");
    let providers = daemon.status()["providers"].as_array().cloned().unwrap_or_default();
    let circuit =
        |name: &str| providers.iter().find(|provider| provider["name"] == name).map(|it| it["circuit"].clone());
    assert_ne!(circuit("anthropic"), Some(json!("closed")));
    assert_eq!(circuit("ollama"), Some(json!("closed")));
    sim.forget();
    good(&daemon, "haia/refused", 8);
    assert_eq!(counts(&sim, ["status-404", "text"]), [1, 8], "there is no such model yet");
    // By name it is asked all the same: nobody else could answer.
    sim.forget();
    assert_eq!(daemon.chat(&ask("openai/status-429", false)).status, 429);
    assert_eq!(daemon.chat(&ask("anthropic/text", false)).content(), HELLO);
    assert_eq!(counts(&sim, ["status-429", "text"]), [1, 1]);
}

#[test]
fn an_answer_under_way_does_not_undo_a_wait_that_was_told() {
    let sim = Provider::start();
    let gate = sim.gate();
    let (held, seen) = (gate.clone(), AtomicUsize::new(0));
    sim.script(move |request| {
        request.format()?;
        let first = request.model() == "long" && seen.fetch_add(1, Ordering::Relaxed) == 0;
        let answer = || match first {
            true => by_model(request).halfway(Step::Hold(held.clone())),
            false => Answer::json(429, &json!({ "error": "slowly" })).header("retry-after", "30"),
        };
        (request.model() == "long").then(answer)
    });
    let daemon = Setup::with_sim(&sim).route("two", &["openai/long", "ollama/text"]).start();
    let mut first = daemon.stream(&ask("haia/two", true));
    first.read_until_text();
    good(&daemon, "haia/two", 1);
    assert_eq!(counts(&sim, ["long", "text"]), [2, 1]);
    gate.open();
    assert!(first.finish().text().ends_with("word-199 "), "the first goes well");
    good(&daemon, "haia/two", 3);
    assert_eq!(counts(&sim, ["long", "text"]), [2, 4], "it told when to come back");
}

#[test]
fn a_provider_that_recovers_is_found_by_one_request() {
    let sim = Provider::start();
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    sim.script(move |request| {
        let down = is_down.load(Ordering::Relaxed) && request.format() == Some(Format::Anthropic);
        down.then(|| crate::sim::Answer::json(500, &json!({ "type": "error", "error": { "type": "api_error" } })))
    });
    let daemon = Setup::with_sim(&sim).route("two", &["anthropic/text", "ollama/text"]).start();
    good(&daemon, "haia/two", 6);
    let asked = |sim: &Provider| sim.chats().iter().filter(|c| c.request.format() == Some(Format::Anthropic)).count();
    assert_eq!(asked(&sim), 5);
    down.store(false, Ordering::Relaxed);
    eventually("the circuit to be half open", || {
        good(&daemon, "haia/two", 1);
        (asked(&sim) > 5).then_some(())
    });
    sim.forget();
    good(&daemon, "haia/two", 4);
    assert_eq!(asked(&sim), 4, "closed again");
}

#[test]
fn when_all_are_left_alone_the_last_resort_is_asked_but_never_before_a_told_time() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim)
        .route("limited", &["openai/status-429", "anthropic/status-429"])
        .route("down", &["openai/status-500", "anthropic/status-500"])
        .start();
    let refused = |route: &str| {
        let answer = daemon.chat(&ask(route, false));
        (answer.status, answer.header("retry-after").is_some())
    };
    for _ in 0..3 {
        assert_eq!(refused("haia/limited"), (429, true));
    }
    assert_eq!(counts(&sim, ["status-429"]), [2], "each once");
    for _ in 0..12 {
        assert_eq!(refused("haia/down"), (503, true));
    }
    let [asked] = counts(&sim, ["status-500"]);
    assert!(asked >= 24, "nobody else is there to be asked: {asked}");
}

#[test]
fn the_only_one_that_may_be_asked_is_asked_again_and_waited_for() {
    let sim = Provider::start();
    let gate = sim.gate();
    let (held, seen) = (gate.clone(), AtomicUsize::new(0));
    sim.script(move |request| match request.model().as_str() {
        "text" if request.format().is_some() && seen.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(Answer::json(503, &json!({ "error": "not now" })))
        }
        "long" => Some(by_model(request).first(Step::Hold(held.clone()))),
        _ => None,
    });
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "max_concurrent = 1")
        .provider(Format::Ollama, "ollama", &sim.url(), "")
        .route("default", &["openai/text", "ollama/status-429"])
        .start();
    assert_eq!(daemon.chat(&ask("ollama/status-429", false)).status, 429, "told to wait");
    good(&daemon, "haia/default", 1);
    assert_eq!(counts(&sim, ["text", "status-429"]), [2, 1], "asked once more, because nobody else may be");

    let begin = |model: &str| daemon.call("POST", "/v1/chat/completions").json(&ask(model, false)).begin();
    let running = begin("openai/long");
    eventually("the only place to be taken", || (counts(&sim, ["long"]) == [1]).then_some(()));
    let waiting = begin("haia/default");
    daemon.status_until("one to wait", |status| {
        let providers = status["providers"].as_array().cloned().unwrap_or_default();
        providers.iter().any(|provider| provider["name"] == "openai" && provider["waiting"] == 1)
    });
    gate.open();
    for begun in [running, waiting] {
        assert_eq!(begun.read().map(|answer| answer.status).ok(), Some(200));
    }
}

#[test]
fn one_that_is_only_busy_is_waited_for_before_anything_lesser() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| (request.model() == "long").then(|| by_model(request).first(Step::Hold(held.clone()))));
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "max_concurrent = 1")
        .provider(Format::Anthropic, "anthropic", &sim.url(), "")
        .route("default", &["openai/long", "anthropic/status-403", "builtin/offline"])
        .start();
    let begin = || daemon.call("POST", "/v1/chat/completions").json(&ask("haia/default", false)).begin();
    let running = begin();
    eventually("the only place to be taken", || (counts(&sim, ["long"]) == [1]).then_some(()));
    let waiting = begin();
    daemon.status_until("one to wait", |status| {
        let providers = status["providers"].as_array().cloned().unwrap_or_default();
        providers.iter().any(|provider| provider["name"] == "openai" && provider["waiting"] == 1)
    });
    assert_eq!(counts(&sim, ["status-403"]), [1], "whoever may answer sooner is asked first");
    gate.open();
    for begun in [running, waiting] {
        let answer = begun.read().unwrap();
        assert!(answer.status == 200 && answer.content().ends_with("word-199 "), "{}", answer.text());
    }
    assert_eq!(counts(&sim, ["long", "status-403"]), [2, 1]);
}

#[test]
fn one_that_works_is_asked_again_before_those_that_are_left_alone() {
    let sim = Provider::start();
    let seen = AtomicUsize::new(0);
    sim.script(move |request| {
        let is_first = request.format() == Some(Format::OpenAi) && seen.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| Answer::json(503, &json!({ "error": "not now" })))
    });
    let daemon = Setup::with_sim(&sim)
        .route("down", &["anthropic/status-500", "ollama/text"])
        .route("flaky", &["anthropic/status-500", "openai/echo"])
        .start();
    good(&daemon, "haia/down", 6);
    sim.forget();
    assert_eq!(daemon.chat(&ask("haia/flaky", false)).status, 200);
    assert_eq!(counts(&sim, ["status-500", "echo"]), [0, 2]);
}

#[test]
fn one_that_works_is_asked_again_before_a_busy_one_is_waited_for() {
    let sim = Provider::start();
    let gate = sim.gate();
    let (held, seen) = (gate.clone(), AtomicUsize::new(0));
    sim.script(move |request| match request.model().as_str() {
        "long" => Some(by_model(request).first(Step::Hold(held.clone()))),
        "text" if request.format().is_some() && seen.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(Answer::json(503, &json!({ "error": "not now" })))
        }
        _ => None,
    });
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "max_concurrent = 1")
        .provider(Format::Ollama, "ollama", &sim.url(), "")
        .route("default", &["openai/long", "ollama/text"])
        .start();
    let running = daemon.call("POST", "/v1/chat/completions").json(&ask("openai/long", false)).begin();
    eventually("the only place to be taken", || (counts(&sim, ["long"]) == [1]).then_some(()));
    good(&daemon, "haia/default", 1);
    assert_eq!(counts(&sim, ["long", "text"]), [1, 2]);
    gate.open();
    assert_eq!(running.read().map(|answer| answer.status).ok(), Some(200));
}

#[test]
fn a_wrong_request_is_told_as_such_whatever_failed_before() {
    let sim = Provider::start();
    let daemon =
        Setup::with_sim(&sim).route("wrong", &["openai/status-500", "ollama/status-400", "ollama/text"]).start();
    for stream in [false, true] {
        let refused = daemon.chat(&ask("haia/wrong", stream));
        assert_eq!((refused.status, &refused.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    }
    assert_eq!(counts(&sim, ["status-500", "status-400", "text"]), [2, 2, 0], "it would be wrong elsewhere too");
}

#[test]
fn what_one_format_cannot_say_the_next_of_the_route_may() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim)
        .route("pictures", &["ollama/text", "openai/text"])
        .route("blind", &["ollama/text", "ollama/echo", "builtin/offline"])
        .start();
    let picture = format!("http://{}/door.png", refused_address());
    let question = |route: &str| {
        let content = json!([
            { "type": "text", "text": "Who is at the door?" },
            { "type": "image_url", "image_url": { "url": picture } },
        ]);
        json!({ "model": route, "messages": [{ "role": "user", "content": content }] })
    };
    assert_eq!(daemon.chat(&question("haia/pictures")).content(), HELLO, "OpenAI fetches pictures itself");
    assert_eq!(sim.chats().iter().map(|chat| chat.request.format()).collect::<Vec<_>>(), [Some(Format::OpenAi)]);
    sim.forget();
    let refused = daemon.chat(&question("haia/blind"));
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(message.matches("data URL").count(), 1, "one reason is enough: {message}");
    assert_eq!(sim.chats().len(), 0);
}

#[test]
fn weights_share_and_the_quickest_is_preferred() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        // The slow one answers after the test has seen the quick one.
        (request.model() == "length").then(|| by_model(request).first(Step::Hold(held.clone())))
    });
    let daemon = Setup::with_sim(&sim)
        .config("[routes.chance]\nstrategy = \"weighted\"\nentries = [\"openai/text\", \"ollama/echo\", \"anthropic/long\"]\nweights = [1, 1, 0]\n")
        .config("[routes.quick]\nstrategy = \"least_latency\"\nentries = [\"openai/length\", \"ollama/thinking\"]\n")
        .start();
    for _ in 0..60 {
        assert_eq!(daemon.chat(&ask("haia/chance", false)).status, 200);
    }
    let [text, echo, never] = counts(&sim, ["text", "echo", "long"]);
    assert!(text + echo == 60 && text > 5 && echo > 5 && never == 0, "{text} and {echo} of 60, {never} of none");

    // Both are not known at first, so each is asked once.
    let first = daemon.call("POST", "/v1/chat/completions").json(&ask("haia/quick", false)).begin();
    eventually("the slow one to be asked", || (counts(&sim, ["length"]) == [1]).then_some(()));
    gate.open();
    assert_eq!(first.read().map(|answer| answer.status).ok(), Some(200));
    for _ in 0..10 {
        assert_eq!(daemon.chat(&ask("haia/quick", false)).status, 200);
    }
    let [slow, quick] = counts(&sim, ["length", "thinking"]);
    assert!(slow >= 1 && quick >= 1 && slow + quick == 11, "{slow} and {quick}");
    assert_eq!(sim.violations(), [""; 0]);
}

#[test]
fn haia_model_is_the_default_route() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).environment("HAIA_MODEL", "ollama:text").start();
    good(&daemon, "haia", 1);
    let asked: Vec<_> = sim.chats().iter().map(|chat| (chat.request.format(), chat.request.model())).collect();
    assert_eq!(asked, [(Some(Format::Ollama), "text".to_owned())]);
}

#[test]
fn a_model_may_have_a_key_and_parameters_of_its_own() {
    let sim = Provider::start();
    let own = "options = { seed = 1, top_k = 5 }\n[providers.openai.model.echo]\napi_key = \"sk-sim-of-its-own\"\n\
               temperature = 0.25\noptions = { seed = 7 }";
    let daemon =
        Setup::new().provider(Format::OpenAi, "openai", &sim.url(), own).route("default", &["openai/text"]).start();
    good(&daemon, "openai/text", 1);
    assert_eq!(daemon.chat(&ask("openai/echo", false)).status, 200);
    let told: Vec<_> = sim
        .chats()
        .iter()
        .map(|chat| {
            let body = chat.request.json();
            let key = chat.request.header("authorization").unwrap_or_default().to_owned();
            (key, body["temperature"].clone(), body["seed"].clone(), body["top_k"].clone())
        })
        .collect();
    let bearer = |key: &str| format!("Bearer {key}");
    assert_eq!(told[0], (bearer("sk-sim-0123456789"), json!(null), json!(1), json!(5)));
    assert_eq!(told[1], (bearer("sk-sim-of-its-own"), json!(0.25), json!(7), json!(5)));
}

#[test]
fn limits_of_a_provider_and_of_a_model_refuse_queue_or_lead_on() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| (request.model() == "long").then(|| by_model(request).first(Step::Hold(held.clone()))));
    let daemon = Setup::new()
        .provider(Format::OpenAi, "openai", &sim.url(), "requests_per_minute = 2")
        .provider(
            Format::Ollama,
            "ollama",
            &sim.url(),
            "max_queued = 1\n[providers.ollama.model.long]\nmax_concurrent = 1\n[providers.ollama.model.echo]\ntokens_per_minute = 10",
        )
        .route("default", &["openai/text", "ollama/text"])
        .route("busy", &["ollama/long", "ollama/thinking"])
        .start();
    good(&daemon, "openai/text", 2);
    let refused = daemon.chat(&ask("openai/text", false));
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(refused.text().contains("requests_per_minute"), "{}", refused.text());
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a wait");
    assert!((20..=30).contains(&wait), "{wait}");
    good(&daemon, "haia/default", 1);
    assert_eq!(counts(&sim, ["text"]), [3], "what is refused is never sent");

    assert_eq!(daemon.chat(&ask("ollama/echo", false)).status, 200);
    let refused = daemon.chat(&ask("ollama/echo", false));
    assert!(refused.status == 429 && refused.text().contains("tokens_per_minute"), "{}", refused.text());

    let begin = || daemon.call("POST", "/v1/chat/completions").key(CONTROL).json(&ask("ollama/long", false)).begin();
    let running = begin();
    eventually("one to run", || (counts(&sim, ["long"]) == [1]).then_some(()));
    assert_eq!(daemon.chat(&ask("haia/busy", false)).content(), "I have thought.", "a route does not wait");
    let waiting = begin();
    daemon.status_until("one to wait", |status| {
        let providers = status["providers"].as_array().cloned().unwrap_or_default();
        providers.iter().any(|provider| provider["name"] == "ollama" && provider["waiting"] == 1)
    });
    let refused = daemon.chat(&ask("ollama/long", false));
    assert!(
        refused.status == 429 && refused.text().contains("max_concurrent"),
        "the queue is full: {}",
        refused.text()
    );
    gate.open();
    for begun in [running, waiting] {
        assert_eq!(begun.read().map(|answer| answer.status).ok(), Some(200));
    }
    daemon.wait_until_idle();
}
