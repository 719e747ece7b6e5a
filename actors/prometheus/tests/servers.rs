//! The actor against servers on loopback that answer, refuse, hang, and talk nonsense.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "the server of a test runs beside it")]

use contract::caller::{Caller, Origin, Scope};
use contract::ids::RequestId;
use contract::message::Lane;
use contract::tools::{CallTool, ListTools, ToolResult};
use prometheus::{AlertmanagerConfig, Config, Ports, ProbeServers, Prometheus, ServerConfig};
use runtime::{Mailbox, Policy, Supervision, SystemClock};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers each request with the next of these, and tells the request lines. An empty answer hangs.
fn server(answers: Vec<(u16, String)>) -> (ServerConfig, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for (status, body) in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let _ = seen.send(String::from_utf8(head).unwrap());
            if !body.is_empty() {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                connection.write_all((head + &body).as_bytes()).unwrap();
            }
            held.push(connection);
        }
        // What hangs must hang until the test ends.
        std::thread::park();
        drop(held);
    });
    (ServerConfig { url, token: Some(contract::secret::Secret::new("tok".to_owned())) }, requests)
}

fn silencing(server: ServerConfig, allow_actions: bool) -> AlertmanagerConfig {
    AlertmanagerConfig { url: server.url, token: server.token, allow_actions }
}

fn with_actor(config: Config, test: impl AsyncFnOnce(Mailbox<Prometheus>)) {
    actix_rt::System::new().block_on(async move {
        let supervision = Supervision::new(|event| panic!("{event:?}"));
        let ports = Ports { clock: Arc::new(SystemClock::real()) };
        let factory = Prometheus::factory(Arc::new(arc_swap::ArcSwap::from_pointee(config)), ports);
        let thread = actix_rt::Arbiter::current();
        test(supervision.start(&thread, "prometheus", Policy::optional(), factory)).await;
    });
}

async fn call(actor: &Mailbox<Prometheus>, name: &str, arguments: Value, timeout_ms: u64) -> ToolResult {
    let call = CallTool {
        request_id: RequestId::new("r"),
        caller: Caller { name: "web".into(), scope: Scope::Read, origin: Origin::Chat },
        name: name.into(),
        arguments: arguments.to_string(),
        timeout: Duration::from_millis(timeout_ms),
    };
    actor.port(Lane::Interactive).ask(call, PATIENCE).await.unwrap().unwrap()
}

#[test]
fn questions_go_out_right_and_answers_come_back_small() {
    let vector = json!({"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"n"},"value":[1_772_366_400,"1"]}]}});
    let (config, requests) = server(vec![(200, vector.to_string())]);
    with_actor(Config { prometheus: Some(config), alertmanager: None }, async |actor| {
        let tools = actor.port(Lane::Interactive).ask(ListTools, PATIENCE).await.unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names.len(), 6);
        assert!(!names.contains(&"alertmanager_alerts"), "its server is not configured");
        let arguments = json!({"query": "up{a=\"b\"}", "time": "2026-03-01T12:00:00Z"});
        let result = call(&actor, "prometheus_query", arguments, 5000).await;
        assert!(!result.is_error, "{}", result.text);
        assert_eq!(
            result.text,
            r#"{"series":[{"labels":{"job":"n"},"value":{"at":"2026-03-01T12:00:00Z","value":1}}],"type":"vector"}"#
        );
        let request = requests.recv_timeout(PATIENCE).unwrap();
        let line = "GET /base/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=1772366400&";
        assert!(request.starts_with(line), "{request}");
        assert!(request.contains("authorization: Bearer tok"), "{request}");
    });
}

#[test]
fn what_goes_wrong_is_told_in_words() {
    let refusal =
        json!({"status":"error","errorType":"bad_data","error":"parse error: unclosed left brace"}).to_string();
    let (config, _requests) = server(vec![
        (400, refusal),
        (200, "<html>".to_owned()),
        (401, "no".to_owned()),
        (503, "{}".to_owned()),
        (200, String::new()),
    ]);
    with_actor(Config { prometheus: Some(config), alertmanager: None }, async |actor| {
        let ask =
            async |timeout| call(&actor, "prometheus_query", json!({"query": "up{", "time": null}), timeout).await;
        for expected in [
            "Prometheus refuses the question: parse error: unclosed left brace",
            "Prometheus answered with something that is no JSON",
            "Prometheus refuses HAIA: set a token",
            "Prometheus answered with status 503",
        ] {
            let result = ask(5000).await;
            assert!(result.is_error && result.text.starts_with(expected), "{}", result.text);
        }
        let hung = ask(700).await;
        assert!(hung.is_error && hung.text.contains("did not answer within 200ms"), "{}", hung.text);
        let wrong =
            call(&actor, "prometheus_query_range", json!({"query": "up", "last": "forever", "end": null}), 5000).await;
        assert!(wrong.is_error && wrong.text.contains("is not a duration"), "{}", wrong.text);
        let missing = call(&actor, "alertmanager_alerts", json!({}), 5000).await;
        assert!(missing.is_error && missing.text.contains("not configured"), "{}", missing.text);
    });
}

#[test]
fn a_server_that_is_gone_is_told_and_probed() {
    let gone = ServerConfig { url: "http://127.0.0.1:1".to_owned(), token: None };
    let (there, _requests) = server(vec![(200, json!({"versionInfo": {"version": "0.25.0"}}).to_string())]);
    with_actor(Config { prometheus: Some(gone), alertmanager: Some(silencing(there, false)) }, async |actor| {
        let found = actor.port(Lane::Interactive).ask(ProbeServers, PATIENCE).await.unwrap();
        assert_eq!(found[1], ("alertmanager", Ok("0.25.0".to_owned())));
        let (name, error) = (found[0].0, found[0].1.clone().unwrap_err());
        assert!(
            name == "prometheus" && error.starts_with("Prometheus cannot be reached at http://127.0.0.1:1"),
            "{error}"
        );
    });
}
