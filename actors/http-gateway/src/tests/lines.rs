//! The access log: one line for each request, true to what happened, with no secret in it.

use super::players::{Act, Plan};
use super::stage::{Stage, chat, get, question};
use crate::config::{Config, KeyConfig};
use contract::caller::Scope;
use contract::failure::{Failure, FailureClass};
use contract::secret::Secret;
use runtime::world::World;
use serde_json::Value;
use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;
use std::time::Duration;

thread_local! {
    /// What this thread has logged.
    static PAPER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Pen;

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        PAPER.with_borrow_mut(|paper| paper.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `test` and returns everything that was logged. One subscriber for all threads: with one for each, whether an event is looked at
/// at all would depend on which thread met it first.
fn logged(test: impl AsyncFnOnce(&World)) -> Vec<Value> {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| {
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(|| Pen).finish();
        tracing::subscriber::set_global_default(subscriber).expect("the first");
    });
    PAPER.take();
    World::run(test);
    String::from_utf8(PAPER.take())
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn access(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["target"] == "access").collect()
}

#[test]
fn every_request_has_one_line() {
    let lines = logged(async |world| {
        let key = KeyConfig { key: Secret::new("sk-control"), scope: Scope::Control, limits: Default::default() };
        let config = Config { keys: [("ui".to_owned(), key)].into(), ..Config::default() };
        let stage = Stage::new(world, config).await;
        let keyed =
            |request: actix_web::test::TestRequest| request.insert_header(("authorization", "Bearer sk-control"));
        stage.players.plan(Plan::of([Act::Wait(Duration::from_secs(2)), Act::Say("a"), Act::stop()]));
        let stream = stage.send(keyed(chat(&question("haia", true))).insert_header(("x-request-id", "r1"))).await;
        assert_eq!(stream.status, 200);
        stage.players.plan(Plan::of([Act::Say("a"), Act::Fail(Failure::new(FailureClass::Timeout, "late"))]));
        stage.send(keyed(chat(&question("haia", true))).insert_header(("x-request-id", "r2"))).await;
        stage.players.plan(Plan::of([Act::Say("a"), Act::Hang]));
        let left =
            stage.head(keyed(chat(&question("openai/gpt-4o", true))).insert_header(("x-request-id", "r3"))).await;
        drop(left);
        stage.players.plan(Plan::of([Act::Hang]));
        let question = question("haia", false);
        let waiting = stage.head(keyed(chat(&question)).insert_header(("x-request-id", "r4")));
        assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
        stage.send(get("/v1/models?api_key=sk-control").insert_header(("x-request-id", "r5"))).await;
    });
    let found: Vec<(&str, u64, &str, &str, &str)> = access(&lines)
        .into_iter()
        .map(|line| {
            (
                line["request_id"].as_str().unwrap_or_default(),
                line["status"].as_u64().unwrap_or_default(),
                line["outcome"].as_str().unwrap_or_default(),
                line["caller"].as_str().unwrap_or("-"),
                line["model"].as_str().unwrap_or("-"),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("r1", 200, "done", "ui", "haia"),
            ("r2", 200, "failed", "ui", "haia"),
            ("r3", 200, "cancelled", "ui", "openai/gpt-4o"),
            ("r4", 499, "cancelled", "ui", "haia"),
            ("r5", 401, "done", "-", "-"),
        ]
    );
    let first = access(&lines)[0];
    assert_eq!((first["method"].as_str(), first["path"].as_str()), (Some("POST"), Some("/v1/chat/completions")));
    assert_eq!((first["ms"].as_f64(), first["level"].as_str()), (Some(2000.0), Some("INFO")));
    assert!(first["bytes"].as_u64().is_some_and(|bytes| bytes > 100));
    assert!(lines.iter().all(|line| !line.to_string().contains("sk-control")), "no key in any line");
    let broken = lines.iter().find(|line| line["message"] == "an answer broke off").expect("a warning");
    assert_eq!((broken["request_id"].as_str(), broken["reason"].as_str()), (Some("r2"), Some("late")));
}

#[test]
fn failures_of_providers_and_crashes_are_warned_of() {
    let lines = logged(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan::refused(Failure::new(FailureClass::Unreachable, "no route to host")));
        stage.send(chat(&question("haia", false)).insert_header(("x-request-id", "r1"))).await;
        stage.players.crash.store(true, std::sync::atomic::Ordering::SeqCst);
        stage.send(chat(&question("haia", false)).insert_header(("x-request-id", "r2"))).await;
        stage.players.plan(Plan::of([Act::Panic]));
        stage.send(chat(&question("haia", false)).insert_header(("x-request-id", "r3"))).await;
    });
    let warning = lines.iter().find(|line| line["message"] == "a request failed").expect("a warning");
    assert_eq!((warning["request_id"].as_str(), warning["reason"].as_str()), (Some("r1"), Some("no route to host")));
    let crash = lines.iter().find(|line| line["message"] == "a request's handler crashed").expect("an error");
    assert_eq!(crash["panic"], "a scripted crash");
    let crash = lines.iter().find(|line| line["message"] == "an answer crashed").expect("an error");
    assert_eq!(crash["panic"], "a scripted panic");
    let statuses: Vec<u64> = access(&lines).iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [503, 500, 500]);
}
