//! One alert's life: waiting times, hysteresis, escalation, reminders, flapping, restarts.

use super::{Story, at, finding, judged, level, raised};
use contract::alerts::{AlertFilter, AlertState, Judged, Reading, Severity};
use contract::notify::NoticeKind;
use {Reading::*, Severity::*};

#[test]
fn an_alert_fires_and_ends_only_on_reports_that_say_so_for_long_enough() {
    let mut story = Story::new();
    let disk = |reading| finding("guest_disk", "a", vec![level(Warning, reading, 60, 30)]);
    story.reporting("guest_disk", &[disk(Raised)], 60);
    assert_eq!(story.number("guest_disk:lab/a"), 0, "pending");
    // No reports: nothing changes, however long.
    story.until(500);
    assert_eq!(story.number("guest_disk:lab/a"), 0);
    story.report(vec![judged("guest_disk", &[disk(Raised)])]);
    assert_eq!(story.number("guest_disk:lab/a"), 1);
    story.until(600);
    assert_eq!(story.take(), ["530 Opened: a is in trouble"]);
    // Between the thresholds it stays open; a clear reading in between does not count on.
    for (reading, until) in [(Clear, 620), (Held, 640), (Clear, 660), (Raised, 670), (Clear, 700)] {
        story.reporting("guest_disk", &[disk(reading)], until);
        assert_eq!(story.number("guest_disk:lab/a"), 1);
        assert!(story.desk.open().count() == 1, "{reading:?}");
    }
    story.report(vec![judged("guest_disk", &[disk(Clear)])]);
    assert_eq!(story.desk.open().count(), 0);
    story.until(800);
    assert_eq!(story.take(), ["730 Resolved: a is in trouble after 11 min"]);
}

#[test]
fn what_is_judged_and_not_found_reads_clear_and_what_was_not_seen_stays() {
    let mut story = Story::new();
    let all = ["guest/1", "guest/10", "guest/2"].map(|object| raised("guest_error", object, Warning));
    story.report(vec![judged("guest_error", &all)]);
    assert_eq!(story.desk.open().count(), 3);
    let one = Judged { scope: "lab/guest/1".into(), ..judged("guest_error", &[]) };
    story.report(vec![one]);
    assert_eq!(story.desk.open().count(), 2, "one object is not the beginning of another");
    let unseen = Judged { unseen: vec!["lab/guest/2".into()], ..judged("guest_error", &[]) };
    story.report(vec![unseen]);
    assert_eq!(story.desk.open().count(), 1);
    story.report(vec![Judged { rule: "other_rule".into(), ..judged("", &[]) }]);
    for elsewhere in ["attic/", "lab", "lab/guest", "la"] {
        story.report(vec![Judged { scope: elsewhere.into(), ..judged("guest_error", &[]) }]);
    }
    assert_eq!(story.desk.open().count(), 1);
    story.report(vec![judged("guest_error", &[])]);
    assert_eq!(story.desk.open().count(), 0);
}

#[test]
fn worse_is_told_and_milder_is_not() {
    let mut story = Story::new();
    let disk = |warning, critical| {
        [finding("guest_disk", "a", vec![level(Warning, warning, 0, 0), level(Critical, critical, 20, 0)])]
    };
    story.reporting("guest_disk", &disk(Raised, Clear), 100);
    story.reporting("guest_disk", &disk(Raised, Raised), 200);
    story.reporting("guest_disk", &disk(Raised, Clear), 300);
    story.reporting("guest_disk", &disk(Raised, Raised), 400);
    story.reporting("guest_disk", &disk(Clear, Clear), 450);
    assert_eq!(
        story.take(),
        [
            "30 Opened: a is in trouble",
            "150 Escalated: a is in trouble, now critical",
            "430 Resolved: a is in trouble after 6 min"
        ]
    );
}

#[test]
fn what_is_only_good_to_know_is_kept_and_not_told() {
    let mut story = Story::new();
    story.reporting("task_failed", &[raised("task_failed", "t", Info)], 100);
    assert_eq!((story.take(), story.desk.open().count()), (vec![], 1));
    story.reporting("task_failed", &[raised("task_failed", "t", Warning)], 200);
    assert_eq!(story.take(), ["130 Opened: t is in trouble"]);
}

#[test]
fn the_end_says_what_the_watcher_says_of_it() {
    let mut story = Story::new();
    let mut crashed = raised("guest_crashed", "web", Critical);
    (crashed.subject, crashed.summary) = ("web-01 (101)".to_owned(), "crashed".to_owned());
    story.reporting("guest_crashed", &[crashed.clone()], 840);
    crashed.levels[0].reading = Clear;
    crashed.summary = "is running again".to_owned();
    story.reporting("guest_crashed", &[crashed], 880);
    assert_eq!(
        story.take(),
        ["30 Opened: web-01 (101) crashed", "870 Resolved: web-01 (101) is running again after 14 min"]
    );
    // Where nothing is said of the end, nothing is claimed.
    story.reporting("guest_error", &[raised("guest_error", "x", Critical)], 1000);
    story.reporting("guest_error", &[], 1040);
    assert_eq!(story.take()[1], "1030 Resolved: Over after 16 min: x is in trouble");
}

#[test]
fn what_opens_and_ends_within_the_window_is_not_told() {
    let mut story = Story::new();
    story.reporting("guest_error", &[raised("guest_error", "x", Critical)], 20);
    story.reporting("guest_error", &[], 200);
    assert_eq!(story.take(), [""; 0]);
}

#[test]
fn one_reminder_after_a_day_and_none_once_acknowledged() {
    let day = 86_400;
    let mut story = Story::new();
    let open = [raised("zfs_pool", "tank", Warning), raised("zfs_pool", "dozer", Warning)];
    story.report(vec![judged("zfs_pool", &open)]);
    story.until(100);
    let dozer = story.number("zfs_pool:lab/dozer");
    story.desk.acknowledge(at(100), dozer, &"me".into()).unwrap();
    story.until(3 * day);
    assert_eq!(
        story.take(),
        [
            "30 Opened: dozer is in trouble, and 1 more problem",
            "86460 Reminder: tank is in trouble: still so after 1 d"
        ]
    );
    let mut story = Story::with(r#"{"reminder":{"after":"12h","every":"24h"}}"#);
    story.report(vec![judged("zfs_pool", &open[..1])]);
    story.until(3 * day);
    assert_eq!(story.kinds()[1..], [NoticeKind::Reminder; 3]);
    let mut story = Story::with(r#"{"reminder":{"after":"0s"}}"#);
    story.report(vec![judged("zfs_pool", &open[..1])]);
    story.until(3 * day);
    assert_eq!(story.kinds(), [NoticeKind::Opened]);
}

#[test]
fn what_comes_and_goes_is_told_once_and_ends_once() {
    let mut story = Story::new();
    let guest = |reading| [finding("guest_crashed", "a", vec![level(Critical, reading, 0, 60)])];
    // Three openings in half an hour, far enough apart to be told each.
    for begin in [0, 600, 1200] {
        story.until(begin);
        story.reporting("guest_crashed", &guest(Raised), begin + 200);
        story.reporting("guest_crashed", &guest(Clear), begin + 600);
    }
    use NoticeKind::{Flapping, Opened, Resolved, Stable};
    assert_eq!(story.kinds(), [Opened, Resolved, Opened, Resolved, Flapping]);
    // Short ups and downs change nothing any more: the end needs eight times its time.
    story.reporting("guest_crashed", &guest(Raised), 1900);
    story.reporting("guest_crashed", &guest(Clear), 2300);
    assert_eq!(story.told.len(), 5);
    story.reporting("guest_crashed", &guest(Clear), 2500);
    assert_eq!(story.kinds()[5..], [Stable]);
    assert_eq!(story.told[5].1.title, "a has been calm for 8 min");
    assert_eq!(story.told[5].1.thread, story.told[4].1.thread);
}

#[test]
fn twenty_flips_in_five_minutes_make_three_messages_at_most() {
    for (rule, period) in
        [("guest_crashed", 15), ("job_failed", 15), ("job_failed", 14), ("guest_crashed", 29), ("job_failed", 7)]
    {
        let mut story = Story::new();
        for flip in 0..20 {
            let findings = if flip % 2 == 0 { vec![raised(rule, "a", Critical)] } else { Vec::new() };
            story.report(vec![judged(rule, &findings)]);
            let next = story.second + period;
            story.until(next);
        }
        for _ in 0..400 {
            story.report(vec![judged(rule, &[])]);
            let next = story.second + 10;
            story.until(next);
        }
        assert!(story.told.len() <= 3, "{rule} {period}: {:?}", story.take());
        assert_eq!(story.desk.open().count(), 0);
    }
}

#[test]
fn a_restart_tells_nothing_again_and_forgets_nothing() {
    let mut story = Story::new();
    let pending = [finding("node_cpu", "n", vec![level(Warning, Raised, 120, 60)])];
    story.reporting("node_cpu", &pending, 100);
    story.restart();
    story.reporting("node_cpu", &pending, 140);
    assert_eq!(story.number("node_cpu:lab/n"), 1, "the time before the restart counts");
    story.restart();
    story.until(145);
    assert_eq!(story.take(), [""; 0], "its window is still open");
    story.until(200);
    assert_eq!(story.take(), ["150 Opened: n is in trouble"]);
    story.restart();
    story.reporting("node_cpu", &pending, 400);
    assert_eq!(story.take(), [""; 0]);
    let clear = [finding("node_cpu", "n", vec![level(Warning, Clear, 120, 60)])];
    story.reporting("node_cpu", &clear, 440);
    story.restart();
    story.reporting("node_cpu", &clear, 470);
    story.restart();
    story.until(600);
    assert_eq!(story.kinds(), [NoticeKind::Resolved]);
    story.restart();
    story.until(10_000);
    assert_eq!((story.told.len(), story.desk.size().0), (1, 0));
}

#[test]
fn a_first_sight_is_one_summary() {
    let mut story = Story::new();
    let mut open: Vec<_> =
        (0..5).map(|n| finding("guest_disk", &format!("g{n}"), vec![level(Warning, Raised, 600, 60)])).collect();
    open.push(raised("task_failed", "t", Info));
    story.report_of(vec![judged("guest_disk", &open[..5]), judged("task_failed", &open[5..])], true);
    assert_eq!(story.desk.open().count(), 6, "what is open already waits for nothing");
    story.reporting("guest_disk", &open[..5], 300);
    assert_eq!(story.take(), ["30 Baseline: At first sight: 5 problems are open already"]);
    story.reporting("guest_disk", &open[1..5], 500);
    assert_eq!(story.kinds(), [NoticeKind::Resolved], "what was told has its end told");
    story.take();
    story.report_of(vec![judged("quorum_lost", &[])], true);
    story.until(700);
    assert_eq!(story.take(), [""; 0], "all well is no message");
}

#[test]
fn lists_show_the_worst_first_and_pending_ones_on_demand() {
    let mut story = Story::new();
    let findings = [
        raised("guest_disk", "a", Warning),
        raised("guest_disk", "b", Critical),
        finding("guest_disk", "c", vec![level(Critical, Raised, 60, 0)]),
    ];
    story.report(vec![judged("guest_disk", &findings)]);
    let names = |filter: AlertFilter| -> Vec<(String, AlertState)> {
        story.desk.list(&filter).into_iter().map(|view| (view.finding.subject, view.state)).collect()
    };
    let firing = AlertState::Firing;
    assert_eq!(names(AlertFilter::default()), [("b".to_owned(), firing), ("a".to_owned(), firing)]);
    let all = AlertFilter { pending: true, severity: Some(Critical), ..AlertFilter::default() };
    assert_eq!(names(all).last(), Some(&("c".to_owned(), AlertState::Pending)));
    let counts = story.desk.counts();
    assert_eq!((counts.pending, counts.firing, counts.opened), (1, 2, 2));
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_for_long() {
    let mut story = Story::new();
    let rising = [finding("node_cpu", "n", vec![level(Warning, Raised, 60, 0)])];
    story.until(7200);
    story.report(vec![judged("node_cpu", &rising)]);
    story.second = 0;
    story.reporting("node_cpu", &rising, 120);
    assert_eq!(story.take(), ["90 Opened: n is in trouble"]);
}
