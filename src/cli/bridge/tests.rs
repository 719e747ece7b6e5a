//! The bridge between a client that was written down and a daemon that answers as it is told.

use super::*;
use crate::cli::output::testing::output;
use crate::cli::socket::testing::{Daemon as Answering, clock, json as answer};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::Path;

fn bridge(folder: &Path, lines: &[Value]) -> (Exit, Vec<Value>, String) {
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (mut output, out, error) = output();
    let exit = run(Cursor::new(input), vec![folder.join("haia.sock")], &clock(), &mut output).expect("it reads on");
    let out = out.text();
    let told = out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    (exit, told.collect(), error.text())
}

fn request(id: u32, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn result(id: u32, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

#[test]
fn without_a_daemon_every_request_is_answered_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        request(1, "initialize", json!({ "protocolVersion": "2025-11-25" })),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ];
    let (exit, told, error) = bridge(folder.path(), &lines);
    assert_eq!(exit, Exit::Failed);
    assert_eq!((told.len(), &told[0]["id"], &told[0]["error"]["code"]), (1, &json!(1), &json!(-32000)));
    assert!(told[0]["error"]["message"].as_str().is_some_and(|said| said.contains("haia serve")), "{told:?}");
    assert!(error.starts_with("error: HAIA is not running"), "{error}");
}

#[test]
fn a_modern_request_is_routed_and_a_stream_is_taken_apart() {
    let events = format!(
        ": alive\n\nevent: message\ndata: {}\n\nevent: message\ndata: {}\n\n",
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} }),
        result(7, json!({ "a": 1 })),
    );
    let stream = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{events}",
        events.len()
    );
    let daemon = Answering::start(vec![stream]);
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let lines = [request(7, "tools/call", json!({ "name": "list_vms", "_meta": meta }))];
    let (exit, told, _) = bridge(daemon.folder.path(), &lines);
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        (&told[0]["method"], &told[1]["result"]["a"], told.len()),
        (&json!("notifications/progress"), &json!(1), 2)
    );
    let sent = daemon.request();
    for header in ["MCP-Protocol-Version: 2026-07-28\r\n", "Mcp-Method: tools/call\r\n", "Mcp-Name: list_vms\r\n"] {
        assert!(sent.contains(header), "{header} in {sent}");
    }
}

#[test]
fn a_refusal_becomes_an_error_of_the_request() {
    let daemon =
        Answering::start(vec![answer("503 Service Unavailable", r#"{"error":{"message":"HAIA is shutting down"}}"#)]);
    let (_, told, _) = bridge(daemon.folder.path(), &[request(3, "initialize", json!({}))]);
    assert_eq!((&told[0]["id"], &told[0]["error"]["message"]), (&json!(3), &json!("HAIA is shutting down")));
}

#[test]
fn what_is_no_json_is_told() {
    let daemon = Answering::start(vec![]);
    let (mut output, out, _) = output();
    let input = Cursor::new("nonsense\n\n");
    run(input, vec![daemon.folder.path().join("haia.sock")], &clock(), &mut output).expect("it reads on");
    assert!(out.text().contains("-32700") && out.text().lines().count() == 1, "{}", out.text());
}

#[test]
fn a_message_without_end_is_told_to_the_client() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    let daemon = Answering::start(vec![format!("{head}data: {}", "x".repeat(65 << 20))]);
    let (_, told, _) = bridge(daemon.folder.path(), &[request(3, "initialize", json!({}))]);
    let said = "the server sent an event larger than 64 MiB";
    assert_eq!((&told[0]["id"], &told[0]["error"]["message"]), (&json!(3), &json!(said)));
}
