//! What happens to the cluster. Each incident leaves the states, tasks and log lines that a real one leaves.

mod backup;
mod disks;
mod guests;
pub(crate) mod ha;
mod incident;
mod life;
pub(crate) mod logs;
mod nodes;
mod services;

pub(crate) use backup::{Trouble, back_up, included, kept, run_job};
pub use disks::DiskChange;
pub use incident::Incident;

use crate::error::SimError;
use crate::model::{Backup, Cluster, Task};

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
    /// A lock appears.
    Lock(u32, &'static str),
    /// A backup lies on its storage, and the oldest beyond so many go.
    Keep { storage: String, keep: usize, backup: Box<Backup> },
    /// The backup of the guest is done, so many bytes were read.
    BackedUp(u32, u64),
    /// The node boots.
    Boot(String),
    /// pvestatd of a node that boots begins to report.
    Awake(String),
    /// The node's OSDs are up again.
    OsdsUp(String),
    /// The HA manager acts on what it was asked for.
    HaStart(u32),
    /// The same, for a stop: `shutdown` or `stop`.
    HaStop(u32, &'static str),
    /// A QMP status without a task of its own.
    Status(u32, &'static str),
    /// Saved to disk and stopped, by a suspension.
    Hibernate(u32),
    /// A snapshot exists from now on.
    Snapshot { vmid: u32, name: String, description: String, with_memory: bool },
    /// Only if that task was not cut off by the loss of its node.
    IfDone { upid: String, then: Box<Effect> },
}

impl Effect {
    /// This effect, once that task has come to its end.
    pub(crate) fn of_task(self, upid: &str) -> Self {
        Self::IfDone { upid: upid.to_owned(), then: Box::new(self) }
    }
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
        Effect::Lock(vmid, lock) => cluster.guest_mut(vmid).map(|guest| guest.lock = Some(lock.to_owned())),
        Effect::BackedUp(vmid, bytes) => cluster.guest_mut(vmid).map(|guest| {
            guest.lock = None;
            guest.backup_reads += bytes;
        }),
        Effect::Keep { storage, keep, backup } => {
            backup::store(cluster, &storage, keep, *backup);
            Ok(())
        }
        Effect::Boot(node) => nodes::returns(cluster, &node),
        Effect::Awake(node) => nodes::awake(cluster, &node),
        Effect::OsdsUp(node) => nodes::osds(cluster, &node, true),
        Effect::HaStart(vmid) => ha::start(cluster, vmid),
        Effect::HaStop(vmid, how) => ha::stop(cluster, vmid, how),
        Effect::Status(vmid, status) => guests::status(cluster, vmid, status),
        Effect::Hibernate(vmid) => guests::hibernate(cluster, vmid),
        Effect::Snapshot { vmid, name, description, with_memory } => {
            guests::add_snapshot(cluster, vmid, name, description, with_memory)
        }
        Effect::IfDone { upid, then } => {
            let cut = cluster.tasks.find(&upid).is_none_or(Task::was_cut);
            if cut { Ok(()) } else { happen(cluster, *then) }
        }
    }
}

fn apply(cluster: &mut Cluster, incident: Incident) -> Result<(), SimError> {
    use Incident as I;
    match incident {
        I::GuestCrashes { vmid } | I::GuestPowersOff { vmid } => guests::crash(cluster, vmid),
        I::GuestRestartLoop { vmid, every, times } => life::restart_loop(cluster, vmid, every, times),
        I::GuestShutDown { vmid, user } => guests::end(cluster, vmid, "shutdown", &user, 4),
        I::GuestStopped { vmid, user } => guests::end(cluster, vmid, "stop", &user, 1),
        I::GuestStarted { vmid, user } => guests::start(cluster, vmid, &user),
        I::GuestRebooted { vmid, user } => guests::reboot(cluster, vmid, &user),
        I::GuestStatus { vmid, status } => guests::status(cluster, vmid, &status),
        I::GuestDeaf { vmid, on } => cluster.guest_mut(vmid).map(|guest| guest.deaf = on),
        I::GuestNotes { vmid, notes } => cluster.guest_mut(vmid).map(|guest| guest.notes = notes),
        I::GuestAgent { vmid, on } => cluster.guest_mut(vmid).map(|guest| guest.agent = on),
        I::GuestLocked { vmid, lock } => cluster.guest_mut(vmid).map(|guest| guest.lock = lock),
        I::GuestBusy { vmid, cpu } => cluster.guest_mut(vmid).map(|guest| guest.load = cpu),
        I::GuestMemory { vmid, used } => cluster.guest_mut(vmid).map(|guest| guest.memory_use = used),
        I::GuestDisk { vmid, used } => cluster.guest_mut(vmid).map(|guest| guest.disk_use = used),
        I::GuestDestroyed { vmid, user } => guests::destroy(cluster, vmid, &user),
        I::GuestCreated { vmid, name, node, container, user } => {
            life::create(cluster, vmid, &name, &node, container, &user)
        }
        I::GuestCloned { source, vmid, name, user } => life::clone(cluster, source, vmid, &name, &user),
        I::MigrationFails { vmid, target, user, error } => life::migration_fails(cluster, vmid, &target, &user, &error),
        I::GuestMigrated { vmid, target, user } => guests::migrate(cluster, vmid, &target, &user),
        I::SnapshotTaken { vmid, name, user } => guests::snapshot(cluster, vmid, &name, &user),
        I::SnapshotRemoved { vmid, name, user } => life::remove_snapshot(cluster, vmid, &name, &user),
        I::SnapshotAges { vmid, name, days } => life::age_snapshot(cluster, vmid, &name, days),
        I::StorageFills { storage, node, percent, over } => {
            services::fill(cluster, &storage, node.as_deref(), percent, over)
        }
        I::StorageInactive { storage, node } => services::storage_inactive(cluster, &storage, node.as_deref()),
        I::StorageActive { storage } => cluster.storage_mut(&storage).map(|storage| storage.inactive.clear()),
        I::NodeDown { node } => nodes::down(cluster, &node),
        I::NodeShutDown { node, user } => nodes::shut_down(cluster, &node, &user).map(|_| ()),
        I::NodeReturns { node } => nodes::returns(cluster, &node),
        I::NodeReboots { node, user, seconds } => nodes::reboot(cluster, &node, &user, seconds),
        I::NodeMaintenance { node, on } => ha::maintenance(cluster, &node, on),
        I::NodeMemory { node, used } => cluster.node_mut(&node).map(|node| node.memory_level = used),
        I::NodeCache { node, share } => cluster.node_mut(&node).map(|node| {
            node.cache = crate::figures::share(node.memory, share);
        }),
        I::ManagerStuck { node, on } => ha::manager_stuck(cluster, &node, on),
        I::SubscriptionIs { node, status } => cluster.node_mut(&node).map(|node| node.subscription = status),
        I::UpdatesWait { node, count } => nodes::updates(cluster, &node, count),
        I::PvestatdStuck { node, on } => nodes::pvestatd(cluster, &node, on),
        I::NodeBusy { node, cpu } => cluster.node_mut(&node).map(|node| node.load = cpu),
        I::NodeClockDrifts { node, seconds } => cluster.node_mut(&node).map(|node| node.drift = seconds),
        I::QuorumLost => {
            services::quorum_lost(cluster);
            Ok(())
        }
        I::QuorumReturns => {
            cluster.quorum_lost = None;
            Ok(())
        }
        I::BackupRuns { job } => backup::now(cluster, &job, &Trouble::none()),
        I::BackupFails { job, vmid, reason } => backup::now(cluster, &job, &Trouble::fails(vec![vmid], &reason)),
        I::BackupsFail { job, vmids, reason } => backup::now(cluster, &job, &Trouble::fails(vmids, &reason)),
        I::BackupAborts { job, reason } => backup::now(cluster, &job, &Trouble::aborts(&reason)),
        I::BackupWarns { job, vmid } => backup::now(cluster, &job, &Trouble::warns(vmid)),
        I::BackupsHeld { job, on } => backup::hold(cluster, &job, on),
        I::CephDegraded { groups } => cluster.ceph_mut().map(|ceph| ceph.degraded = groups),
        I::CephError { code, message } => cluster.ceph_mut().map(|ceph| ceph.raise(code, "HEALTH_ERR", message)),
        I::CephWarning { code, message } => cluster.ceph_mut().map(|ceph| ceph.raise(code, "HEALTH_WARN", message)),
        I::CephMuted { code, on } => services::ceph_muted(cluster, code, on),
        I::CephRecovers => services::ceph_recovers(cluster),
        I::OsdDown { osd } => services::osd(cluster, osd, |osd| osd.up = false),
        I::OsdUp { osd } => services::osd(cluster, osd, |osd| osd.up = true),
        I::OsdOut { osd, on } => services::osd(cluster, osd, |osd| osd.is_in = !on),
        I::ReplicationFails { vmid } => services::replication(cluster, vmid, true),
        I::ReplicationRecovers { vmid } => services::replication(cluster, vmid, false),
        I::HaState { vmid, state } => services::ha_state(cluster, vmid, &state),
        I::ZfsDegraded { node, pool } => disks::degraded(cluster, &node, &pool),
        I::DiskFails { node, device } => disks::fails(cluster, &node, &device),
        I::DisksChange { node, change } => disks::change(cluster, &node, change),
        I::CertificateEnds { node, days } => {
            let ends = cluster.now + days * 86_400;
            cluster.node_mut(&node).map(|node| node.certificate_ends = ends)
        }
        I::TaskFails { node, kind, id, user, error } => services::task_fails(cluster, &node, &kind, &id, &user, &error),
        I::FaultBegins { rule, seconds } => {
            let ends = seconds.map(|seconds| cluster.now.saturating_add(seconds));
            cluster.faults.add(rule, ends);
            Ok(())
        }
        I::FaultsEnd => {
            cluster.faults.clear();
            Ok(())
        }
        I::ConnectionsDropped => {
            cluster.drops += 1;
            Ok(())
        }
    }
}
