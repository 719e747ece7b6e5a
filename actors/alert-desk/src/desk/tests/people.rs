//! What holds messages back, and what people do: silences, maintenance, quiet hours, acknowledge, expected, heartbeats.

use super::{Kept, ORIGIN, Story, at, judged, level, raised};
use contract::alerts::{AlertState, Finding, Matcher, Reading, Severity};
use contract::failure::FailureClass;
use contract::notify::NoticeKind;
use std::time::Duration;
use {Reading::*, Severity::*};

fn silence(story: &mut Story, label: &str, pattern: &str, seconds: u64) -> u64 {
    let (now, matchers) = (at(story.second), vec![Matcher::new(label, pattern)]);
    let silence = story.desk.silence(now, None, matchers, Duration::from_secs(seconds), "works", &"me".into());
    story.report(Vec::new());
    silence.unwrap().id
}

fn guest(name: &str, severity: Severity) -> Finding {
    let mut finding = raised("guest_error", name, severity);
    finding.labels.add("node", "pve2");
    finding
}

#[test]
fn a_silence_holds_messages_and_what_is_still_open_is_told_at_its_end() {
    let mut story = Story::new();
    story.reporting("guest_error", &[guest("before", Critical)], 60);
    story.take();
    silence(&mut story, "node", "pve*", 600);
    story.reporting("guest_error", &[guest("short", Critical), guest("long", Critical)], 300);
    story.restart();
    story.reporting("guest_error", &[guest("long", Critical)], 640);
    assert_eq!(story.take(), [""; 0]);
    let held = story.desk.list(&Default::default()).remove(0).held;
    assert_eq!(held.as_deref(), Some("silence 1 by me"));
    story.reporting("guest_error", &[guest("long", Critical)], 800);
    assert_eq!(
        story.take(),
        ["660 Opened: long is in trouble", "660 Resolved: Over after 1 min: before is in trouble"],
        "what was told before the silence has its end told after it; what came and went within it was nobody's business"
    );
}

#[test]
fn silences_have_numbers_ends_and_limits() {
    let mut story = Story::new();
    let number = silence(&mut story, "rule", "guest_*", 600);
    story.report(vec![judged("guest_error", &[guest("a", Critical)])]);
    story.until(100);
    assert!(story.told.is_empty());
    assert_eq!(story.desk.end_silence(at(100), 99).unwrap_err().class, FailureClass::NotFound);
    let ended = story.desk.end_silence(at(100), number).unwrap();
    assert_eq!((ended.until, story.desk.silences().len()), (at(100), 0));
    story.until(101);
    assert_eq!(story.kinds(), [NoticeKind::Opened]);
    // By the number of an alert, its rule and object are silenced.
    let id = story.number("guest_error:lab/a");
    let of_alert =
        story.desk.silence(at(101), Some(id), Vec::new(), Duration::from_secs(60), "", &"me".into()).unwrap();
    assert_eq!(of_alert.matchers, [Matcher::new("rule", "guest_error"), Matcher::new("object", "lab/a")]);
    let refused = |alert, matchers, seconds| {
        let mut story = Story::new();
        story.desk.silence(at(0), alert, matchers, Duration::from_secs(seconds), "", &"me".into()).unwrap_err().class
    };
    let node = || vec![Matcher::new("node", "x")];
    assert_eq!(refused(None, Vec::new(), 60), FailureClass::InvalidRequest);
    assert_eq!(refused(None, node(), 0), FailureClass::InvalidRequest);
    assert_eq!(refused(None, node(), 400 * 86_400), FailureClass::InvalidRequest);
    assert_eq!(refused(Some(7), Vec::new(), 60), FailureClass::NotFound);
    story.restart();
    assert_eq!(story.desk.silences().len(), 1);
    assert_eq!(silence(&mut story, "node", "x", 60), number + 2, "numbers are not given twice");
}

#[test]
fn maintenance_holds_messages_too() {
    // The story begins on a Sunday at noon.
    let mut story =
        Story::with(r#"{"maintenance":[{"match":{"node":"pve2"},"schedule":"0 10 12 * * SUN","for":"20m"}]}"#);
    story.until(620);
    story.reporting("guest_error", &[guest("a", Critical), raised("guest_error", "elsewhere", Critical)], 1790);
    assert_eq!(story.take(), ["650 Opened: elsewhere is in trouble"]);
    story.reporting("guest_error", &[guest("a", Critical), raised("guest_error", "elsewhere", Critical)], 1900);
    assert_eq!(story.take(), ["1800 Opened: a is in trouble"]);
}

#[test]
fn quiet_hours_hold_all_but_critical_and_are_summarised_in_the_morning() {
    let mut story = Story::with(r#"{"quiet_hours":{"from":"13:00","to":"14:00"}}"#);
    let (before, stays, passes, loud) =
        (guest("before", Warning), guest("stays", Warning), guest("passes", Warning), guest("loud", Critical));
    story.reporting("guest_error", std::slice::from_ref(&before), 3600);
    assert_eq!(story.take(), ["30 Opened: before is in trouble"]);
    story.reporting("guest_error", &[before, stays.clone(), passes.clone(), loud.clone()], 4200);
    assert_eq!(story.take(), ["3630 Opened: loud is in trouble"]);
    story.restart();
    story.reporting("guest_error", std::slice::from_ref(&stays), 7190);
    assert_eq!(
        story.take(),
        ["4230 Resolved: Over after 1 h 10 min: loud is in trouble"],
        "of what was told loudly the end is loud"
    );
    story.reporting("guest_error", std::slice::from_ref(&stays), 7400);
    let (second, digest) = story.told.remove(0);
    assert_eq!(
        (second, digest.kind, &*digest.title),
        (7200, NoticeKind::Digest, "Quiet hours: 1 problem is open, 2 over")
    );
    assert_eq!(
        digest.text.as_deref(),
        Some(
            "**Still open**\n- stays is in trouble, since 12:00\n**Over**\n- before is in trouble, 12:00, for 1 h 10 min\n- passes is in trouble, 12:00, for 1 h 10 min"
        )
    );
    assert_eq!(digest.members.len(), 2, "what was told before the night, and what is still open");
    assert_eq!(story.take(), [""; 0]);
    story.reporting("guest_error", &[], 7500);
    assert_eq!(story.kinds(), [NoticeKind::Resolved]);
    assert_eq!(story.told[0].1.thread, digest.thread);
}

#[test]
fn what_becomes_critical_in_quiet_hours_does_not_wait() {
    let mut story = Story::with(r#"{"quiet_hours":{"from":"12:00","to":"14:00"}}"#);
    story.reporting("guest_error", &[guest("a", Warning)], 600);
    assert_eq!(story.take(), [""; 0]);
    story.reporting("guest_error", &[guest("a", Critical)], 620);
    assert_eq!(story.take(), ["600 Opened: a is in trouble"]);
    story.until(8000);
    assert_eq!(story.take(), [""; 0], "and the summary does not repeat it");
}

#[test]
fn what_is_critical_does_not_wait_for_a_milder_cause_through_quiet_hours() {
    let mut story = Story::with(r#"{"quiet_hours":{"from":"12:00","to":"14:00"}}"#);
    let mut effect = guest("effect", Critical);
    effect.causes = vec!["guest_error:lab/cause".into()];
    story.reporting("guest_error", &[guest("cause", Warning), effect], 8000);
    assert_eq!(story.take(), ["30 Opened: effect is in trouble", "7200 Digest: Quiet hours: 1 problem is open"]);
}

#[test]
fn acknowledged_is_quiet_until_its_end() {
    let mut story = Story::new();
    let (now, me) = (at(100), "me".into());
    story.reporting("guest_error", &[guest("a", Warning)], 100);
    let id = story.number("guest_error:lab/a");
    story.desk.acknowledge(now, id, &me).unwrap();
    story.desk.acknowledge(now, id, &"other".into()).unwrap();
    let view = story.desk.show(id).unwrap();
    assert_eq!((view.state, view.acknowledged), (AlertState::Acknowledged, Some((me.clone(), now))));
    story.reporting("guest_error", &[guest("a", Critical)], 300);
    story.restart();
    story.reporting("guest_error", &[], 400);
    assert_eq!(story.kinds(), [NoticeKind::Opened, NoticeKind::Resolved]);
    for (id, class) in [(id, FailureClass::InvalidRequest), (99, FailureClass::NotFound), (0, FailureClass::NotFound)] {
        assert_eq!(story.desk.acknowledge(at(400), id, &me).unwrap_err().class, class);
    }
    // Acknowledged before it was told: who should be told what they know?
    let mut story = Story::new();
    story.report(vec![judged("guest_error", &[guest("a", Warning)])]);
    story.desk.acknowledge(at(0), 1, &me).unwrap();
    story.reporting("guest_error", &[guest("a", Warning)], 100);
    assert!(story.told.is_empty());
    story.reporting("guest_error", &[], 300);
    assert!(story.told.is_empty());
}

#[test]
fn expected_is_closed_until_it_ends_and_comes_anew() {
    let mut story = Story::new();
    let me = "me".into();
    story.reporting("guest_error", &[guest("a", Warning)], 100);
    story.take();
    let id = story.number("guest_error:lab/a");
    story.desk.expect(at(100), id, &me).unwrap();
    story.desk.expect(at(100), id, &me).unwrap();
    story.restart();
    story.reporting("guest_error", &[guest("a", Critical)], 10_000);
    assert_eq!(story.desk.list(&Default::default()), []);
    story.reporting("guest_error", &[], 10_100);
    assert_eq!(story.take(), [""; 0]);
    story.reporting("guest_error", &[guest("a", Warning)], 10_200);
    assert_eq!(story.take(), ["10130 Opened: a is in trouble"]);
    assert!(story.number("guest_error:lab/a") > id);
}

#[test]
fn a_heartbeat_that_stays_away_is_told_within_its_grace_and_a_second() {
    let mut story = Story::with(r#"{"heartbeats":{"nas":{"every":"1h","grace":"5m"}}}"#);
    let beat = |story: &mut Story| {
        assert!(story.desk.beat(at(story.second), &"nas".into()));
        story.report(Vec::new());
    };
    story.until(3000);
    assert_eq!(&*story.desk.heartbeats(at(3000))[0].state, "waiting");
    beat(&mut story);
    assert!(!story.desk.beat(at(3000), &"unknown".into()));
    story.until(3000 + 3900 - 1);
    assert_eq!(&*story.desk.heartbeats(at(6899))[0].state, "late");
    assert_eq!(story.take(), [""; 0]);
    story.until(3000 + 3900 + 1);
    assert_eq!(story.take(), ["6900 Opened: heartbeat nas was not heard for 1 h 5 min"]);
    story.restart();
    story.until(9000);
    assert_eq!(&*story.desk.heartbeats(at(9000))[0].state, "missed");
    beat(&mut story);
    story.until(9100);
    assert_eq!(story.take(), ["9030 Resolved: heartbeat nas is heard again after 1 h 40 min"]);
    // What was sent while HAIA was down was not heard: after its start there is the grace once more.
    story.second = 20_000;
    story.start_again();
    story.until(20_299);
    assert_eq!(story.take(), [""; 0]);
    story.until(20_301);
    assert_eq!(story.told.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_delays_no_heartbeat_and_no_message() {
    let mut story =
        Story::with(r#"{"heartbeats":{"nas":{"every":"1h","grace":"5m"},"new":{"every":"1h","grace":"5m"}}}"#);
    story.until(20_000);
    story.take();
    assert!(story.desk.beat(at(20_000), &"nas".into()));
    story.report(vec![judged("job_failed", &[raised("job_failed", "job/a", Warning)])]);
    assert_eq!(story.take().len(), 1);
    // Two hours back: no earlier than the desk knows of, and no later than it would be without the jump.
    story.second = 12_800;
    story.report(vec![judged("job_failed", &[raised("job_failed", "job/b", Warning)])]);
    story.until(12_800 + 40);
    story.restart();
    let of_jobs: Vec<String> = story.take().into_iter().filter(|told| told.contains("job/b")).collect();
    assert_eq!(of_jobs, ["12830 Opened: job/b is in trouble"]);
    story.until(12_800 + 3900 + 1);
    assert_eq!(story.take(), ["16700 Opened: heartbeat nas was not heard for 1 h 5 min"]);
}

#[test]
fn a_clock_that_is_set_back_gives_no_second_grace_after_a_start() {
    let mut story = Story::with(r#"{"heartbeats":{"nas":{"every":"1h","grace":"5m"}}}"#);
    story.second = 7200;
    story.start_again();
    story.second = 0;
    story.report(Vec::new());
    story.until(3901);
    assert_eq!(story.take(), ["3900 Opened: heartbeat nas was never heard, 1 h 5 min after it was set up"]);
}

#[test]
fn a_new_heartbeat_has_a_whole_period_and_a_removed_one_ends() {
    let mut story = Story::with(r#"{"heartbeats":{"nas":{"every":"1h","grace":"0s"}}}"#);
    story.until(3599);
    assert_eq!(story.take(), [""; 0]);
    story.until(3601);
    assert_eq!(story.take(), ["3600 Opened: heartbeat nas was never heard, 1 h after it was set up"]);
    story.desk.reconfigure(
        std::sync::Arc::new(crate::Config { channels: vec!["phone".into()], ..Default::default() }),
        at(3700),
    );
    story.until(3800);
    assert_eq!((story.kinds(), story.desk.heartbeats(at(3800)).len()), (vec![NoticeKind::Resolved], 0));
    assert!(!story.kept.states.keys().any(|name| name.starts_with("heartbeat/")));
}

#[test]
fn settings_of_own_rules_count_at_once_and_the_channels_too() {
    let config = |json: &str| {
        let rules = serde_json::from_str(json).unwrap();
        std::sync::Arc::new(crate::Config { rules, channels: vec!["phone".into()], ..Default::default() })
    };
    let mut story = Story::new();
    story.report(vec![judged("job_failed", &[raised("job_failed", "job/a", Warning)])]);
    assert_eq!(story.kinds(), [NoticeKind::Opened]);
    story.until(10);
    story.desk.reconfigure(config(r#"{"rules":{"job_failed":{"enabled":false}}}"#), at(10));
    story.report(Vec::new());
    story.until(100);
    assert_eq!(story.take()[1..], ["40 Resolved: Over after 10 s: job/a is in trouble"]);
}

#[test]
fn what_the_store_lost_half_of_is_taken_up_as_far_as_it_can_be_read() {
    let mut story = Story::new();
    story.report(vec![judged("guest_error", &[guest("a", Warning), guest("b", Warning)])]);
    story.kept.alerts.get_mut(&1).unwrap().data = "{".to_owned();
    story.kept.states.insert("silences".into(), "nonsense".to_owned());
    story.kept.states.insert("heartbeat/x".into(), "[]".to_owned());
    story.restart();
    assert_eq!(story.desk.open().count(), 1);
    story.report(vec![judged("guest_error", &[guest("a", Warning), guest("b", Warning)])]);
    assert!(story.number("guest_error:lab/a") > 2, "a number is not given twice");
    let _: Kept = story.kept;
    assert_eq!(at(0).as_second(), ORIGIN);
}

#[test]
fn a_level_that_is_configured_away_ends() {
    let mut story = Story::new();
    let mut two = guest("a", Warning);
    two.levels = vec![level(Warning, Raised, 0, 0), level(Critical, Raised, 0, 3600)];
    story.reporting("guest_error", std::slice::from_ref(&two), 60);
    two.levels.pop();
    story.reporting("guest_error", &[two], 120);
    assert_eq!(story.desk.list(&Default::default())[0].severity, Warning);
}
