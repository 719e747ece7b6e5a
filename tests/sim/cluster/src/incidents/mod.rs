//! What can happen to the cluster, as a typed list. Each incident leaves the states, tasks and log lines that a real one leaves.

mod backup;
mod guests;
mod logs;
mod nodes;
mod services;

pub(crate) use backup::{included, run_job};

use crate::error::SimError;
use crate::model::Cluster;
use std::time::Duration;

/// Something that happens to the simulated cluster. Users are written `root@pam`, storages, nodes and guests as they are listed.
#[derive(Clone, Debug, PartialEq)]
pub enum Incident {
    /// The guest's process ends without a task. An HA guest is started again by the HA manager after a while.
    GuestCrashes {
        /// Which guest.
        vmid: u32,
    },
    /// A user has it shut down: a `qmshutdown` or `vzshutdown` task of four seconds.
    GuestShutDown {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user stops it hard: a `qmstop` or `vzstop` task.
    GuestStopped {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user starts it.
    GuestStarted {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A user reboots it: its uptime and counters begin again.
    GuestRebooted {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// The QMP status changes without a task: `io-error`, `internal-error`, `guest-panicked`, `paused`, `running`.
    GuestStatus {
        /// Which guest.
        vmid: u32,
        /// The QMP status.
        status: String,
    },
    /// A lock appears in its configuration, or goes.
    GuestLocked {
        /// Which guest.
        vmid: u32,
        /// backup, migrate, snapshot, …
        lock: Option<String>,
    },
    /// Its CPU use moves around this fraction of its cores.
    GuestBusy {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        cpu: f64,
    },
    /// Its memory use moves around this fraction.
    GuestMemory {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        used: f64,
    },
    /// A container's root file system fills.
    GuestDisk {
        /// Which guest.
        vmid: u32,
        /// From 0 to 1.
        used: f64,
    },
    /// A user destroys it.
    GuestDestroyed {
        /// Which guest.
        vmid: u32,
        /// By whom.
        user: String,
    },
    /// A migration: live for a virtual machine, with a restart for a container.
    GuestMigrated {
        /// Which guest.
        vmid: u32,
        /// The target node.
        target: String,
        /// By whom.
        user: String,
    },
    /// A snapshot is taken.
    SnapshotTaken {
        /// Which guest.
        vmid: u32,
        /// The snapshot's name.
        name: String,
        /// By whom.
        user: String,
    },
    /// A storage fills, or empties, evenly over a time.
    StorageFills {
        /// Which storage.
        storage: String,
        /// Only on this node, for one that is not shared.
        node: Option<String>,
        /// How full it is in the end.
        percent: f64,
        /// How long it takes.
        over: Duration,
    },
    /// A storage cannot be reached, from one node or from all.
    StorageInactive {
        /// Which storage.
        storage: String,
        /// Only from this node.
        node: Option<String>,
    },
    /// It can be reached again.
    StorageActive {
        /// Which storage.
        storage: String,
    },
    /// The node loses power. After two minutes the HA manager fences it and starts its services elsewhere.
    NodeDown {
        /// Which node.
        node: String,
    },
    /// A user shuts the node down: a `stopall` task, then it goes.
    NodeShutDown {
        /// Which node.
        node: String,
        /// By whom.
        user: String,
    },
    /// The node boots: a `startall` task starts its guests with `onboot`.
    NodeReturns {
        /// Which node.
        node: String,
    },
    /// The node enters or leaves HA maintenance mode.
    NodeMaintenance {
        /// Which node.
        node: String,
        /// Whether it is in maintenance.
        on: bool,
    },
    /// pvestatd of the node hangs, or goes on.
    PvestatdStuck {
        /// Which node.
        node: String,
        /// Whether it hangs.
        on: bool,
    },
    /// The node's own CPU use moves around this fraction, beside what its guests use.
    NodeBusy {
        /// Which node.
        node: String,
        /// From 0 to 1.
        cpu: f64,
    },
    /// The node's clock is this far ahead.
    NodeClockDrifts {
        /// Which node.
        node: String,
        /// Seconds; negative: behind.
        seconds: i64,
    },
    /// No node sees another any more.
    QuorumLost,
    /// They see each other again.
    QuorumReturns,
    /// A backup job runs now.
    BackupRuns {
        /// The job's id.
        job: String,
    },
    /// A job's backup of one guest fails; its other guests are backed up.
    BackupFails {
        /// The job's id.
        job: String,
        /// Whose backup fails.
        vmid: u32,
        /// What vzdump says, such as `write error: No space left on device`.
        reason: String,
    },
    /// Placement groups are degraded: HEALTH_WARN.
    CephDegraded {
        /// How many of 129.
        groups: u32,
    },
    /// A check of severity HEALTH_ERR.
    CephError {
        /// Such as `OSD_FULL`.
        code: String,
        /// Such as `1 full osd(s)`.
        message: String,
    },
    /// Ceph is healthy again, with all its OSDs.
    CephRecovers,
    /// An OSD goes down.
    OsdDown {
        /// Which OSD.
        osd: u32,
    },
    /// It comes back.
    OsdUp {
        /// Which OSD.
        osd: u32,
    },
    /// The replication of a guest fails from now on.
    ReplicationFails {
        /// Whose.
        vmid: u32,
    },
    /// It works again.
    ReplicationRecovers {
        /// Whose.
        vmid: u32,
    },
    /// The HA manager puts a service into this state: `error`, `fence`, `recovery`, `started`, …
    HaState {
        /// Which guest.
        vmid: u32,
        /// The state.
        state: String,
    },
    /// A pool loses a disk.
    ZfsDegraded {
        /// Which node.
        node: String,
        /// Which pool.
        pool: String,
    },
    /// SMART says that a disk fails.
    DiskFails {
        /// Which node.
        node: String,
        /// Such as `/dev/sda`.
        device: String,
    },
    /// The node's certificate ends in so many days.
    CertificateEnds {
        /// Which node.
        node: String,
        /// Days from now; negative: it has ended.
        days: i64,
    },
    /// Any other task that fails.
    TaskFails {
        /// Which node.
        node: String,
        /// Such as `aptupdate`.
        kind: String,
        /// What it is about; often empty.
        id: String,
        /// By whom.
        user: String,
        /// The last line's error.
        error: String,
    },
}

/// What the agenda holds: incidents, and what follows from them later.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// An incident.
    Incident(Incident),
    /// The guest is stopped now.
    Stop(u32),
    /// The guest runs from now on.
    Run(u32),
    /// The guest is on this node now, restarted or not.
    Move { vmid: u32, target: String, restart: bool },
    /// The lock goes.
    Unlock(u32),
    /// The guest is gone.
    Remove(u32),
    /// The node is gone, as planned.
    Off(String),
    /// The HA manager notices that the node is still gone since then.
    Fence { node: String, down_since: i64 },
    /// The HA manager starts what it fenced on another node.
    Recover(u32),
    /// The HA manager starts a service that stopped by itself.
    HaRestart(u32),
    /// A backup job is due.
    Job(String),
}

/// Does it, at the cluster's present time.
pub(crate) fn happen(cluster: &mut Cluster, effect: Effect) -> Result<(), SimError> {
    match effect {
        Effect::Incident(incident) => apply(cluster, incident),
        Effect::Stop(vmid) => guests::stop(cluster, vmid),
        Effect::Run(vmid) => guests::run(cluster, vmid),
        Effect::Move { vmid, target, restart } => guests::move_to(cluster, vmid, &target, restart),
        Effect::Unlock(vmid) => cluster.guest_mut(vmid).map(|guest| guest.lock = None),
        Effect::Remove(vmid) => guests::remove(cluster, vmid),
        Effect::Off(node) => nodes::off(cluster, &node),
        Effect::Fence { node, down_since } => nodes::fence(cluster, &node, down_since),
        Effect::Recover(vmid) => nodes::recover(cluster, vmid),
        Effect::HaRestart(vmid) => guests::ha_restart(cluster, vmid),
        Effect::Job(id) => backup::due(cluster, &id),
    }
}

fn apply(cluster: &mut Cluster, incident: Incident) -> Result<(), SimError> {
    use Incident as I;
    match incident {
        I::GuestCrashes { vmid } => guests::crash(cluster, vmid),
        I::GuestShutDown { vmid, user } => guests::end(cluster, vmid, "shutdown", &user, 4),
        I::GuestStopped { vmid, user } => guests::end(cluster, vmid, "stop", &user, 1),
        I::GuestStarted { vmid, user } => guests::start(cluster, vmid, &user),
        I::GuestRebooted { vmid, user } => guests::reboot(cluster, vmid, &user),
        I::GuestStatus { vmid, status } => guests::status(cluster, vmid, &status),
        I::GuestLocked { vmid, lock } => cluster.guest_mut(vmid).map(|guest| guest.lock = lock),
        I::GuestBusy { vmid, cpu } => cluster.guest_mut(vmid).map(|guest| guest.load = cpu),
        I::GuestMemory { vmid, used } => cluster.guest_mut(vmid).map(|guest| guest.memory_use = used),
        I::GuestDisk { vmid, used } => cluster.guest_mut(vmid).map(|guest| guest.disk_use = used),
        I::GuestDestroyed { vmid, user } => guests::destroy(cluster, vmid, &user),
        I::GuestMigrated { vmid, target, user } => guests::migrate(cluster, vmid, &target, &user),
        I::SnapshotTaken { vmid, name, user } => guests::snapshot(cluster, vmid, &name, &user),
        I::StorageFills { storage, node, percent, over } => {
            services::fill(cluster, &storage, node.as_deref(), percent, over)
        }
        I::StorageInactive { storage, node } => services::storage_inactive(cluster, &storage, node.as_deref()),
        I::StorageActive { storage } => cluster.storage_mut(&storage).map(|storage| storage.inactive.clear()),
        I::NodeDown { node } => nodes::down(cluster, &node),
        I::NodeShutDown { node, user } => nodes::shut_down(cluster, &node, &user),
        I::NodeReturns { node } => nodes::returns(cluster, &node),
        I::NodeMaintenance { node, on } => cluster.node_mut(&node).map(|node| node.maintenance = on),
        I::PvestatdStuck { node, on } => nodes::pvestatd(cluster, &node, on),
        I::NodeBusy { node, cpu } => cluster.node_mut(&node).map(|node| node.load = cpu),
        I::NodeClockDrifts { node, seconds } => cluster.node_mut(&node).map(|node| node.drift = seconds),
        I::QuorumLost => {
            cluster.quorum_lost = cluster.quorum_lost.or(Some(cluster.now));
            Ok(())
        }
        I::QuorumReturns => {
            cluster.quorum_lost = None;
            Ok(())
        }
        I::BackupRuns { job } => backup::now(cluster, &job, None),
        I::BackupFails { job, vmid, reason } => backup::now(cluster, &job, Some((vmid, &reason))),
        I::CephDegraded { groups } => cluster.ceph_mut().map(|ceph| ceph.degraded = groups),
        I::CephError { code, message } => cluster.ceph_mut().map(|ceph| ceph.error = Some((code, message))),
        I::CephRecovers => services::ceph_recovers(cluster),
        I::OsdDown { osd } => services::osd(cluster, osd, false),
        I::OsdUp { osd } => services::osd(cluster, osd, true),
        I::ReplicationFails { vmid } => services::replication(cluster, vmid, true),
        I::ReplicationRecovers { vmid } => services::replication(cluster, vmid, false),
        I::HaState { vmid, state } => services::ha_state(cluster, vmid, &state),
        I::ZfsDegraded { node, pool } => nodes::zfs_degraded(cluster, &node, &pool),
        I::DiskFails { node, device } => nodes::disk_fails(cluster, &node, &device),
        I::CertificateEnds { node, days } => {
            let ends = cluster.now + days * 86_400;
            cluster.node_mut(&node).map(|node| node.certificate_ends = ends)
        }
        I::TaskFails { node, kind, id, user, error } => services::task_fails(cluster, &node, &kind, &id, &user, &error),
    }
}
