//! A table of ways to stop.

use super::*;
use crate::assemble::assemble;
use crate::assemble::tests::{at, polled};

/// The server's clock at the polls, seconds since 1970: as HAIA's.
const T0: i64 = 1_772_366_400;

fn snapshot(seconds: i64, state: &str, node_uptime: i64, tasks: &str, before: Option<&Snapshot>) -> Snapshot {
    let rows = format!(
        r#"{{"type":"node","node":"a","status":"online","cpu":0.1,"uptime":{node_uptime}}},
           {{"type":"qemu","vmid":101,"node":"a","name":"web-01","status":"{state}","cpu":0,"uptime":500,"maxmem":5}}"#
    );
    let mut poll = polled(&rows, r#"{"type":"node","name":"a","online":1}"#, tasks);
    poll.server_time_s = Some(T0 + seconds);
    assemble(&"lab".into(), poll, before, at(seconds)).unwrap()
}

fn task(kind: &str, start: i64, end: Option<i64>, status: &str) -> String {
    let end = end.map(|end| format!(r#","endtime":{},"status":"{status}""#, T0 + end)).unwrap_or_default();
    format!(
        r#"{{"upid":"UPID:a:1:1:{:X}:{kind}:101:alice@pve:","node":"a","type":"{kind}","id":"101","user":"alice@pve","starttime":{}{end}}}"#,
        T0 + start,
        T0 + start
    )
}

/// Runs at 0, is in `state` at 1000; asked at 1300.
fn verdict_of(state: &str, node_uptime: i64, tasks: &[String], onboot: Option<bool>) -> (Verdict, bool, String) {
    let first = snapshot(0, "running", 90_000, "", None);
    let second = snapshot(1000, state, node_uptime, &tasks.join(","), Some(&first));
    explained(&second, at(1300), onboot)
}

fn explained(snapshot: &Snapshot, now: Timestamp, starts_with_node: Option<bool>) -> (Verdict, bool, String) {
    let guest = snapshot.guest(101).unwrap();
    let tasks: Vec<&Task> = snapshot.tasks.iter().collect();
    let found = explain(&Facts { snapshot, guest, tasks: &tasks, known: None, starts_with_node, now });
    (found.verdict, found.is_certain, found.summary)
}

#[test]
fn a_stop_with_a_task_names_who_did_it() {
    for (kind, words) in
        [("qmshutdown", "shut down by alice@pve"), ("qmstop", "stopped (hard) by alice@pve"), ("hastop", "through HA")]
    {
        let (verdict, certain, summary) = verdict_of("stopped", 90_000, &[task(kind, 960, Some(990), "OK")], None);
        assert_eq!((verdict, certain), (Verdict::StoppedByTask, true), "{kind}");
        assert!(summary.contains(words) && summary.contains("web-01 (101)"), "{summary}");
    }
}

#[test]
fn a_stop_without_a_task_is_a_crash_or_a_shutdown_from_inside() {
    let (verdict, certain, summary) = verdict_of("stopped", 90_000, &[], Some(true));
    assert_eq!((verdict, certain), (Verdict::StoppedWithoutTask, true));
    assert!(summary.contains("5 min ago") && summary.contains("crashed, or it was shut down from inside"), "{summary}");
}

#[test]
fn an_old_or_failed_or_foreign_task_is_no_cause() {
    for task in [
        task("qmshutdown", -80_000, Some(-79_990), "OK"),
        task("qmshutdown", 900, Some(990), "VM quit/powerdown failed - got timeout"),
        task("qmsnapshot", 960, Some(990), "OK"),
        task("vzdump", 100, Some(200), "OK"),
    ] {
        let (verdict, ..) = verdict_of("stopped", 90_000, std::slice::from_ref(&task), None);
        assert_eq!(verdict, Verdict::StoppedWithoutTask, "{task}");
    }
}

#[test]
fn a_start_that_failed_is_told_with_its_error() {
    let tasks = [task("qmshutdown", 900, Some(910), "OK"), task("qmstart", 950, Some(951), "no space left on device")];
    let (verdict, _, summary) = verdict_of("stopped", 90_000, &tasks, None);
    assert_eq!(verdict, Verdict::StartFailed);
    assert!(summary.contains("no space left") && summary.contains("shut down by alice@pve"), "{summary}");
}

#[test]
fn a_backup_in_stop_mode_and_a_node_that_restarted() {
    assert_eq!(verdict_of("stopped", 90_000, &[task("vzdump", 950, None, "")], None).0, Verdict::StoppedForBackup);
    let (verdict, certain, summary) = verdict_of("stopped", 200, &[], Some(false));
    assert_eq!((verdict, certain), (Verdict::StoppedWithNode, true));
    assert!(summary.contains("not set to start"), "{summary}");
}

#[test]
fn states_that_are_no_stop() {
    let table = [
        ("running", Verdict::Running),
        ("io-error", Verdict::Failed),
        ("paused", Verdict::Paused),
        ("unknown", Verdict::NoData),
    ];
    for (state, wanted) in table {
        assert_eq!(verdict_of(state, 90_000, &[], None).0, wanted, "{state}");
    }
}

#[test]
fn what_stopped_before_the_first_sight_is_told_by_its_tasks_or_not_at_all() {
    let tasks = |tasks: &[String]| {
        let snapshot = snapshot(0, "stopped", 900_000, &tasks.join(","), None);
        explained(&snapshot, at(60), None)
    };
    assert_eq!(tasks(&[task("vzstop", -50_000, Some(-49_990), "OK")]).0, Verdict::StoppedByTask);
    let (verdict, certain, _) = tasks(&[task("qmstart", -50_000, Some(-49_990), "OK")]);
    assert_eq!((verdict, certain), (Verdict::StoppedWithoutTask, false));
    assert_eq!(tasks(&[]).0, Verdict::NotKnown);
    let alone = snapshot(0, "stopped", 900_000, "", None);
    assert!(
        explained(&alone, at(60), Some(true)).2.contains("which has run for 10 d"),
        "it started with its node once"
    );
}

#[test]
fn a_guest_that_runs_again_tells_what_stopped_it() {
    let tasks = [task("qmreboot", 350, Some(360), "OK"), task("qmstart", 490, Some(492), "OK")];
    let snapshot = snapshot(1000, "running", 90_000, &tasks.join(","), None);
    let (verdict, _, summary) = explained(&snapshot, at(1000), None);
    assert_eq!(verdict, Verdict::Running);
    assert!(summary.contains("rebooted by alice@pve") && summary.contains("started by alice@pve"), "{summary}");
}

#[test]
fn a_guest_that_crashed_and_was_started_again_says_so() {
    let tasks = [task("qmstart", -9000, Some(-8999), "OK"), task("qmstart", 490, Some(492), "OK")];
    let snapshot = snapshot(1000, "running", 90_000, &tasks.join(","), None);
    let (verdict, _, summary) = explained(&snapshot, at(1000), None);
    assert_eq!(verdict, Verdict::Running);
    assert!(summary.contains("had stopped without a Proxmox task"), "{summary}");
}

/// HAIA's time runs sixty times as fast as the server's: the moments of the polls say which of the server's belong to them.
#[test]
fn accelerated_time_finds_the_same_cause() {
    let poll = |haia: i64, server: i64, state: &str, tasks: &str, before: Option<&Snapshot>| {
        let rows = format!(
            r#"{{"type":"node","node":"a","status":"online","cpu":0.1,"uptime":90000}},
               {{"type":"qemu","vmid":101,"node":"a","name":"web-01","status":"{state}","cpu":0,"uptime":500,"maxmem":5}}"#
        );
        let mut poll = polled(&rows, r#"{"type":"node","name":"a","online":1}"#, tasks);
        poll.server_time_s = Some(T0 + server);
        assemble(&"lab".into(), poll, before, at(haia)).unwrap()
    };
    for (task, wanted) in [
        (task("qmshutdown", 85, Some(98), "OK"), Verdict::StoppedByTask),
        (task("qmshutdown", 10, Some(20), "OK"), Verdict::StoppedWithoutTask),
    ] {
        // A day of HAIA's time, 24 minutes of the server's: it stops at the hundredth second of the server.
        let mut snapshot = poll(0, 0, "running", "", None);
        for second in 1..1440 {
            let (state, tasks) = if second < 100 { ("running", "") } else { ("stopped", task.as_str()) };
            snapshot = poll(second * 60, second, state, tasks, Some(&snapshot));
        }
        let (verdict, _, summary) = explained(&snapshot, at(86_400), None);
        assert_eq!(verdict, wanted, "{summary}");
        let guest = snapshot.guest(101).unwrap();
        assert_eq!(snapshot.server_s_at(guest.state_since), T0 + 100);
        assert_eq!(snapshot.haia_time(T0 + 100), guest.state_since);
        assert_eq!(snapshot.server_now_s(at(86_340 + 600)), T0 + 1439 + 10);
    }
}
