//! The plan over simulated time: misfires, coalescing, overruns, pauses, jumping clocks, restarts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use scheduler::{Config, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NOON: Timestamp = Timestamp::constant(1_772_366_400, 0);

fn at(seconds: i64) -> Timestamp {
    NOON + SignedDuration::from_secs(seconds)
}

fn plan(text: &str) -> Plan {
    plan_with(text, &BTreeMap::new(), 0)
}

fn plan_with(text: &str, last: &BTreeMap<std::sync::Arc<str>, Timestamp>, now_s: i64) -> Plan {
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!(config.validate(&[]), []);
    let mut plan = Plan::new(1.0);
    plan.take_over(&config, last, &BTreeSet::new(), at(now_s));
    plan
}

/// Ticks each second; runs take `length_s`. Gives when runs began and which were skipped.
fn play(plan: &mut Plan, seconds: std::ops::Range<i64>, length_s: i64) -> (Vec<i64>, Vec<i64>) {
    let (mut began, mut skipped, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for second in seconds {
        ends.retain(|(end, job): &(i64, std::sync::Arc<str>)| {
            let over = *end <= second;
            if over && plan.ended(job).is_some() {
                began.push(second);
            }
            !over
        });
        let decided = plan.tick(at(second), Duration::from_secs(second.unsigned_abs()));
        skipped.extend(decided.skip.iter().map(|skip| skip.due.duration_since(NOON).as_secs()));
        for begin in decided.begin {
            began.push(second);
            ends.push((second + length_s, begin.job));
        }
    }
    (began, skipped)
}

const EVERY: &str = "[a]\nevery = '10s'\ndigest = true\n";

#[test]
fn an_interval_has_no_drift() {
    let (began, skipped) = play(&mut plan(EVERY), 0..61, 0);
    assert_eq!((began, skipped), (vec![10, 20, 30, 40, 50, 60], vec![]));
}

#[test]
fn an_overrun_is_skipped_and_told_and_the_next_takes_place() {
    let (began, skipped) = play(&mut plan(EVERY), 0..61, 25);
    assert_eq!((began, skipped), (vec![10, 40], vec![20, 30, 50, 60]));
}

#[test]
fn several_at_once_where_configured() {
    let (began, skipped) = play(&mut plan(&format!("{EVERY}max_instances = 2")), 0..41, 25);
    assert_eq!((began, skipped), (vec![10, 20, 40], vec![30]));
}

#[test]
fn a_stall_ends_in_one_run_and_the_schedule_goes_on() {
    let mut plan = plan(EVERY);
    play(&mut plan, 0..12, 0);
    // Stopped for a minute: both clocks went on.
    let (began, _) = play(&mut plan, 72..91, 0);
    assert_eq!(began, [72, 80, 90]);
}

#[test]
fn all_that_was_missed_is_made_up_for_where_configured() {
    let mut plan = plan(&format!("{EVERY}coalesce = 'all'\ngrace = '1h'"));
    play(&mut plan, 0..12, 0);
    let decided = plan.tick(at(55), Duration::from_secs(55));
    assert_eq!((decided.begin.len(), decided.begin[0].due), (1, at(20)), "one at a time, the oldest first");
    let dues: Vec<Timestamp> = std::iter::from_fn(|| plan.ended("a")).map(|begin| begin.due).collect();
    assert_eq!(dues, [at(30), at(40), at(50)]);
}

#[test]
fn what_was_missed_before_a_start_is_judged_by_its_grace() {
    let text = "[a]\nschedule = '0 0 12 * * *'\ntimezone = 'UTC'\ndigest = true\n";
    let yesterday = BTreeMap::from([("a".into(), at(-86_400))]);
    let start =
        |seconds: i64, text: &str| plan_with(text, &yesterday, seconds).tick(at(seconds), Duration::from_secs(1));
    let soon = start(240, text);
    assert_eq!((soon.begin.len(), soon.skip.len()), (1, 0), "four minutes late");
    let late = start(400, text);
    assert_eq!((late.begin.len(), late.skip.len()), (0, 1), "later than five minutes");
    let patient = start(400, &format!("{text}grace = '1h'"));
    assert_eq!((patient.begin.len(), patient.begin[0].due), (1, at(0)));
}

#[test]
fn a_clock_set_back_or_forward_by_two_hours_stops_nothing() {
    for jump in [-7200_i64, 7200] {
        let mut plan = plan(EVERY);
        play(&mut plan, 0..32, 0);
        let mut began = Vec::new();
        let mut jumped = 0;
        for second in 32..63 {
            let decided = plan.tick(at(second + jump), Duration::from_secs(second.unsigned_abs()));
            jumped += i64::from(decided.jumped_s != 0);
            for begin in &decided.begin {
                began.push(second);
                plan.ended(&begin.job);
            }
        }
        assert_eq!(jumped, 1);
        assert!((3..=4).contains(&began.len()), "{jump}: {began:?}");
    }
}

#[test]
fn a_faster_clock_is_no_jump() {
    let config: Config = toml::from_str(EVERY).unwrap();
    let mut plan = Plan::new(60.0);
    plan.take_over(&config, &BTreeMap::new(), &BTreeSet::new(), NOON);
    for real in 0..10 {
        assert_eq!(plan.tick(at(real * 60), Duration::from_secs(real.unsigned_abs())).jumped_s, 0);
    }
}

#[test]
fn a_pause_is_not_made_up_for() {
    let mut plan = plan(EVERY);
    assert!(plan.pause("a", true, at(5)));
    assert_eq!(play(&mut plan, 0..100, 0).0, [0; 0]);
    assert!(plan.pause("a", false, at(100)));
    assert_eq!(play(&mut plan, 100..121, 0).0, [110, 120]);
    assert!(!plan.pause("b", true, at(0)));
}

#[test]
fn once_is_once_over_restarts() {
    let text = "[a]\nonce = '2026-03-01T12:00:10Z'\ndigest = true\n";
    let mut first = plan(text);
    assert_eq!(play(&mut first, 0..60, 0).0, [10]);
    assert_eq!(first.jobs().next().map(|(_, _, state, next)| (state, next)), Some(("done", None)));
    let mut second = plan_with(text, &BTreeMap::from([("a".into(), at(10))]), 60);
    assert_eq!(play(&mut second, 60..80, 0).0, [0; 0]);
}

#[test]
fn jitter_is_the_same_for_the_same_time() {
    let text = format!("{EVERY}jitter = '8s'");
    let (one, two) = (play(&mut plan(&text), 0..100, 0).0, play(&mut plan(&text), 0..100, 0).0);
    assert_eq!(one, two);
    assert!(one.iter().enumerate().all(|(n, at)| (0..=8).contains(&(at - 10 * (n as i64 + 1)))), "{one:?}");
    assert!(one.iter().any(|at| at % 10 != 0), "{one:?}");
}

#[test]
fn a_reload_keeps_what_is_unchanged() {
    let mut plan = plan(EVERY);
    play(&mut plan, 0..16, 0);
    let config: Config = toml::from_str(&format!("{EVERY}[b]\nevery = '7s'\ndigest = true")).unwrap();
    plan.take_over(&config, &BTreeMap::new(), &BTreeSet::new(), at(16));
    assert_eq!(play(&mut plan, 16..31, 0).0, [20, 23, 30, 30]);
}

#[test]
fn somebody_runs_it_now() {
    let mut plan = plan(EVERY);
    assert!(plan.run_now("a", "web", at(1)).is_ok());
    assert!(matches!(plan.run_now("a", "web", at(2)), Err(Some(_))));
    assert!(matches!(plan.run_now("b", "web", at(2)), Err(None)));
    plan.ended("a");
    assert!(plan.run_now("a", "web", at(3)).is_ok());
}

proptest! {
    /// However ticks come, no more runs are under way than allowed, and none is due before its time.
    #[test]
    fn never_more_than_allowed(steps in prop::collection::vec((0_i64..40, any::<bool>()), 1..200), most in 1_u32..3, all in any::<bool>()) {
        let coalesce = if all { "all" } else { "latest" };
        let mut plan = plan(&format!("{EVERY}max_instances = {most}\ncoalesce = '{coalesce}'"));
        let (mut now, mut running) = (0, 0);
        for (wait, ends) in steps {
            now += wait;
            if ends && running > 0 {
                running -= 1;
                running += u32::from(plan.ended("a").is_some());
            }
            let decided = plan.tick(at(now), Duration::from_secs(now.unsigned_abs()));
            for begin in &decided.begin {
                prop_assert!(begin.due <= at(now));
                running += 1;
            }
            prop_assert!(running <= most);
        }
    }
}
