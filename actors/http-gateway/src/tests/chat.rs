//! Chats from request to answer.

use super::players::{Act, Plan};
use super::stage::{Stage, chat, question};
use crate::config::Config;
use contract::chat::{Event, Relayed, Usage};
use contract::failure::{Failure, FailureClass};
use contract::provider::Target;
use contract::units::Size;
use runtime::world::World;
use std::time::Duration;

fn model(provider: &str, model: &str) -> Target {
    Target::Model { provider: provider.into(), model: model.into() }
}

#[test]
fn each_model_id_reaches_who_answers_it() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (id, by, target) in [
            ("haia", "agent", Target::Route("default".into())),
            ("haia/fast", "agent", Target::Route("fast".into())),
            ("builtin/offline", "agent", model("builtin", "offline")),
            ("openai/gpt-4o", "models", model("openai", "gpt-4o")),
            ("openrouter/meta/llama:free", "models", model("openrouter", "meta/llama:free")),
        ] {
            for stream in [false, true] {
                stage.players.plan(Plan::of([Act::Say("hi"), Act::stop()]));
                let request = chat(&question(id, stream)).insert_header(("x-request-id", "req-1"));
                let reply = stage.send(request).await;
                assert_eq!(reply.status, 200, "{id}: {}", reply.body);
                assert_eq!(reply.header("x-request-id"), "req-1");
                let asked = stage.players.asked();
                assert_eq!(asked.len(), 1);
                assert_eq!((asked[0].by, &asked[0].target), (by, &target), "{id}");
                assert_eq!((asked[0].caller.as_str(), asked[0].request_id.as_str()), ("loopback", "req-1"));
                assert_eq!(asked[0].stream, stream);
                assert!(reply.body.contains(&format!("\"model\":\"{id}\"")), "{}", reply.body);
            }
        }
        assert_eq!(stage.players.alive(), 0);
    });
}

#[test]
fn a_stream_has_its_headers_and_its_end() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan::of([
            Act::Say("a"),
            Act::tell(Event::Usage(Usage { input: Some(1), output: Some(2), ..Usage::default() })),
            Act::stop(),
        ]));
        let body = r#"{"model":"haia","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"x"}]}"#;
        let reply = stage.send(chat(body).insert_header(("accept-encoding", "gzip, deflate, br"))).await;
        assert_eq!(reply.header("content-type"), "text/event-stream");
        assert_eq!(reply.header("cache-control"), "no-cache");
        assert_eq!(reply.header("x-accel-buffering"), "no");
        assert_eq!(reply.header("content-encoding"), "");
        let events: Vec<&str> = reply.body.trim_end().split("\n\n").collect();
        assert_eq!(events.len(), 5, "{}", reply.body);
        assert!(events[0].contains(r#""role":"assistant""#));
        assert!(events[2].contains(r#""finish_reason":"stop""#));
        assert!(events[3].contains(r#""choices":[],"usage":{"prompt_tokens":1"#));
        assert_eq!(events[4], "data: [DONE]");
        assert!(events.iter().all(|event| event.starts_with("data: ")), "{}", reply.body);
        assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 0);
    });
}

#[test]
fn a_relayed_stream_passes_as_it_came() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let relay = Relayed { role: true, content: true, finish: true, usage: false };
        stage.players.plan(Plan::of([Act::Relay("data: {\"provider\":\"its own\"}\n\n", relay)]));
        let reply = stage.chat(&question("openai/gpt-4o", true)).await;
        assert_eq!(reply.body, "data: {\"provider\":\"its own\"}\n\ndata: [DONE]\n\n");
        stage.players.plan(Plan::of([Act::Whole("{\"whole\":true}")]));
        let reply = stage.chat(&question("openai/gpt-4o", false)).await;
        assert_eq!((reply.body.as_str(), reply.header("content-type")), ("{\"whole\":true}", "application/json"));
        let asked = stage.players.asked();
        assert_eq!((asked[0].relay_usage, asked[1].relay_usage), (false, true));
    });
}

#[test]
fn a_failure_before_the_first_event_is_an_http_status() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let wait = Some(Duration::from_millis(1500));
        for (class, status, kind, code, retry_after) in [
            (FailureClass::InvalidRequest, 400, "invalid_request_error", None, ""),
            (FailureClass::ContextLength, 400, "invalid_request_error", Some("context_length_exceeded"), ""),
            (FailureClass::NotFound, 404, "invalid_request_error", Some("model_not_found"), ""),
            (FailureClass::RateLimit, 429, "rate_limit_error", Some("rate_limit_exceeded"), "2"),
            (FailureClass::Busy, 429, "rate_limit_error", Some("haia_busy"), "2"),
            (FailureClass::Authentication, 502, "provider_error", Some("provider_authentication"), ""),
            (FailureClass::Unreachable, 503, "provider_error", Some("provider_unavailable"), "2"),
            (FailureClass::Timeout, 504, "provider_error", Some("provider_timeout"), ""),
            (FailureClass::Internal, 500, "internal_error", Some("internal_error"), ""),
        ] {
            for model in ["haia", "openai/gpt-4o"] {
                for stream in [true, false] {
                    let failure = Failure::new(class, "why it failed").with_retry_after(wait);
                    // Refused at once, and failed only after the stream was opened and the provider had named itself.
                    let head = Act::tell(Event::Head(contract::chat::Head::default()));
                    for plan in [Plan::refused(failure.clone()), Plan::of([head, Act::Fail(failure.clone())])] {
                        stage.players.plan(plan);
                        let reply = stage.chat(&question(model, stream)).await;
                        let told = reply.error();
                        assert_eq!(reply.status, status, "{class:?} {}", reply.body);
                        assert_eq!((told.0.as_str(), told.1.as_deref()), (kind, code), "{class:?}");
                        assert_eq!(reply.header("retry-after"), retry_after, "{class:?}");
                        assert!(reply.body.contains("why it failed"));
                    }
                }
            }
        }
        assert_eq!(stage.players.alive(), 0);
        assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 0);
    });
}

#[test]
fn a_failure_in_mid_stream_is_an_error_event_and_no_end_mark() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for last in [
            vec![Act::Fail(Failure::new(FailureClass::Truncated, "cut"))],
            vec![Act::stop(), Act::Fail(Failure::new(FailureClass::Truncated, "cut"))],
            vec![],
            vec![Act::Panic],
        ] {
            let plan = std::iter::once(Act::Say("some words")).chain(last);
            stage.players.plan(Plan::of(plan));
            let reply = stage.chat(&question("haia", true)).await;
            assert_eq!(reply.status, 200);
            assert!(reply.body.contains("some words"));
            let last = reply.body.trim_end().rsplit("\n\n").next().unwrap_or_default();
            assert!(last.starts_with("data: {\"error\":{\"message\":"), "{}", reply.body);
            assert!(
                !reply.body.contains("[DONE]") && !reply.body.contains("\"finish_reason\":\"stop\""),
                "{}",
                reply.body
            );
        }
        assert_eq!(stage.players.alive(), 0);
    });
}

#[test]
fn a_whole_answer_that_breaks_off_is_an_http_status() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (last, status) in [
            (vec![Act::Fail(Failure::new(FailureClass::Truncated, "cut"))], 503),
            (vec![], 503),
            (vec![Act::Panic], 500),
        ] {
            stage.players.plan(Plan::of(std::iter::once(Act::Say("some words")).chain(last)));
            let reply = stage.chat(&question("haia", false)).await;
            assert_eq!(reply.status, status, "{}", reply.body);
            reply.error();
            assert!(!reply.body.contains("some words"));
        }
    });
}

#[test]
fn what_was_changed_for_the_model_is_told() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let plan =
            || Plan { notices: vec!["this model takes no tools".into()], ..Plan::of([Act::Say("a"), Act::stop()]) };
        stage.players.plan(plan());
        let reply = stage.chat(&question("openai/gpt-4o", true)).await;
        assert!(
            reply.body.contains(
                r#""event":{"type":"status","data":{"description":"this model takes no tools","done":true}}"#
            )
        );
        stage.players.plan(plan());
        let reply = stage.chat(&question("openai/gpt-4o", false)).await;
        assert_eq!(reply.header("x-haia-notice"), "this model takes no tools");
    });
}

#[test]
fn every_malformed_request_is_told_what_is_wrong() {
    World::run(async |world| {
        let config = Config { max_body: Size(4096), ..Config::default() };
        let stage = Stage::new(world, config).await;
        let big = question("haia", false).replace("hi", &"x".repeat(5000));
        for (body, status, code, param) in [
            ("", 400, None, None),
            ("not json", 400, None, None),
            ("[1]", 400, None, None),
            (r#"{"messages":[{"role":"user","content":"x"}]}"#, 400, None, Some("model")),
            (r#"{"model":"haia"}"#, 400, None, Some("messages")),
            (r#"{"model":"haia","messages":[]}"#, 400, None, Some("messages")),
            (r#"{"model":"haia","messages":[{"role":"boss","content":"x"}]}"#, 400, None, Some("messages[0].role")),
            (r#"{"model":"haia","messages":[{"role":"user","content":7}]}"#, 400, None, Some("messages[0].content")),
            (r#"{"model":"haia","n":2,"messages":[{"role":"user","content":"x"}]}"#, 400, None, Some("n")),
            (
                r#"{"model":"haia","temperature":"hot","messages":[{"role":"user","content":"x"}]}"#,
                400,
                None,
                Some("temperature"),
            ),
            (
                r#"{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}"#,
                404,
                Some("model_not_found"),
                Some("model"),
            ),
            (big.as_str(), 413, Some("request_too_large"), None),
        ] {
            let reply = stage.chat(body).await;
            assert_eq!(reply.status, status, "{}", reply.body);
            let (kind, told_code, told_param) = reply.error();
            assert_eq!(kind, "invalid_request_error");
            assert_eq!(told_code.as_deref(), code, "{}", reply.body);
            assert_eq!(told_param.as_deref(), param, "{}", reply.body);
        }
        assert!(stage.players.asked().is_empty(), "nobody was troubled");
    });
}

#[test]
fn what_clients_send_is_borne() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for kind in ["application/json; charset=utf-8", "text/plain", ""] {
            for model in ["haia", "openai/gpt-4o"] {
                stage.players.plan(Plan::of([Act::Say("a"), Act::stop()]));
                let body = format!(
                    r#"{{"model":"{model}","tools":[],"n":1,"seed":null,"service_tier":"auto","unknown":{{}},"messages":[
                        {{"role":"developer","content":[{{"type":"text","text":"a"}}],"extra":1}},
                        {{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},
                        {{"role":"tool","tool_call_id":"c","content":""}}]}}"#
                );
                let mut request = super::stage::post("//v1//chat/completions/", &body);
                if !kind.is_empty() {
                    request = request.insert_header(("content-type", kind));
                }
                let reply = stage.send(request).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
            }
        }
    });
}
