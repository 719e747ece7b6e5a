//! Faults of the HTTP side, each as a client meets it, and that all is well again when it is switched off.

use crate::client::Connection;
use crate::kit::Stage;
use sim_cluster::{Fault, FaultRule, SimConfig};
use std::io::ErrorKind;
use std::time::Duration;

#[test]
fn errors_carry_their_text_in_the_reason_phrase() {
    let stage = Stage::homelab();
    let forbidden = Fault::Forbidden { path: "/".into(), privilege: "Sys.Audit".into() };
    let cases = [
        (Fault::NoRoute, 595, "No route to host", false),
        (Fault::BrokenProxy, 596, "Connection timed out", false),
        (Fault::Unauthorized, 401, "invalid token value!", false),
        (forbidden, 403, "Permission check failed (/, Sys.Audit)", true),
        (Fault::ServerError("got timeout".into()), 500, "got timeout", true),
        (Fault::ServerError("cluster not ready - no quorum?\n".into()), 500, "cluster not ready - no quorum?", true),
    ];
    for (fault, status, reason, body) in cases {
        stage.sim.fault(fault.clone());
        let response = stage.ask("/cluster/resources");
        assert_eq!((response.status, response.reason.as_str()), (status, reason), "{fault:?}");
        assert_eq!(!response.body.is_empty(), body, "{fault:?}");
        stage.sim.clear_faults();
        stage.data("/cluster/resources");
    }
}

#[test]
fn an_empty_list_comes_only_for_resources() {
    let stage = Stage::homelab();
    stage.sim.fault(Fault::EmptyResources);
    assert!(stage.rows("/cluster/resources").is_empty());
    assert_eq!(stage.rows("/cluster/status").len(), 4);
}

#[test]
fn a_body_is_cut_in_the_middle() {
    let stage = Stage::homelab();
    stage.sim.fault(Fault::DropMidBody);
    let error = stage.connect().get("/cluster/resources").expect_err("half a body");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
}

#[test]
fn garbage_is_neither_json_nor_text() {
    let stage = Stage::homelab();
    stage.sim.fault(Fault::Garbage);
    let response = stage.ask("/cluster/resources");
    assert_eq!(response.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&response.body).is_err());
    assert!(std::str::from_utf8(&response.body).is_err());
    stage.sim.clear_faults();
    stage.sim.fault(Fault::NotHttp);
    assert!(stage.connect().get("/version").is_err());
}

#[test]
fn a_refusing_endpoint_leaves_the_others() {
    let stage = Stage::homelab();
    let mut open = stage.connect();
    stage.sim.fault_rule(FaultRule::always(Fault::Refuse).on_endpoint(0));
    assert!(Connection::open(&stage.sim, 0).is_err());
    assert!(open.get("/version").is_err(), "open connections end as well");
    let mut other = Connection::open(&stage.sim, 1).expect("the second endpoint");
    assert_eq!(other.get("/version").expect("an answer").status, 200);
}

#[test]
fn a_slow_answer_comes_when_its_time_has_come() {
    let stage = Stage::homelab();
    stage.sim.fault_rule(FaultRule::always(Fault::Slow(Duration::from_secs(20))).times(1));
    let mut slow = stage.connect();
    slow.send("GET", "/version", "").expect("sent");
    // The request has been read once it is recorded; others are served meanwhile.
    while !stage.sim.requests().iter().any(|request| request.target.ends_with("/version")) {
        std::thread::yield_now();
    }
    stage.data("/nodes");
    stage.pass(60);
    // The wait may begin after the first step of the clock: it needs another then.
    stage.data("/nodes");
    stage.pass(60);
    assert_eq!(slow.receive().expect("an answer").status, 200);
}

#[test]
fn a_hanging_request_hangs_alone_and_ends_with_the_simulation() {
    let stage = Stage::homelab();
    stage.sim.fault_rule(FaultRule::always(Fault::Hang).on_path("/nodes/pve2/storage").times(1));
    let mut hanging = stage.connect();
    hanging.send("GET", "/nodes/pve2/storage", "").expect("sent");
    while stage.sim.request_count() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(stage.sim.requests()[0].status, 0);
    assert_eq!(stage.rows("/nodes/pve2/storage").len(), 5);
    drop(stage);
    assert!(hanging.ended());
}

#[test]
fn a_connection_ends_politely_after_its_requests() {
    let stage = Stage::of(SimConfig { requests_per_connection: 3, ..SimConfig::default() });
    let mut connection = stage.connect();
    let mut said = Vec::new();
    for _ in 0..3 {
        let response = connection.get("/version").expect("an answer");
        said.push(response.header("connection").unwrap_or_default().to_owned());
    }
    assert_eq!(said, ["Keep-Alive", "Keep-Alive", "close"]);
    assert!(connection.ended());
    assert_eq!(SimConfig::default().requests_per_connection, 100);
}

#[test]
fn a_connection_can_end_without_a_word() {
    let stage = Stage::homelab();
    stage.sim.fault(Fault::CloseAfter(2));
    let mut connection = stage.connect();
    assert_eq!(connection.get("/version").expect("an answer").header("connection"), Some("Keep-Alive"));
    assert_eq!(connection.get("/version").expect("an answer").header("connection"), Some("Keep-Alive"));
    assert!(connection.get("/version").is_err());
    stage.data("/version");
}

#[test]
fn a_refused_login_waits_as_long_as_configured() {
    let delay = Duration::from_secs(3);
    let stage = Stage::of(SimConfig { refused_login_delay: delay, ..SimConfig::default() });
    let mut refused = stage.connect().with_token("PVEAPIToken=x@pve!y=z");
    refused.send("GET", "/version", "").expect("sent");
    while stage.sim.request_count() == 0 {
        std::thread::yield_now();
    }
    stage.data("/nodes");
    stage.pass(4);
    stage.data("/nodes");
    stage.pass(4);
    assert_eq!(refused.receive().expect("an answer").status, 401);
}
