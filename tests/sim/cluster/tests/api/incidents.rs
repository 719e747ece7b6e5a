//! What incidents leave behind: states, tasks and log lines, as on a real cluster.

use crate::client::Connection;
use crate::kit::{Stage, WEB, text};
use sim_cluster::Incident;
use std::time::Duration;

fn root() -> String {
    "root@pam".into()
}

#[test]
fn a_crash_leaves_a_stopped_guest_and_no_task() {
    let stage = Stage::homelab();
    let before = stage.tasks_of("101").len();
    stage.happen(Incident::GuestCrashes { vmid: WEB });
    let row = stage.row("qemu/101");
    assert_eq!((&row["status"], &row["uptime"], &row["netin"]), (&"stopped".into(), &0.into(), &0.into()));
    assert_eq!(stage.tasks_of("101").len(), before);
    assert_eq!(stage.data("/nodes/pve1/qemu/101/status/current")["qmpstatus"], "stopped");
}

#[test]
fn a_shutdown_is_a_task_with_its_user_and_then_the_guest_is_down() {
    let stage = Stage::homelab();
    stage.happen(Incident::GuestShutDown { vmid: 114, user: root() });
    let running = &stage.tasks_of("114")[0];
    assert_eq!((text(&running["type"]), text(&running["user"])), ("vzshutdown".into(), root()));
    assert!(running.get("status").is_none() && running.get("endtime").is_none(), "{running}");
    assert_eq!(stage.row("lxc/114")["status"], "running");
    let upid = text(&running["upid"]);
    assert!(upid.starts_with("UPID:pve3:") && upid.ends_with(":vzshutdown:114:root@pam:"), "{upid}");
    let status = format!("/nodes/pve3/tasks/{}/status", upid.replace(':', "%3A"));
    assert_eq!(stage.data(&status)["status"], "running");
    stage.pass(5);
    assert_eq!(stage.row("lxc/114")["status"], "stopped");
    let ended = &stage.tasks_of("114")[0];
    assert_eq!(
        (&ended["status"], ended["endtime"].as_i64()),
        (&"OK".into(), ended["starttime"].as_i64().map(|at| at + 4))
    );
    assert_eq!(stage.data(&status)["exitstatus"], "OK");
    assert_eq!(stage.log(ended), ["TASK OK"]);
}

#[test]
fn a_guest_of_the_ha_manager_comes_back_by_itself() {
    let stage = Stage::homelab();
    stage.happen(Incident::GuestCrashes { vmid: 103 });
    assert_eq!(stage.row("qemu/103")["status"], "stopped");
    stage.pass(15);
    assert_eq!(stage.row("qemu/103")["status"], "running");
    assert_eq!(stage.tasks_of("103")[0]["type"], "qmstart");
}

#[test]
fn a_node_that_goes_down_looks_as_it_last_was_until_the_samples_are_old() {
    let stage = Stage::homelab();
    stage.happen(Incident::NodeDown { node: "pve2".into() });
    let node = stage.row("node/pve2");
    assert_eq!(node["status"], "offline");
    assert!(node.get("cpu").is_none() && node.get("maxcpu").is_some(), "{node}");
    assert_eq!(stage.row("qemu/102")["status"], "running");
    let online: Vec<i64> = stage.rows("/cluster/status").iter().filter_map(|row| row["online"].as_i64()).collect();
    assert_eq!(online, [1, 0, 1]);
    assert_eq!(stage.rows("/cluster/status")[0]["quorate"], 1);
    assert_eq!(stage.ask("/nodes/pve2/status").status, 595);
    assert!(Connection::open(&stage.sim, 1).is_err(), "its own endpoint is gone");
    stage.pass(301);
    let row = stage.row("qemu/102");
    assert_eq!(row["status"], "unknown");
    assert!(row.get("name").is_none() && row.get("maxmem").is_none(), "{row}");
    assert_eq!((&row["tags"], &row["vmid"]), (&"prod;web".into(), &102.into()));
    assert_eq!(stage.row("storage/pve2/local")["status"], "unknown");
}

#[test]
fn services_of_a_dead_node_are_fenced_and_started_elsewhere() {
    let stage = Stage::homelab();
    stage.happen(Incident::NodeDown { node: "pve2".into() });
    stage.pass(125);
    let service =
        |stage: &Stage| stage.rows("/cluster/ha/status/current").into_iter().find(|row| row["sid"] == "vm:110");
    assert_eq!(service(&stage).map(|row| row["state"].clone()), Some("fence".into()));
    let lrm = stage.rows("/cluster/ha/status/current").into_iter().find(|row| row["id"] == "lrm:pve2");
    assert!(lrm.is_some_and(|row| text(&row["status"]).contains("old timestamp - dead?")));
    stage.pass(30);
    let moved = stage.row("qemu/110");
    assert_eq!((&moved["node"], &moved["status"]), (&"pve1".into(), &"running".into()));
    assert_eq!(service(&stage).map(|row| row["state"].clone()), Some("started".into()));
    stage.happen(Incident::NodeReturns { node: "pve2".into() });
    stage.pass(120);
    assert_eq!(stage.row("qemu/110")["node"], "pve1");
    assert_eq!(stage.row("qemu/102")["status"], "running");
    let boot = stage.rows("/nodes/pve2/tasks?typefilter=startall");
    assert!(stage.log(&boot[0]).contains(&"Starting VM 102".to_owned()), "{boot:?}");
    assert!(stage.row("node/pve2")["uptime"].as_i64() < Some(200));
}

#[test]
fn a_planned_shutdown_stops_all_first() {
    let stage = Stage::homelab();
    stage.happen(Incident::NodeShutDown { node: "pve3".into(), user: "anna@pve".into() });
    stage.pass(14);
    let tasks = stage.rows("/cluster/tasks");
    let stopall = tasks.iter().find(|task| task["type"] == "stopall").expect("a stopall task");
    assert_eq!((text(&stopall["user"]), text(&stopall["status"])), ("anna@pve".into(), "OK".into()));
    assert!(stage.log(stopall).iter().any(|line| line.starts_with("Stopping VM 108")));
    stage.pass(10);
    assert_eq!(stage.row("node/pve3")["status"], "offline");
    assert_eq!(stage.row("qemu/108")["status"], "stopped");
}

#[test]
fn without_quorum_a_node_sees_only_itself() {
    let stage = Stage::homelab();
    stage.happen(Incident::QuorumLost);
    let status = stage.rows("/cluster/status");
    assert_eq!(status[0]["quorate"], 0);
    let online: Vec<i64> = status.iter().filter_map(|row| row["online"].as_i64()).collect();
    assert_eq!(online, [1, 0, 0]);
    let mut second = Connection::open(&stage.sim, 1).expect("the second node");
    let seen = second.get("/cluster/status").expect("an answer").data();
    assert_eq!((&seen[1]["online"], &seen[2]["online"], &seen[2]["local"]), (&0.into(), &1.into(), &1.into()));
    let ha = &stage.rows("/cluster/ha/status/current")[0];
    assert_eq!((&ha["quorate"], &ha["status"]), (&0.into(), &"No quorum on node!".into()));
    stage.happen(Incident::QuorumReturns);
    assert_eq!(stage.rows("/cluster/status")[0]["quorate"], 1);
}

#[test]
fn a_stuck_pvestatd_makes_an_online_node_unknown() {
    let stage = Stage::homelab();
    stage.happen(Incident::PvestatdStuck { node: "pve3".into(), on: true });
    stage.pass(301);
    assert_eq!(stage.row("node/pve3")["status"], "unknown");
    assert_eq!(stage.rows("/cluster/status")[3]["online"], 1);
    assert_eq!(stage.row("lxc/114")["status"], "unknown");
    stage.happen(Incident::PvestatdStuck { node: "pve3".into(), on: false });
    assert_eq!(stage.row("lxc/114")["name"], "media-01");
}

#[test]
fn a_storage_fills_evenly_and_a_dead_one_keeps_its_last_row() {
    let stage = Stage::homelab();
    let percent = |stage: &Stage| {
        let row = stage.row("storage/pve1/nas-nfs");
        (row["disk"].as_f64().unwrap_or(0.0) / row["maxdisk"].as_f64().unwrap_or(1.0) * 1000.0).round() / 10.0
    };
    assert_eq!(percent(&stage).to_string(), "71.2");
    let (storage, over) = ("nas-nfs".to_owned(), Duration::from_secs(100));
    stage.happen(Incident::StorageFills { storage: storage.clone(), node: None, percent: 93.0, over });
    stage.pass(50);
    assert_eq!(percent(&stage).to_string(), "82.1");
    stage.pass(50);
    assert_eq!(percent(&stage).to_string(), "93");
    assert_eq!(stage.row("storage/pve2/nas-nfs")["disk"], stage.row("storage/pve1/nas-nfs")["disk"]);
    stage.happen(Incident::StorageInactive { storage: storage.clone(), node: Some("pve1".into()) });
    let shown = |stage: &Stage| stage.rows("/nodes/pve1/storage").into_iter().find(|row| row["storage"] == "nas-nfs");
    let row = shown(&stage).expect("a row");
    assert_eq!((&row["enabled"], &row["active"], &row["total"]), (&1.into(), &0.into(), &0.into()));
    assert_eq!(stage.row("storage/pve1/nas-nfs")["status"], "available");
    stage.pass(301);
    assert_eq!(stage.row("storage/pve1/nas-nfs")["status"], "unknown");
    assert_eq!(stage.row("storage/pve2/nas-nfs")["status"], "available");
    assert_eq!(stage.ask("/nodes/pve1/storage/nas-nfs/content").reason, "storage 'nas-nfs' is not online");
}

#[test]
fn a_failed_backup_says_whose_in_its_log_and_leaves_no_backup() {
    let stage = Stage::homelab();
    let count = |stage: &Stage, vmid: u32| {
        let path = format!("/nodes/pve1/storage/pbs/content?content=backup&vmid={vmid}");
        stage.rows(&path).iter().filter_map(|row| row["ctime"].as_i64()).max()
    };
    let (before, other) = (count(&stage, 104), count(&stage, 102));
    let reason = "write error: No space left on device".to_owned();
    stage.happen(Incident::BackupFails { job: "backup-nightly".into(), vmid: 104, reason });
    stage.pass(18);
    assert_eq!(stage.row("qemu/104")["lock"], "backup");
    stage.pass(600);
    let tasks = stage.rows("/nodes/pve2/tasks?typefilter=vzdump&errors=1");
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["status"], "job errors");
    let log = stage.log(&tasks[0]);
    assert!(
        log.contains(&"ERROR: Backup of VM 104 failed - write error: No space left on device".to_owned()),
        "{log:#?}"
    );
    assert!(log.iter().any(|line| line.starts_with("INFO: Finished Backup of VM 102")), "{log:#?}");
    assert_eq!(log.last().map(String::as_str), Some("TASK ERROR: job errors"));
    assert_eq!(count(&stage, 104), before);
    assert!(count(&stage, 102) > other);
    assert!(stage.row("qemu/104").get("lock").is_none());
    let healthy = stage.rows("/nodes/pve1/tasks?typefilter=vzdump&statusfilter=ok");
    assert_eq!(stage.log(&healthy[0]).last().map(String::as_str), Some("TASK OK"));
}

#[test]
fn ceph_tells_what_is_degraded_and_recovers() {
    let stage = Stage::homelab();
    stage.happen(Incident::OsdDown { osd: 3 });
    let status = stage.data("/cluster/ceph/status");
    assert_eq!(status["health"]["status"], "HEALTH_WARN");
    assert_eq!(status["health"]["checks"]["OSD_DOWN"]["severity"], "HEALTH_WARN");
    assert_eq!((&status["osdmap"]["num_osds"], &status["osdmap"]["num_up_osds"]), (&6.into(), &5.into()));
    let counted: i64 = status["pgmap"]["pgs_by_state"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|state| state["count"].as_i64())
        .sum();
    assert_eq!(status["pgmap"]["num_pgs"].as_i64(), Some(counted));
    let tree = stage.data("/nodes/pve1/ceph/osd").to_string();
    assert!(tree.contains("\"down\""), "{tree}");
    stage.happen(Incident::CephError { code: "OSD_FULL".into(), message: "1 full osd(s)".into() });
    assert_eq!(stage.data("/cluster/ceph/status")["health"]["status"], "HEALTH_ERR");
    stage.happen(Incident::CephRecovers);
    assert_eq!(stage.data("/cluster/ceph/status")["health"]["status"], "HEALTH_OK");
}

#[test]
fn a_failing_replication_counts_up_and_starts_afresh() {
    let stage = Stage::homelab();
    stage.happen(Incident::ReplicationFails { vmid: WEB });
    stage.pass(700);
    let row = &stage.rows("/nodes/pve1/replication")[0];
    assert_eq!((&row["id"], &row["fail_count"]), (&"101-0".into(), &3.into()));
    assert!(text(&row["error"]).ends_with("failed: exit code 255"));
    let log = stage.rows("/nodes/pve1/replication/101-0/log");
    assert!(text(&log[2]["t"]).contains("end replication job with error"));
    stage.happen(Incident::ReplicationRecovers { vmid: WEB });
    assert_eq!(stage.rows("/nodes/pve1/replication")[0]["fail_count"], 0);
}

#[test]
fn a_live_migration_changes_the_node_and_not_the_uptime() {
    let stage = Stage::homelab();
    stage.happen(Incident::GuestMigrated { vmid: 103, target: "pve3".into(), user: root() });
    assert_eq!(stage.row("qemu/103")["lock"], "migrate");
    let uptime = stage.row("qemu/103")["uptime"].as_i64();
    stage.pass(14);
    let row = stage.row("qemu/103");
    assert_eq!((&row["node"], row["uptime"].as_i64()), (&"pve3".into(), uptime.map(|uptime| uptime + 14)));
    let tasks: Vec<String> = stage.tasks_of("103").iter().map(|task| text(&task["type"])).collect();
    assert!(tasks.starts_with(&["qmstart".into(), "qmigrate".into()]), "{tasks:?}");
    let log = stage.log(&stage.tasks_of("103")[1]);
    assert!(log[0].ends_with("starting migration of VM 103 to node 'pve3' (10.0.0.13)"), "{log:#?}");
    let gone = stage.ask("/nodes/pve1/qemu/103/config");
    assert_eq!(gone.reason, "Configuration file 'nodes/pve1/qemu-server/103.conf' does not exist");
}

#[test]
fn a_container_is_restarted_by_its_migration() {
    let stage = Stage::homelab();
    stage.happen(Incident::GuestMigrated { vmid: 107, target: "pve1".into(), user: root() });
    stage.pass(5);
    assert_eq!(stage.row("lxc/107")["status"], "stopped");
    stage.pass(5);
    let row = stage.row("lxc/107");
    assert_eq!((&row["node"], &row["status"], &row["uptime"]), (&"pve1".into(), &"running".into(), &1.into()));
}

#[test]
fn snapshots_disks_pools_and_certificates_show_what_happened() {
    let stage = Stage::homelab();
    stage.happen(Incident::SnapshotTaken { vmid: WEB, name: "before-update".into(), user: root() });
    let snapshots = stage.rows("/nodes/pve1/qemu/101/snapshot");
    let names: Vec<String> = snapshots.iter().map(|row| text(&row["name"])).collect();
    assert_eq!(names, ["before-update", "current"]);
    assert_eq!(snapshots[1]["parent"], "before-update");
    assert_eq!(stage.tasks_of("101")[0]["type"], "qmsnapshot");
    stage.happen(Incident::ZfsDegraded { node: "pve2".into(), pool: "rpool".into() });
    assert_eq!(stage.rows("/nodes/pve2/disks/zfs")[0]["health"], "DEGRADED");
    assert_eq!(stage.data("/nodes/pve2/disks/zfs/rpool")["state"], "DEGRADED");
    stage.happen(Incident::DiskFails { node: "pve2".into(), device: "/dev/sdb".into() });
    assert_eq!(stage.data("/nodes/pve2/disks/smart?disk=/dev/sdb")["health"], "FAILED");
    stage.happen(Incident::CertificateEnds { node: "pve1".into(), days: 3 });
    let certificate = &stage.rows("/nodes/pve1/certificates/info")[1];
    assert_eq!(certificate["notafter"].as_i64(), Some(1_772_366_400 + 3 * 86_400));
    stage.happen(Incident::NodeClockDrifts { node: "pve1".into(), seconds: 40 });
    assert_eq!(stage.data("/nodes/pve1/time")["time"].as_i64(), Some(1_772_366_400 + 40));
    assert_eq!(stage.ask("/version").header("date"), Some("Sun, 01 Mar 2026 12:00:40 GMT"));
}

#[test]
fn impossible_incidents_say_why() {
    let stage = Stage::homelab();
    let refused = |incident: Incident| stage.sim.incident(incident).expect_err("an impossible incident").to_string();
    assert!(refused(Incident::GuestCrashes { vmid: 999 }).starts_with("no guest \"999\""));
    assert_eq!(refused(Incident::GuestCrashes { vmid: 130 }), "guest 130 is stopped already");
    assert!(refused(Incident::NodeDown { node: "pve9".into() }).contains("there is pve1, pve2, pve3"));
    assert!(refused(Incident::GuestDestroyed { vmid: 101, user: root() }).contains("stop it before"));
    assert!(refused(Incident::BackupRuns { job: "backup-x".into() }).contains("backup-nightly, backup-weekly"));
}

#[test]
fn a_destroyed_guest_disappears_with_its_task() {
    let stage = Stage::homelab();
    stage.happen(Incident::GuestDestroyed { vmid: 132, user: root() });
    stage.pass(4);
    assert_eq!(stage.rows("/cluster/resources?type=vm").len(), 30);
    assert_eq!(stage.tasks_of("132")[0]["type"], "vzdestroy");
}
