//! Start, reload, drain, end: what an operator's signals do.

use crate::ask;
use crate::daemon::{Call, Setup, eventually};
use crate::sim::{Format, Provider, Step, by_model};
use serde_json::json;

/// Streams of `text` that stop after the first word until the gate is opened.
fn held(sim: &Provider) -> crate::sim::Gate {
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        let is_held = request.model() == "text" && request.streamed();
        is_held.then(|| by_model(request).after(2, Step::Hold(held.clone())))
    });
    gate
}

#[test]
fn a_drain_lets_streams_end_and_refuses_what_is_new() {
    let sim = Provider::start();
    let gate = held(&sim);
    let mut daemon = Setup::with_sim(&sim).start();
    let mut plain = daemon.stream(&ask("openai/text", true));
    plain.read_until_text();
    let kept = daemon.call("POST", "/v1/chat/completions");
    daemon.signal("TERM");
    daemon.log.wait_for("the drain", |event| {
        let line = event.to_string().to_lowercase();
        line.contains("drain") || line.contains("shutting down") || line.contains("stopping")
    });
    // Over a connection that was open before, and over a new one.
    for call in [kept, daemon.call("POST", "/v1/chat/completions")] {
        let refused = call.json(&ask("openai/agent", false)).send();
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    }
    assert_eq!((daemon.get("/health").status, daemon.get("/ready").status), (200, 503), "alive, but not for new work");
    assert!(daemon.runs(), "a stream is still running");
    gate.open();
    let rest = plain.finish();
    assert_eq!((rest.text().as_str(), rest.finish_reasons()), ("from the simulated model.", vec!["stop"]));
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log.text());
}

#[test]
fn an_idle_daemon_ends_at_once_on_either_signal() {
    for signal in ["TERM", "INT"] {
        let mut daemon = Setup::new().start();
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0), "{signal}: {}", daemon.log.text());
    }
}

#[test]
fn kill_at_any_moment_needs_no_repair() {
    let sim = Provider::start();
    let setup = Setup::with_sim(&sim);
    let folder = {
        let daemon = setup.start();
        daemon.folder()
    };
    for round in 0..5 {
        let mut daemon = Setup::with_sim(&sim).folder(folder.clone()).start();
        let address = daemon.address;
        std::thread::scope(|scope| {
            // Requests in flight, audit rows under way.
            for _ in 0..4 {
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let call = Call::tcp_if_open(address, "POST", "/v1/chat/completions");
                        let Some(call) = call else { return };
                        if call.key(crate::daemon::CONTROL).json(&ask("haia", false)).begin().read().is_err() {
                            return;
                        }
                    }
                });
            }
            let chats = sim.chats().len();
            sim.wait_for_chats(chats + 3 + round * 7);
            daemon.signal("KILL");
            daemon.wait();
        });
    }
    let daemon = Setup::with_sim(&sim).folder(folder).start();
    assert_eq!(daemon.chat(&ask("haia", false)).status, 200);
    let rows = daemon.get("/api/audit");
    assert_eq!(rows.status, 200, "{}", rows.text());
    let problem = daemon.status()["store"]["problem"].clone();
    assert!(problem.is_null(), "{problem}");
}

#[test]
fn a_reload_is_all_or_nothing_and_drops_no_stream() {
    let sim = Provider::start();
    let gate = held(&sim);
    let daemon = Setup::with_sim(&sim).start();
    let generation = daemon.status()["generation"].as_u64().expect("a number");
    let mut stream = daemon.stream(&ask("openai/text", true));
    stream.read_until_text();
    assert_eq!(daemon.chat(&ask("haia/added", false)).status, 404);

    let good = std::fs::read_to_string(daemon.config_path()).expect("the configuration");
    let write = |text: &str| std::fs::write(daemon.config_path(), text).expect("the configuration");
    let added = good.replace("[routes]\n", "[routes]\nadded = [\"anthropic/agent\"]\n");
    write(&added);
    daemon.signal("HUP");
    daemon.status_until("the next generation", |status| status["generation"].as_u64() > Some(generation));
    assert_eq!(daemon.chat(&ask("haia/added", false)).status, 200);

    write(&added.replace("[routes]\n", "[rutes]\nx = 1\n[routes]\n"));
    daemon.signal("HUP");
    let status = daemon.status_until("the refusal", |status| status["reload_error"].is_string());
    assert!(status["reload_error"].as_str().is_some_and(|why| why.contains("rutes")), "{}", status["reload_error"]);
    assert_eq!(daemon.chat(&ask("haia/added", false)).status, 200, "the good one stays");
    let by_api = daemon.post("/api/config/reload", &json!({}));
    assert_eq!(by_api.status, 400, "{}", by_api.text());

    write(&added.replace("127.0.0.1:0", "127.0.0.1:1"));
    let by_api = daemon.post("/api/config/reload", &json!({}));
    assert!(by_api.status >= 400 && by_api.text().contains("restart"), "{}", by_api.text());

    write(&good);
    let by_api = daemon.post("/api/config/reload", &json!({}));
    assert!((200..300).contains(&by_api.status), "{}", by_api.text());
    let status = daemon.status();
    assert!(status["reload_error"].is_null(), "{status}");
    eventually("the route to be gone", || (daemon.chat(&ask("haia/added", false)).status == 404).then_some(()));

    gate.open();
    let rest = stream.finish();
    assert_eq!((rest.text().as_str(), &rest.broken), ("from the simulated model.", &None));
}

#[test]
fn beyond_loopback_without_keys_is_a_configuration_error() {
    let output = Setup::with_server("[server]\nlisten = \"0.0.0.0:0\"\n").run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("listen") && told.contains("key"), "{told}");
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let taken = Provider::start();
    let config = format!("[server]\nlisten = \"{}\"\n", taken.address());
    let output = Setup::with_server(&config).run(&["serve"]);
    assert!(output.status.code().is_some_and(|code| code != 0));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&taken.address().to_string()), "{told}");
}

#[test]
fn the_command_line_reaches_the_daemon_over_its_socket() {
    let sim = Provider::start();
    let setup = Setup::with_sim(&sim);
    let daemon = setup.start();
    let socket = daemon.folder().path().join("haia.sock");
    let over_socket = Call::unix(&socket, "GET", "/status").send();
    assert_eq!(over_socket.status, 200, "no key is needed: {}", over_socket.text());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o077, 0, "owner only: {mode:o}");

    let status = setup.run(&["status", "--json"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
    let told: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert!(told["actors"].is_array());
    let asked = setup.run(&["ask", "What is going on?"]);
    assert_eq!(asked.status.code(), Some(0), "{}", String::from_utf8_lossy(&asked.stderr));
    assert!(String::from_utf8_lossy(&asked.stdout).contains("Final answer after 3 results"));

    let made = setup.run(&["keys", "new", "tablet", "--scope", "read"]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let told = String::from_utf8_lossy(&made.stdout).into_owned();
    let key = told.split_whitespace().find(|word| word.len() >= 32).expect("the key is printed").to_owned();
    eventually("the key to work", || (daemon.call("GET", "/status").key(&key).send().status == 200).then_some(()));
    let revoked = setup.run(&["keys", "revoke", "tablet"]);
    assert_eq!(revoked.status.code(), Some(0));
    eventually("the key to be refused", || {
        (daemon.call("GET", "/status").key(&key).send().status == 401).then_some(())
    });
    assert_eq!(sim.chats().iter().filter(|chat| chat.request.format() == Some(Format::OpenAi)).count(), 3);
}
