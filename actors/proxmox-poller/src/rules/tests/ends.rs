//! How each rule says that something ended, in the words of a person; and that nothing is said of what cannot be seen.

use super::line;
use super::stage::{Stage, T0};
use crate::decode::{
    Certificate, Disk, NodeDetail, NodeStorage, Osd, Subscription, ThinPool, ZfsMember, ZfsPool, ZfsState,
};
use crate::model::{
    BackupJob, BackupSelection, CephCheck, CephStatus, GuestState, HaManager, HaResource, HaStatus, NodeState, Part,
    ReplicationJob, Shelf, Snapshot, StorageState,
};
use contract::alerts::{Finding, Reading};

/// What happens to the stage.
type Turn = fn(&mut Stage);

/// Remembers what is judged, as the watch does.
fn judge(stage: &mut Stage) -> Vec<Finding> {
    let judged = stage.judged();
    let now = stage.snapshot.taken_at;
    stage.memory.judged(&judged, now);
    judged.into_iter().flat_map(|one| one.findings).collect()
}

fn is_end(finding: &Finding) -> bool {
    !finding.levels.is_empty() && finding.levels.iter().all(|level| level.reading == Reading::Clear)
}

/// What is said of the ends of a rule's findings after `begin` and `end`.
fn ends(rule: &str, begin: Turn, end: Turn) -> Vec<String> {
    let mut stage = Stage::new();
    stage.book(r#"{"rules":{"updates":{"enabled":true},"subscription":{"enabled":true}}}"#);
    begin(&mut stage);
    let raised = judge(&mut stage);
    assert!(raised.iter().any(|finding| &*finding.rule == rule && finding.raised().is_some()), "{rule}: {raised:?}");
    end(&mut stage);
    let after = judge(&mut stage);
    assert!(!after.iter().any(|finding| &*finding.rule == rule && finding.raised().is_some()), "{rule}: {after:?}");
    after.iter().filter(|finding| &*finding.rule == rule && is_end(finding)).map(line).collect()
}

fn part<T>(stage: &Stage, value: T) -> Part<T> {
    Part::fetched(value, stage.snapshot.taken_at)
}

fn parts(stage: &mut Stage, set: impl FnOnce(&mut crate::model::NodeParts, jiff::Timestamp)) {
    let now = stage.snapshot.taken_at;
    set(stage.parts("pve1"), now);
}

fn node_goes(stage: &mut Stage) {
    stage.node("pve1").state = NodeState::Offline;
}

fn node_leaves(stage: &mut Stage) {
    stage.snapshot.nodes.retain(|node| &*node.name != "pve1");
    stage.observe();
}

fn guest_leaves(stage: &mut Stage) {
    stage.snapshot.guests.retain(|guest| guest.vmid != 101);
    stage.observe();
}

fn quorum(stage: &mut Stage, is_quorate: bool) {
    stage.snapshot.quorum.as_mut().unwrap().is_quorate = is_quorate;
}

fn always_on_stops(stage: &mut Stage) {
    stage.guest(101).tags = ["always-on".into()].into();
    stage.task("pve1", "qmshutdown", "101", "anna@pve", 2, Some((9, "OK")));
    stage.stop(101);
}

fn restarts(stage: &mut Stage) {
    for _ in 0..5 {
        stage.stop(101);
        stage.pass(10);
        stage.turn(101, GuestState::Running);
        stage.pass(10);
    }
}

fn fails(stage: &mut Stage) {
    stage.turn(101, GuestState::Failed("io-error".into()));
}

fn runs(stage: &mut Stage) {
    stage.turn(101, GuestState::Running);
}

fn used(stage: &mut Stage, figure: u64) {
    stage.snapshot.storages[0].used_bytes = Some(figure);
}

fn told(stage: &mut Stage, is_active: bool, is_enabled: bool) {
    let storage = NodeStorage {
        name: "nas".into(),
        kind: None,
        content: None,
        is_active,
        is_enabled,
        is_shared: true,
        total_bytes: None,
        used_bytes: None,
    };
    for name in ["pve1", "pve2", "pve3"] {
        let part = part(stage, vec![storage.clone()]);
        stage.parts(name).storages = part;
    }
}

fn node_memory(stage: &mut Stage, available: u64) {
    stage.node("pve1").memory_bytes = Some(98);
    let (total, available) = (Some(100), Some(available));
    let detail = NodeDetail { memory_total_bytes: total, memory_available_bytes: available, ..NodeDetail::default() };
    parts(stage, |parts, now| parts.detail = Part::fetched(detail, now));
}

fn metadata(stage: &mut Stage, used: u64) {
    let pool = ThinPool {
        name: "data".into(),
        volume_group: Some("pve".into()),
        size_bytes: Some(100),
        used_bytes: Some(10),
        metadata_bytes: Some(100),
        metadata_used_bytes: Some(used),
    };
    parts(stage, |parts, now| parts.thin_pools = Part::fetched(vec![pool], now));
}

fn ceph(stage: &mut Stage, code: &str, is_muted: bool) {
    let check = CephCheck { code: code.into(), severity: "HEALTH_WARN".into(), message: "something".into(), is_muted };
    let checks = if code.is_empty() { Vec::new() } else { vec![check] };
    let ceph = CephStatus { health: "HEALTH_OK".into(), checks, ..CephStatus::default() };
    stage.snapshot.ceph = part(stage, ceph);
}

fn osds(stage: &mut Stage, up: u32, taking: u32) {
    let all = Some(6);
    let ceph = CephStatus {
        health: "HEALTH_OK".into(),
        osds: all,
        osds_up: Some(up),
        osds_in: Some(taking),
        ..CephStatus::default()
    };
    stage.snapshot.ceph = part(stage, ceph);
    let osd = Osd { name: "osd.3".into(), host: Some("pve2".into()), is_up: up == 6, is_in: true, used_percent: None };
    let osds = part(stage, vec![osd]);
    stage.slow().osds = osds;
}

fn zfs(stage: &mut Stage, health: &str, errors: u64) {
    let pool = ZfsPool {
        name: "rpool".into(),
        health: Some(health.into()),
        size_bytes: None,
        used_bytes: None,
        fragmented_percent: None,
    };
    let ill = match errors {
        0 => Vec::new(),
        errors => vec![ZfsMember { name: "sda".into(), state: "ONLINE".into(), errors }],
    };
    parts(stage, |parts, now| {
        parts.zfs_pools = Part::fetched(vec![pool], now);
        parts.zfs_states.insert("rpool".into(), Part::fetched(ZfsState { ill, ..ZfsState::default() }, now));
    });
}

fn disk(stage: &mut Stage, health: &str, life_left_percent: Option<f64>) {
    let disk = Disk {
        device: "/dev/sda".into(),
        kind: None,
        size_bytes: None,
        model: None,
        serial: None,
        health: Some(health.into()),
        life_left_percent,
        used_for: None,
        osd: None,
    };
    parts(stage, |parts, now| parts.disks = Part::fetched(vec![disk], now));
}

fn backup_fails(stage: &mut Stage) {
    stage.task("pve1", "vzdump", "101", "anna@pve", -120, Some((-90, "interrupted by signal")));
    stage.pass(60);
}

fn job(is_enabled: bool) -> BackupJob {
    BackupJob {
        id: "nightly".into(),
        is_enabled,
        schedule: Some("02:00".into()),
        storage: Some("nas".into()),
        node: None,
        selection: BackupSelection::All { except: Vec::new() },
        mode: None,
        next_run_s: None,
        comment: None,
    }
}

fn backups(stage: &mut Stage, hours_ago: i64, jobs: Vec<BackupJob>) {
    stage.snapshot.backup_jobs = part(stage, jobs);
    let newest = [101, 102].map(|vmid| (vmid, T0 - hours_ago * 3600)).into();
    let shelf = part(stage, Shelf { newest, count: 2 });
    stage.slow().shelves.insert("nas".into(), shelf);
}

fn without_job(stage: &mut Stage, vmids: &[u32]) {
    let vmids = part(stage, vmids.to_vec());
    stage.slow().not_backed_up = vmids;
}

fn replication(stage: &mut Stage, fail_count: u32, is_disabled: bool) {
    let job = ReplicationJob {
        id: "101-0".into(),
        vmid: Some(101),
        source: "pve1".into(),
        target: "pve2".into(),
        schedule: None,
        is_disabled,
        fail_count,
        error: None,
        last_sync_s: Some(T0),
        last_try_s: None,
        next_sync_s: None,
        duration_s: None,
        is_running: false,
    };
    stage.snapshot.replication = part(stage, vec![job]);
    parts(stage, |parts, now| parts.replication = Part::fetched((), now));
}

fn ha(stage: &mut Stage, state: &str, lrm: &str) {
    let resource = HaResource { id: "vm:101".into(), node: None, state: state.into(), wanted: None, status: None };
    let manager = HaManager { kind: "lrm".into(), node: Some("pve2".into()), status: lrm.into() };
    stage.snapshot.ha = part(stage, HaStatus { managers: vec![manager], resources: vec![resource] });
}

fn certificate(stage: &mut Stage, days: i64) {
    let ends_s = Some(stage.snapshot.server_now_s(stage.snapshot.taken_at) + days * 86_400 + 60);
    let certificate = Certificate { file: "pve-ssl.pem".into(), ends_s, subject: None, issuer: None };
    parts(stage, |parts, now| parts.certificates = Part::fetched(vec![certificate], now));
}

fn snapshots(stage: &mut Stage, created: &[i64]) {
    let point = |days: &i64| crate::decode::SnapshotPoint {
        name: "before".into(),
        created_s: Some(T0 - days * 86_400),
        description: None,
        holds_memory: false,
        parent: None,
    };
    let points = part(stage, created.iter().map(point).collect::<Vec<_>>());
    let none = part(stage, Vec::new());
    let slow = stage.slow();
    slow.guests.entry(101).or_default().snapshots = points;
    slow.guests.entry(102).or_default().snapshots = none;
}

fn clocks(stage: &mut Stage, off: i64) {
    for (name, ahead) in [("pve1", 0), ("pve2", off), ("pve3", 0)] {
        let part = part(stage, ahead);
        stage.parts(name).clock_ahead_s = part;
    }
}

fn updates(stage: &mut Stage, packages: &[&str]) {
    let packages = packages.iter().map(|name| (*name).into()).collect();
    parts(stage, |parts, now| parts.updates = Part::fetched(packages, now));
}

fn subscription(stage: &mut Stage, status: &str) {
    let subscription = Subscription { status: status.into(), due: None };
    parts(stage, |parts, now| parts.subscription = Part::fetched(subscription, now));
}

fn grows(stage: &mut Stage) {
    stage.snapshot.storages[0].total_bytes = Some(10_000);
    for minute in 0..360 {
        used(stage, 6000 + minute * 5 / 2);
        stage.history.record(&stage.snapshot);
        stage.pass(60);
    }
}

fn is_pruned(stage: &mut Stage) {
    for _ in 0..420 {
        used(stage, 6100);
        stage.history.record(&stage.snapshot);
        stage.pass(60);
    }
}

const GONE: &str = "web-01 (101) is no longer in the cluster";
const LRM: &str = "pve2 (active, …)";

#[rustfmt::skip]
const TABLE: &[(&str, Turn, Turn, &str)] = &[
    ("node_down", node_goes, |stage| stage.node("pve1").state = NodeState::Online, "node pve1 is back"),
    ("node_down", node_goes, |stage| stage.node("pve1").state = NodeState::NoData, "node pve1 is back"),
    ("node_down", node_goes, node_leaves, "node pve1 is no longer in the cluster"),
    ("quorum_lost", |stage| quorum(stage, false), |stage| quorum(stage, true), "cluster homelab has quorum again"),
    ("guest_crashed", |stage| stage.stop(101), runs, "web-01 (101) is running again"),
    ("guest_crashed", |stage| stage.stop(101), |stage| { stage.guest(101).node = "pve2".into(); runs(stage) }, "web-01 (101) is running again on pve2"),
    ("guest_crashed", |stage| stage.stop(101), |stage| {
        stage.task("pve1", "qmstop", "101", "anna@pve", 7, Some((9, "OK")));
        stage.pass(10);
    }, "web-01 (101) was stopped by anna@pve, as a task shows"),
    ("guest_crashed", |stage| stage.stop(101), guest_leaves, GONE),
    ("guest_stopped", always_on_stops, runs, "web-01 (101) is running again"),
    ("restart_loop", restarts, |stage| stage.pass(700), "web-01 (101) runs steadily again"),
    ("guest_error", fails, runs, "web-01 (101) is running again"),
    ("guest_error", fails, |stage| stage.turn(101, GuestState::Stopped), "web-01 (101) is stopped now"),
    ("guest_error", fails, |stage| stage.turn(101, GuestState::Paused), "web-01 (101) is paused now"),
    ("guest_lock_stuck", |stage| stage.guest(101).lock = Some("backup".into()), |stage| stage.guest(101).lock = None, "web-01 (101) is unlocked"),
    ("guest_lock_stuck", |stage| stage.guest(101).lock = Some("backup".into()), |stage| stage.task("pve1", "vzdump", "101", "root@pam", 0, None), "web-01 (101) has a task at work again"),
    ("no_data", |stage| stage.node("pve1").state = NodeState::NoData, |stage| stage.node("pve1").state = NodeState::Online, "node pve1 gives data again"),
    ("no_data", |stage| stage.node("pve1").state = NodeState::NoData, node_goes, "node pve1 is down now"),
    ("node_cpu", |stage| stage.node("pve1").cpu = Some(0.95), |stage| stage.node("pve1").cpu = Some(0.123), "node pve1 is back to 12 % processor use"),
    ("node_memory", |stage| node_memory(stage, 5), |stage| node_memory(stage, 40), "node pve1 is back to 60 % memory use"),
    ("node_memory", |stage| node_memory(stage, 5), |stage| stage.node("pve1").memory_bytes = Some(50), "node pve1 is back to 50 % memory use"),
    ("guest_cpu", |stage| stage.guest(101).cpu = Some(0.95), |stage| stage.guest(101).cpu = Some(0.1), "web-01 (101) is back to 10 % processor use"),
    ("guest_cpu", |stage| stage.guest(101).cpu = Some(0.95), |stage| stage.stop(101), "web-01 (101) is stopped now"),
    ("guest_memory", |stage| stage.guest(101).memory_bytes = Some(95), |stage| stage.guest(101).memory_bytes = Some(60), "web-01 (101) is back to 60 % memory use"),
    ("guest_disk", |stage| stage.guest(102).disk_bytes = Some(96), |stage| stage.guest(102).disk_bytes = Some(71), "db-01 (102) has room again: its root disk is 71 % full"),
    ("storage_usage", |stage| used(stage, 96), |stage| used(stage, 71), "storage nas is back to 71 %"),
    ("storage_usage", grows, is_pruned, "storage nas is no longer about to be full (61 % now)"),
    ("storage_usage", |stage| used(stage, 96), |stage| drop(stage.snapshot.storages.remove(0)), "storage nas was removed or switched off"),
    ("storage_inactive", |stage| told(stage, false, true), |stage| told(stage, true, true), "storage nas can be used again"),
    ("storage_inactive", |stage| told(stage, false, true), |stage| told(stage, false, false), "storage nas was switched off"),
    ("thin_metadata", |stage| metadata(stage, 92), |stage| metadata(stage, 60), "thin pool data on pve1 is back to 60 % metadata use"),
    ("ceph_health", |stage| ceph(stage, "X", false), |stage| ceph(stage, "", false), "Ceph of homelab is healthy again"),
    ("ceph_health", |stage| ceph(stage, "X", false), |stage| ceph(stage, "X", true), "Ceph of homelab is healthy but for muted checks"),
    ("osd_down", |stage| osds(stage, 5, 6), |stage| osds(stage, 6, 6), "Ceph of homelab has all 6 storage daemons up again"),
    ("osd_down", |stage| osds(stage, 5, 6), |stage| osds(stage, 5, 5), "Ceph of homelab goes on without 1 storage daemon"),
    ("zfs_pool", |stage| zfs(stage, "DEGRADED", 0), |stage| zfs(stage, "ONLINE", 0), "ZFS pool rpool on pve1 is healthy again"),
    ("zfs_pool", |stage| zfs(stage, "ONLINE", 3), |stage| zfs(stage, "ONLINE", 0), "ZFS pool rpool on pve1 is healthy again"),
    ("zfs_pool", |stage| zfs(stage, "DEGRADED", 0), node_leaves, "ZFS pool rpool on pve1 is no longer in the cluster"),
    ("disk_health", |stage| disk(stage, "FAILED", None), |stage| disk(stage, "PASSED", Some(98.0)), "disk sda on pve1 passes SMART again"),
    ("disk_health", |stage| disk(stage, "PASSED", Some(4.0)), |stage| disk(stage, "PASSED", Some(98.0)), "disk sda on pve1 has 98 % of its life again"),
    ("disk_health", |stage| disk(stage, "FAILED", None), |stage| parts(stage, |parts, now| parts.disks = Part::fetched(Vec::new(), now)), "disk sda on pve1 was taken out"),
    ("backup_failed", backup_fails, |stage| {
        stage.task("pve1", "vzdump", "101", "anna@pve", 70, Some((90, "OK")));
        stage.pass(60);
    }, "backup of web-01 (101) has succeeded again"),
    ("backup_stale", |stage| backups(stage, 60, vec![job(true)]), |stage| backups(stage, 3, vec![job(true)]), "backup job nightly has a fresh backup of every guest again"),
    ("backup_stale", |stage| backups(stage, 60, vec![job(true)]), |stage| backups(stage, 60, vec![job(false)]), "backup job nightly was switched off"),
    ("backup_stale", |stage| backups(stage, 60, vec![job(true)]), |stage| backups(stage, 60, Vec::new()), "backup job nightly was removed"),
    ("backup_stale", |stage| without_job(stage, &[101, 102]), |stage| without_job(stage, &[]), "2 guests are now in a backup job"),
    ("backup_stale", |stage| without_job(stage, &[101]), |stage| without_job(stage, &[]), "1 guest is now in a backup job"),
    ("replication", |stage| replication(stage, 3, false), |stage| replication(stage, 0, false), "replication of web-01 (101) to pve2 works again"),
    ("replication", |stage| replication(stage, 3, false), |stage| replication(stage, 3, true), "replication of web-01 (101) to pve2 was switched off"),
    ("ha_error", |stage| ha(stage, "error", LRM), |stage| ha(stage, "started", LRM), "web-01 (101) is running under HA again"),
    ("ha_error", |stage| ha(stage, "error", LRM), |stage| ha(stage, "ignored", LRM), "web-01 (101) is not managed by HA any more"),
    ("ha_error", |stage| ha(stage, "started", "pve2 (old timestamp - dead?)"), |stage| ha(stage, "started", LRM), "node pve2 has a working HA manager again"),
    ("certificate", |stage| certificate(stage, 2), |stage| certificate(stage, 700), "certificate of pve1 was renewed (700 days left)"),
    ("snapshot_old", |stage| snapshots(stage, &[45]), |stage| snapshots(stage, &[]), "web-01 (101) has no old snapshot any more"),
    ("time_drift", |stage| clocks(stage, 40), |stage| clocks(stage, 0), "node pve2 has the right time again"),
    ("task_failed", |stage| stage.task("pve1", "qmigrate", "101", "anna@pve", -60, Some((-50, "no"))), |stage| {
        stage.task("pve1", "qmigrate", "101", "anna@pve", -20, Some((-10, "OK")));
    }, "migration of web-01 (101) has succeeded since"),
    ("updates", |stage| updates(stage, &["bash"]), |stage| updates(stage, &[]), "node pve1 is up to date"),
    ("subscription", |stage| subscription(stage, "expired"), |stage| subscription(stage, "active"), "node pve1 has an active subscription"),
];

#[test]
fn every_end_is_told_in_words() {
    for (rule, begin, end, said) in TABLE {
        assert_eq!(ends(rule, *begin, *end), [*said], "{rule}");
    }
    for info in crate::rules::rule_infos().filter(|info| info.name != "api_blind") {
        assert!(TABLE.iter().any(|(rule, ..)| *rule == info.name), "{} has no end", info.name);
    }
}

#[test]
fn a_cluster_that_is_seen_again_says_so() {
    for (is_refused, said) in
        [(false, "cluster homelab can be seen again"), (true, "cluster homelab lets HAIA in again")]
    {
        let mut stage = Stage::new();
        let now = stage.snapshot.taken_at;
        stage.memory.failed(now, now, is_refused, "no answer");
        let book = contract::monitor::RuleBook::default();
        let judged = crate::rules::judge_failed(&"homelab".into(), &stage.memory, &book).unwrap();
        stage.memory.judged(&[judged], now);
        stage.pass(10);
        let ends: Vec<String> = judge(&mut stage).iter().filter(|finding| is_end(finding)).map(line).collect();
        assert_eq!(ends, [said]);
    }
}

#[test]
fn the_last_figure_counts_until_it_is_over_and_then_nothing_is_said() {
    let mut stage = Stage::new();
    used(&mut stage, 96);
    judge(&mut stage);
    used(&mut stage, 71);
    judge(&mut stage);
    stage.pass(60);
    used(&mut stage, 69);
    let told: Vec<Finding> = judge(&mut stage).into_iter().filter(is_end).collect();
    assert_eq!(told.iter().map(line).collect::<Vec<_>>(), ["storage nas is back to 69 %"]);
    // The same levels with the same times, so that it ends no sooner than without words.
    let levels: Vec<_> =
        told[0].levels.iter().map(|level| (level.severity.as_str(), level.clear_for.as_secs())).collect();
    assert_eq!(levels, [("warning", 120), ("critical", 120)]);
    stage.pass(1200);
    judge(&mut stage);
    assert_eq!(judge(&mut stage), [], "it was told");
    assert!(stage.memory.raised.is_empty());
}

#[test]
fn what_cannot_be_seen_or_is_left_alone_has_no_end() {
    let mut stage = Stage::new();
    used(&mut stage, 96);
    stage.guest(101).cpu = Some(0.95);
    assert_eq!(judge(&mut stage).len(), 2);
    // That its node gives data on it again is told as well.
    let has_end = |stage: &mut Stage| judge(stage).iter().any(|finding| is_end(finding) && &*finding.rule != "no_data");
    // Old figures, a guest without data.
    stage.snapshot.storages[0].state = StorageState::Unknown;
    stage.turn(101, GuestState::Unknown);
    assert!(!has_end(&mut stage));
    stage.snapshot.storages[0].state = StorageState::Available;
    stage.turn(101, GuestState::Running);
    judge(&mut stage);
    // Between the thresholds it is not over either.
    used(&mut stage, 84);
    stage.guest(101).cpu = Some(0.85);
    assert!(!has_end(&mut stage));
    // A rule that is switched off says nothing of how things are.
    stage.book(r#"{"rules":{"storage_usage":{"enabled":false},"guest_cpu":{"except":[{"vmid":101}]}}}"#);
    assert!(!has_end(&mut stage));
}

#[test]
fn what_was_found_is_remembered_over_a_restart() {
    let mut stage = Stage::new();
    let before = crate::memory::fingerprint(&stage.snapshot, &stage.memory);
    stage.stop(101);
    judge(&mut stage);
    stage.pass(60);
    judge(&mut stage);
    let text = crate::memory::pack(&stage.snapshot, &stage.memory);
    assert_ne!(before, crate::memory::fingerprint(&stage.snapshot, &stage.memory));
    stage.memory = crate::memory::unpack(&"homelab".into(), &text).unwrap().memory;
    runs(&mut stage);
    let ends: Vec<String> = judge(&mut stage).iter().filter(|finding| is_end(finding)).map(line).collect();
    assert_eq!(ends, ["web-01 (101) is running again"]);
}

/// The snapshot is only read: what a rule says of an end is a function of it and of what was found.
#[test]
fn saying_an_end_changes_nothing() {
    let mut stage = Stage::new();
    stage.stop(101);
    judge(&mut stage);
    runs(&mut stage);
    let before: Snapshot = stage.snapshot.clone();
    assert_eq!(stage.judged(), stage.judged());
    assert_eq!(stage.snapshot, before);
}

#[test]
fn beginnings_and_ends_fit_a_lock_screen() {
    for (rule, begin, _, end) in TABLE {
        let mut stage = Stage::new();
        stage.book(r#"{"rules":{"updates":{"enabled":true},"subscription":{"enabled":true}}}"#);
        begin(&mut stage);
        let found = judge(&mut stage);
        for finding in found.iter().filter(|finding| &*finding.rule == *rule) {
            let (title, meaning) = (line(finding), finding.meaning.clone().unwrap_or_default());
            assert!(title.chars().count() <= 80 && end.chars().count() <= 80, "{rule}: {title}; {end}");
            assert!((1..=180).contains(&meaning.chars().count()), "{rule}: {meaning}");
            assert!(!format!("{title}{meaning}{end}").contains('!'), "{rule} shouts");
            // A figure stands beside its limit; anything else is not said twice.
            let is_repeated = finding.value.as_deref().is_some_and(|value| finding.summary.contains(value));
            assert!(!is_repeated || finding.limit.is_some(), "{rule}: {title}: {:?}", finding.value);
        }
    }
}
