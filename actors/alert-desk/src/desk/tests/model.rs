//! Any sequence of reports, waits, restarts and people: nothing told twice, every beginning has one end, nothing told while it is silenced,
//! nothing kept for ever.

use super::{Story, at, finding, judged, level};
use contract::alerts::{Finding, Matcher, Reading, Severity};
use contract::notify::NoticeKind;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const OBJECTS: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    /// What each object reads (`None`: not seen), in both levels.
    Report(Vec<Option<(Reading, Reading)>>),
    Wait(i64),
    Restart,
    Acknowledge(usize),
    Expect(usize),
    Silence(usize, u64),
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![3 => Just(Reading::Raised), 1 => Just(Reading::Held), 3 => Just(Reading::Clear)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let readings = proptest::collection::vec(proptest::option::weighted(0.9, (reading(), reading())), OBJECTS);
    let step = prop_oneof![
        10 => readings.prop_map(Step::Report),
        6 => (1..400_i64).prop_map(Step::Wait),
        1 => (400..20_000_i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => (0..OBJECTS).prop_map(Step::Acknowledge),
        1 => (0..OBJECTS).prop_map(Step::Expect),
        1 => ((0..OBJECTS), (10..4000_u64)).prop_map(|(object, seconds)| Step::Silence(object, seconds)),
    ];
    proptest::collection::vec(step, 1..60)
}

fn found(object: usize, warning: Reading, critical: Reading) -> Finding {
    // The third explains the fourth, and the last two explain each other.
    let waits = [(0, 0), (30, 20), (0, 60), (0, 0), (10, 0)][object];
    let levels = vec![
        level(Severity::Warning, warning, waits.0, waits.1),
        level(Severity::Critical, critical, waits.0, waits.1),
    ];
    let mut finding = finding("rule", &format!("o{object}"), levels);
    let causes: &[&str] = match object {
        3 => &["rule:lab/o2", "rule:lab/o4"],
        4 => &["rule:lab/o3"],
        _ => &[],
    };
    finding.causes = causes.iter().map(|cause| (*cause).into()).collect();
    finding
}

fn report(story: &mut Story, readings: &[Option<(Reading, Reading)>]) {
    let seen = readings.iter().enumerate().filter_map(|(object, reading)| reading.map(|(a, b)| found(object, a, b)));
    let mut judged = judged("rule", &seen.collect::<Vec<_>>());
    let unseen = readings.iter().enumerate().filter(|(_, reading)| reading.is_none());
    judged.unseen = unseen.map(|(object, _)| format!("lab/o{object}").into()).collect();
    story.report(vec![judged]);
}

/// What was told of one occurrence.
#[derive(Debug, Default)]
struct Seen {
    beginnings: u32,
    ends: u32,
    was_let_go: bool,
    /// It was told within another.
    was_listed: bool,
}

fn check(
    story: &mut Story,
    monitor: &str,
    seen: &mut BTreeMap<u64, Seen>,
    silenced: &BTreeMap<usize, i64>,
) -> Result<(), TestCaseError> {
    for (second, draft) in story.told.drain(..) {
        // The roots: what is listed after one without being told itself is folded, and has no end of its own.
        for member in &draft.members {
            let object: usize = member.subject[1..].parse().unwrap();
            let until = silenced.get(&object).copied().unwrap_or(0);
            let is_root = story
                .desk
                .alerts
                .get(&member.name)
                .is_none_or(|alert| alert.folded.is_none() || alert.id != member.alert);
            let is_quiet = monitor.contains("quiet") && (600..3600).contains(&(second % 86_400));
            prop_assert!(!is_quiet || draft.severity == Severity::Critical, "{draft:?} at {second}");
            if is_root {
                prop_assert!(second >= until, "{} told at {second}, silenced until {until}", member.name);
            }
            let one = seen.entry(member.alert).or_default();
            one.was_listed |= !is_root && member.ended.is_none();
            match draft.kind {
                NoticeKind::Opened if is_root => one.beginnings += 1,
                NoticeKind::Digest if is_root && member.ended.is_some() => one.ends += 1,
                // That it comes and goes is told instead of its beginning, or after it.
                NoticeKind::Digest | NoticeKind::Flapping if is_root => one.beginnings = one.beginnings.max(1),
                NoticeKind::Resolved | NoticeKind::Stable if one.beginnings > 0 || !one.was_listed => {
                    prop_assert!(member.ended.is_some(), "an end without its time");
                    one.ends += 1;
                }
                _ => {}
            }
        }
    }
    for (id, one) in seen.iter() {
        prop_assert!(one.beginnings <= 1, "{id} told to begin {} times", one.beginnings);
        prop_assert!(one.ends <= one.beginnings, "{id}: {one:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_alert_is_told_once_and_ends_once(steps in steps(), monitor in prop_oneof![
        Just("{}"), Just(r#"{"grouping":{"wait":"0s"}}"#), Just(r#"{"flapping":{"openings":20}}"#),
        Just(r#"{"quiet_hours":{"from":"12:10","to":"13:00"}}"#)
    ]) {
        let mut story = Story::with(monitor);
        let mut seen: BTreeMap<u64, Seen> = BTreeMap::new();
        let mut silenced: BTreeMap<usize, i64> = BTreeMap::new();
        for step in steps {
            let now = at(story.second);
            match step {
                Step::Report(readings) => report(&mut story, &readings),
                Step::Wait(seconds) => {
                    let until = story.second + seconds;
                    story.until(until);
                }
                Step::Restart => story.restart(),
                Step::Acknowledge(object) => {
                    let id = story.number(&format!("rule:lab/o{object}"));
                    let _ = story.desk.acknowledge(now, id, &"me".into());
                }
                Step::Expect(object) => {
                    let id = story.number(&format!("rule:lab/o{object}"));
                    if story.desk.expect(now, id, &"me".into()).is_ok() {
                        seen.entry(id).or_default().was_let_go = true;
                    }
                }
                Step::Silence(object, seconds) => {
                    let matchers = vec![Matcher::new("object", format!("lab/o{object}"))];
                    story.desk.silence(now, None, matchers, Duration::from_secs(seconds), "", &"me".into()).unwrap();
                    let until = silenced.entry(object).or_default();
                    *until = (*until).max(story.second + seconds as i64);
                }
            }
            check(&mut story, monitor, &mut seen, &silenced)?;
            prop_assert!(story.desk.size().0 <= OBJECTS);
        }
        // All is well from now on: every beginning gets its end, and nothing stays behind.
        for _ in 0..200 {
            report(&mut story, &[Some((Reading::Clear, Reading::Clear)); OBJECTS]);
            let until = story.second + 60;
            story.until(until);
            check(&mut story, monitor, &mut seen, &silenced)?;
        }
        for (id, one) in &seen {
            prop_assert!(one.was_let_go || one.ends == one.beginnings, "{id}: {one:?}");
        }
        prop_assert_eq!(story.desk.size().0, 0);
        prop_assert!(story.kept.states.keys().all(|name| &**name == "silences"), "{:?}", story.kept.states);
        prop_assert!(story.kept.alerts.values().all(|record| !record.is_live));
    }

    #[test]
    fn a_restart_at_any_moment_changes_nothing_that_is_told(steps in steps(), places in proptest::collection::vec(0..60_usize, 0..8)) {
        let run = |restarts: &[usize]| {
            let mut story = Story::new();
            for (place, step) in steps.iter().enumerate() {
                match step {
                    Step::Report(readings) => report(&mut story, readings),
                    Step::Wait(seconds) => {
                        let until = story.second + seconds;
                        story.until(until);
                    }
                    _ => {}
                }
                if restarts.contains(&place) {
                    story.restart();
                }
            }
            let until = story.second + 500;
            story.until(until);
            story.take()
        };
        prop_assert_eq!(run(&[]), run(&places));
    }
}
