//! Answers that take a while, and streams on which a client hears of changes: signs of life, cancelling, leaving, news.

use super::{ask, config, mcp, message, modern, open, tool};
use crate::tests::stage::{Stage, get};
use actix_web::body::{BodySize, MessageBody as _};
use actix_web::test::TestRequest;
use contract::clock::Clock as _;
use contract::failure::Failure;
use contract::message::Lane;
use contract::tools::{CallTool, Catalogue, Risk, ToolResult};
use runtime::world::World;
use runtime::{Context, Handle, Policy, Reply, Service};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A toolbox that takes half a minute for everything.
struct Slow;

impl Service for Slow {
    type Observed = ();

    fn observe(&self) {}
}

impl Handle<CallTool> for Slow {
    fn handle(&mut self, _: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        Reply::later(async {
            tokio::time::sleep(Duration::from_secs(28)).await;
            Ok(ToolResult::ok("at last"))
        })
    }
}

async fn slow(world: &World) -> Stage {
    let (players, props) = Default::default();
    let mut ports = crate::tests::stage::ports(&props, &players, world.clock.clone(), world.ids.clone());
    let toolbox = world.supervision.start(&world.thread(), "toolbox", Policy::default(), || Slow);
    ports.tools.call = toolbox.port(Lane::Interactive);
    Stage::with(world, config(), players, props, ports).await
}

fn events(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_long_call_shows_that_it_goes_on() {
    World::run(async |world| {
        let stage = slow(world).await;
        let session = open(&stage, "anna").await;
        let called = ask(&stage, "anna", &session, "tools/call", json!({ "name": "list_vms" })).await;
        assert_eq!(called.header("content-type"), "text/event-stream");
        assert!(called.body.contains(": alive"), "{}", called.body);
        assert_eq!(events(&called.body)[0]["result"]["content"][0]["text"], "at last");
        let params = json!({ "name": "list_vms", "_meta": { "progressToken": "t" } });
        let called = ask(&stage, "anna", &session, "tools/call", params).await;
        let told = events(&called.body);
        let progress: Vec<u64> = told.iter().filter_map(|event| event["params"]["progress"].as_u64()).collect();
        assert!(progress.len() > 3 && progress.is_sorted(), "{told:?}");
        assert_eq!(
            (&told[0]["params"]["progressToken"], &told[0]["params"]["message"]),
            (&json!("t"), &json!("Looking"))
        );
        assert_eq!(told.last().map(|event| &event["id"]), Some(&json!(1)));
        let plain = mcp("anna", &message(1, "tools/call", &json!({ "name": "list_vms" })))
            .insert_header(("accept", "application/json"))
            .insert_header(("mcp-session-id", session.clone()));
        let called = stage.send(plain).await;
        assert_eq!(called.json()["result"]["content"][0]["text"], "at last", "a client that takes JSON only waits");
    });
}

#[test]
fn a_call_is_cancelled_by_its_id_by_the_end_of_its_session_and_by_leaving() {
    World::run(async |world| {
        let stage = slow(world).await;
        let session = open(&stage, "anna").await;
        let call = |id: u32| {
            mcp("anna", &message(id, "tools/call", &json!({ "name": "list_vms" })))
                .insert_header(("mcp-session-id", session.clone()))
        };
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#;
        let cancel = mcp("anna", cancel).insert_header(("mcp-session-id", session.clone()));
        let later = async {
            world.clock.pause(Duration::from_secs(2)).await;
            stage.send(cancel).await
        };
        let (called, cancelled) = futures_util::join!(stage.send(call(5)), later);
        assert_eq!(cancelled.status, 202);
        assert!(
            called.json()["error"]["message"].as_str().is_some_and(|said| said.contains("cancelled")),
            "{}",
            called.body
        );

        let (_, _, body) = stage.head(call(6)).await;
        assert_eq!(body.size(), BodySize::Stream);
        drop(body);

        let end = TestRequest::delete()
            .uri("/mcp")
            .insert_header(("host", "localhost:8000"))
            .insert_header(("authorization", "Bearer key-of-anna"))
            .insert_header(("mcp-session-id", session.clone()));
        let later = async {
            world.clock.pause(Duration::from_secs(2)).await;
            stage.send(end).await
        };
        let (called, ended) = futures_util::join!(stage.send(call(7)), later);
        assert_eq!((ended.status, called.json()["error"]["code"].as_i64()), (204, Some(-32000)));
        world.settle().await;
    });
}

#[test]
fn whoever_listens_hears_of_new_tools() {
    World::run(async |world| {
        let stage = Stage::new(world, config()).await;
        let session = open(&stage, "anna").await;
        let stream = get("/mcp")
            .insert_header(("authorization", "Bearer key-of-anna"))
            .insert_header(("accept", "text/event-stream"))
            .insert_header(("mcp-session-id", session));
        let listen = |wanted: Value| modern("anna", "subscriptions/listen", json!({ "notifications": wanted }));
        let change = async {
            world.clock.pause(Duration::from_secs(5)).await;
            let tools = vec![tool("list_vms", Risk::Read)];
            stage.gateway.ports.tools.everything.store(Arc::new(Catalogue { tools }));
            world.clock.pause(Duration::from_secs(5)).await;
            stage.gateway.shared.begin_drain(world.clock.monotonic());
        };
        let (all, tools, prompts, ()) = futures_util::join!(
            stage.send(stream),
            stage.send(listen(json!({ "toolsListChanged": true, "promptsListChanged": true }))),
            stage.send(listen(json!({ "promptsListChanged": true }))),
            change
        );
        assert_eq!(events(&all.body), [json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })]);
        let told = events(&tools.body);
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0]["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(told[0]["params"]["notifications"], json!({ "toolsListChanged": true }));
        for notification in &told[..2] {
            assert_eq!(notification["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        }
        assert_eq!((&told[1]["method"], &told[2]["id"]), (&json!("notifications/tools/list_changed"), &json!(1)));
        let told = events(&prompts.body);
        assert_eq!((told.len(), &told[0]["params"]["notifications"]), (2, &json!({})), "{told:?}");
    });
}
