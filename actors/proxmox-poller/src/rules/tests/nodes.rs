//! Rules about nodes.

use super::stage::{Stage, at};
use super::{is_held, line};
use crate::decode::NodeDetail;
use crate::model::{GuestState, HaManager, HaStatus, NodeState, Part};

fn goes(stage: &mut Stage, name: &str) {
    stage.advance(10);
    let now = stage.snapshot.taken_at;
    let node = stage.node(name);
    (node.state, node.state_since) = (NodeState::Offline, now);
    for guest in stage.snapshot.guests.iter_mut().filter(|guest| &*guest.node == name) {
        (guest.state, guest.state_since, guest.state_from_first_sight) = (GuestState::Unknown, now, false);
    }
    stage.observe();
}

#[test]
fn a_dead_node_is_one_finding_with_its_guests() {
    let mut stage = Stage::new();
    goes(&mut stage, "pve1");
    assert_eq!(stage.read(), ["critical node_down:homelab/node/pve1"]);
    let finding = stage.found("node_down");
    assert_eq!(
        (line(&finding).as_str(), finding.affected.as_slice()),
        ("node pve1 is down", &["web-01 (101)".to_owned()][..])
    );
    assert_eq!((finding.since, stage.holds_s("node_down")), (at(10), 60));
    assert!(finding.meaning.unwrap().contains("lost power"));
    for rule in ["guest_crashed", "guest_stopped", "guest_error", "guest_cpu", "guest_memory", "guest_disk"] {
        assert!(
            stage.is_unseen(rule, "homelab/guest/101") || rule.starts_with("guest_c") || rule == "guest_stopped",
            "{rule}"
        );
    }
    // A guest that was stopped before is not among its consequences.
    let mut stage = Stage::new();
    let guest = stage.guest(101);
    (guest.state, guest.ran_at) = (GuestState::Stopped, Some(at(-5000)));
    goes(&mut stage, "pve1");
    assert_eq!(stage.found("node_down").affected, [""; 0]);
}

#[test]
fn a_planned_absence_is_milder_and_later() {
    let mut stage = Stage::new();
    stage.task("pve1", "stopall", "", "root@pam", -100, Some((-60, "OK")));
    goes(&mut stage, "pve1");
    assert_eq!(
        (stage.read(), stage.holds_s("node_down")),
        (vec!["warning node_down:homelab/node/pve1".to_owned()], 900)
    );
    assert_eq!(stage.found("node_down").meaning.unwrap(), "It was shut down by root@pam; it should be back by now.");
    stage.snapshot.tasks.clear();
    stage.pass(3000);
    assert_eq!(stage.read(), ["warning node_down:homelab/node/pve1"], "it stays planned");
    let mut stage = Stage::new();
    let manager = |status: &str| HaManager { kind: "lrm".into(), node: Some("pve1".into()), status: status.into() };
    let ha = HaStatus {
        managers: vec![manager("pve1 (maintenance mode, Sun Mar  1 12:00:00 2026)")],
        resources: Vec::new(),
    };
    stage.snapshot.ha = Part::fetched(ha, at(0));
    goes(&mut stage, "pve1");
    assert_eq!(stage.read(), ["warning node_down:homelab/node/pve1"]);
    let mut stage = Stage::new();
    stage.task("pve1", "stopall", "", "root@pam", -1000, Some((-960, "OK")));
    goes(&mut stage, "pve1");
    assert_eq!(stage.read(), ["critical node_down:homelab/node/pve1"], "that was too long before");
}

#[test]
fn without_quorum_absences_are_told_inside_it() {
    let mut stage = Stage::new();
    stage.snapshot.quorum.as_mut().unwrap().is_quorate = false;
    goes(&mut stage, "pve2");
    goes(&mut stage, "pve3");
    assert!(stage.read().contains(&"critical quorum_lost:homelab".to_owned()));
    let finding = stage.found("quorum_lost");
    assert_eq!((finding.value.as_deref(), finding.affected.len()), (Some("1 of 3 nodes see each other"), 2));
    for finding in stage.findings().iter().filter(|finding| &*finding.rule == "node_down") {
        assert_eq!(finding.causes, ["quorum_lost:homelab".into()]);
    }
    // HA's own line counts while it is fresh; without any line nothing is said.
    let mut stage = Stage::new();
    let line = HaManager { kind: "quorum".into(), node: None, status: "No quorum on node!".into() };
    stage.snapshot.ha = Part::fetched(HaStatus { managers: vec![line], resources: Vec::new() }, at(0));
    assert_eq!(stage.read(), ["critical quorum_lost:homelab"]);
    (stage.snapshot.quorum, stage.snapshot.ha) = (None, Part::default());
    assert!(stage.judged().iter().all(|one| &*one.rule != "quorum_lost"));
}

#[test]
fn a_node_that_gives_no_data_is_not_down() {
    let mut stage = Stage::new();
    let now = at(0);
    let node = stage.node("pve1");
    (node.state, node.state_since) = (NodeState::NoData, now);
    stage.turn(101, GuestState::Unknown);
    assert_eq!((stage.read(), stage.holds_s("no_data")), (vec!["warning no_data:homelab/node/pve1".to_owned()], 60));
    assert_eq!(line(&stage.found("no_data")), "node pve1 gives no data");
    assert!(stage.is_unseen("node_cpu", "homelab/node/pve1"));
    let mut stage = Stage::new();
    stage.turn(101, GuestState::Unknown);
    assert_eq!(line(&stage.found("no_data")), "node pve1 gives no data on 1 guest");
    stage.guest(101).missed_polls = 1;
    assert_eq!(stage.read(), [""; 0], "a missing row is no row without data");
}

#[test]
fn processors_and_memory_of_a_node() {
    let mut stage = Stage::new();
    stage.node("pve2").cpu = Some(0.93);
    stage.guest(102).cpu = Some(0.4);
    assert_eq!((stage.read(), stage.holds_s("node_cpu")), (vec!["warning node_cpu:homelab/node/pve2".to_owned()], 600));
    assert!(stage.found("node_cpu").meaning.unwrap().contains("db-01 (102) takes the most"));
    stage.node("pve2").cpu = Some(0.85);
    assert!(is_held(&stage.found("node_cpu")));
    let mut stage = Stage::new();
    stage.node("pve2").memory_bytes = Some(98);
    assert_eq!(stage.read(), [""; 0]);
    assert!(stage.is_unseen("node_memory", "homelab/node/pve2"), "the node has not said how much of it is cache");
    let detail = |available: Option<u64>| NodeDetail {
        memory_total_bytes: Some(100),
        memory_used_bytes: Some(98),
        memory_available_bytes: available,
        ..NodeDetail::default()
    };
    stage.parts("pve2").zfs_pools = Part::fetched(Vec::new(), at(0));
    for (available, raised) in [
        (Some(40), ""),
        (Some(7), "warning node_memory:homelab/node/pve2"),
        (Some(2), "critical node_memory:homelab/node/pve2"),
        (None, "critical node_memory:homelab/node/pve2"),
    ] {
        stage.parts("pve2").detail = Part::fetched(detail(available), at(0));
        assert_eq!(stage.read().join(""), raised, "{available:?}");
    }
    stage.pass(1000);
    assert!(stage.is_unseen("node_memory", "homelab/node/pve2"), "that is too long ago");
    // Before version 9 a node with ZFS cannot say how much of its used memory is cache; its guests can.
    let pool = crate::decode::ZfsPool {
        name: "rpool".into(),
        health: None,
        size_bytes: None,
        used_bytes: None,
        fragmented_percent: None,
    };
    let now = stage.snapshot.taken_at;
    stage.parts("pve2").detail = Part::fetched(detail(None), now);
    stage.parts("pve2").zfs_pools = Part::fetched(vec![pool], now);
    assert!(stage.is_unseen("node_memory", "homelab/node/pve2") && stage.read().is_empty());
    stage.guest(102).memory_of_host_bytes = Some(98);
    assert_eq!(stage.read(), ["critical node_memory:homelab/node/pve2"]);
}

#[test]
fn clocks_that_drift() {
    let mut stage = Stage::new();
    let set = |stage: &mut Stage, ahead: [Option<i64>; 3]| {
        for (name, ahead) in ["pve1", "pve2", "pve3"].into_iter().zip(ahead) {
            stage.parts(name).clock_ahead_s = ahead.map_or_else(Part::default, |ahead| Part::fetched(ahead, at(0)));
        }
    };
    for (ahead, raised) in [
        ([Some(0), Some(1), Some(0)], ""),
        ([Some(0), Some(8), Some(0)], "warning time_drift:homelab/node/pve2"),
        ([Some(-40), Some(0), Some(1)], "critical time_drift:homelab/node/pve1"),
        // The one that answers is off: the others agree.
        ([Some(0), Some(40), Some(40)], "critical time_drift:homelab/node/pve1"),
        ([Some(0), Some(9), None], "warning time_drift:homelab/node/pve2"),
        ([Some(0), None, None], ""),
    ] {
        set(&mut stage, ahead);
        assert_eq!(stage.read().join(""), raised, "{ahead:?}");
    }
    set(&mut stage, [Some(0), Some(-8), Some(0)]);
    assert_eq!(
        (line(&stage.found("time_drift")).as_str(), stage.holds_s("time_drift")),
        ("node pve2 has a clock that is 8 s behind", 300)
    );
}

#[test]
fn certificates_updates_and_subscriptions() {
    use crate::decode::{Certificate, Subscription};
    let mut stage = Stage::new();
    let now_s = stage.snapshot.taken_at.as_second();
    for (days, raised) in [
        (20, ""),
        (13, "warning certificate:homelab/node/pve1/certificate/pve-ssl.pem"),
        (2, "critical certificate:homelab/node/pve1/certificate/pve-ssl.pem"),
        (-1, "critical certificate:homelab/node/pve1/certificate/pve-ssl.pem"),
    ] {
        let certificate = Certificate {
            file: "pve-ssl.pem".into(),
            ends_s: Some(now_s + days * 86_400 + 60),
            subject: None,
            issuer: None,
        };
        stage.parts("pve1").certificates = Part::fetched(vec![certificate], at(0));
        assert_eq!(stage.read().join(""), raised, "{days}");
    }
    let mut stage = Stage::new();
    stage.parts("pve1").updates = Part::fetched(vec!["pve-manager".into(), "bash".into()], at(0));
    let subscription = Subscription { status: "notfound".into(), due: None };
    stage.parts("pve1").subscription = Part::fetched(subscription, at(0));
    assert_eq!(stage.read(), [""; 0], "both are off by default");
    stage.book(r#"{"rules":{"updates":{"enabled":true},"subscription":{"enabled":true}}}"#);
    assert_eq!(
        stage.read(),
        ["info updates:homelab/node/pve1/updates", "info subscription:homelab/node/pve1/subscription"]
    );
    assert_eq!(line(&stage.found("updates")), "node pve1 has 2 updates");
}

#[test]
fn what_a_node_that_left_had_is_over() {
    let mut stage = Stage::new();
    let certificate = crate::decode::Certificate {
        file: "pve-ssl.pem".into(),
        ends_s: Some(stage.snapshot.taken_at.as_second()),
        subject: None,
        issuer: None,
    };
    stage.parts("pve3").certificates = Part::fetched(vec![certificate], at(0));
    assert_eq!(stage.read().len(), 1);
    stage.snapshot.nodes.retain(|node| &*node.name != "pve3");
    stage.observe();
    let judged = stage.judged();
    let over = judged.iter().find(|one| &*one.scope == "homelab/node/pve3/certificate/").unwrap();
    assert!(over.findings.is_empty() && over.unseen.is_empty());
    // One that is away keeps what it had: nobody can see it.
    let mut stage = Stage::new();
    stage.parts("pve3");
    stage.node("pve3").state = NodeState::Offline;
    assert!(stage.judged().iter().all(|one| !one.scope.starts_with("homelab/node/pve3/")));
}
