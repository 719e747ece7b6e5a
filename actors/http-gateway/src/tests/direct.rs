//! Embeddings, speech, transcription and the counting of tokens: what is sent to which provider, and what comes back.

use super::players::{Act, AskedBody, DirectPlan};
use super::stage::{Stage, post};
use crate::config::Config;
use actix_web::body::{MessageBody as _, to_bytes};
use contract::direct::DirectKind;
use contract::failure::{Failure, FailureClass};
use runtime::world::World;
use serde_json::json;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

const FORM: &str = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper-1\r\n--B--\r\n";

fn embeddings(model: &str) -> String {
    json!({ "model": model, "input": ["a"] }).to_string()
}

fn plan(stage: &Stage, plan: DirectPlan) {
    stage.players.direct_plans.lock().expect("plans").push_back(Ok(plan));
}

fn whole(content_type: &'static str, whole: &'static str) -> DirectPlan {
    DirectPlan { content_type, whole: Some(whole), ..DirectPlan::default() }
}

#[test]
fn each_route_asks_its_provider() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for (path, body, kind) in [
            ("/v1/embeddings", embeddings("openai/e"), DirectKind::Embeddings),
            ("/v1/audio/speech", json!({ "model": "openai/e", "input": "hi" }).to_string(), DirectKind::Speech),
            (
                "/v1/messages/count_tokens",
                json!({ "model": "openai/e", "messages": [{}] }).to_string(),
                DirectKind::CountTokens,
            ),
        ] {
            plan(&stage, whole("application/json; x=1", "{\"any\":1}"));
            let reply = stage.send(post(path, &body).insert_header(("x-request-id", "req-1"))).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "{\"any\":1}"), "{path}");
            assert_eq!(
                (reply.header("content-type"), reply.header("x-request-id")),
                ("application/json; x=1", "req-1")
            );
            let call = stage.players.directed.lock().expect("directed").pop().expect("a call");
            assert_eq!((call.kind, &*call.provider, &*call.model), (kind, "openai", "e"));
            assert_eq!((call.request_id.as_str(), &*call.caller), ("req-1", "loopback"));
            assert!(matches!(call.body, AskedBody::Json(sent) if sent == body));
        }
        plan(&stage, whole("text/plain", "hello"));
        let request = post("/v1/audio/transcriptions", FORM);
        let reply = stage.send(request.insert_header(("content-type", "multipart/form-data; boundary=B"))).await;
        assert_eq!((reply.body.as_str(), reply.header("content-type")), ("hello", "text/plain"));
        let call = stage.players.directed.lock().expect("directed").pop().expect("a call");
        assert_eq!((call.kind, &*call.model), (DirectKind::Transcription, "whisper-1"));
        let AskedBody::Form { content_type, around_model: (before, behind), before: None, rest: None } = call.body
        else {
            panic!("no form")
        };
        assert_eq!(content_type, "multipart/form-data; boundary=B");
        assert_eq!([&before[..], b"openai/whisper-1", &behind].concat(), FORM.as_bytes());
    });
}

#[test]
fn the_agent_and_unable_providers_are_refused_by_name() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for model in ["haia", "haia/fast", "builtin/offline"] {
            let reply = stage.send(post("/v1/embeddings", &embeddings(model))).await;
            assert_eq!((reply.status, reply.error().2.as_deref()), (400, Some("model")), "{model}");
            assert!(
                reply.body.contains("/v1/embeddings") && reply.body.contains("<provider>/<model>"),
                "{}",
                reply.body
            );
        }
        let reply = stage.send(post("/v1/embeddings", &embeddings("claude/e"))).await;
        let (kind, code, _) = reply.error();
        assert_eq!(
            (reply.status, kind.as_str(), code.as_deref()),
            (400, "invalid_request_error", Some("unsupported_endpoint"))
        );
        assert!(reply.body.contains("claude (of kind openai) has no /v1/embeddings"), "{}", reply.body);
        assert_eq!(stage.send(post("/v1/embeddings", &embeddings("nobody"))).await.status, 404);
        for (path, body, param) in [
            ("/v1/embeddings", "{\"input\":\"a\"}", "model"),
            ("/v1/embeddings", "{\"model\":\"p/m\"}", "input"),
            ("/v1/audio/speech", "{\"model\":\"p/m\",\"input\":null}", "input"),
            ("/v1/messages/count_tokens", "{\"model\":\"p/m\"}", "messages"),
        ] {
            let reply = stage.send(post(path, body)).await;
            assert_eq!((reply.status, reply.error().2.as_deref()), (400, Some(param)), "{path}");
        }
        let reply = stage.send(post("/v1/audio/transcriptions", "{}")).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "invalid_request_error"));
    });
}

#[test]
fn sound_goes_out_as_it_comes_and_a_cut_is_a_cut() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let speech = || post("/v1/audio/speech", &json!({ "model": "p/m", "input": "hi" }).to_string());
        let pieces = |pieces| DirectPlan { content_type: "audio/mpeg", pieces, ..DirectPlan::default() };
        plan(&stage, pieces(vec![Act::Say("ab"), Act::Wait(Duration::from_secs(30)), Act::Say("cd")]));
        {
            let (status, headers, body) = stage.head(speech()).await;
            assert_eq!(
                (status, headers.get("content-type").map(|kind| kind.as_bytes())),
                (200, Some(&b"audio/mpeg"[..]))
            );
            assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 1);
            let mut body = pin!(body);
            let first = poll_fn(|context| body.as_mut().poll_next(context)).await.expect("a piece").expect("sound");
            assert_eq!(&first[..], b"ab", "nothing is held back, and nothing is put between");
            let second = poll_fn(|context| body.as_mut().poll_next(context)).await.expect("a piece").expect("sound");
            assert_eq!(&second[..], b"cd");
            assert!(poll_fn(|context| body.as_mut().poll_next(context)).await.is_none());
        }
        for act in [Act::Fail(Failure::new(FailureClass::Truncated, "cut")), Act::Panic] {
            plan(&stage, pieces(vec![Act::Say("ab"), act]));
            let (_, _, body) = stage.head(speech()).await;
            assert!(to_bytes(body).await.is_err(), "the connection is cut: sound has no place for an error");
        }
        plan(
            &stage,
            DirectPlan {
                content_type: "text/event-stream",
                pieces: vec![Act::Say("data: {}\n\n"), Act::Fail(Failure::new(FailureClass::Truncated, "cut"))],
                ..DirectPlan::default()
            },
        );
        let reply = stage.send(speech()).await;
        let (first, last) = reply.body.split_once("\n\n").expect("two events");
        assert_eq!(first, "data: {}");
        assert!(last.starts_with("data: {\"error\":{\"message\":\"cut\""), "{last}");
        assert_eq!((stage.players.alive(), stage.gateway.ports.gauges.streams_open.get()), (0, 0));
    });
}

#[test]
fn leaving_and_draining_end_it() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        plan(
            &stage,
            DirectPlan { content_type: "audio/mpeg", pieces: vec![Act::Say("a"), Act::Hang], ..DirectPlan::default() },
        );
        let speech = json!({ "model": "p/m", "input": "hi" }).to_string();
        let (_, _, body) = stage.head(post("/v1/audio/speech", &speech)).await;
        assert_eq!(stage.players.alive(), 1);
        drop(body);
        assert_eq!((stage.players.alive(), stage.gateway.ports.gauges.streams_open.get()), (0, 0));
        plan(
            &stage,
            DirectPlan { content_type: "audio/mpeg", pieces: vec![Act::Say("a"), Act::Hang], ..DirectPlan::default() },
        );
        let (_, _, body) = stage.head(post("/v1/audio/speech", &speech)).await;
        stage.gateway.shared.begin_drain(stage.gateway.ports.clock.monotonic());
        assert_eq!(stage.send(post("/v1/audio/speech", &speech)).await.status, 503, "nothing new is begun");
        assert!(to_bytes(body).await.is_err(), "and what runs ends in time");
        assert_eq!(stage.players.alive(), 0);
    });
}

#[test]
fn the_head_of_a_stream_waits_for_ten_seconds_at_most() {
    const EVENT: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let asked = |stream: bool| {
            let body = json!({ "model": "p/m", "max_tokens": 5, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
            post("/v1/messages", &body.to_string())
        };
        let late = |seconds, pieces| DirectPlan {
            content_type: "text/event-stream",
            open_after: Duration::from_secs(seconds),
            pieces,
            ..DirectPlan::default()
        };
        let seconds = |begun: Duration| (stage.gateway.ports.clock.monotonic() - begun).as_secs();
        let refused = || Failure::new(FailureClass::RateLimit, "slow down");
        // In time, a failure is a status.
        stage.players.direct_plans.lock().expect("plans").push_back(Err(refused()));
        assert_eq!(stage.send(asked(true)).await.status, 429);
        // Too late, the head is out before, and what comes is told in the stream.
        plan(&stage, late(25, vec![Act::Say(EVENT)]));
        let begun = stage.gateway.ports.clock.monotonic();
        let (status, headers, body) = stage.head(asked(true)).await;
        assert_eq!((status, seconds(begun)), (200, crate::pulse::SILENCE.as_secs()));
        assert_eq!(headers.get("content-type").map(|kind| kind.as_bytes()), Some(&b"text/event-stream"[..]));
        let body = to_bytes(body).await.expect("a whole body");
        assert_eq!((&body[..], seconds(begun)), (&[b": keep-alive\n\n", EVENT.as_bytes()].concat()[..], 25));
        plan(&stage, late(25, vec![Act::Fail(refused())]));
        let reply = stage.send(asked(true)).await;
        let told = reply.body.strip_prefix(": keep-alive\n\n").expect("a sign of life");
        assert!(reply.status == 200 && told.starts_with("event: error\ndata: {\"type\":\"error\""), "{told}");
        // Whoever wants no stream waits for the status.
        plan(&stage, DirectPlan { open_after: Duration::from_secs(25), ..whole("application/json", "{}") });
        let begun = stage.gateway.ports.clock.monotonic();
        assert_eq!((stage.send(asked(false)).await.status, seconds(begun)), (200, 25));
        // A client that leaves in between cancels it.
        plan(&stage, late(3600, Vec::new()));
        let (_, _, body) = stage.head(asked(true)).await;
        assert_eq!(stage.players.alive(), 1);
        drop(body);
        assert_eq!(stage.players.alive(), 0);
    });
}
