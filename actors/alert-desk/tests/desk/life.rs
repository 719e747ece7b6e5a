//! The desk when all is well: reports, messages, people, tools, digests, restarts.

use crate::common::{Running, config, me, pass, raised, report};
use Severity::{Critical, Info, Warning};
use alert_desk::Config;
use bytes::Bytes;
use contract::alerts::{
    Acknowledge, AddSilence, AlertFilter, AlertState, Beat, EndSilence, ExpectAlert, ListAlerts, ListSilences,
    MakeDigest, Matcher, ReadAlertHistory, ReadDeskStatus, ReceiveAlertmanager, Severity, ShowAlert,
};
use contract::caller::{Caller, Origin};
use contract::failure::FailureClass;
use contract::message::{Drain, Reconfigure};
use contract::notify::NoticeKind;
use contract::tools::ListTools;
use runtime::Event;
use runtime::world::{TestClock, World};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn an_alert_is_stored_with_a_row_for_each_channel_before_anybody_is_told() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running.report("guest_error", &[raised("guest_error", "web-01", Critical)]).await.unwrap();
        assert_eq!(running.shelf.lock().unwrap().alerts[&1].key.as_ref(), "guest_error:lab/web-01");
        assert_eq!(running.told(), [""; 0]);
        pass(31).await;
        let rows = running.shelf.lock().unwrap().rows.clone();
        assert_eq!(*running.queued.lock().unwrap(), rows);
        assert_eq!(running.told(), ["phone Opened: web-01 is in trouble", "mail Opened: web-01 is in trouble"]);
        assert!(rows[0].id < rows[1].id && rows[0].notice.id == rows[1].notice.id);
        running.report("guest_error", &[]).await.unwrap();
        pass(31).await;
        assert_eq!(running.kinds(), [NoticeKind::Resolved]);
        let ended = running.queued.lock().unwrap()[0].notice.thread.clone();
        assert_eq!(ended, rows[0].notice.thread);
        let whats: Vec<String> =
            running.shelf.lock().unwrap().events.iter().map(|event| event.what.to_string()).collect();
        assert_eq!(whats, ["opened", "told", "resolved", "told"]);
    });
}

#[test]
fn a_crash_and_a_new_start_tell_nothing_twice() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running.report("guest_error", &[raised("guest_error", "a", Critical)]).await.unwrap();
        pass(10).await;
        world.supervision.crash("alert-desk").unwrap().unwrap();
        pass(31).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened], "its window went on");
        world.supervision.crash("alert-desk").unwrap().unwrap();
        pass(100).await;
        running.report("guest_error", &[raised("guest_error", "a", Critical)]).await.unwrap();
        pass(100).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened]);
        let events = world.take_events();
        assert_eq!(events.iter().filter(|event| matches!(event, Event::Restarted { .. })).count(), 2);
    });
}

#[test]
fn people_acknowledge_expect_and_silence() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        let open = ["a", "b", "c"].map(|object| raised("guest_error", object, Warning));
        running.report("guest_error", &open).await.unwrap();
        pass(31).await;
        let view = running.ask(Acknowledge { id: 1, by: me() }).await.unwrap();
        assert_eq!((view.state, view.acknowledged.unwrap().0.as_ref()), (AlertState::Acknowledged, "me"));
        assert!(
            running.shelf.lock().unwrap().alerts[&1].data.contains("acknowledged"),
            "stored before it was answered"
        );
        assert_eq!(running.ask(ExpectAlert { id: 2, by: me() }).await.unwrap().state, AlertState::Resolved);
        let missing = running.ask(Acknowledge { id: 99, by: me() }).await.unwrap_err();
        assert_eq!(missing.class, FailureClass::NotFound);
        let duration = Duration::from_secs(600);
        let silence = AddSilence { alert: Some(3), matchers: Vec::new(), duration, reason: "x".into(), by: me() };
        let silence = running.ask(silence).await.unwrap();
        assert_eq!(running.ask(ListSilences).await, std::slice::from_ref(&silence));
        assert_eq!(running.ask(EndSilence { id: silence.id, by: me() }).await.unwrap().id, silence.id);
        assert_eq!(running.ask(ListSilences).await, []);
        let listed = running.ask(ListAlerts(AlertFilter::default())).await.unwrap();
        assert_eq!(listed.len(), 2);
        let resolved = AlertFilter { resolved: true, ..AlertFilter::default() };
        assert_eq!(running.ask(ListAlerts(resolved)).await.unwrap().len(), 3);
    });
}

#[test]
fn what_is_over_is_shown_from_the_store() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running.report("guest_error", &[raised("guest_error", "a", Warning)]).await.unwrap();
        pass(40).await;
        running.report("guest_error", &[]).await.unwrap();
        pass(3 * 3600).await;
        let (view, history) = running.ask(ShowAlert { id: 1 }).await.unwrap();
        assert_eq!((view.id, view.state), (1, AlertState::Resolved));
        assert_eq!(history.len(), 4);
        let resolved = AlertFilter { resolved: true, ..AlertFilter::default() };
        assert_eq!(running.ask(ListAlerts(resolved)).await.unwrap().len(), 1);
        assert_eq!(running.ask(ListAlerts(AlertFilter::default())).await.unwrap().len(), 0);
        assert_eq!(running.ask(ShowAlert { id: 2 }).await.unwrap_err().class, FailureClass::NotFound);
        assert_eq!(running.ask(ReadAlertHistory::default()).await.unwrap().len(), 4);
        let status = running.ask(ReadDeskStatus).await;
        assert_eq!((status.counts.opened, status.counts.resolved, status.alerts.len()), (1, 1, 0));
    });
}

const PAYLOAD: &str = r#"{"version":"4","status":"firing","truncatedAlerts":3,"alerts":[{"status":"firing","labels":{"alertname":"HighLoad","instance":"web"},
    "annotations":{},"startsAt":"2026-03-01T11:00:00Z","fingerprint":"abc"}]}"#;

#[test]
fn the_webhook_is_told_at_once_and_only_once() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        let post = |body: &str| running.ask(ReceiveAlertmanager { body: Bytes::from(body.to_owned()), by: me() });
        assert_eq!(post(PAYLOAD).await, Ok(1));
        world.settle().await;
        assert_eq!(running.told()[0], "phone Opened: HighLoad on web fires");
        for _ in 0..3 {
            assert_eq!(post(PAYLOAD).await, Ok(1));
            pass(60).await;
        }
        let resolved = PAYLOAD.replace("firing", "resolved");
        assert_eq!(post(&resolved).await, Ok(1));
        pass(31).await;
        assert_eq!(
            running.told(),
            [
                "phone Resolved: HighLoad on web fires no longer after 1 h 3 min",
                "mail Resolved: HighLoad on web fires no longer after 1 h 3 min"
            ]
        );
        assert_eq!(post(&resolved).await, Ok(1));
        assert_eq!(post(PAYLOAD).await, Ok(1), "a late repetition of what is over");
        pass(100).await;
        assert_eq!(running.told(), [""; 0]);
        assert_eq!(post(&PAYLOAD.replace("11:00", "12:01")).await, Ok(1));
        world.settle().await;
        assert_eq!(running.kinds(), [NoticeKind::Opened], "another beginning is another alert");
        assert_eq!(post("nonsense").await.unwrap_err().class, FailureClass::InvalidRequest);
    });
}

#[test]
fn digests_say_what_is_open_what_is_over_and_what_is_good_to_know() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        assert_eq!(running.ask(MakeDigest { since: TestClock::ORIGIN }).await.unwrap(), "");
        running
            .report("guest_error", &[raised("guest_error", "a", Warning), raised("guest_error", "b", Critical)])
            .await
            .unwrap();
        running.report("task_failed", &[raised("task_failed", "t", Info)]).await.unwrap();
        pass(600).await;
        running.report("guest_error", &[raised("guest_error", "b", Critical)]).await.unwrap();
        running.ask(Acknowledge { id: 2, by: me() }).await.unwrap();
        assert_eq!(
            running.ask(MakeDigest { since: TestClock::ORIGIN }).await.unwrap(),
            "**Still open** (1)\n- b is in trouble, since 12:00, acknowledged\n\n**Over** (1)\n- a is in trouble, 12:00, for 10 min\n\n**Good to know** (1)\n- t is in trouble, 12:00"
        );
    });
}

#[test]
fn the_agent_has_tools_and_background_turns_only_look() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running.report("guest_error", &[raised("guest_error", "a", Warning)]).await.unwrap();
        let names: Vec<String> = running.ask(ListTools).await.iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, ["acknowledge_alert", "explain_alert", "list_alerts", "list_silences", "silence_alert"]);
        let listed = running.call("list_alerts", "", me()).await;
        assert!(!listed.is_error && listed.text.contains("\"what\":\"a is in trouble\""), "{}", listed.text);
        let told = running.call("explain_alert", r#"{"alert":1}"#, me()).await;
        assert!(told.text.contains("\"history\":[{"), "{}", told.text);
        let job = Caller { origin: Origin::Job, ..me() };
        assert!(running.call("acknowledge_alert", r#"{"alert":1}"#, job).await.is_error);
        assert!(running.call("explain_alert", r#"{"alert":9}"#, me()).await.is_error);
        let known = running.call("acknowledge_alert", r#"{"alert":1}"#, me()).await;
        assert_eq!(known.text, r#"{"alert":1,"state":"acknowledged","what":"a is in trouble"}"#);
        let silenced = running.call("silence_alert", r#"{"alert":1,"duration":"2h","reason":"known"}"#, me()).await;
        assert!(silenced.text.contains("\"silence\":1"), "{}", silenced.text);
        assert_eq!(running.ask(ListSilences).await[0].reason, "known");
    });
}

#[test]
fn heartbeats_are_stored_and_missed() {
    World::run(async |world| {
        let running = Running::start(world, r#"{"heartbeats":{"nas":{"every":"10m","grace":"1m"}}}"#);
        let beat = |name: &str| running.ask(Beat { name: name.into(), by: me() });
        pass(300).await;
        assert_eq!(beat("nas").await, Ok(()));
        assert!(running.shelf.lock().unwrap().states["heartbeat/nas"].contains("2026-03-01T12:05"));
        assert_eq!(beat("other").await.unwrap_err().class, FailureClass::NotFound);
        pass(659).await;
        assert_eq!(running.told(), [""; 0]);
        pass(2).await;
        assert_eq!(running.kinds(), [NoticeKind::Opened], "within the grace and a second");
        assert_eq!(&*running.ask(ReadDeskStatus).await.heartbeats[0].state, "missed");
    });
}

#[test]
fn a_new_configuration_counts_at_once() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        let one_channel = Config { channels: vec!["mail".into()], ..config(r#"{"grouping":{"wait":"0s"}}"#) };
        running.ask(Reconfigure(Arc::new(one_channel))).await;
        running.report("guest_error", &[raised("guest_error", "a", Warning)]).await.unwrap();
        world.settle().await;
        assert_eq!(running.told(), ["mail Opened: a is in trouble"]);
    });
}

#[test]
fn the_drain_stores_what_was_decided() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running
            .desk
            .port(contract::message::Lane::Background)
            .tell(report("guest_error", &[raised("guest_error", "a", Warning)]))
            .unwrap();
        world.settle().await;
        running.ask(Drain).await;
        assert_eq!(running.shelf.lock().unwrap().alerts.len(), 1);
    });
}

#[test]
fn matchers_of_a_filter_pick_alerts() {
    World::run(async |world| {
        let running = Running::start(world, "{}");
        running
            .report("guest_error", &[raised("guest_error", "a", Warning), raised("guest_error", "b", Warning)])
            .await
            .unwrap();
        let filter = AlertFilter { matchers: vec![Matcher::new("object", "*/b")], ..AlertFilter::default() };
        assert_eq!(running.ask(ListAlerts(filter)).await.unwrap()[0].finding.subject, "b");
    });
}
