//! Rules about guests.

use super::stage::{Stage, T0, at};
use super::{first_label, is_held, line};
use crate::memory::StopKind;
use crate::model::{GuestState, NodeState, Part};

#[test]
fn a_stop_without_a_task_is_a_crash() {
    let mut stage = Stage::new();
    stage.stop(101);
    assert_eq!(stage.read(), ["warning guest_crashed:homelab/guest/101"]);
    let finding = stage.found("guest_crashed");
    assert_eq!(line(&finding), "web-01 (101) crashed or was switched off from inside");
    assert_eq!((finding.since, stage.holds_s("guest_crashed")), (at(10), 20));
    assert_eq!((first_label(&finding.labels, "vmid"), first_label(&finding.labels, "node")), ("101", "pve1"));
    for (starts, managed, severity) in
        [(Some(true), false, "critical"), (Some(false), false, "warning"), (None, true, "critical")]
    {
        let mut stage = Stage::new();
        stage.stop(101);
        if let Some(starts) = starts {
            stage.slow().guests.entry(101).or_default().starts_with_node = Part::fetched(starts, at(10));
        }
        stage.guest(101).ha_state = managed.then(|| "started".into());
        assert_eq!(stage.read(), [format!("{severity} guest_crashed:homelab/guest/101")]);
    }
}

#[test]
fn a_stop_with_a_task_is_none() {
    for (kind, id, user) in [
        ("qmshutdown", "101", "alice@pve"),
        ("qmstop", "101", "root@pam"),
        ("qmsuspend", "101", "root@pam"),
        ("hastop", "101", "root@pam"),
    ] {
        let mut stage = Stage::new();
        stage.task("pve1", kind, id, user, 2, Some((9, "OK")));
        stage.stop(101);
        assert_eq!(stage.read(), ["info guest_stopped:homelab/guest/101"], "{kind}");
        let finding = stage.found("guest_stopped");
        assert!(finding.summary.contains(user), "{}", finding.summary);
        stage.pass(700);
        assert_eq!(stage.read(), [""; 0], "{kind} is no news any more");
        // The cluster forgets its tasks; the stop stays what it was.
        stage.snapshot.tasks.clear();
        stage.pass(100_000);
        assert_eq!(stage.read(), [""; 0], "{kind}");
    }
}

#[test]
fn a_task_that_ended_while_the_guest_ran_explains_nothing() {
    let mut stage = Stage::new();
    stage.task("pve1", "qmreboot", "101", "root@pam", -400, Some((-390, "OK")));
    stage.task("pve1", "qmshutdown", "101", "root@pam", -200, Some((-190, "VM quit/powerdown failed - got timeout")));
    stage.task("pve1", "qmsnapshot", "101", "root@pam", 2, Some((4, "OK")));
    stage.stop(101);
    assert_eq!(stage.read(), ["warning guest_crashed:homelab/guest/101"]);
    assert_eq!(stage.found("guest_crashed").before.as_deref(), Some("snapshot by root@pam ended 6 s earlier"));
}

#[test]
fn a_task_that_turns_up_late_mends_the_verdict() {
    let mut stage = Stage::new();
    stage.stop(101);
    assert_eq!(stage.memory.stops[&101].kind, StopKind::ByItself);
    stage.task("pve1", "qmstop", "101", "root@pam", 7, Some((9, "OK")));
    stage.pass(10);
    assert_eq!(stage.read(), ["info guest_stopped:homelab/guest/101"]);
}

#[test]
fn only_guests_that_are_always_on_warn_when_stopped() {
    let mut stage = Stage::new();
    stage.guest(101).tags = ["always-on".into()].into();
    stage.task("pve1", "qmshutdown", "101", "alice@pve", 2, Some((9, "OK")));
    stage.stop(101);
    assert_eq!(stage.read(), ["warning guest_stopped:homelab/guest/101"]);
    stage.pass(5000);
    assert_eq!(stage.read(), ["warning guest_stopped:homelab/guest/101"], "until it runs again");
    stage.turn(101, GuestState::Running);
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn what_passes_by_itself_is_no_incident() {
    // A reboot, a migration of a container, a rollback, a backup in stop mode: stopped for a moment.
    for (kind, lock) in [
        ("vzreboot", None),
        ("vzmigrate", Some("migrate")),
        ("vzrollback", Some("rollback")),
        ("vzdump", Some("backup")),
    ] {
        let mut stage = Stage::new();
        stage.task("pve2", kind, "102", "root@pam", 3, None);
        stage.guest(102).lock = lock.map(Into::into);
        stage.stop(102);
        assert_eq!(stage.read(), [""; 0], "{kind}");
        stage.pass(20);
        assert_eq!(stage.read(), [""; 0], "{kind}");
        stage.task("pve2", kind, "102", "root@pam", 3, Some((35, "OK")));
        stage.guest(102).lock = None;
        stage.turn(102, GuestState::Running);
        assert_eq!(stage.read(), [""; 0], "{kind}");
        assert!(stage.memory.starts.is_empty(), "{kind} is no restart of its own");
    }
}

#[test]
fn a_guest_that_is_stopped_at_first_sight_or_gone_is_no_crash() {
    let mut stage = Stage::new();
    let guest = stage.guest(101);
    (guest.state, guest.ran_at) = (GuestState::Stopped, None);
    stage.observe();
    assert_eq!(stage.read(), [""; 0]);
    let mut stage = Stage::new();
    stage.snapshot.guests.retain(|guest| guest.vmid != 101);
    stage.observe();
    assert_eq!(stage.read(), [""; 0]);
    // Missing in a poll is neither gone nor stopped.
    let mut stage = Stage::new();
    stage.stop(101);
    let guest = stage.guest(101);
    (guest.state, guest.missed_polls) = (GuestState::Unknown, 1);
    stage.observe();
    assert!(stage.is_unseen("guest_crashed", "homelab/guest/101"));
}

#[test]
fn after_a_nodes_return_guests_that_stay_down_are_told() {
    for (starts, severity, words) in [
        (Some(true), "critical", "did not start after node pve1 came back"),
        (Some(false), "warning", "is still down after node pve1 came back"),
    ] {
        let mut stage = Stage::new();
        stage.slow().guests.entry(101).or_default().starts_with_node =
            Part { value: starts.map(Into::into), ..Part::default() };
        stage.node("pve1").state = NodeState::Offline;
        stage.advance(10);
        stage.turn(101, GuestState::Unknown);
        assert_eq!(stage.read(), ["critical node_down:homelab/node/pve1"]);
        stage.advance(300);
        let node = stage.node("pve1");
        (node.state, node.uptime_s) = (NodeState::Online, Some(30));
        stage.turn(101, GuestState::Stopped);
        assert_eq!(stage.read(), [""; 0], "its node is still starting its guests");
        assert!(stage.is_unseen("guest_crashed", "homelab/guest/101"));
        stage.pass(300);
        assert_eq!(stage.read(), [format!("{severity} guest_crashed:homelab/guest/101")]);
        assert_eq!(stage.found("guest_crashed").summary, words);
        stage.turn(101, GuestState::Running);
        assert_eq!(stage.read(), [""; 0]);
    }
}

#[test]
fn a_guest_shut_down_for_a_restart_of_its_node_is_told_when_it_stays_down() {
    let mut stage = Stage::new();
    stage.slow().guests.entry(101).or_default().starts_with_node = Part::fetched(true, at(0));
    stage.task("pve1", "qmshutdown", "101", "root@pam", 2, Some((8, "OK")));
    stage.stop(101);
    stage.advance(60);
    stage.node("pve1").uptime_s = Some(20);
    stage.observe();
    assert!(!stage.read().iter().any(|one| one.contains("crashed")));
    stage.pass(400);
    assert!(stage.read().contains(&"critical guest_crashed:homelab/guest/101".to_owned()), "{:?}", stage.read());
}

#[test]
fn a_guest_that_ha_moves_is_told_with_its_node() {
    let mut stage = Stage::new();
    stage.node("pve1").state = NodeState::Offline;
    stage.advance(10);
    stage.turn(101, GuestState::Unknown);
    stage.advance(130);
    stage.guest(101).node = "pve3".into();
    stage.turn(101, GuestState::Stopped);
    let finding = stage.found("guest_crashed");
    assert!(finding.causes.contains(&"node_down:homelab/node/pve1".into()), "{:?}", finding.causes);
}

#[test]
fn a_restart_loop_counts_what_nobody_asked_for() {
    let mut stage = Stage::new();
    for round in 0..4 {
        stage.pass(60);
        stage.stop(101);
        assert_eq!(
            stage.read(),
            ["warning guest_crashed:homelab/guest/101", "critical restart_loop:homelab/guest/101"]
                [..1 + usize::from(round == 3)]
        );
        stage.advance(30);
        stage.task(
            "pve1",
            "qmstart",
            "101",
            "root@pam",
            stage.snapshot.taken_at.as_second() - T0 - 2,
            Some((stage.snapshot.taken_at.as_second() - T0 - 1, "OK")),
        );
        stage.turn(101, GuestState::Running);
    }
    assert_eq!(stage.read(), ["critical restart_loop:homelab/guest/101"]);
    assert!(line(&stage.found("restart_loop")).starts_with("web-01 (101) keeps restarting (4 times in 20 min)"));
    stage.pass(500);
    assert_eq!(stage.read(), ["critical restart_loop:homelab/guest/101"]);
    stage.pass(200);
    assert_eq!(stage.read(), [""; 0], "ten minutes without");
    // A user who restarts four times is no loop.
    let mut stage = Stage::new();
    for _ in 0..5 {
        stage.pass(60);
        let now = stage.snapshot.taken_at.as_second() - T0;
        stage.task("pve1", "qmstop", "101", "alice@pve", now + 5, Some((now + 8, "OK")));
        stage.stop(101);
        stage.advance(10);
        stage.turn(101, GuestState::Running);
    }
    assert_eq!(stage.read(), [""; 0]);
    // An uptime that falls between two polls counts too.
    let mut stage = Stage::new();
    for _ in 0..4 {
        stage.pass(60);
        stage.guest(101).uptime_s = Some(3);
        stage.advance(10);
        stage.observe();
    }
    assert_eq!(stage.read(), ["critical restart_loop:homelab/guest/101"]);
}

#[test]
fn a_guest_that_hangs_with_an_error() {
    for (word, said) in [
        ("io-error", "its storage gave an error"),
        ("internal-error", "internal error"),
        ("guest-panicked", "panicked"),
    ] {
        let mut stage = Stage::new();
        stage.turn(101, GuestState::Failed(word.into()));
        assert_eq!(stage.read(), ["critical guest_error:homelab/guest/101"]);
        assert!(stage.found("guest_error").summary.contains(said));
    }
    let mut stage = Stage::new();
    stage.turn(101, GuestState::Paused);
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn a_lock_without_a_task_is_stuck() {
    for (lock, hold) in [("snapshot", 1800), ("migrate", 1800), ("backup", 21_600)] {
        let mut stage = Stage::new();
        stage.guest(101).lock = Some(lock.into());
        assert_eq!(
            (stage.read(), stage.holds_s("guest_lock_stuck")),
            (vec!["warning guest_lock_stuck:homelab/guest/101".to_owned()], hold)
        );
        assert!(stage.found("guest_lock_stuck").meaning.unwrap().contains("qm unlock 101"));
    }
    let mut stage = Stage::new();
    stage.guest(101).lock = Some("backup".into());
    stage.task("pve1", "vzdump", "", "root@pam", -60, None);
    assert_eq!(stage.read(), [""; 0], "a backup of all guests runs there");
    stage.guest(101).lock = Some("suspended".into());
    stage.snapshot.tasks.clear();
    assert_eq!(stage.read(), [""; 0], "a guest that sleeps is locked");
}

#[test]
fn figures_are_graded_with_a_gap() {
    let mut stage = Stage::new();
    for (cpu, raised, held) in [(0.95, true, false), (0.85, false, true), (0.79, false, false)] {
        stage.guest(101).cpu = Some(cpu);
        assert_eq!(stage.read().len(), usize::from(raised), "{cpu}");
        assert_eq!(stage.findings().iter().any(is_held), held, "{cpu}");
    }
    stage.guest(101).cpu = Some(0.95);
    assert_eq!(
        (line(&stage.found("guest_cpu")), stage.holds_s("guest_cpu")),
        ("web-01 (101) uses 95 % of its processors".to_owned(), 900)
    );
    stage.guest(101).lock = Some("backup".into());
    stage.task("pve1", "vzdump", "101", "root@pam", -5, None);
    assert_eq!(stage.read(), [""; 0]);
    assert!(stage.is_unseen("guest_cpu", "homelab/guest/101"), "a backup neither raises nor ends it");
}

#[test]
fn a_guest_that_is_always_busy_is_left_alone() {
    let mut stage = Stage::new();
    stage.guest(101).cpu = Some(0.95);
    for _ in 0..30 {
        stage.history.record(&stage.snapshot);
        stage.pass(900);
    }
    assert_eq!(stage.read(), ["warning guest_cpu:homelab/guest/101"], "seven hours are too few to say what is usual");
    for _ in 0..100 {
        stage.history.record(&stage.snapshot);
        stage.pass(900);
    }
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn memory_is_judged_only_where_it_is_known() {
    let mut stage = Stage::new();
    stage.guest(101).memory_bytes = Some(95);
    assert_eq!(stage.read(), ["warning guest_memory:homelab/guest/101"]);
    stage.guest(101).memory_bytes = None;
    assert_eq!(stage.read(), [""; 0]);
    assert!(stage.is_unseen("guest_memory", "homelab/guest/101"));
    // Before version 9 the poll cannot tell use from what it takes of its host: the guest is asked.
    let guest = stage.guest(101);
    (guest.memory_bytes, guest.memory_of_host_bytes) = (Some(95), None);
    assert!(stage.is_unseen("guest_memory", "homelab/guest/101"));
    let detail =
        crate::decode::GuestDetail { memory_bytes: Some(96), memory_total_bytes: Some(100), ..Default::default() };
    stage.slow().guests.entry(101).or_default().detail = Part::fetched(detail.clone(), at(0));
    assert_eq!(stage.read(), ["warning guest_memory:homelab/guest/101"]);
    let opaque = crate::decode::GuestDetail { memory_bytes: None, ..detail };
    stage.slow().guests.entry(101).or_default().detail = Part::fetched(opaque, at(0));
    assert!(stage.is_unseen("guest_memory", "homelab/guest/101"));
    // Containers always know.
    let mut stage = Stage::new();
    let guest = stage.guest(102);
    (guest.memory_bytes, guest.memory_of_host_bytes) = (Some(95), None);
    assert_eq!(stage.read(), ["warning guest_memory:homelab/guest/102"]);
}

#[test]
fn a_containers_disk_and_settings_for_one_guest() {
    let mut stage = Stage::new();
    stage.guest(102).disk_bytes = Some(93);
    assert_eq!(stage.read(), ["warning guest_disk:homelab/guest/102"]);
    stage.guest(102).disk_bytes = Some(96);
    assert_eq!(stage.read(), ["critical guest_disk:homelab/guest/102"]);
    let finding = stage.found("guest_disk");
    assert_eq!(
        (line(&finding).as_str(), finding.limit.as_deref()),
        ("db-01 (102) has a root disk that is 96 % full", Some("95 %"))
    );
    for (set, raised) in [
        (
            r#"{"overrides":[{"match":{"vmid":102},"rules":["guest_*"],"set":{"critical":{"above":98,"clear":97}}}]}"#,
            "warning guest_disk:homelab/guest/102",
        ),
        (r#"{"rules":{"guest_disk":{"except":[{"name":"db-*"}]}}}"#, ""),
        (r#"{"overrides":[{"match":{"node":"pve2"},"rules":[],"set":{"enabled":false}}]}"#, ""),
        (r#"{"overrides":[{"match":{"tag":"lab"},"set":{"enabled":false}}]}"#, "critical guest_disk:homelab/guest/102"),
    ] {
        stage.book(set);
        assert_eq!(stage.read().join(""), raised, "{set}");
    }
    // A lower threshold for one guest is looked at although the rule's own is higher.
    stage.guest(102).disk_bytes = Some(60);
    stage.book(
        r#"{"overrides":[{"match":{"vmid":102},"rules":["guest_disk"],"set":{"warning":{"above":50,"clear":45}}}]}"#,
    );
    assert_eq!(stage.read(), ["warning guest_disk:homelab/guest/102"]);
}

#[test]
fn old_snapshots_are_for_the_digest() {
    let mut stage = Stage::new();
    assert!(stage.is_unseen("snapshot_old", "homelab/guest/101"), "nobody has looked yet");
    let point = |days: i64| crate::decode::SnapshotPoint {
        name: "before-upgrade".into(),
        description: None,
        created_s: Some(T0 - days * 86_400),
        holds_memory: false,
        parent: None,
    };
    for (days, raised) in [(29, ""), (40, "info snapshot_old:homelab/guest/101")] {
        stage.slow().guests.entry(101).or_default().snapshots = Part::fetched(vec![point(days), point(1)], at(0));
        assert_eq!(stage.read().join(""), raised);
    }
    assert_eq!(line(&stage.found("snapshot_old")), "web-01 (101) has a snapshot that is 40 days old");
}
