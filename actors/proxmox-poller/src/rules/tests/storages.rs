//! Rules about storages and disks.

use super::line;
use super::stage::{Stage, at};
use crate::decode::{Disk, NodeStorage, ThinPool, ZfsMember, ZfsPool, ZfsState};
use crate::model::{NodeState, Part, StorageState};

#[test]
fn a_full_storage_is_one_finding_however_many_nodes_share_it() {
    let mut stage = Stage::new();
    for (used, raised) in [
        (84, ""),
        (86, "warning storage_usage:homelab/storage/nas"),
        (96, "critical storage_usage:homelab/storage/nas"),
    ] {
        stage.snapshot.storages[0].used_bytes = Some(used);
        assert_eq!(stage.read().join(""), raised, "{used}");
    }
    let finding = stage.found("storage_usage");
    assert_eq!((line(&finding).as_str(), finding.limit.as_deref()), ("storage nas is 96 % full", Some("95 %")));
    stage.snapshot.storages[1].used_bytes = Some(99);
    assert!(stage.read().contains(&"critical storage_usage:homelab/storage/pve1/local".to_owned()));
    stage.snapshot.storages[0].figures_at = Some(at(-60));
    assert!(stage.is_unseen("storage_usage", "homelab/storage/nas"), "old figures say nothing");
}

#[test]
fn steady_growth_is_told_before_the_end_and_a_leap_is_not() {
    let play = |used: fn(i64) -> u64| {
        let mut stage = Stage::new();
        stage.snapshot.storages[0].total_bytes = Some(10_000);
        for minute in 0..360 {
            stage.snapshot.storages[0].used_bytes = Some(used(minute));
            stage.history.record(&stage.snapshot);
            stage.pass(60);
        }
        stage
    };
    // From 60 % on 1.5 points an hour: full within 24 hours at the end.
    let stage = play(|minute| 6000 + u64::try_from(minute).unwrap() * 5 / 2);
    assert_eq!(stage.read(), ["warning storage_usage:homelab/storage/nas"]);
    assert!(
        line(&stage.found("storage_usage")).contains("will be full in 20 h"),
        "{}",
        line(&stage.found("storage_usage"))
    );
    // A backup of an hour: a leap, and then nothing more.
    assert_eq!(play(|minute| 7000 + u64::try_from((minute - 200).clamp(0, 60)).unwrap() * 20).read(), [""; 0]);
    // The same at this very moment.
    assert_eq!(play(|minute| 7000 + u64::try_from((minute - 300).clamp(0, 60)).unwrap() * 20).read(), [""; 0]);
    // Up and down.
    assert_eq!(play(|minute| 7000 + if minute / 45 % 2 == 0 { 800 } else { 0 }).read(), [""; 0]);
}

fn told(name: &str, is_active: bool) -> NodeStorage {
    NodeStorage {
        name: name.into(),
        kind: None,
        content: None,
        is_active,
        is_enabled: true,
        is_shared: true,
        total_bytes: None,
        used_bytes: None,
    }
}

#[test]
fn a_storage_that_cannot_be_used() {
    let mut stage = Stage::new();
    assert!(stage.is_unseen("storage_inactive", "homelab/storage/nas"), "no node has said anything");
    for name in ["pve1", "pve2", "pve3"] {
        stage.parts(name).storages = Part::fetched(vec![told("nas", true), told("local", true)], at(0));
    }
    assert_eq!(stage.read(), [""; 0]);
    stage.parts("pve2").storages = Part::fetched(vec![told("nas", false)], at(0));
    assert_eq!(
        (stage.read(), stage.holds_s("storage_inactive")),
        (vec!["critical storage_inactive:homelab/storage/nas".to_owned()], 60)
    );
    assert_eq!(line(&stage.found("storage_inactive")), "storage nas cannot be used on pve2");
    for name in ["pve1", "pve3"] {
        stage.parts(name).storages = Part::fetched(vec![told("nas", false), told("local", false)], at(0));
    }
    assert_eq!(
        stage.read(),
        ["critical storage_inactive:homelab/storage/nas", "critical storage_inactive:homelab/storage/pve1/local"]
    );
    let finding = &stage.findings()[0];
    assert_eq!((line(finding).as_str(), finding.affected.len()), ("storage nas cannot be used", 3));
    let off = NodeStorage { is_enabled: false, ..told("nas", false) };
    for name in ["pve1", "pve2", "pve3"] {
        stage.parts(name).storages = Part::fetched(vec![off.clone()], at(0));
    }
    assert_eq!(stage.read(), [""; 0], "it is switched off");
    for name in ["pve1", "pve2", "pve3"] {
        stage.parts(name).storages = Part::fetched(vec![told("nas", false)], at(0));
    }
    stage.pass(500);
    assert_eq!(stage.read(), [""; 0], "that was long ago");
    assert!(stage.is_unseen("storage_inactive", "homelab/storage/nas"));
    // A local storage of a node that is away goes with it.
    stage.node("pve1").state = NodeState::Offline;
    stage.snapshot.storages[1].state = StorageState::Unknown;
    assert!(stage.is_unseen("storage_inactive", "homelab/storage/pve1/local"));
}

#[test]
fn thin_pools_zfs_pools_and_disks() {
    let mut stage = Stage::new();
    let pool = |used: u64| ThinPool {
        name: "data".into(),
        volume_group: Some("pve".into()),
        size_bytes: Some(100),
        used_bytes: Some(10),
        metadata_bytes: Some(100),
        metadata_used_bytes: Some(used),
    };
    for (used, raised) in [
        (50, ""),
        (82, "warning thin_metadata:homelab/node/pve1/thin/pve/data"),
        (91, "critical thin_metadata:homelab/node/pve1/thin/pve/data"),
    ] {
        stage.parts("pve1").thin_pools = Part::fetched(vec![pool(used)], at(0));
        assert_eq!(stage.read().join(""), raised);
    }
    let mut stage = Stage::new();
    let pool = |health: &str| ZfsPool {
        name: "rpool".into(),
        health: Some(health.into()),
        size_bytes: None,
        used_bytes: None,
        fragmented_percent: None,
    };
    stage.parts("pve2").zfs_pools = Part::fetched(vec![pool("DEGRADED")], at(0));
    assert_eq!(stage.read(), ["critical zfs_pool:homelab/node/pve2/zfs/rpool"]);
    assert_eq!(line(&stage.found("zfs_pool")), "ZFS pool rpool on pve2 is DEGRADED");
    let ill = ZfsMember { name: "sda".into(), state: "ONLINE".into(), errors: 3 };
    let parts = stage.parts("pve2");
    parts.zfs_pools = Part::fetched(vec![pool("ONLINE")], at(0));
    parts.zfs_states.insert("rpool".into(), Part::fetched(ZfsState { ill: vec![ill], ..ZfsState::default() }, at(0)));
    assert_eq!(stage.read(), ["warning zfs_pool:homelab/node/pve2/zfs/rpool"]);
    let mut stage = Stage::new();
    let disk = |health: &str, left: Option<f64>| Disk {
        device: "/dev/sda".into(),
        kind: None,
        size_bytes: None,
        model: Some("Old Spinner".into()),
        serial: None,
        health: Some(health.into()),
        life_left_percent: left,
        used_for: None,
        osd: None,
    };
    for (health, left, raised) in [
        ("PASSED", Some(60.0), ""),
        ("UNKNOWN", None, ""),
        ("OK", Some(10.0), "warning disk_health:homelab/node/pve1/disk/sda"),
        ("PASSED", Some(2.0), "critical disk_health:homelab/node/pve1/disk/sda"),
        ("FAILED", Some(90.0), "critical disk_health:homelab/node/pve1/disk/sda"),
    ] {
        stage.parts("pve1").disks = Part::fetched(vec![disk(health, left)], at(0));
        assert_eq!(stage.read().join(""), raised, "{health} {left:?}");
    }
    assert_eq!(line(&stage.found("disk_health")), "disk sda on pve1 fails (SMART: FAILED)");
}
