//! The interface's table of errors, row by row: status, type, code, and that nothing leaks.

use crate::ask;
use crate::daemon::{Daemon, READ, Response, Setup};
use crate::sim::{Answer, Format, NEVER_TOLD, Provider, refused_address};
use serde_json::{Value, json};

/// Checks the shape that every error has, and gives its type and code.
fn error_of(answer: &Response) -> (u16, String, String) {
    let body = answer.json();
    let error = &body["error"];
    for member in ["message", "type", "param", "code"] {
        assert!(error.get(member).is_some(), "no {member} in {body}");
    }
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(answer.header("x-request-id").is_some());
    for part in NEVER_TOLD {
        assert!(!answer.text().contains(part), "the provider's body or a key leaks: {body}");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (answer.status, text(&error["type"]), text(&error["code"]))
}

fn is(status: u16, kind: &str, code: &str) -> (u16, String, String) {
    (status, kind.to_owned(), code.to_owned())
}

fn param(answer: &Response) -> Value {
    answer.json()["error"]["param"].clone()
}

fn with_sim() -> (Provider, Daemon) {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).server("max_body = \"64KiB\"").start();
    (sim, daemon)
}

#[test]
fn requests_that_are_wrong() {
    let (_sim, daemon) = with_sim();
    let post = |body: &str| daemon.call("POST", "/v1/chat/completions").bytes(body).send();
    let invalid = "invalid_request_error";

    assert_eq!(error_of(&post("{not json")).0, 400);
    assert_eq!(error_of(&post("{not json")).1, invalid);
    let cases = [
        (json!({ "messages": [] }), "model"),
        (json!({ "model": "openai/text" }), "messages"),
        (json!({ "model": "openai/text", "messages": "hi" }), "messages"),
        (json!({ "model": "haia", "messages": [{ "role": "user", "content": 7 }] }), "messages[0].content"),
        (json!({ "model": "openai/text", "messages": [{ "role": "nobody", "content": "x" }] }), "messages[0].role"),
        (json!({ "model": 7, "messages": [] }), "model"),
    ];
    for (body, field) in cases {
        let answer = post(&body.to_string());
        assert_eq!(answer.status, 400, "{body} → {}", answer.text());
        assert_eq!(error_of(&answer).1, invalid);
        assert_eq!(param(&answer), field, "{body} → {}", answer.text());
    }
    // What HAIA does not read itself, a compatible provider judges.
    for model in ["haia", "anthropic/text", "ollama/text"] {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "x" }], "temperature": "hot" });
        let answer = post(&body.to_string());
        assert_eq!((answer.status, param(&answer)), (400, json!("temperature")), "{}", answer.text());
    }
    let long = json!({ "model": "openai/text", "messages": [{ "role": "user", "content": "x".repeat(100_000) }] });
    assert_eq!(error_of(&post(&long.to_string())), is(413, invalid, &error_of(&post(&long.to_string())).2));
}

#[test]
fn keys_and_scopes() {
    let (_sim, daemon) = with_sim();
    let chat = |key: &str| daemon.call("POST", "/v1/chat/completions").key(key).json(&ask("openai/text", false)).send();
    assert_eq!(error_of(&chat("")), is(401, "authentication_error", "invalid_api_key"));
    assert_eq!(error_of(&chat("wrong")), is(401, "authentication_error", "invalid_api_key"));
    let refused = error_of(&chat(READ));
    assert_eq!((refused.0, refused.1.as_str()), (403, "permission_error"));
    assert_eq!(daemon.call("GET", "/health").key("").send().status, 200, "liveness needs no key");
    for path in ["/status", "/ready", "/metrics", "/v1/models"] {
        assert_eq!(daemon.call("GET", path).key("").send().status, 401, "{path}");
        assert_eq!(daemon.call("GET", path).key(READ).send().status, 200, "{path}");
    }
    let reload = daemon.call("POST", "/api/config/reload").key(crate::daemon::CONTROL).send();
    assert_eq!(error_of(&reload).0, 403);
}

#[test]
fn what_is_not_there() {
    let (_sim, daemon) = with_sim();
    for model in ["nobody/nothing", "haia/no-such-route", "gpt-4", "openai/no-such-model"] {
        let answer = daemon.chat(&ask(model, false));
        assert_eq!(error_of(&answer), is(404, "invalid_request_error", "model_not_found"), "{model}");
    }
    for (method, path) in [("GET", "/v2/nothing"), ("POST", "/nothing"), ("DELETE", "/v1/nothing")] {
        let answer = daemon.call(method, path).send();
        assert_eq!(error_of(&answer), is(404, "invalid_request_error", "not_found"), "{method} {path}");
    }
    let wrong_method = daemon.call("GET", "/v1/chat/completions").send();
    assert_eq!((error_of(&wrong_method).0, error_of(&wrong_method).1.as_str()), (405, "invalid_request_error"));
}

#[test]
fn what_providers_refuse() {
    let (_sim, daemon) = with_sim();
    for format in Format::ALL {
        for stream in [false, true] {
            let chat = |model: &str| daemon.chat(&ask(&format!("{}/{model}", format.kind()), stream));
            let check = |model: &str, expected: (u16, String, String)| {
                let answer = chat(model);
                assert_eq!(error_of(&answer), expected, "{} {model}: {}", format.kind(), answer.text());
                answer
            };
            check("status-401", is(502, "provider_error", "provider_authentication"));
            let limited = chat("status-429");
            assert_eq!((limited.status, error_of(&limited).1.as_str()), (429, "rate_limit_error"));
            assert_eq!(limited.header("retry-after"), Some("7"), "as the provider told");
            let refused = chat("status-400");
            assert_eq!((refused.status, error_of(&refused).1.as_str()), (400, "invalid_request_error"));
            check("context-length", is(400, "invalid_request_error", "context_length_exceeded"));
            for model in ["status-500", "status-503", "status-529", "cut-head"] {
                let down = check(model, is(503, "provider_error", "provider_unavailable"));
                assert!(down.header("retry-after").is_some(), "{model}");
            }
        }
    }
}

#[test]
fn providers_that_are_not_there_or_do_not_answer() {
    let sim = Provider::start();
    let down = format!("http://{}", refused_address());
    let models = "models = [\"text\", \"hang\", \"hang-mid\"]";
    let timeouts = format!("first_token_timeout = \"300ms\"\nidle_timeout = \"300ms\"\n{models}");
    let mut setup = Setup::new();
    for format in Format::ALL {
        setup = setup.provider(format, &format!("{}-down", format.kind()), &down, models);
        setup = setup.provider(format, &format!("{}-slow", format.kind()), &sim.url(), &timeouts);
    }
    let daemon = setup.route("default", &["openai-down/text"]).start_unready();
    for format in Format::ALL {
        for stream in [false, true] {
            let gone = daemon.chat(&ask(&format!("{}-down/text", format.kind()), stream));
            assert_eq!(error_of(&gone), is(503, "provider_error", "provider_unavailable"), "{}", gone.text());
            assert!(gone.header("retry-after").is_some());
            let slow = daemon.chat(&ask(&format!("{}-slow/hang", format.kind()), stream));
            assert_eq!(error_of(&slow), is(504, "provider_error", "provider_timeout"), "{}", slow.text());
        }
        let idle = daemon.stream(&ask(&format!("{}-slow/hang-mid", format.kind()), true)).finish();
        assert_eq!(idle.assert_failed()["code"], "provider_timeout");
    }
    assert_eq!(error_of(&daemon.chat(&ask("haia", false))), is(503, "provider_error", "provider_unavailable"));
    let ready = daemon.get("/ready");
    assert_eq!(ready.status, 503, "the default route cannot answer: {}", ready.text());
    daemon.wait_until_idle();
}

#[test]
fn a_stream_that_is_cut_ends_with_an_error_and_never_looks_whole() {
    let sim = Provider::start();
    let mut setup = Setup::with_sim(&sim);
    for format in Format::ALL {
        for model in ["cut-mid", "error-mid"] {
            setup = setup.route(&format!("{}-{model}", format.kind()), &[&format!("{}/{model}", format.kind())]);
        }
    }
    let daemon = setup.start();
    for format in Format::ALL {
        for model in ["cut-mid", "error-mid"] {
            for id in [format!("{}/{model}", format.kind()), format!("haia/{}-{model}", format.kind())] {
                let streamed = daemon.stream(&ask(&id, true)).finish();
                assert_eq!(streamed.status, 200, "{id}");
                streamed.assert_failed();
                assert!(streamed.text().starts_with("Hello "), "{id}: the words so far: {:?}", streamed.events);
                let all = format!("{:?}", streamed.events);
                assert!(!NEVER_TOLD.iter().any(|part| all.contains(part)), "{id}: {all}");

                let whole = daemon.chat(&ask(&id, false));
                if model == "cut-mid" {
                    assert!(whole.status >= 500, "{id}: {}", whole.text());
                    error_of(&whole);
                }
            }
        }
    }
    daemon.wait_until_idle();
}

#[test]
fn another_provider_of_the_route_is_tried_before_the_first_text_and_never_after() {
    let sim = Provider::start();
    let down = format!("http://{}", refused_address());
    let daemon = Setup::with_sim(&sim)
        .provider(Format::Ollama, "down", &down, "models = [\"text\"]")
        .route(
            "failover",
            &["down/text", "anthropic/status-529", "openai/status-429", "openai/cut-head", "ollama/text"],
        )
        .route("cut", &["openai/cut-mid", "ollama/text"])
        .route("limited", &["openai/status-429", "anthropic/status-429"])
        .start();
    for stream in [false, true] {
        let text = if stream {
            let streamed = daemon.stream(&ask("haia/failover", true)).finish();
            streamed.assert_whole();
            streamed.text()
        } else {
            daemon.chat(&ask("haia/failover", false)).content()
        };
        assert_eq!(text, "Hello from the simulated model.");
    }
    let cut = daemon.stream(&ask("haia/cut", true)).finish();
    cut.assert_failed();
    let limited = daemon.chat(&ask("haia/limited", false));
    assert_eq!((limited.status, error_of(&limited).1.as_str()), (429, "rate_limit_error"));
    assert!(limited.header("retry-after").is_some());
}

#[test]
fn haias_own_limits() {
    let sim = Provider::start();
    let setup = Setup::with_sim(&sim).route("hang", &["openai/hang"]);
    let daemon = setup.config("[agent]\nmax_concurrent_turns = 1\nmax_queued_turns = 1\n").start();
    let running = daemon.call("POST", "/v1/chat/completions").json(&ask("haia/hang", true)).begin();
    daemon.status_until("a turn to run", |status| status["turns"]["active"] == 1);
    let queued = daemon.call("POST", "/v1/chat/completions").json(&ask("haia/hang", true)).begin();
    daemon.status_until("a turn to wait", |status| status["turns"]["queued"] == 1);
    let refused = daemon.chat(&ask("haia", false));
    assert_eq!((refused.status, error_of(&refused).1.as_str()), (429, "rate_limit_error"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(daemon.chat(&ask("openai/text", false)).status, 200, "a plain gateway is no turn");
    drop(queued);
    daemon.status_until("the place in the queue to be free", |status| status["turns"]["queued"] == 0);
    drop(running);
    daemon.wait_until_idle();
    assert_eq!(daemon.chat(&ask("haia", false)).status, 200);
}

#[test]
fn hosts_origins_and_preflights() {
    let daemon = Setup::new().server("cors_origins = [\"http://localhost:3000\"]").start();
    let foreign = daemon.call("GET", "/status").header("origin", "http://evil.example").send();
    assert_eq!(error_of(&foreign).0, 403, "{}", foreign.text());
    assert_ne!(foreign.header("access-control-allow-origin"), Some("http://evil.example"));
    let preflight = daemon
        .call("OPTIONS", "/v1/chat/completions")
        .key("")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-os")
        .send();
    assert!((200..300).contains(&preflight.status), "{}", preflight.text());
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:3000"));
    let allowed = preflight.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
    assert!(allowed.contains("x-stainless-os") && allowed.contains("authorization"), "{allowed}");
    let failing = daemon.call("GET", "/no/such/path").header("origin", "http://localhost:3000").send();
    assert_eq!(failing.header("access-control-allow-origin"), Some("http://localhost:3000"), "on errors too");

    // Without keys a page that points its own name at loopback must not pass for a local caller.
    let keyless = Setup::with_server("[server]\nlisten = \"127.0.0.1:0\"\n").start();
    let status = |host: &str| keyless.call("GET", "/status").key("").header("host", host).send();
    let evil = status("evil.example");
    assert!([401, 403].contains(&error_of(&evil).0), "{}", evil.text());
    assert_eq!(status("localhost").status, 200);
}

#[test]
fn a_key_is_checked_also_where_the_list_of_models_is_for_everybody() {
    let sim = Provider::start();
    sim.script(|request| match (request.path.as_str(), request.header("authorization")) {
        ("/api/v1/models", _) => Some(Answer::json(200, &json!({ "data": [{ "id": "maker/model" }] }))),
        ("/api/v1/key", Some("Bearer sk-right")) => Some(Answer::json(200, &json!({ "data": { "label": "mine" } }))),
        ("/api/v1/key", _) => {
            Some(Answer::json(401, &json!({ "error": { "message": "User not found.", "code": 401 } })))
        }
        _ => None,
    });
    let setup = |key: &str| {
        let url = sim.url();
        Setup::new().config(&format!(
            "[providers.or]\nkind = \"openrouter\"\nbase_url = \"{url}/api/v1\"\napi_key = \"{key}\"\n"
        ))
    };
    for (key, state) in [("sk-wrong", "refused"), ("sk-right", "ready")] {
        let checked = setup(key).run(&["check"]);
        let told = format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
        assert_eq!(checked.status.success(), state == "ready", "{told}");
        assert_eq!(told.contains("refuses the API key"), state == "refused", "{told}");
        let daemon = setup(key).start_unready();
        daemon.status_until(state, |status| status["providers"][0]["state"] == state);
    }
}
