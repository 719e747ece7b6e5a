//! Requests in other formats than chat completions: who answers them, in which shape, and how they are refused.

use super::players::{Act, DirectPlan, Plan};
use super::stage::{Stage, models, post};
use crate::config::{Config, KeyConfig};
use contract::caller::Scope;
use contract::chat::{Event, Usage};
use contract::failure::{Failure, FailureClass};
use contract::provider::Target;
use contract::secret::Secret;
use runtime::world::World;
use serde_json::{Value, json};
use std::time::Duration;

const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

fn body(path: &str, model: &str, stream: bool) -> String {
    match path {
        RESPONSES => json!({ "model": model, "input": "hi", "stream": stream }).to_string(),
        _ => json!({ "model": model, "max_tokens": 5, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
            .to_string(),
    }
}

fn answer() -> Plan {
    let usage = Usage { input: Some(1), output: Some(2), ..Usage::default() };
    Plan::of([Act::Say("hello"), Act::tell(Event::Usage(usage)), Act::stop()])
}

#[test]
fn both_formats_reach_agent_and_models() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let model = Target::Model { provider: "openai".into(), model: "gpt-4o".into() };
        for path in [MESSAGES, RESPONSES] {
            for (id, by, target) in [
                ("haia", "agent", Target::Route("default".into())),
                ("haia/fast", "agent", Target::Route("fast".into())),
                ("openai/gpt-4o", "models", model.clone()),
            ] {
                for stream in [false, true] {
                    stage.players.plan(answer());
                    let reply = stage.send(post(path, &body(path, id, stream))).await;
                    assert_eq!(reply.status, 200, "{path} {id}: {}", reply.body);
                    let asked = stage.players.asked();
                    assert_eq!((asked[0].by, &asked[0].target, asked[0].stream), (by, &target, stream));
                    assert!(reply.body.contains(&format!("\"model\":\"{id}\"")), "{}", reply.body);
                    assert!(reply.body.contains("hello"));
                    let kind = if stream { "text/event-stream" } else { "application/json" };
                    assert_eq!(reply.header("content-type"), kind);
                    if stream {
                        assert_eq!(
                            (reply.header("cache-control"), reply.header("x-accel-buffering")),
                            ("no-cache", "no")
                        );
                    }
                }
            }
        }
        assert_eq!((stage.players.alive(), stage.gateway.ports.gauges.streams_open.get()), (0, 0));
    });
}

#[test]
fn whole_answers_have_their_formats_shape() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(answer());
        let message = stage.send(post(MESSAGES, &body(MESSAGES, "haia", false))).await.json();
        assert_eq!(message["content"], json!([{ "type": "text", "text": "hello" }]));
        assert_eq!((&message["type"], &message["stop_reason"]), (&json!("message"), &json!("end_turn")));
        assert_eq!(message["usage"], json!({ "input_tokens": 1, "output_tokens": 2 }));
        stage.players.plan(Plan {
            notices: vec!["the model takes no tools".to_owned()],
            ..Plan::of([
                Act::tell(Event::Thinking("hm")),
                Act::tell(Event::ToolStart { index: 0, id: Some("c1"), name: "f" }),
                Act::tell(Event::ToolArguments { index: 0, json: "{\"a\":1}" }),
                Act::stop(),
            ])
        });
        let reply = stage.send(post(MESSAGES, &body(MESSAGES, "openai/gpt-4o", false))).await;
        assert_eq!(reply.header("x-haia-notice"), "the model takes no tools");
        let message = reply.json();
        assert_eq!(message["content"][0], json!({ "type": "thinking", "thinking": "hm", "signature": "" }));
        let call = json!({ "type": "tool_use", "id": "c1", "name": "f", "input": { "a": 1 } });
        assert_eq!((&message["content"][1], &message["stop_reason"]), (&call, &json!("tool_use")));
        stage.players.plan(Plan { notices: vec!["changed".to_owned()], ..answer() });
        let reply = stage.send(post(RESPONSES, &body(RESPONSES, "openai/gpt-4o", true))).await;
        assert_eq!(reply.header("x-haia-notice"), "changed");
    });
}

#[test]
fn failures_before_the_first_event_are_http_statuses_in_the_shape_that_clients_read() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for path in [MESSAGES, RESPONSES] {
            for stream in [false, true] {
                let failure =
                    Failure::new(FailureClass::RateLimit, "slow down").with_retry_after(Some(Duration::from_secs(3)));
                stage.players.plan(Plan::refused(failure));
                let reply = stage.send(post(path, &body(path, "openai/gpt-4o", stream))).await;
                assert_eq!((reply.status, reply.header("retry-after")), (429, "3"));
                assert_eq!(reply.error().0, "rate_limit_error");
                let told = reply.json();
                assert_eq!(told["type"], if path == MESSAGES { json!("error") } else { Value::Null });
            }
            let reply = stage.send(post(path, "{}")).await;
            assert_eq!((reply.status, reply.error().2.as_deref()), (400, Some("model")));
            let reply = stage.send(post(path, &body(path, "nobody", false))).await;
            assert_eq!((reply.status, reply.error().1.as_deref()), (404, Some("model_not_found")));
        }
        let stored = json!({ "model": "haia", "input": "hi", "store": true }).to_string();
        assert_eq!(stage.send(post(RESPONSES, &stored)).await.error().2.as_deref(), Some("store"));
    });
}

#[test]
fn failures_after_the_first_event_are_events() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (path, end) in [(MESSAGES, "message_stop"), (RESPONSES, "response.completed")] {
            stage.players.plan(Plan::of([Act::Say("a"), Act::Fail(Failure::new(FailureClass::Timeout, "silent"))]));
            let reply = stage.send(post(path, &body(path, "haia", true))).await;
            assert_eq!(reply.status, 200);
            let last = reply.body.trim_end().rsplit("\n\n").next().unwrap_or_default();
            let data = last.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{last}"));
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!((&data["type"], &data["error"]["code"]), (&json!("error"), &json!("provider_timeout")));
            assert!(!reply.body.contains(end) && !reply.body.contains("[DONE]"));
        }
    });
}

#[test]
fn anthropics_clients_may_send_their_key_in_their_own_header() {
    World::run(async |world| {
        let key = |key: &str, scope| KeyConfig { key: Secret::new(key), scope, limits: Default::default() };
        let keys = [("ui".to_owned(), key("sk-ui", Scope::Control)), ("eye".to_owned(), key("sk-eye", Scope::Read))];
        let stage = Stage::new(world, Config { keys: keys.into_iter().collect(), ..Config::default() }).await;
        let send = |path: &'static str, key: &'static str| {
            let request = post(path, &body(path, "haia", false)).insert_header(("x-api-key", key));
            stage.send(request.insert_header(("anthropic-version", "2023-06-01")))
        };
        stage.players.plan(answer());
        let reply = send(MESSAGES, "sk-ui").await;
        assert_eq!((reply.status, stage.players.asked()[0].caller.as_str()), (200, "ui"));
        stage.players.plan(answer());
        let escaped = post("/v1/%6dessages", &body(MESSAGES, "haia", false)).insert_header(("x-api-key", "sk-ui"));
        assert_eq!(stage.send(escaped).await.status, 200, "the same path");
        assert_eq!(send(MESSAGES, "sk-eye").await.status, 403);
        for reply in [send(MESSAGES, "wrong").await, send("/v1/messages/count_tokens", "wrong").await] {
            assert_eq!((reply.status, reply.error().1.as_deref()), (401, Some("invalid_api_key")));
            assert_eq!(reply.json()["type"], "error");
        }
        let elsewhere = send(RESPONSES, "sk-ui").await;
        assert_eq!(elsewhere.status, 401, "other paths take their keys as ever");
        assert!(elsewhere.json()["type"].is_null());
    });
}

#[test]
fn a_provider_that_speaks_anthropics_format_is_asked_in_it() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let native = |whole, pieces| {
            Ok(DirectPlan { content_type: "text/event-stream", whole, pieces, ..DirectPlan::default() })
        };
        let plans = [
            native(Some("{\"own\":1}"), Vec::new()),
            native(None, vec![Act::Say("event: a\ndata: {}\n\n"), Act::Say(": b\n\n")]),
            native(
                None,
                vec![Act::Say("event: a\ndata: {}\n\n"), Act::Fail(Failure::new(FailureClass::Truncated, "cut"))],
            ),
            Err(Failure::new(FailureClass::Overloaded, "busy")),
        ];
        stage.players.direct_plans.lock().expect("plans").extend(plans);
        let ask = |stream| {
            post(MESSAGES, &body(MESSAGES, "anthropic/claude", stream)).insert_header(("anthropic-beta", "a-1,b-2"))
        };
        assert_eq!(stage.send(ask(false)).await.body, "{\"own\":1}");
        let streamed = stage.send(ask(true)).await;
        assert_eq!(
            (streamed.body.as_str(), streamed.header("content-type")),
            ("event: a\ndata: {}\n\n: b\n\n", "text/event-stream")
        );
        let broken = stage.send(ask(true)).await.body;
        assert!(broken.starts_with("event: a\ndata: {}\n\nevent: error\ndata: {\"type\":\"error\","), "{broken}");
        assert_eq!(stage.send(ask(true)).await.status, 503);
        let directed = stage.players.directed.lock().expect("directed");
        assert_eq!((&*directed[0].provider, &*directed[0].model), ("anthropic", "claude"));
        assert_eq!(directed[0].beta.as_deref(), Some("a-1,b-2"));
        assert_eq!((directed[0].stream, directed[1].stream), (false, true));
        assert!(stage.players.asked().is_empty());
        assert_eq!(stage.players.alive(), 0);
    });
}

#[test]
fn a_client_that_leaves_cancels_everything() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for path in [MESSAGES, RESPONSES] {
            stage.players.plan(Plan::of([Act::Say("a"), Act::Hang]));
            let (status, _, response) = stage.head(post(path, &body(path, "haia", true))).await;
            assert_eq!((status, stage.players.alive()), (200, 1));
            drop(response);
            assert_eq!(stage.players.alive(), 0);
        }
        stage.players.direct_plans.lock().expect("plans").push_back(Ok(DirectPlan {
            content_type: "text/event-stream",
            pieces: vec![Act::Hang],
            ..DirectPlan::default()
        }));
        let (_, _, response) = stage.head(post(MESSAGES, &body(MESSAGES, "anthropic/claude", true))).await;
        assert_eq!(stage.players.alive(), 1);
        drop(response);
        assert_eq!(stage.players.alive(), 0);
        assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 0);
    });
}

#[test]
fn models_tell_what_they_can_do() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let one = stage.get("/v1/models/openai/gpt-4o").await.json();
        assert_eq!(one["capabilities"], json!({ "vision": true }), "what is unknown is not told");
        assert_eq!(models().models[0].abilities.thinking, None);
        assert!(stage.get("/v1/models/haia").await.json().get("capabilities").is_none());
    });
}
