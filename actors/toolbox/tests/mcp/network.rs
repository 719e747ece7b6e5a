//! Servers on the network: both eras, the older transport, lost sessions, servers that go away.

use crate::rig::{Rig, file, run};
use contract::mcp::McpState;
use serde_json::json;
use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub fn start(kind: &str, port: u16) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/http_server.py");
        let started = Command::new("python3").args([script, kind, &port.to_string()]).stdout(Stdio::piped()).spawn();
        let mut process = started.expect("python3");
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().expect("output")).read_line(&mut line).expect("a line");
        Self { process, port: line.trim().parse().expect("a port") }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn entry(url: &str) -> serde_json::Value {
    json!({"url": url, "headers": {"Authorization": "Bearer ${SECRET_TOKEN}"}, "haia": {"trust": "read"}})
}

#[test]
fn both_eras_and_both_transports_answer() {
    run(async {
        for (kind, path, transport, era) in [
            ("plain", "/mcp", "http", "2025-11-25"),
            ("streamed", "/mcp", "http", "2025-11-25"),
            ("session", "/mcp", "http", "2025-11-25"),
            ("locked", "/mcp", "http", "2025-11-25"),
            ("stateless", "/mcp", "http", "2026-07-28"),
            ("events", "/sse", "http", "2025-06-18"),
        ] {
            let server = Server::start(kind, 0);
            let rig = Rig::start(&file([("it", entry(&server.url(path)))])).await;
            rig.until_offered("it__echo", true).await;
            let status = rig.until_state("it", McpState::Ready).await;
            assert_eq!((status.transport, status.era.as_deref()), (transport, Some(era)), "{kind}");
            assert_eq!(rig.text("it__echo", json!({"text": "ü"})).await, "ü", "{kind}");
            assert_eq!(rig.text("it__header", json!({})).await, "Bearer hush-hush-token", "{kind}");
            rig.drain().await;
        }
    });
}

#[test]
fn a_changed_list_is_followed() {
    run(async {
        for (kind, path) in [("session", "/mcp"), ("stateless", "/mcp"), ("events", "/sse")] {
            let server = Server::start(kind, 0);
            let mut open = entry(&server.url(path));
            open["haia"]["pin"] = json!(false);
            let rig = Rig::start(&file([("it", open)])).await;
            rig.until_offered("it__change", true).await;
            // The listener may come a moment after the first list.
            tokio::time::sleep(Duration::from_millis(300)).await;
            rig.text("it__change", json!({})).await;
            rig.until_offered("it__later", true).await;
            rig.drain().await;
        }
    });
}

#[test]
fn a_lost_session_is_renewed_without_a_failed_call() {
    run(async {
        let server = Server::start("session", 0);
        let rig = Rig::start(&file([("it", entry(&server.url("/mcp")))])).await;
        rig.until_offered("it__forget", true).await;
        for at in 0..10 {
            rig.text("it__forget", json!({})).await;
            assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x", "{at}");
        }
        let stats: serde_json::Value = serde_json::from_str(&rig.text("it__stats", json!({})).await).expect("JSON");
        assert_eq!(stats["initialized"], 11, "{stats}");
        rig.drain().await;
    });
}

#[test]
fn a_server_that_goes_away_comes_back() {
    run(async {
        let server = Server::start("plain", 0);
        let rig = Rig::start(&file([("it", entry(&server.url("/mcp")))])).await;
        rig.until_offered("it__stop", true).await;
        rig.text("it__stop", json!({})).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let said = rig.refusal("it__echo", json!({"text": "x"})).await;
        assert!(said.contains("cannot be reached") && said.contains("refused"), "{said}");
        let again = Server::start("plain", server.port);
        rig.until_state("it", McpState::Ready).await;
        assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x");
        drop(again);
        rig.drain().await;
    });
}

#[test]
fn faults_of_the_network_are_named() {
    run(async {
        let silent = Server::start("silent", 0);
        let locked = Server::start("locked", 0);
        let mut slow = entry(&silent.url("/mcp"));
        slow["haia"]["start_timeout"] = json!("500ms");
        let rig = Rig::start(&file([
            ("closed", entry("http://127.0.0.1:9/mcp?key=${SECRET_TOKEN}")),
            ("silent", slow),
            ("locked", json!({"url": locked.url("/mcp")})),
            ("elsewhere", json!({"url": locked.url("/mcp"), "type": "sse"})),
        ]))
        .await;
        for (server, said) in [
            ("closed", "refused"),
            ("silent", "did not answer within 500ms"),
            ("locked", "Auth required"),
            ("elsewhere", "405"),
        ] {
            let error = rig.until_state(server, McpState::Failed).await.last_error.expect("an error");
            assert!(error.contains(said) && !error.contains("hush"), "{server}: {error}");
        }
        rig.drain().await;
    });
}

#[test]
fn connections_are_kept_and_used_again() {
    run(async {
        let server = Server::start("plain", 0);
        let rig = Rig::start(&file([("it", entry(&server.url("/mcp")))])).await;
        rig.until_offered("it__echo", true).await;
        for _ in 0..40 {
            rig.text("it__echo", json!({"text": "x"})).await;
        }
        let stats: serde_json::Value = serde_json::from_str(&rig.text("it__stats", json!({})).await).expect("JSON");
        assert!(stats["connections"].as_u64().is_some_and(|count| count <= 4), "{stats}");
        rig.drain().await;
    });
}

/// The step of 40 ms that Nagle's algorithm and delayed acknowledgements make on kept connections would show in every call.
#[test]
#[ignore = "measures time: for a quiet machine"]
fn calls_on_a_kept_connection_do_not_wait_for_acknowledgements() {
    run(async {
        let server = Server::start("plain", 0);
        let rig = Rig::start(&file([("it", entry(&server.url("/mcp")))])).await;
        rig.until_offered("it__echo", true).await;
        for _ in 0..200 {
            rig.text("it__echo", json!({"text": "x"})).await;
        }
        let status = rig.until_state("it", McpState::Ready).await;
        eprintln!("200 calls over HTTP: {:?}", status.latency_ms);
        assert!(status.latency_ms.p50 < 38.0, "{:?}", status.latency_ms);
        rig.drain().await;
    });
}
