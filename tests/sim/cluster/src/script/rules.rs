//! For every monitoring rule that a cluster can show: what makes it true in the homelab, and what ends it. It judges nothing itself.

use crate::fault::{Fault, FaultRule};
use crate::incidents::{DiskChange, Incident};
use std::time::Duration;

/// One way in which something can go wrong and be well again. Incidents of a list happen at the same moment, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it is, in a few words.
    pub name: &'static str,
    /// What begins it.
    pub begin: Vec<Incident>,
    /// What ends it; empty where time does, such as for a task that has failed.
    pub end: Vec<Incident>,
}

fn case(name: &'static str, begin: Vec<Incident>, end: Vec<Incident>) -> Case {
    Case { name, begin, end }
}

fn pve2() -> String {
    "pve2".into()
}

fn anna() -> String {
    "anna@pve".into()
}

fn blind(name: &'static str, fault: Fault) -> Case {
    let rule = FaultRule::always(fault);
    case(name, vec![Incident::FaultBegins { rule, seconds: None }], vec![Incident::FaultsEnd])
}

fn status(name: &'static str, status: &str) -> Case {
    let to = |status: &str| Incident::GuestStatus { vmid: 109, status: status.into() };
    case(name, vec![to(status)], vec![to("running")])
}

fn disks(name: &'static str, begin: DiskChange, end: DiskChange) -> Case {
    let change = |change| vec![Incident::DisksChange { node: pve2(), change }];
    case(name, change(begin), change(end))
}

fn fills(percent: f64, hours: u64) -> Incident {
    Incident::StorageFills { storage: "nas-nfs".into(), node: None, percent, over: Duration::from_secs(hours * 3_600) }
}

fn nightly() -> String {
    "backup-nightly".into()
}

pub(super) fn cases(rule: &str) -> Vec<Case> {
    let started = |vmid| Incident::GuestStarted { vmid, user: anna() };
    match rule {
        "node_down" => vec![
            case("power lost", vec![Incident::NodeDown { node: pve2() }], vec![Incident::NodeReturns { node: pve2() }]),
            case(
                "shut down by a person",
                vec![Incident::NodeShutDown { node: pve2(), user: anna() }],
                vec![Incident::NodeReturns { node: pve2() }],
            ),
            case(
                "in maintenance",
                vec![
                    Incident::NodeMaintenance { node: pve2(), on: true },
                    Incident::NodeShutDown { node: pve2(), user: anna() },
                ],
                vec![Incident::NodeReturns { node: pve2() }, Incident::NodeMaintenance { node: pve2(), on: false }],
            ),
        ],
        "quorum_lost" => vec![case("network split", vec![Incident::QuorumLost], vec![Incident::QuorumReturns])],
        "api_blind" => vec![
            blind("login refused", Fault::Unauthorized),
            blind("hanging", Fault::Hang),
            blind("errors", Fault::ServerError("got timeout".into())),
            blind("connections refused", Fault::Refuse),
        ],
        "guest_crashed" => vec![
            case("crash", vec![Incident::GuestCrashes { vmid: 101 }], vec![started(101)]),
            case("powered off from inside", vec![Incident::GuestPowersOff { vmid: 114 }], vec![started(114)]),
        ],
        "guest_stopped" => vec![
            case("shut down", vec![Incident::GuestShutDown { vmid: 114, user: anna() }], vec![started(114)]),
            case("stopped", vec![Incident::GuestStopped { vmid: 121, user: anna() }], vec![started(121)]),
        ],
        "restart_loop" => {
            let loops = |vmid| Incident::GuestRestartLoop { vmid, every: Duration::from_secs(120), times: 6 };
            vec![case("virtual machine", vec![loops(118)], vec![]), case("container", vec![loops(123)], vec![])]
        }
        "guest_error" => vec![
            status("input or output failed", "io-error"),
            status("QEMU failed", "internal-error"),
            status("kernel panic", "guest-panicked"),
        ],
        "guest_lock_stuck" => {
            let lock = |lock: Option<&str>| Incident::GuestLocked { vmid: 113, lock: lock.map(str::to_owned) };
            vec![
                case("snapshot", vec![lock(Some("snapshot"))], vec![lock(None)]),
                case("backup", vec![lock(Some("backup"))], vec![lock(None)]),
            ]
        }
        "no_data" => {
            let stuck = |on| vec![Incident::PvestatdStuck { node: pve2(), on }];
            vec![case("pvestatd hangs", stuck(true), stuck(false))]
        }
        "node_cpu" => {
            let busy = |cpu| vec![Incident::NodeBusy { node: pve2(), cpu }];
            vec![case("busy", busy(1.6), busy(0.05))]
        }
        "node_memory" => {
            let needs = |used| vec![Incident::NodeMemory { node: pve2(), used }];
            vec![case("warning", needs(Some(0.94)), needs(None)), case("critical", needs(Some(0.98)), needs(None))]
        }
        "guest_cpu" => {
            let busy = |cpu| vec![Incident::GuestBusy { vmid: 118, cpu }];
            vec![case("busy", busy(1.5), busy(0.2))]
        }
        "guest_memory" => {
            let uses = |used| vec![Incident::GuestMemory { vmid: 103, used }];
            vec![case("with balloon data", uses(1.0), uses(0.5))]
        }
        "guest_disk" => {
            let holds = |used| vec![Incident::GuestDisk { vmid: 115, used }];
            vec![case("warning", holds(0.92), holds(0.5)), case("critical", holds(0.97), holds(0.5))]
        }
        "storage_usage" => vec![
            case("jump", vec![fills(96.0, 0)], vec![fills(71.0, 0)]),
            case("slow growth", vec![fills(84.0, 6)], vec![fills(71.0, 0)]),
        ],
        "storage_inactive" => {
            let storage = || "nas-nfs".to_owned();
            let gone = |node| vec![Incident::StorageInactive { storage: storage(), node }];
            let back = || vec![Incident::StorageActive { storage: storage() }];
            vec![case("from everywhere", gone(None), back()), case("from one node", gone(Some(pve2())), back())]
        }
        other => of_services(other),
    }
}

/// Rules about what nodes share, and about what only changes slowly.
fn of_services(rule: &str) -> Vec<Case> {
    let days = |days| vec![Incident::CertificateEnds { node: pve2(), days }];
    match rule {
        "thin_metadata" => {
            let thin = |metadata| DiskChange::ThinPool { pool: "data".into(), used: 0.4, metadata };
            vec![disks("warning", thin(0.84), thin(0.03)), disks("critical", thin(0.93), thin(0.03))]
        }
        "ceph_health" => {
            let (code, message) = ("RECENT_CRASH".to_owned(), "1 daemons have recently crashed".to_owned());
            let full = Incident::CephError { code: "OSD_FULL".into(), message: "1 full osd(s)".into() };
            let recovers = || vec![Incident::CephRecovers];
            vec![
                case("warning", vec![Incident::CephWarning { code, message }], recovers()),
                case("error", vec![full], recovers()),
                case("degraded", vec![Incident::CephDegraded { groups: 12 }], recovers()),
            ]
        }
        "osd_down" => vec![case("one", vec![Incident::OsdDown { osd: 3 }], vec![Incident::OsdUp { osd: 3 }])],
        "zfs_pool" => {
            let pool = || "rpool".to_owned();
            let repaired = || DiskChange::ZfsRepaired { pool: pool() };
            vec![
                case(
                    "degraded",
                    vec![Incident::ZfsDegraded { node: pve2(), pool: pool() }],
                    vec![Incident::DisksChange { node: pve2(), change: repaired() }],
                ),
                disks("errors", DiskChange::ZfsErrors { pool: pool(), errors: 7 }, repaired()),
            ]
        }
        "disk_health" => {
            let device = || "/dev/sda".to_owned();
            let replaced = || DiskChange::Replaced { device: device() };
            let worn = |life_left| DiskChange::Worn { device: device(), life_left };
            vec![
                case(
                    "SMART",
                    vec![Incident::DiskFails { node: pve2(), device: device() }],
                    vec![Incident::DisksChange { node: pve2(), change: replaced() }],
                ),
                disks("worn", worn(8), replaced()),
                disks("worn out", worn(2), replaced()),
            ]
        }
        "backup_failed" => {
            let reason = || "write error: No space left on device".to_owned();
            let runs = || vec![Incident::BackupRuns { job: nightly() }];
            let some = Incident::BackupsFail { job: nightly(), vmids: vec![102, 104, 109], reason: reason() };
            let aborts = Incident::BackupAborts { job: nightly(), reason: "could not activate storage 'pbs'".into() };
            vec![case("some guests", vec![some], runs()), case("no guest", vec![aborts], runs())]
        }
        "backup_stale" => {
            let held = |on| Incident::BackupsHeld { job: nightly(), on };
            let end = vec![held(false), Incident::BackupRuns { job: nightly() }];
            vec![case("the job does not run", vec![held(true)], end)]
        }
        "replication" => {
            let end = vec![Incident::ReplicationRecovers { vmid: 101 }];
            vec![case("fails", vec![Incident::ReplicationFails { vmid: 101 }], end)]
        }
        "ha_error" => {
            let state = |state: &str| vec![Incident::HaState { vmid: 103, state: state.into() }];
            let stuck = |on| vec![Incident::ManagerStuck { node: pve2(), on }];
            vec![
                case("error", state("error"), state("started")),
                case("fence", state("fence"), state("started")),
                case("recovery", state("recovery"), state("started")),
                case("local manager dead", stuck(true), stuck(false)),
            ]
        }
        "certificate" => vec![case("soon", days(10), days(700)), case("at once", days(2), days(700))],
        "snapshot_old" => {
            let name = || "before-pg17".to_owned();
            let ages = Incident::SnapshotAges { vmid: 103, name: name(), days: 45 };
            let removed = Incident::SnapshotRemoved { vmid: 103, name: name(), user: anna() };
            vec![case("forgotten", vec![ages], vec![removed])]
        }
        "time_drift" => {
            let drifts = |seconds| vec![Incident::NodeClockDrifts { node: pve2(), seconds }];
            vec![case("warning", drifts(9), drifts(0)), case("critical", drifts(40), drifts(0))]
        }
        "task_failed" => {
            let error = || "can't activate LV '/dev/pve/vm-113-disk-0'".to_owned();
            let (vmid, target, user) = (113, pve2(), anna());
            let restore = Incident::TaskFails {
                node: pve2(),
                kind: "qmrestore".into(),
                id: "140".into(),
                user: anna(),
                error: "unable to restore VM 140 - VM already exists".into(),
            };
            vec![
                case("migration", vec![Incident::MigrationFails { vmid, target, user, error: error() }], vec![]),
                case("restore", vec![restore], vec![]),
            ]
        }
        "updates" => {
            let wait = |count| vec![Incident::UpdatesWait { node: pve2(), count }];
            vec![case("wait", wait(23), wait(0))]
        }
        "subscription" => {
            let is = |status: &str| vec![Incident::SubscriptionIs { node: pve2(), status: status.into() }];
            vec![case("expired", is("expired"), is("active"))]
        }
        _ => Vec::new(),
    }
}
