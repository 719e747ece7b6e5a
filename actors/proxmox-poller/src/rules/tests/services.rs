//! Rules about Ceph, HA, replication, backups and tasks.

use super::line;
use super::stage::{Stage, T0, at};
use crate::decode::{BackupFailure, Osd};
use crate::model::{
    BackupJob, BackupSelection, CephCheck, CephStatus, HaManager, HaResource, HaStatus, NodeState, Part,
    ReplicationJob, Shelf,
};

fn ceph(checks: &[(&str, &str, bool)], up: u32) -> Part<CephStatus> {
    let checks = checks.iter().map(|(code, severity, is_muted)| CephCheck {
        code: (*code).into(),
        severity: (*severity).into(),
        message: "something".into(),
        is_muted: *is_muted,
    });
    let status = CephStatus {
        checks: checks.collect(),
        osds: Some(6),
        osds_up: Some(up),
        osds_in: Some(6),
        ..CephStatus::default()
    };
    Part::fetched(status, at(0))
}

#[test]
fn ceph_complains() {
    let mut stage = Stage::new();
    for (checks, up, raised) in [
        (&[][..], 6, &[][..]),
        (&[("PG_DEGRADED", "HEALTH_WARN", false)], 6, &["warning ceph_health:homelab"]),
        (&[("PG_DEGRADED", "HEALTH_WARN", true)], 6, &[]),
        (&[("OSD_FULL", "HEALTH_ERR", false), ("X", "HEALTH_WARN", false)], 6, &["critical ceph_health:homelab"]),
        (&[], 5, &["warning osd_down:homelab"]),
        (&[("OSD_DOWN", "HEALTH_WARN", true)], 5, &[]),
        (&[("OSD_DOWN", "HEALTH_WARN", false)], 5, &["warning ceph_health:homelab", "warning osd_down:homelab"]),
    ] {
        stage.snapshot.ceph = ceph(checks, up);
        assert_eq!(stage.read(), raised, "{checks:?}");
    }
    let osd = Osd { name: "osd.3".into(), host: Some("pve2".into()), is_up: false, is_in: true, used_percent: None };
    stage.slow().osds = Part::fetched(vec![osd], at(0));
    assert_eq!(line(&stage.found("osd_down")), "Ceph of homelab has 1 storage daemon down: osd.3 on pve2");
    assert!(stage.found("osd_down").causes.is_empty());
    assert!(stage.found("ceph_health").causes.contains(&"osd_down:homelab".into()));
    // Its node has just booted: it is being started.
    stage.node("pve2").uptime_s = Some(40);
    assert!(stage.is_unseen("osd_down", "homelab"));
    assert!(stage.is_unseen("ceph_health", "homelab"));
    // It has come back and not said yet when it booted; the boot before this one does not count.
    stage.node("pve2").uptime_s = Some(90_000);
    stage.memory.nodes.get_mut("pve2").unwrap().back_at = Some(at(-20));
    assert!(stage.is_unseen("osd_down", "homelab"));
    // One that says nothing for long is not starting any more.
    stage.node("pve2").uptime_s = None;
    assert!(stage.is_unseen("osd_down", "homelab"));
    stage.memory.nodes.get_mut("pve2").unwrap().back_at = Some(at(-400));
    assert!(!stage.is_unseen("osd_down", "homelab"));
    stage.node("pve2").uptime_s = Some(90_000);
    assert!(!stage.is_unseen("osd_down", "homelab"));
    stage.node("pve2").state = NodeState::Offline;
    assert!(stage.found("osd_down").causes.contains(&"node_down:homelab/node/pve2".into()));
    assert!(stage.found("ceph_health").causes.contains(&"node_down:homelab/node/pve2".into()));
    stage.pass(300);
    assert!(stage.judged().iter().all(|one| &*one.rule != "ceph_health"), "old words say nothing");
}

#[test]
fn ha_gives_up() {
    let mut stage = Stage::new();
    let ha = |state: &str, lrm: &str| {
        let resource = HaResource {
            id: "vm:101".into(),
            node: Some("pve1".into()),
            state: state.into(),
            wanted: None,
            status: None,
        };
        let manager = HaManager { kind: "lrm".into(), node: Some("pve2".into()), status: lrm.into() };
        Part::fetched(HaStatus { managers: vec![manager], resources: vec![resource] }, at(0))
    };
    for (state, lrm, raised, hold) in [
        ("started", "pve2 (active, …)", "", 0),
        ("migrate", "pve2 (active, …)", "", 0),
        ("error", "pve2 (active, …)", "critical ha_error:homelab/guest/101", 0),
        ("fence", "pve2 (active, …)", "critical ha_error:homelab/guest/101", 0),
        ("recovery", "pve2 (active, …)", "critical ha_error:homelab/guest/101", 300),
        ("started", "pve2 (old timestamp - dead?, …)", "critical ha_error:homelab/node/pve2", 120),
    ] {
        stage.snapshot.ha = ha(state, lrm);
        assert_eq!(stage.read().join(""), raised, "{state}");
        assert!(raised.is_empty() || stage.holds_s("ha_error") == hold, "{state}");
    }
    assert!(stage.found("ha_error").causes.contains(&"node_down:homelab/node/pve2".into()));
}

#[test]
fn replication_fails_or_is_late() {
    let mut stage = Stage::new();
    let job = |fail_count: u32, age: i64| ReplicationJob {
        id: "101-0".into(),
        vmid: Some(101),
        source: "pve1".into(),
        target: "pve2".into(),
        schedule: Some("*/15".into()),
        is_disabled: false,
        fail_count,
        error: None,
        last_sync_s: Some(T0 - age),
        last_try_s: None,
        next_sync_s: None,
        duration_s: None,
        is_running: false,
    };
    stage.snapshot.replication = Part::fetched(vec![job(5, 0)], at(0));
    assert!(stage.is_unseen("replication", "homelab/replication/101-0"), "its node has not said anything");
    stage.parts("pve1").replication = Part::fetched((), at(0));
    for (fail_count, age, raised) in
        [(0, 600, false), (1, 600, false), (2, 600, true), (0, 4000, true), (0, 3200, false)]
    {
        stage.snapshot.replication = Part::fetched(vec![job(fail_count, age)], at(0));
        assert_eq!(!stage.read().is_empty(), raised, "{fail_count} {age}");
    }
    stage.snapshot.replication = Part::fetched(vec![job(3, 7200)], at(0));
    assert_eq!(line(&stage.found("replication")), "replication of web-01 (101) to pve2 failed 3 times in a row");
    // That nobody asked for ten minutes does not make it older.
    stage.snapshot.replication = Part::fetched(vec![job(0, 3000)], at(0));
    stage.pass(600);
    assert_eq!(stage.read(), [""; 0]);
    let disabled = ReplicationJob { is_disabled: true, ..job(9, 90_000) };
    stage.snapshot.replication = Part::fetched(vec![disabled], at(0));
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn a_failed_backup_names_its_guests_and_ends_with_their_next() {
    let mut stage = Stage::new();
    stage.task("pve1", "vzdump", "", "root@pam", -600, Some((-300, "job errors")));
    stage.observe();
    let upid = stage.memory.failed_backups["pve1"].upid.clone();
    stage.advance(10);
    let log = BackupFailure {
        guests: vec![(101, "write error: No space left on device".into())],
        reason: None,
        storage: Some("nas".into()),
    };
    stage.slow().backup_logs.insert(upid, Part::fetched(log, at(10)));
    stage.observe();
    assert_eq!(stage.read(), ["warning backup_failed:homelab/task/vzdump/pve1"]);
    let finding = stage.found("backup_failed");
    assert_eq!(line(&finding), "backup of web-01 (101) failed");
    assert!(finding.before.unwrap().contains("No space left") && finding.meaning.unwrap().contains("full"));
    // Another job's good run on the same node is not the same guests'.
    let shelf = |newest: i64| Part::fetched(Shelf { newest: [(101, T0 + newest)].into(), count: 1 }, at(20));
    stage.slow().shelves.insert("nas".into(), shelf(-90_000));
    stage.task("pve1", "vzdump", "", "root@pam", 20, Some((30, "OK")));
    stage.pass(30);
    assert_eq!(stage.read(), ["warning backup_failed:homelab/task/vzdump/pve1"]);
    stage.slow().shelves.insert("nas".into(), shelf(35));
    stage.pass(10);
    assert_eq!(stage.read(), [""; 0]);
    // The failed task is still in the list, and stays history; so does one of last week.
    stage.pass(5000);
    stage.task("pve2", "vzdump", "", "root@pam", -700_000, Some((-699_000, "job errors")));
    stage.pass(10);
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn a_failed_backup_without_a_log_is_told_after_a_while_and_ends_with_a_good_run() {
    let mut stage = Stage::new();
    stage.task("pve1", "vzdump", "102", "alice@pve", -60, Some((-5, "interrupted by signal")));
    stage.observe();
    assert!(stage.is_unseen("backup_failed", "homelab/task/vzdump/102"));
    stage.pass(60);
    assert_eq!(stage.read(), ["warning backup_failed:homelab/task/vzdump/102"]);
    assert_eq!(line(&stage.found("backup_failed")), "backup of db-01 (102) failed");
    stage.task("pve1", "vzdump", "102", "alice@pve", 100, Some((120, "WARNINGS: 1")));
    stage.pass(60);
    assert_eq!(stage.read(), [""; 0], "warnings are good enough");
}

fn job(schedule: &str) -> BackupJob {
    BackupJob {
        id: "backup-nightly".into(),
        is_enabled: true,
        schedule: Some(schedule.into()),
        storage: Some("nas".into()),
        node: None,
        selection: BackupSelection::All { except: Vec::new() },
        mode: None,
        next_run_s: None,
        comment: None,
    }
}

#[test]
fn backups_that_are_too_old() {
    let mut stage = Stage::new();
    stage.snapshot.backup_jobs = Part::fetched(vec![job("02:00")], at(0));
    let object = "homelab/backup-job/backup-nightly";
    assert!(stage.is_unseen("backup_stale", object), "the storage has not been looked at");
    let shelf = |web: Option<i64>, db: Option<i64>| {
        let newest = [(101, web), (102, db)].into_iter().filter_map(|(vmid, hours)| Some((vmid, T0 - hours? * 3600)));
        Part::fetched(Shelf { newest: newest.collect(), count: 9 }, at(0))
    };
    for (web, db, raised) in [
        (Some(10), Some(10), ""),
        (Some(29), Some(10), ""),
        (Some(31), Some(10), "warning backup_stale:homelab/backup-job/backup-nightly"),
        // Nobody has seen a backup of it, and HAIA has known it for longer than the job allows… or not.
        (Some(10), None, ""),
    ] {
        stage.slow().shelves.insert("nas".into(), shelf(web, db));
        assert_eq!(stage.read().join(""), raised, "{web:?} {db:?}");
    }
    stage.guest(102).known_since = at(-200_000);
    assert_eq!(stage.read(), ["warning backup_stale:homelab/backup-job/backup-nightly"]);
    assert_eq!(line(&stage.found("backup_stale")), "backup job backup-nightly has no backup of db-01 (102)");
    // A token that may not see backups gets an empty list.
    stage.slow().shelves.insert("nas".into(), Part::fetched(Shelf::default(), at(0)));
    assert!(stage.is_unseen("backup_stale", object) && stage.read().is_empty());
    // A weekly job has more time.
    stage.snapshot.backup_jobs = Part::fetched(vec![job("sat 02:00")], at(0));
    stage.slow().shelves.insert("nas".into(), shelf(Some(150), Some(150)));
    assert_eq!(stage.read(), [""; 0]);
    let off = BackupJob { is_enabled: false, ..job("02:00") };
    stage.snapshot.backup_jobs = Part::fetched(vec![off], at(0));
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn guests_without_a_job_are_for_the_digest() {
    let mut stage = Stage::new();
    stage.slow().not_backed_up = Part::fetched(vec![101, 102, 999], at(0));
    assert_eq!(stage.read(), ["info backup_stale:homelab/guests-without-backup-job"]);
    assert_eq!(line(&stage.found("backup_stale")), "2 guests are in no backup job");
    stage.book(r#"{"rules":{"backup_stale":{"except":[{"vmid":101},{"name":"db-*"}]}}}"#);
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn other_tasks_that_failed() {
    let mut stage = Stage::new();
    stage.task("pve1", "qmigrate", "101", "root@pam", -100, Some((-60, "migration problems")));
    stage.task("pve2", "aptupdate", "", "root@pam", -100, Some((-60, "command failed")));
    stage.task("pve2", "vncproxy", "101", "root@pam", -100, Some((-60, "connection lost")));
    assert_eq!(
        stage.read(),
        ["info task_failed:homelab/task/qmigrate/101", "info task_failed:homelab/task/aptupdate/pve2"]
    );
    let finding = &stage.findings()[0];
    assert_eq!(line(finding), "migration of web-01 (101) failed");
    stage.task("pve1", "qmigrate", "101", "root@pam", -50, Some((-30, "OK")));
    assert_eq!(stage.read(), ["info task_failed:homelab/task/aptupdate/pve2"], "it went well since");
    stage.pass(4000);
    assert_eq!(stage.read(), [""; 0]);
}
