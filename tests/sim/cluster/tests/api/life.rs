//! Ordinary life: guests that come and go, snapshots, dropped connections, and what they look like from outside.

use crate::boxed::Boxed;
use crate::kit::Stage;
use sim_cluster::{Incident, Script, SimConfig};
use std::time::Duration;

fn anna() -> String {
    "anna@pve".into()
}

#[test]
fn a_new_guest_has_no_name_until_the_next_sample() {
    let mut lab = Boxed::homelab();
    lab.pass(3);
    let (name, node) = ("fresh".to_owned(), "pve1".to_owned());
    lab.happen(Incident::GuestCreated { vmid: 150, name, node, container: false, user: anna() });
    let row = lab.row("qemu/150");
    assert!(row["status"] == "unknown" && row.get("name").is_none() && row["lock"] == "create", "{row}");
    lab.pass(6);
    assert_eq!(lab.status("qemu/150"), "unknown");
    lab.pass(1);
    let row = lab.row("qemu/150");
    assert_eq!((&row["status"], &row["name"]), (&"stopped".into(), &"fresh".into()));
    assert!(row.get("lock").is_none());
    assert_eq!(lab.tasks_of("150")[0]["type"], "qmcreate");
    lab.happen(Incident::GuestDestroyed { vmid: 150, user: anna() });
    lab.pass(3);
    assert!(lab.find("qemu/150").is_none());
    assert_eq!(lab.tasks_of("150")[0]["type"], "qmdestroy");
}

#[test]
fn a_clone_locks_its_source_and_itself() {
    let mut lab = Boxed::homelab();
    lab.happen(Incident::GuestCloned { source: 900, vmid: 160, name: "copy".into(), user: anna() });
    assert_eq!((&lab.row("qemu/900")["lock"], &lab.row("qemu/160")["lock"]), (&"clone".into(), &"clone".into()));
    lab.pass(25);
    let copy = lab.row("qemu/160");
    assert!(copy["template"] == 0 && copy["name"] == "copy" && copy.get("lock").is_none(), "{copy}");
    let again = Incident::GuestCloned { source: 900, vmid: 160, name: "copy".into(), user: anna() };
    assert_eq!(lab.0.incident(again).expect_err("a taken VMID").to_string(), "VMID 160 is taken");
}

#[test]
fn snapshots_go_as_they_came() {
    let mut lab = Boxed::homelab();
    let name = || "before-pg17".to_owned();
    lab.happen(Incident::SnapshotAges { vmid: 103, name: name(), days: 45 });
    let row = lab.rows("/nodes/pve1/qemu/103/snapshot")[0].clone();
    assert_eq!(row["snaptime"].as_i64(), Some(1_772_366_400 - 45 * 86_400));
    lab.happen(Incident::SnapshotRemoved { vmid: 103, name: name(), user: anna() });
    assert_eq!(lab.row("qemu/103")["lock"], "snapshot-delete");
    lab.pass(4);
    assert_eq!(lab.rows("/nodes/pve1/qemu/103/snapshot").len(), 1);
    assert_eq!(lab.tasks_of("103")[0]["type"], "qmdelsnapshot");
}

#[test]
fn a_backup_is_seen_in_load_and_counters() {
    let mut lab = Boxed::homelab();
    let before = lab.row("qemu/104");
    lab.happen(Incident::BackupRuns { job: "backup-nightly".into() });
    lab.pass(20);
    let during = lab.row("qemu/104");
    assert_eq!(during["lock"], "backup");
    assert!(during["cpu"].as_f64() > before["cpu"].as_f64().map(|cpu| cpu + 0.4), "{during}");
    lab.pass(30);
    let after = lab.row("qemu/104");
    let read = after["diskread"].as_u64().zip(before["diskread"].as_u64()).map(|(after, before)| after - before);
    assert!(read > Some(10 << 30), "{read:?}");
}

#[test]
fn an_agent_that_stops_answering_makes_memory_opaque() {
    let mut lab = Boxed::homelab();
    assert_ne!(lab.row("qemu/102")["mem"], lab.row("qemu/102")["memhost"]);
    lab.happen(Incident::GuestAgent { vmid: 102, on: false });
    let mut beyond = false;
    for _ in 0..288 {
        lab.pass(300);
        let row = lab.row("qemu/102");
        assert_eq!(row["mem"], row["memhost"]);
        beyond |= row["mem"].as_u64() > row["maxmem"].as_u64();
    }
    assert!(beyond, "at times more than the guest has");
}

#[test]
fn log_rotation_drops_connections_and_nothing_else() {
    let stage = Stage::homelab();
    let mut connection = stage.connect();
    assert_eq!(connection.get("/version").expect("an answer").status, 200);
    stage.happen(Incident::ConnectionsDropped);
    assert!(connection.get("/version").is_err());
    stage.data("/version");
    assert_eq!(stage.sim.answer("/version").status, 200, "in process as well");
    stage.sim.with(|cluster| cluster.advance(Duration::from_secs(5)));
}

#[test]
fn scripts_are_joined_with_a_delay() {
    let crash = Script::quiet().at(Duration::from_secs(5), Incident::GuestCrashes { vmid: 101 });
    let script = Script::quiet().then(Duration::from_secs(60), &crash);
    let mut lab = Boxed::of(SimConfig { script, ..SimConfig::default() });
    lab.pass(64);
    assert_eq!(lab.status("qemu/101"), "running");
    lab.pass(1);
    assert_eq!(lab.status("qemu/101"), "stopped");
}
