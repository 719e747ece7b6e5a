//! What an attached server tells and asks while it is called, and what it answers beside tools, as a client sees it.

use super::{config, mcp, message, modern, open};
use crate::tests::stage::Stage;
use contract::clock::Clock as _;
use contract::failure::Failure;
use contract::message::Lane;
use contract::relay::{AskAttached, CallForMcp, ListMcpOffers, McpCaller, McpMethod, McpNews, McpOffers, McpRefusal};
use contract::tools::ToolResult;
use runtime::world::World;
use runtime::{Context, Handle, Policy, Reply, Service};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A host of one attached server that tells, asks, and answers with what it was answered.
struct Attached;

impl Service for Attached {
    type Observed = ();

    fn observe(&self) {}
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("JSON")
}

fn tell(from: &McpCaller) {
    from.line.tell(McpNews::Progress { progress: 0.5, total: Some(2.0), message: Some("half".to_owned()) });
    for level in ["debug", "warning"] {
        let params = raw(&json!({ "level": level, "data": "news" }));
        from.line.tell(McpNews::Log { level: level.to_owned(), params });
    }
}

impl Handle<CallForMcp> for Attached {
    fn handle(&mut self, asked: CallForMcp, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        let mcp = |value: Value| Some(Arc::from(value.to_string()));
        let CallForMcp { call, from } = asked;
        if &*call.name == "it__refuse" {
            let refusal = json!({ "error": { "code": -32021, "message": "no samples", "data": { "a": 1 } } });
            return Reply::Now(Ok(ToolResult { mcp: mcp(refusal), ..ToolResult::error("no samples") }));
        }
        if from.takes_questions && from.answers.is_none() {
            let question = json!({ "resultType": "input_required", "inputRequests": { "q": { "method": "roots/list" } }, "requestState": "s" });
            return Reply::Now(Ok(ToolResult { mcp: mcp(question), ..ToolResult::ok("it asks") }));
        }
        if let Some(answers) = &from.answers {
            let said = format!("{} {}", answers.get(), from.state.as_deref().unwrap_or("none"));
            return Reply::Now(Ok(ToolResult::ok(said)));
        }
        Reply::later(async move {
            tell(&from);
            let answer = from.line.ask("elicitation/create".to_owned(), raw(&json!({ "message": "?" }))).await;
            let answer = answer.map_or_else(|| "nothing".to_owned(), |answer| answer.get().to_owned());
            Ok(ToolResult::ok(format!("{} {answer}", from.capabilities.get())))
        })
    }
}

impl Handle<ListMcpOffers> for Attached {
    fn handle(&mut self, _: ListMcpOffers, _: &Context<Self>) -> Reply<McpOffers> {
        let one = |value: Value| vec![Arc::from(raw(&value))];
        Reply::Now(McpOffers {
            resources: one(json!({ "uri": "it://a", "name": "a" })),
            templates: one(json!({ "uriTemplate": "it://{b}", "name": "b" })),
            prompts: one(json!({ "name": "it__ask" })),
        })
    }
}

impl Handle<AskAttached> for Attached {
    fn handle(&mut self, asked: AskAttached, _: &Context<Self>) -> Reply<Result<Box<RawValue>, McpRefusal>> {
        let params: Value = serde_json::from_str(asked.params.get()).expect("JSON");
        assert!(params.get("_meta").is_none() && params.get("inputResponses").is_none(), "{params}");
        let refusal = |code, said: &str| McpRefusal { code, message: said.to_owned(), data: None };
        Reply::Now(match (asked.method, params["uri"].as_str().or(params["name"].as_str())) {
            (McpMethod::ReadResource, Some("it://a")) => {
                let contents = json!([{ "uri": "it://a", "text": "A" }]);
                Ok(raw(&json!({ "resultType": "complete", "_meta": { "x": 1 }, "ttlMs": 9, "contents": contents })))
            }
            (McpMethod::ReadResource, Some("it://gone")) => Err(refusal(Some(-32002), "it is gone")),
            (McpMethod::GetPrompt, Some("it__ask")) => Ok(raw(&json!({ "messages": [] }))),
            (McpMethod::Complete, None) => Ok(raw(&json!({ "completion": { "values": ["x"] } }))),
            (McpMethod::Subscribe | McpMethod::Unsubscribe, Some("it://a")) => Ok(raw(&json!({}))),
            _ => Err(refusal(None, "nobody has it")),
        })
    }
}

async fn attached(world: &World) -> Stage {
    let (players, props) = Default::default();
    let mut ports = crate::tests::stage::ports(&props, &players, world.clock.clone(), world.ids.clone());
    let host = world.supervision.start(&world.thread(), "mcp-host", Policy::default(), || Attached);
    ports.tools.call_for_mcp = host.port(Lane::Interactive);
    ports.tools.offers = host.port(Lane::Interactive);
    ports.tools.ask_attached = host.port(Lane::Interactive);
    Stage::with(world, config(), players, props, ports).await
}

fn events(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

async fn open_with(stage: &Stage, capabilities: Value) -> String {
    let client = json!({ "name": "t", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client });
    stage.send(mcp("anna", &message(0, "initialize", &params))).await.header("mcp-session-id").to_owned()
}

#[test]
fn a_client_hears_and_is_asked_while_its_call_runs() {
    World::run(async |world| {
        let stage = attached(world).await;
        let session = open_with(&stage, json!({ "elicitation": {} })).await;
        let in_session = |key: &str, body: &str| mcp(key, body).insert_header(("mcp-session-id", session.clone()));
        let params = json!({ "name": "it__ask", "_meta": { "progressToken": 7 } });
        let answer =
            |id: &str, action: &str| json!({ "jsonrpc": "2.0", "id": id, "result": { "action": action } }).to_string();
        let answers = async {
            world.clock.pause(Duration::from_secs(2)).await;
            // Neither another's word nor the answer to something else counts.
            let ben = stage.send(in_session("root", &answer("haia-0", "decline"))).await;
            let other = stage.send(in_session("anna", &answer("haia-1", "decline"))).await;
            let right = stage.send(in_session("anna", &answer("haia-0", "accept"))).await;
            (ben.status, other.status, right.status)
        };
        let called = stage.send(in_session("anna", &message(1, "tools/call", &params)));
        let (called, statuses) = futures_util::join!(called, answers);
        assert_eq!(statuses, (202, 202, 202));
        let told = events(&called.body);
        assert_eq!(told.len(), 4, "debug is below the level that nobody named: {told:?}");
        assert_eq!(told[0]["params"], json!({ "progressToken": 7, "progress": 0.5, "total": 2.0, "message": "half" }));
        assert_eq!(told[1]["params"], json!({ "level": "warning", "data": "news" }));
        assert_eq!(
            (&told[2]["method"], &told[2]["params"]),
            (&json!("elicitation/create"), &json!({ "message": "?" }))
        );
        assert_eq!(told[3]["result"]["content"][0]["text"], r#"{"elicitation":{}} {"action":"accept"}"#);

        let level = message(2, "logging/setLevel", &json!({ "level": "debug" }));
        assert_eq!(stage.send(in_session("anna", &level)).await.status, 200);
        let json_only =
            in_session("anna", &message(3, "tools/call", &params)).insert_header(("accept", "application/json"));
        let called = stage.send(json_only).await;
        assert_eq!(called.json()["result"]["content"][0]["text"], "{} nothing", "it cannot be asked");
    });
}

#[test]
fn questions_go_to_the_newer_era_as_results_and_refusals_as_errors() {
    World::run(async |world| {
        let stage = attached(world).await;
        let asked = stage.send(modern("anna", "tools/call", json!({ "name": "it__ask" }))).await;
        let result = &asked.json()["result"];
        assert_eq!((&result["resultType"], &result["requestState"]), (&json!("input_required"), &json!("s")));
        assert_eq!(result["inputRequests"]["q"]["method"], "roots/list");
        let back = json!({ "name": "it__ask", "inputResponses": { "q": { "roots": [] } }, "requestState": "s" });
        let done = stage.send(modern("anna", "tools/call", back)).await;
        assert_eq!(done.json()["result"]["content"][0]["text"], r#"{"q":{"roots":[]}} s"#);
        assert_eq!(done.json()["result"]["resultType"], "complete");
        let refused = stage.send(modern("anna", "tools/call", json!({ "name": "it__refuse" }))).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["error"], json!({ "code": -32021, "message": "no samples", "data": { "a": 1 } }));
    });
}

#[test]
fn resources_prompts_and_completions_are_passed_on() {
    World::run(async |world| {
        let stage = attached(world).await;
        let session = open(&stage, "anna").await;
        let ask = async |method: &str, params: Value| {
            let request = mcp("anna", &message(1, method, &params)).insert_header(("mcp-session-id", session.clone()));
            stage.send(request).await.json()
        };
        let listed = ask("resources/list", json!({})).await;
        let uris: Vec<&str> = listed["result"]["resources"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["uri"].as_str())
            .collect();
        assert!(uris.contains(&"haia://alerts") && uris.last() == Some(&"it://a"), "{uris:?}");
        assert_eq!(
            ask("resources/templates/list", json!({})).await["result"]["resourceTemplates"].as_array().map(Vec::len),
            Some(2)
        );
        let prompts = ask("prompts/list", json!({})).await;
        assert!(
            prompts["result"]["prompts"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "it__ask"))
        );
        let read = ask("resources/read", json!({ "uri": "it://a" })).await;
        assert_eq!(read["result"], json!({ "contents": [{ "uri": "it://a", "text": "A" }] }));
        assert_eq!(ask("resources/read", json!({ "uri": "it://gone" })).await["error"]["code"], -32002);
        assert_eq!(ask("resources/read", json!({ "uri": "it://never" })).await["error"]["code"], -32002);
        let newer = stage.send(modern("anna", "resources/read", json!({ "uri": "it://gone" }))).await;
        assert_eq!(newer.json()["error"]["code"], -32602);
        let newer = stage.send(modern("anna", "resources/read", json!({ "uri": "it://a" }))).await;
        assert_eq!(
            (&newer.json()["result"]["ttlMs"], &newer.json()["result"]["contents"][0]["text"]),
            (&json!(0), &json!("A"))
        );
        assert_eq!(ask("prompts/get", json!({ "name": "it__ask" })).await["result"], json!({ "messages": [] }));
        let completed = |name: &str| json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": { "name": "a", "value": "b" } });
        assert_eq!(
            ask("completion/complete", completed("it__ask")).await["result"]["completion"]["values"],
            json!(["x"])
        );
        assert_eq!(
            ask("completion/complete", completed("explain_alert")).await["result"]["completion"]["values"],
            json!([])
        );
        assert_eq!(ask("resources/subscribe", json!({ "uri": "it://a" })).await["result"], json!({}));
        assert_eq!(ask("resources/subscribe", json!({ "uri": "haia://alerts" })).await["error"]["code"], -32602);
        let sessions = &stage.gateway.shared.mcp().sessions;
        let updates = &stage.gateway.ports.tools.updates;
        let updated = || sessions.updated(&session, |uri| updates.count(uri));
        assert_eq!(updated().len(), 0);
        updates.tell("it://a");
        updates.tell("it://other");
        assert_eq!((updated(), updated().len()), (vec!["it://a".into()], 0));
        assert_eq!(ask("resources/unsubscribe", json!({ "uri": "it://a" })).await["result"], json!({}));
        updates.tell("it://a");
        assert_eq!(updated().len(), 0);
    });
}
