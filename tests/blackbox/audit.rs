//! One request id ties the access log, the audit trail and the provider calls of a request together.

use crate::ask;
use crate::daemon::{CONTROL, Daemon, Setup, eventually};
use crate::sim::{Format, Provider};
use serde_json::Value;

/// The audit rows of one request, once there are as many as expected: they are written in batches.
fn rows(daemon: &Daemon, request_id: &str, expected: usize) -> Vec<Value> {
    eventually("the audit rows", || {
        let answer = daemon.get(&format!("/api/audit?request_id={request_id}")).json();
        let rows = answer.as_array().or_else(|| answer.as_object()?.values().find_map(Value::as_array));
        rows.filter(|rows| rows.len() >= expected).cloned()
    })
}

#[test]
fn one_id_from_the_access_log_to_the_providers() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).start();
    for format in Format::ALL {
        sim.forget();
        let id = format!("test-{}-0123456789", format.kind());
        let call = daemon.call("POST", "/v1/chat/completions").key(CONTROL).header("x-request-id", &id);
        let streamed = call.json(&ask(&format!("haia/{}-agent", format.kind()), true)).open();
        assert_eq!(streamed.header("x-request-id"), Some(id.as_str()));
        streamed.finish().assert_whole();

        let rows = rows(&daemon, &id, 6);
        assert!(rows.iter().all(|row| row["request_id"] == id.as_str() && row["outcome"] == "ok"), "{rows:?}");
        let of_kind = |kind: &str| -> Vec<String> {
            let of_kind = rows.iter().filter(|row| row["kind"] == kind);
            let mut what: Vec<String> =
                of_kind.map(|row| row["what"].as_str().unwrap_or_default().to_owned()).collect();
            what.sort();
            what
        };
        assert_eq!(of_kind("tool"), ["get_haia_status", "get_time", "get_time"]);
        assert_eq!(of_kind("provider"), [0, 1, 2].map(|_| format!("{}/agent", format.kind())));
        assert!(rows.iter().all(|row| row["who"] == "control"), "{rows:?}");
        assert_eq!(sim.chats().len(), 3);
        daemon.log.wait_for("the access log of the request", |event| {
            let line = event.to_string();
            line.contains(&id) && line.contains("/v1/chat/completions") && line.contains("200")
        });
    }
    let log = daemon.log.text();
    for secret in [crate::daemon::ADMIN, CONTROL, "sk-sim-0123456789"] {
        assert!(!log.contains(secret), "a secret in the log");
    }
    let all = daemon.get("/api/audit").text();
    assert!(!all.contains("What is going on?"), "the audit trail holds digests, not contents");
}

#[test]
fn an_odd_request_id_is_replaced() {
    let daemon = Setup::new().start();
    let answer = daemon.call("GET", "/health").header("x-request-id", "not sane; at all").send();
    let id = answer.header("x-request-id").expect("always one");
    assert!(!id.contains(' ') && id.len() >= 16, "{id}");
    let missing = daemon.call("GET", "/no/such/path").send();
    assert!(missing.header("x-request-id").is_some(), "on errors too");
}
