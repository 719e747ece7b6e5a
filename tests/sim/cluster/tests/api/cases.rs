//! Every rule has its cases, and each case shows and ends in the figures that the rule reads.

use crate::boxed::Boxed;
use serde_json::Value;
use sim_cluster::{Fault, FaultRule, Incident, Script, SimConfig, Version};

const RULES: [&str; 31] = [
    "node_down",
    "quorum_lost",
    "api_blind",
    "guest_crashed",
    "guest_stopped",
    "restart_loop",
    "guest_error",
    "guest_lock_stuck",
    "no_data",
    "node_cpu",
    "node_memory",
    "guest_cpu",
    "guest_memory",
    "guest_disk",
    "storage_usage",
    "storage_inactive",
    "thin_metadata",
    "ceph_health",
    "osd_down",
    "zfs_pool",
    "disk_health",
    "backup_failed",
    "backup_stale",
    "replication",
    "ha_error",
    "certificate",
    "snapshot_old",
    "time_drift",
    "task_failed",
    "updates",
    "subscription",
];

/// What the API tells that rules read, from the second node's calls and the cluster's.
fn picture(lab: &mut Boxed) -> Vec<Value> {
    let mut paths: Vec<String> = ["resources", "status", "tasks", "ceph/status", "ha/status/current"]
        .iter()
        .map(|path| format!("/cluster/{path}"))
        .collect();
    let calls = [
        "storage",
        "disks/lvmthin",
        "disks/zfs/rpool",
        "disks/list",
        "certificates/info",
        "time",
        "subscription",
        "apt/update",
        "status",
    ];
    paths.extend(calls.iter().map(|call| format!("/nodes/pve2/{call}")));
    paths.push("/nodes/pve1/replication".into());
    paths.push("/nodes/pve1/qemu/103/snapshot".into());
    paths.push("/nodes/pve1/storage/pbs/content?content=backup".into());
    paths.iter().map(|path| lab.0.answer(path).data()).collect()
}

#[test]
fn every_rule_has_cases_that_show() {
    for rule in RULES {
        let cases = Script::cases(rule);
        assert!(!cases.is_empty(), "{rule}");
        for case in cases {
            let access = sim_cluster::Access::auditor().with("/", &["Sys.Modify"]);
            let config = SimConfig { access, ..SimConfig::default() };
            let (mut calm, mut lab) = (Boxed::of(config.clone()), Boxed::of(config));
            for incident in &case.begin {
                lab.happen(incident.clone());
            }
            // Long enough for tasks to end and for a night's backups to be missed.
            for stage in [&mut calm, &mut lab] {
                stage.pass(16 * 3_600);
            }
            assert_ne!(picture(&mut calm), picture(&mut lab), "{rule}: {}", case.name);
            for incident in &case.end {
                lab.happen(incident.clone());
            }
            lab.pass(900);
            assert_eq!(lab.0.answer("/version").status, 200, "{rule}: {}", case.name);
        }
    }
    assert!(Script::cases("job_failed").is_empty(), "no cluster can show it");
}

#[test]
fn what_ends_is_as_before() {
    for rule in RULES {
        for case in Script::cases(rule) {
            let mut lab = Boxed::homelab();
            let health = |lab: &mut Boxed| {
                let rows = lab.rows("/cluster/resources");
                let states: Vec<(String, String)> =
                    rows.iter().map(|row| (row["id"].to_string(), row["status"].to_string())).collect();
                let ceph = lab.data("/cluster/ceph/status")["health"]["status"].clone();
                let zfs = lab.data("/nodes/pve2/disks/zfs")[0]["health"].clone();
                let fails = lab.data("/nodes/pve1/replication")[0]["fail_count"].clone();
                (states, ceph, zfs, fails, lab.data("/cluster/status")[0]["quorate"].clone())
            };
            let before = health(&mut lab);
            for incident in &case.begin {
                lab.happen(incident.clone());
            }
            lab.pass(3_600);
            for incident in &case.end {
                lab.happen(incident.clone());
            }
            lab.pass(3_600);
            assert_eq!(health(&mut lab), before, "{rule}: {}", case.name);
        }
    }
}

#[test]
fn a_restart_loop_has_boots_with_and_without_tasks() {
    for (rule_case, id, tasks) in [(0, "qemu/118", 6), (1, "lxc/123", 0)] {
        let mut lab = Boxed::homelab();
        let (mut boots, mut last) = (0, lab.row(id)["uptime"].as_i64());
        lab.happen(Script::cases("restart_loop")[rule_case].begin[0].clone());
        for _ in 0..90 {
            lab.pass(10);
            let row = lab.row(id);
            let uptime = row["uptime"].as_i64();
            boots += usize::from(row["status"] == "running" && uptime < last);
            last = uptime.filter(|uptime| *uptime > 0).or(Some(i64::MAX));
        }
        assert_eq!(boots, 6, "{id}");
        let vmid = id.split('/').nth(1).unwrap_or_default().to_owned();
        assert_eq!(lab.tasks_of(&vmid).len(), tasks, "{id}");
    }
}

#[test]
fn a_muted_check_shows_and_does_not_count() {
    let mut lab = Boxed::homelab();
    lab.happen(Incident::OsdDown { osd: 3 });
    let health = |lab: &mut Boxed| lab.data("/cluster/ceph/status")["health"].clone();
    assert_eq!(health(&mut lab)["status"], "HEALTH_WARN");
    for code in ["OSD_DOWN", "PG_DEGRADED"] {
        lab.happen(Incident::CephMuted { code: code.into(), on: true });
    }
    let muted = health(&mut lab);
    assert_eq!((&muted["status"], &muted["checks"]["OSD_DOWN"]["muted"]), (&"HEALTH_OK".into(), &true.into()));
    assert_eq!(muted["mutes"].as_array().map(Vec::len), Some(2));
    lab.happen(Incident::OsdOut { osd: 3, on: true });
    let map = lab.data("/cluster/ceph/status")["osdmap"].clone();
    assert_eq!((&map["num_osds"], &map["num_up_osds"], &map["num_in_osds"]), (&6.into(), &5.into(), &5.into()));
    lab.happen(Incident::NodeDown { node: "pve2".into() });
    assert!(health(&mut lab)["checks"].get("MON_DOWN").is_some());
}

#[test]
fn memory_that_the_cache_holds_is_available() {
    let mut lab = Boxed::homelab();
    lab.happen(Incident::NodeCache { node: "pve2".into(), share: 0.5 });
    let row = lab.row("node/pve2");
    let part = |row: &Value, of: &str, all: &str| row[of].as_f64().unwrap_or(0.0) / row[all].as_f64().unwrap_or(1.0);
    assert!(part(&row, "mem", "maxmem") > 0.95, "{row}");
    let memory = lab.data("/nodes/pve2/status")["memory"].clone();
    assert!(part(&memory, "available", "total") > 0.3, "{memory}");
    lab.happen(Incident::NodeMemory { node: "pve2".into(), used: Some(0.94) });
    let memory = lab.data("/nodes/pve2/status")["memory"].clone();
    assert!(part(&memory, "available", "total") < 0.07, "{memory}");
    let mut old = Boxed::of(SimConfig { version: Version::V8, ..SimConfig::default() });
    assert!(old.data("/nodes/pve2/status")["memory"].get("available").is_none());
    assert!(old.row("qemu/103").get("memhost").is_none());
    assert_eq!(old.data("/version")["release"], "8.4");
    let mut older = Boxed::of(SimConfig { version: Version::V7, ..SimConfig::default() });
    assert!(older.rows("/nodes/pve1/lxc")[0]["vmid"].is_string());
    assert!(older.rows("/cluster/resources").iter().any(|row| row["type"] == "sdn"));
}

#[test]
fn a_guest_that_stops_behind_a_silent_node_stays_as_it_was() {
    let mut lab = Boxed::homelab();
    lab.happen(Incident::PvestatdStuck { node: "pve1".into(), on: true });
    lab.happen(Incident::GuestCrashes { vmid: 101 });
    lab.pass(60);
    assert_eq!(lab.status("qemu/101"), "running", "nobody has told yet");
    assert_eq!(lab.data("/nodes/pve1/qemu/101/status/current")["status"], "stopped", "the node itself knows");
    lab.happen(Incident::PvestatdStuck { node: "pve1".into(), on: false });
    assert_eq!(lab.status("qemu/101"), "stopped");
}

#[test]
fn a_boot_is_silent_at_first_and_starts_guests_one_by_one() {
    let mut lab = Boxed::homelab();
    lab.happen(Incident::NodeReboots { node: "pve2".into(), user: "anna@pve".into(), seconds: 400 });
    lab.pass(14);
    assert_eq!(lab.status("qemu/102"), "stopped");
    lab.pass(2);
    assert_eq!(lab.status("node/pve2"), "offline");
    lab.pass(400);
    assert_eq!(lab.data("/cluster/status")[2]["online"], 1);
    assert_eq!((lab.status("node/pve2"), lab.status("qemu/102")), ("unknown".into(), "unknown".into()));
    let running = |lab: &mut Boxed| {
        let rows = lab.rows("/cluster/resources?type=vm");
        rows.iter().filter(|row| row["node"] == "pve2" && row["status"] == "running").count()
    };
    lab.pass(12);
    let first = running(&mut lab);
    lab.pass(6);
    let second = running(&mut lab);
    lab.pass(60);
    assert!(first < second && second < running(&mut lab), "{first}, {second}");
    let service = lab.rows("/cluster/ha/status/current").into_iter().find(|row| row["sid"] == "vm:110");
    let service = service.expect("the service");
    assert_eq!((&service["node"], &service["state"]), (&"pve2".into(), &"started".into()), "it waited for its node");
}

#[test]
fn a_node_that_is_soon_back_shows_its_old_figures_until_it_reports() {
    let mut lab = Boxed::homelab();
    let before = lab.row("node/pve2")["uptime"].as_i64();
    lab.happen(Incident::NodeDown { node: "pve2".into() });
    lab.pass(60);
    assert!(lab.row("node/pve2").get("uptime").is_none());
    lab.happen(Incident::NodeReturns { node: "pve2".into() });
    let row = lab.row("node/pve2");
    assert_eq!((row["status"].as_str(), row["uptime"].as_i64()), (Some("online"), before));
    assert_eq!(lab.status("qemu/102"), "running", "as it last was");
    lab.pass(12);
    assert_eq!(lab.row("node/pve2")["uptime"], 12);
}

#[test]
fn maintenance_sends_services_away_and_home() {
    let mut lab = Boxed::homelab();
    let maintenance = |on| Incident::NodeMaintenance { node: "pve2".into(), on };
    lab.happen(maintenance(true));
    lab.pass(40);
    assert_ne!(lab.row("qemu/110")["node"], "pve2");
    let lrm = lab.rows("/cluster/ha/status/current").into_iter().find(|row| row["id"] == "lrm:pve2");
    assert!(lrm.is_some_and(|row| row["status"].to_string().contains("maintenance mode")));
    lab.happen(maintenance(false));
    lab.pass(40);
    assert_eq!(lab.row("qemu/110")["node"], "pve2");
}

#[test]
fn replication_fails_while_its_target_is_down() {
    let mut lab = Boxed::homelab();
    let fails = |lab: &mut Boxed| lab.data("/nodes/pve1/replication")[0]["fail_count"].clone();
    lab.happen(Incident::NodeDown { node: "pve2".into() });
    lab.pass(60);
    assert_eq!(fails(&mut lab), 0, "its next run has not come yet");
    lab.pass(1_500);
    assert!(fails(&mut lab).as_i64() >= Some(2));
    lab.happen(Incident::NodeReturns { node: "pve2".into() });
    assert_eq!(fails(&mut lab), 0);
}

#[test]
fn a_backup_says_what_went_wrong_in_each_way() {
    let mut lab = Boxed::homelab();
    let newest = |lab: &mut Boxed, filter: &str| {
        let task = lab.rows(&format!("/nodes/pve2/tasks?typefilter=vzdump{filter}"))[0].clone();
        let upid = task["upid"].as_str().expect("a UPID").to_owned();
        (task["status"].as_str().unwrap_or_default().to_owned(), lab.log(&upid))
    };
    let job = || "backup-nightly".to_owned();
    let reason = || "timed out".to_owned();
    lab.happen(Incident::BackupsFail { job: job(), vmids: vec![102, 104], reason: reason() });
    lab.pass(900);
    let (status, log) = newest(&mut lab, "");
    assert_eq!(status, "job errors");
    for vmid in [102, 104] {
        assert!(log.contains(&format!("ERROR: Backup of VM {vmid} failed - timed out")), "{log:#?}");
    }
    lab.happen(Incident::BackupWarns { job: job(), vmid: 104 });
    lab.pass(900);
    let (status, log) = newest(&mut lab, "&statusfilter=warning");
    assert!(status == "WARNINGS: 1" && log.last().is_some_and(|line| line == "TASK WARNINGS: 1"), "{log:#?}");
    lab.happen(Incident::StorageInactive { storage: "pbs".into(), node: None });
    lab.happen(Incident::BackupRuns { job: job() });
    lab.pass(5);
    assert_eq!(newest(&mut lab, "").0, "could not activate storage 'pbs': storage 'pbs' is not online");
    lab.happen(Incident::StorageActive { storage: "pbs".into() });
    lab.happen(Incident::BackupsHeld { job: job(), on: true });
    let count = |lab: &mut Boxed| lab.rows("/nodes/pve2/tasks?typefilter=vzdump&limit=500").len();
    let before = count(&mut lab);
    lab.pass(5 * 86_400);
    assert_eq!(count(&mut lab), before, "the job is enabled, and does not run");
    assert!(lab.rows("/cluster/backup")[0].get("enabled").is_none());
}

#[test]
fn faults_end_by_themselves_and_hiccups_leave_guests_out() {
    let mut lab = Boxed::homelab();
    let fault = |fault, seconds| Incident::FaultBegins { rule: FaultRule::always(fault), seconds };
    lab.happen(fault(Fault::FewerRows, Some(15)));
    let guests = |lab: &mut Boxed| lab.rows("/cluster/resources?type=vm").len();
    assert!(guests(&mut lab) < 25);
    lab.pass(15);
    assert_eq!(guests(&mut lab), 31);
    lab.happen(fault(Fault::Unauthorized, None));
    assert_eq!(lab.0.answer("/version").status, 401);
    lab.happen(Incident::FaultsEnd);
    assert_eq!(lab.0.answer("/version").status, 200);
    lab.happen(fault(Fault::Hang, Some(60)));
    assert_eq!(lab.0.answer("/version").status, 0);
}
