//! What goes on beside the alerts: explanations by the agent, and HAIA's own sign of life.

use crate::common::{Running, pass, raised};
use Severity::{Critical, Warning};
use contract::alerts::{ReadDeskStatus, Severity, ShowAlert};
use contract::caller::Origin;
use contract::chat::TurnText;
use contract::failure::{Failure, FailureClass};
use contract::notify::NoticeKind;
use runtime::world::World;

fn says(text: &str) -> Option<Result<TurnText, Failure>> {
    Some(Ok(TurnText { text: text.to_owned(), model: "m".into(), tools: Vec::new(), usage: None }))
}

#[test]
fn an_explanation_follows_in_the_same_thread() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        *running.answer.lock().unwrap() = says("It ran out of memory. Look at its limit.");
        running.report("guest_error", &[raised("guest_error", "a", Critical)]).await.unwrap();
        pass(31).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened, NoticeKind::Explained]);
        let rows = running.queued.lock().unwrap().clone();
        let explained = &rows.last().unwrap().notice;
        assert_eq!(explained.thread, rows[0].notice.thread);
        assert_eq!(explained.text.as_deref(), Some("It ran out of memory. Look at its limit."));
        let (view, _) = running.ask(ShowAlert { id: 1 }).await.unwrap();
        assert_eq!(view.explanation, explained.text);
        assert_eq!(running.ask(ReadDeskStatus).await.counts.explained_today, 1);
        assert!(running.shelf.lock().unwrap().states["explain"].contains("2026-03-01"));
    });
}

#[test]
fn a_model_that_hangs_delays_no_alert_and_is_cancelled_when_the_alert_ends() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        let all: Vec<_> = ["a", "b", "c"].map(|object| raised("guest_error", object, Critical)).into();
        for count in 1..=3 {
            running.report("guest_error", &all[..count]).await.unwrap();
            pass(31).await;
            assert_eq!(running.kinds().len(), count, "told in its time");
        }
        let turns = running.turns.lock().unwrap().clone();
        assert_eq!(turns.len(), 2, "at most two at once");
        assert_eq!((turns[0].caller.origin, turns[0].max_tool_rounds), (Origin::Alert, Some(6)));
        assert!(turns[0].question.contains("alert: a is in trouble"));
        running.report("guest_error", &all[1..]).await.unwrap();
        world.settle().await;
        let now: Vec<String> = running.turns.lock().unwrap().iter().map(|turn| turn.caller.name.to_string()).collect();
        assert_eq!(now, ["alert 2", "alert 3"], "the first was cancelled, the third took its place");
        running.report("guest_error", &[]).await.unwrap();
        world.settle().await;
        assert_eq!(running.turns.lock().unwrap().len(), 0);
    });
}

#[test]
fn what_is_mild_or_held_is_not_explained_and_a_failure_says_nothing() {
    World::run(async |world| {
        let running = Running::start(
            world,
            r#"{"maintenance":[{"match":{"cluster":"attic"},"schedule":"* * * * *","for":"1d"}]}"#,
        );
        *running.answer.lock().unwrap() = Some(Err(Failure::new(FailureClass::Unreachable, "no model")));
        let mut held = raised("guest_error", "held", Critical);
        held.labels.0.clear();
        held.labels.add("cluster", "attic");
        running.report("guest_error", &[raised("guest_error", "mild", Warning), held]).await.unwrap();
        pass(60).await;
        assert_eq!(running.ask(ReadDeskStatus).await.counts.explained_today, 0);
        running.report("node_down", &[raised("node_down", "n", Critical)]).await.unwrap();
        pass(60).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened, NoticeKind::Opened]);
        assert_eq!(running.ask(ReadDeskStatus).await.counts.explained_today, 1);
    });
}

#[test]
fn the_sign_of_life_goes_out_only_while_haia_is_well() {
    World::run(async |world| {
        let running = Running::start(world, r#"{"watchdog":{"url":"https://hc.example/ping/secret","every":"1m"}}"#);
        pass(125).await;
        assert_eq!(running.pings.lock().unwrap().len(), 3, "at the start, and each minute");
        *running.health.lock().unwrap() = Err("the outbox does not move".to_owned());
        pass(180).await;
        assert_eq!(running.pings.lock().unwrap().len(), 3);
        assert_eq!(running.ask(ReadDeskStatus).await.watchdog.as_deref(), Some("held back: the outbox does not move"));
        *running.health.lock().unwrap() = Ok(());
        running.shelf.lock().unwrap().broken = Some("full".to_owned());
        let _ = running.report("guest_error", &[raised("guest_error", "a", Warning)]).await;
        pass(120).await;
        assert_eq!(running.pings.lock().unwrap().len(), 3, "nor while alerts cannot be stored");
        running.shelf.lock().unwrap().broken = None;
        pass(120).await;
        assert!(running.pings.lock().unwrap().len() > 3);
        assert_eq!(running.ask(ReadDeskStatus).await.watchdog.as_deref(), Some(""));
    });
}

#[test]
fn a_sign_of_life_that_does_not_get_through_is_an_alert_without_the_address() {
    World::run(async |world| {
        let running = Running::start(world, r#"{"watchdog":{"url":"https://hc.example/ping/secret","every":"1m"}}"#);
        *running.ping_answer.lock().unwrap() = Err("refused".to_owned());
        pass(125).await;
        assert_eq!(running.told()[0], "phone Opened: HAIA's own sign of life does not get through to hc.example");
        let rows = format!("{:?}", running.shelf.lock().unwrap().rows);
        assert!(!rows.contains("secret"), "{rows}");
        *running.ping_answer.lock().unwrap() = Ok(());
        pass(120).await;
        assert_eq!(
            running.told()[0],
            "phone Resolved: HAIA's own sign of life gets through to hc.example again after 1 min"
        );
    });
}

#[test]
fn a_sign_of_life_that_gets_through_after_a_start_ends_what_was_open_before() {
    World::run(async |world| {
        let running = Running::start(world, r#"{"watchdog":{"url":"https://hc.example/ping/secret","every":"1m"}}"#);
        *running.ping_answer.lock().unwrap() = Err("refused".to_owned());
        pass(125).await;
        assert_eq!(running.told().len(), 2, "on each channel");
        assert_eq!(world.supervision.crash("alert-desk"), Some(Ok(())));
        *running.ping_answer.lock().unwrap() = Ok(());
        pass(60).await;
        assert!(running.told()[0].starts_with("phone Resolved: HAIA's own sign of life gets through"));
        // Nobody hides the next failure.
        *running.ping_answer.lock().unwrap() = Err("refused".to_owned());
        pass(300).await;
        assert!(running.told()[0].starts_with("phone Opened: HAIA's own sign of life"));
        assert_eq!(world.take_events().len(), 2, "it crashed and runs again");
    });
}
