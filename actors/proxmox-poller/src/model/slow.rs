//! What is fetched at its own pace beside the polls: of nodes, guests, storages. Every piece has its own age.

use super::Part;
use crate::decode::{
    BackupFailure, Certificate, Disk, GuestDetail, NodeDetail, NodeStorage, Osd, SnapshotPoint, Subscription, ThinPool,
    ZfsPool, ZfsState,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The pieces that a node answers itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeParts {
    /// Its storages as it sees them: the truth on whether they work.
    pub storages: Part<Vec<NodeStorage>>,
    /// Its LVM thin pools.
    pub thin_pools: Part<Vec<ThinPool>>,
    /// Its ZFS pools.
    pub zfs_pools: Part<Vec<ZfsPool>>,
    /// Its ZFS pools in detail, by name.
    pub zfs_states: BTreeMap<Arc<str>, Part<ZfsState>>,
    /// Its disks.
    pub disks: Part<Vec<Disk>>,
    /// Its certificates.
    pub certificates: Part<Vec<Certificate>>,
    /// Seconds that its clock is ahead of the clock of the member that passed the answer on; negative: behind.
    pub clock_ahead_s: Part<i64>,
    /// What it says of itself; asked for while its memory looks full.
    pub detail: Part<NodeDetail>,
    /// Its backup runs of the last days; they are among the snapshot's tasks.
    pub backup_runs: Part<()>,
    /// Whether its replication jobs were asked for; they are in the snapshot.
    pub replication: Part<()>,
    /// Packages that have a newer version.
    pub updates: Part<Vec<Arc<str>>>,
    /// Its subscription.
    pub subscription: Part<Subscription>,
}

/// The pieces that are asked guest by guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuestParts {
    /// Whether it starts with its node (`onboot`).
    pub starts_with_node: Part<bool>,
    /// Its snapshots, the oldest first.
    pub snapshots: Part<Vec<SnapshotPoint>>,
    /// What it does, from itself; asked for while its memory looks full and the poll cannot say whether it is.
    pub detail: Part<GuestDetail>,
}

/// The backups in one storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// When each guest's newest backup was made, seconds since 1970, by VMID.
    pub newest: BTreeMap<u32, i64>,
    /// How many backups there are.
    pub count: usize,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slow {
    /// By the node's name.
    pub nodes: BTreeMap<Arc<str>, NodeParts>,
    /// By VMID.
    pub guests: BTreeMap<u32, GuestParts>,
    /// Backups, by the storage's label.
    pub shelves: BTreeMap<Arc<str>, Part<Shelf>>,
    /// Ceph's storage daemons.
    pub osds: Part<Vec<Osd>>,
    /// Guests that no backup job covers.
    pub not_backed_up: Part<Vec<u32>>,
    /// What failed backup runs say, by the task's identifier.
    pub backup_logs: BTreeMap<Arc<str>, Part<BackupFailure>>,
}

impl Slow {
    /// Whether a guest starts with its node, where that is known.
    pub fn starts_with_node(&self, vmid: u32) -> Option<bool> {
        self.guests.get(&vmid)?.starts_with_node.value.as_deref().copied()
    }
}
