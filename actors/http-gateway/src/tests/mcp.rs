//! `/mcp` and `/api/mcp` among scripted neighbours: both eras of the protocol, what each scope sees, sessions, what is wrong.

mod passed;
mod streams;

use super::stage::{Props, Reply, Stage, get, post};
use crate::config::{Config, KeyConfig};
use crate::ports::{McpPorts, ToolPorts};
use actix_web::test::TestRequest;
use contract::caller::Scope;
use contract::clock::Clock as _;
use contract::mcp::{
    ApproveMcpServer, ListMcpServers, McpError, McpLogLine, McpServerStatus, McpState, ReadMcpLogs, ToggleMcpServer,
    ToggleMcpTool,
};
use contract::provider::Quantiles;
use contract::relay::{AskAttached, CallForMcp, ListMcpOffers, McpOffers, McpRefusal};
use contract::secret::Secret;
use contract::tools::{CallTool, Catalogue, Risk, SharedCatalogue, Tool, ToolResult};
use contract::units::Span;
use jiff::Timestamp;
use runtime::Port;
use runtime::world::World;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A tool of a risk.
fn tool(name: &str, risk: Risk) -> Tool {
    let schema = r#"{"type":"object","properties":{"guest":{"type":["string","null"]}},"required":["guest"],"additionalProperties":false}"#;
    Tool {
        name: name.into(),
        description: "Looks.".into(),
        parameters: Arc::from(RawValue::from_string(schema.to_owned()).expect("JSON")),
        risk,
        title: "Looking".into(),
    }
}

/// Tools that say who called them with what.
pub(super) fn tools(_: &Arc<Props>) -> ToolPorts {
    let everything: SharedCatalogue = Arc::default();
    everything.store(Arc::new(Catalogue { tools: vec![tool("list_vms", Risk::Read), tool("stop_vm", Risk::Write)] }));
    let shown: SharedCatalogue = Arc::default();
    shown.store(Arc::new(Catalogue { tools: vec![tool("tools_search", Risk::Read)] }));
    let call = Port::scripted("toolbox", |call: CallTool| {
        Ok(match &*call.name {
            "list_vms" => ToolResult::ok(format!("{} {:?} {}", call.caller.name, call.caller.scope, call.arguments)),
            "stop_vm" => ToolResult::ok("proposal 7 waits for a person"),
            "tools_search" => ToolResult::ok("found"),
            name => ToolResult::error(format!("there is no tool named \"{name}\"")),
        })
    });
    ToolPorts {
        own: Arc::clone(&everything),
        everything,
        shown,
        call,
        call_for_mcp: Port::scripted("toolbox", |asked: CallForMcp| {
            Ok(match &*asked.call.name {
                "tools_search" => ToolResult::ok("found"),
                name => ToolResult::error(format!("there is no tool named \"{name}\"")),
            })
        }),
        offers: Port::scripted("mcp-host", |_: ListMcpOffers| McpOffers::default()),
        ask_attached: Port::scripted("mcp-host", |_: AskAttached| {
            Err(McpRefusal { code: None, message: "nobody has it".to_owned(), data: None })
        }),
        updates: Arc::default(),
    }
}

fn server() -> McpServerStatus {
    McpServerStatus {
        name: "files".into(),
        state: McpState::Ready,
        transport: "stdio",
        era: Some("2025-11-25".into()),
        software: None,
        tools: Vec::new(),
        withheld: Vec::new(),
        rejected: Vec::new(),
        notes: Vec::new(),
        restarts: 0,
        calls: 3,
        errors: 0,
        active: 0,
        latency_ms: Quantiles { p50: 1.0, p99: 2.0, max: 3.0 },
        last_error: None,
        last_error_at: None,
        pid: Some(7),
    }
}

fn only_files<T>(name: &str, told: T) -> Result<T, McpError> {
    if name == "files" { Ok(told) } else { Err(McpError(format!("there is no MCP server {name:?}"))) }
}

/// One attached server.
pub(super) fn servers() -> McpPorts {
    McpPorts {
        list: Port::scripted("mcp-host", |_: ListMcpServers| vec![server()]),
        toggle: Port::scripted("mcp-host", |asked: ToggleMcpServer| only_files(&asked.name, ())),
        toggle_tool: Port::scripted("mcp-host", |asked: ToggleMcpTool| only_files(&asked.server, ())),
        logs: Port::scripted("mcp-host", |asked: ReadMcpLogs| {
            only_files(&asked.name, vec![McpLogLine { at: Timestamp::UNIX_EPOCH, source: "stderr", text: "up".into() }])
        }),
        approve: Port::scripted("mcp-host", |asked: ApproveMcpServer| {
            only_files(&asked.name, vec!["read_file".into()])
        }),
    }
}

fn config() -> Config {
    let key = |name: &str, scope| {
        let key = Secret::new(format!("key-of-{name}"));
        (name.to_owned(), KeyConfig { key, scope, limits: Default::default() })
    };
    let keys = [key("reader", Scope::Read), key("anna", Scope::Control), key("root", Scope::Admin)];
    Config { keys: keys.into_iter().collect(), allowed_hosts: vec!["haia.lan".into()], ..Config::default() }
}

fn message(id: u32, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// A message with the headers that every client sends.
fn mcp(key: &str, body: &str) -> TestRequest {
    post("/mcp", body)
        .insert_header(("authorization", format!("Bearer key-of-{key}")))
        .insert_header(("content-type", "application/json"))
        .insert_header(("accept", "application/json, text/event-stream"))
}

fn initialize(key: &str) -> TestRequest {
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    mcp(key, &message(0, "initialize", &params))
}

async fn open(stage: &Stage, key: &str) -> String {
    let reply = stage.send(initialize(key)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.header("mcp-session-id").to_owned()
}

async fn ask(stage: &Stage, key: &str, session: &str, method: &str, params: Value) -> Reply {
    stage.send(mcp(key, &message(1, method, &params)).insert_header(("mcp-session-id", session.to_owned()))).await
}

/// A request of the newer era, with everything that it must have.
fn modern(key: &str, method: &str, mut params: Value) -> TestRequest {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = mcp(key, &message(1, method, &params))
        .insert_header(("mcp-protocol-version", "2026-07-28"))
        .insert_header(("mcp-method", method.to_owned()));
    match params["name"].as_str().or(params["uri"].as_str()) {
        Some(name) => request.insert_header(("mcp-name", name.to_owned())),
        None => request,
    }
}

fn names(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let tools = body["result"]["tools"].as_array().unwrap_or_else(|| panic!("{}", reply.body));
    tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_session_is_opened_used_and_ended() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let reply = stage.send(initialize("anna")).await;
        let body = reply.json();
        assert_eq!((&body["id"], &body["result"]["protocolVersion"]), (&json!(0), &json!("2025-11-25")));
        assert_eq!(body["result"]["capabilities"]["tools"]["listChanged"], true);
        let session = reply.header("mcp-session-id").to_owned();
        assert!(session.len() >= 32 && session.bytes().all(|byte| byte.is_ascii_graphic()), "{session}");
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let sent = stage.send(mcp("anna", initialized).insert_header(("mcp-session-id", session.clone()))).await;
        assert_eq!((sent.status, sent.body.as_str()), (202, ""));
        assert_eq!(ask(&stage, "anna", &session, "ping", json!({})).await.json()["result"], json!({}));
        assert_eq!(ask(&stage, "reader", &session, "ping", json!({})).await.status, 404, "another's session");
        assert_eq!(stage.send(mcp("anna", &message(1, "ping", &json!({})))).await.status, 400, "without a session");
        let end = || {
            TestRequest::delete()
                .uri("/mcp")
                .insert_header(("host", "localhost:8000"))
                .insert_header(("authorization", "Bearer key-of-anna"))
                .insert_header(("mcp-session-id", session.clone()))
        };
        assert_eq!(stage.send(end()).await.status, 204);
        assert_eq!(stage.send(end()).await.status, 404);
        assert_eq!(ask(&stage, "anna", &session, "ping", json!({})).await.status, 404);
    });
}

#[test]
fn an_unused_session_expires() {
    World::run(async |world| {
        let mut config = config();
        config.mcp.session_timeout = Span::seconds(60);
        let stage = Stage::new(world, config).await;
        let session = open(&stage, "anna").await;
        for _ in 0..3 {
            world.clock.pause(Duration::from_secs(50)).await;
            assert_eq!(ask(&stage, "anna", &session, "ping", json!({})).await.status, 200);
        }
        world.clock.pause(Duration::from_secs(61)).await;
        assert_eq!(ask(&stage, "anna", &session, "ping", json!({})).await.status, 404);
    });
}

#[test]
fn each_scope_sees_and_does_what_it_may() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        for (key, seen) in
            [("reader", vec!["list_vms"]), ("anna", vec!["list_vms", "stop_vm"]), ("root", vec!["list_vms", "stop_vm"])]
        {
            let session = open(&stage, key).await;
            let listed = ask(&stage, key, &session, "tools/list", json!({})).await;
            assert_eq!(names(&listed), seen, "{key}");
            let listed = stage.send(modern(key, "tools/list", json!({}))).await;
            assert_eq!(names(&listed), seen, "{key}");
            let called = ask(
                &stage,
                key,
                &session,
                "tools/call",
                json!({ "name": "list_vms", "arguments": { "guest": "web" } }),
            )
            .await;
            if key == "reader" {
                assert_eq!((called.status, &called.json()["id"]), (403, &json!(1)), "{}", called.body);
                let rows = stage.props.audit.lock().expect("audit").clone();
                assert!(
                    rows.iter().any(|row| &*row.what == "mcp call list_vms" && &*row.outcome == "forbidden"),
                    "{rows:?}"
                );
            } else {
                let text = called.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
                assert!(text.starts_with(key) && text.ends_with(r#"{"guest":"web"}"#), "{text}");
                let risky = ask(&stage, key, &session, "tools/call", json!({ "name": "stop_vm" })).await;
                assert_eq!(risky.json()["result"]["content"][0]["text"], "proposal 7 waits for a person");
            }
            let read = ask(&stage, key, &session, "resources/read", json!({ "uri": "haia://guests" })).await;
            assert!(
                read.json()["result"]["contents"][0]["text"].as_str().is_some_and(|text| text.starts_with(key)),
                "{}",
                read.body
            );
        }
        let nobody = stage.send(mcp("nobody", &message(1, "ping", &json!({})))).await;
        assert_eq!(nobody.status, 401);
    });
}

#[test]
fn schemas_are_plain_and_the_short_list_is_there_for_whoever_wants_it() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let listed = stage.send(modern("anna", "tools/list", json!({}))).await.json();
        let tool = &listed["result"]["tools"][0];
        let plain =
            json!({ "type": "object", "properties": { "guest": { "type": "string" } }, "additionalProperties": false });
        assert_eq!(tool["inputSchema"], plain);
        assert_eq!((&tool["annotations"]["readOnlyHint"], &tool["title"]), (&json!(true), &json!("Looking")));
        assert_eq!(
            (&listed["result"]["resultType"], &listed["result"]["cacheScope"]),
            (&json!("complete"), &json!("private"))
        );
        let short = stage.send(modern("anna", "tools/list", json!({})).uri("/mcp?mode=search")).await;
        assert_eq!(names(&short), ["tools_search"]);
        let called =
            stage.send(modern("anna", "tools/call", json!({ "name": "tools_search" })).uri("/mcp?mode=search")).await;
        assert_eq!(called.json()["result"]["content"][0]["text"], "found");
    });
}

#[test]
fn what_is_wrong_is_told_as_json_rpc() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let session = open(&stage, "anna").await;
        for (method, params, code, modern_code) in [
            ("nothing/there", json!({}), -32601, -32601),
            ("tools/call", json!({}), -32602, -32602),
            ("tools/call", json!({ "name": "no_such" }), -32602, -32602),
            ("tools/list", json!({ "cursor": "x" }), -32602, -32602),
            ("resources/read", json!({ "uri": "haia://nothing" }), -32002, -32602),
            ("resources/read", json!({ "uri": "haia://alerts/99" }), -32002, -32602),
            ("prompts/get", json!({ "name": "nothing" }), -32602, -32602),
            ("logging/setLevel", json!({ "level": "loud" }), -32602, -32601),
            ("server/discover", json!({}), -32602, 0),
            ("subscriptions/listen", json!({ "notifications": 7 }), -32601, -32602),
        ] {
            let reply = ask(&stage, "anna", &session, method, params.clone()).await;
            let told = reply.json();
            assert_eq!(
                (&told["error"]["code"], &told["id"]),
                (&json!(code), &json!(1)),
                "{method} {params}: {}",
                reply.body
            );
            if modern_code != 0 {
                let reply = stage.send(modern("anna", method, params.clone())).await;
                let status = if modern_code == -32601 { 404 } else { 200 };
                assert_eq!(
                    (reply.status, &reply.json()["error"]["code"]),
                    (status, &json!(modern_code)),
                    "{method} {params}"
                );
            }
        }
        for (request, status) in [
            (mcp("anna", "{"), 400),
            (mcp("anna", "[]"), 400),
            (mcp("anna", "{}").insert_header(("content-type", "text/plain")), 415),
            (mcp("anna", "{}").insert_header(("accept", "text/html")), 406),
            (modern("anna", "ping", json!({})), 404),
            (modern("anna", "initialize", json!({})), 404),
        ] {
            let reply = stage.send(request).await;
            assert_eq!(reply.status, status, "{}", reply.body);
            assert_eq!(reply.json()["jsonrpc"], "2.0");
        }
    });
}

#[test]
fn only_names_of_this_machine_are_answered_also_with_a_key() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        for (host, status) in [
            ("localhost:8000", 200),
            ("127.0.0.1:8000", 200),
            ("192.168.7.7:8000", 200),
            ("[fe80::1]:8000", 200),
            ("haia.lan", 200),
            ("tower", 200),
            ("evil.example", 403),
        ] {
            assert_eq!(stage.send(initialize("anna").insert_header(("host", host))).await.status, status, "{host}");
        }
        let from_page = initialize("anna").insert_header(("origin", "http://evil.example"));
        assert_eq!(stage.send(from_page).await.status, 403);
        let mut closed = config();
        closed.mcp.serve = false;
        let stage = Stage::new(world, closed).await;
        assert_eq!(stage.send(initialize("anna")).await.status, 404);
    });
}

#[test]
fn attached_servers_are_shown_and_switched() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let send = async |key: &str, request: TestRequest| {
            stage.send(request.insert_header(("authorization", format!("Bearer key-of-{key}")))).await
        };
        let listed = send("reader", get("/api/mcp")).await.json();
        assert_eq!((&listed["servers"][0]["name"], &listed["servers"][0]["state"]), (&json!("files"), &json!("ready")));
        let log = send("reader", get("/api/mcp/files/logs")).await.json();
        assert_eq!(log["lines"][0]["text"], "up");
        for (path, key, status) in [
            ("/api/mcp/files/disable", "reader", 403),
            ("/api/mcp/files/disable", "anna", 200),
            ("/api/mcp/files/enable", "anna", 200),
            ("/api/mcp/files/tools/read_file/disable", "anna", 200),
            ("/api/mcp/nothing/enable", "anna", 404),
            ("/api/mcp/files/approve", "anna", 403),
            ("/api/mcp/files/approve", "root", 200),
        ] {
            assert_eq!(send(key, post(path, "")).await.status, status, "{key} {path}");
        }
        let rows = stage.props.audit.lock().expect("audit").clone();
        let done: Vec<&str> = rows.iter().filter(|row| &*row.outcome == "ok").map(|row| &*row.what).collect();
        assert_eq!(done, ["mcp disable files", "mcp enable files", "mcp disable files read_file", "mcp approve files"]);
    });
}

#[test]
#[ignore = "a measurement: .ci/long runs it with the release profile"]
fn what_a_list_of_500_tools_costs() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let long = "What it does and when to use it, as servers write it. ".repeat(8);
        let tools = (0..500)
            .map(|at| Tool { description: long.as_str().into(), ..tool(&format!("files__tool_{at:03}"), Risk::Write) });
        let session = open(&stage, "anna").await;
        stage.gateway.ports.tools.everything.store(Arc::new(Catalogue { tools: tools.collect() }));
        let mut took = Vec::new();
        for _ in 0..50 {
            #[expect(clippy::disallowed_methods, reason = "the world's time stands still, and this measures")]
            let begun = std::time::Instant::now();
            let listed = ask(&stage, "anna", &session, "tools/list", json!({})).await;
            took.push(begun.elapsed());
            assert_eq!((listed.status, listed.body.len() > 250_000), (200, true));
        }
        let first = took[0];
        took.sort();
        println!("tools/list of 500 tools: {first:?} the first time, {:?} then, {:?} at worst", took[25], took[49]);
        assert!(took[25] < Duration::from_millis(10), "{:?}", took[25]);
    });
}
