//! The questions beside the polls, and how often each is asked. Pure.

use crate::model::{NodeState, Snapshot, Storage, StorageState};
use crate::rules::Need;
use std::sync::Arc;

/// A piece that a node answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum NodePiece {
    Storages,
    Replication,
    Clock,
    Detail,
    BackupRuns,
    ThinPools,
    ZfsPools,
    Disks,
    Certificates,
    Updates,
    Subscription,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Ask {
    Ha,
    Ceph,
    Osds,
    ReplicationJobs,
    BackupJobs,
    NotBackedUp,
    Node(NodePiece, Arc<str>),
    /// A ZFS pool in detail: node and pool.
    ZfsState(Arc<str>, Arc<str>),
    /// The backups in a storage, by its label.
    Shelf(Arc<str>),
    /// The log of a failed backup run: node and task.
    BackupLog(Arc<str>, Arc<str>),
    /// What a guest does, from itself.
    GuestDetail(u32),
    StartsWithNode(u32),
    Snapshots(u32),
}

impl Ask {
    /// The node that has to answer; `None` when any member does.
    pub(super) fn node<'a>(&'a self, snapshot: &'a Snapshot) -> Option<&'a Arc<str>> {
        match self {
            Ask::Node(_, node) | Ask::ZfsState(node, _) | Ask::BackupLog(node, _) => Some(node),
            Ask::Shelf(label) => shelf_at(snapshot, label).map(|(_, node)| node),
            Ask::GuestDetail(vmid) | Ask::StartsWithNode(vmid) | Ask::Snapshots(vmid) => {
                snapshot.guest(*vmid).map(|guest| &guest.node)
            }
            Ask::Osds => snapshot.nodes.iter().find(|node| node.state == NodeState::Online).map(|node| &node.name),
            Ask::Ha | Ask::Ceph | Ask::ReplicationJobs | Ask::BackupJobs | Ask::NotBackedUp => None,
        }
    }

    /// Whether it is one of many like it, asked one after the other with time between them.
    pub(super) fn is_survey(&self) -> bool {
        matches!(self, Ask::StartsWithNode(_) | Ask::Snapshots(_))
    }

    /// Whether its answer may end a failed backup, or say what failed.
    pub(super) fn explains_backups(&self) -> bool {
        matches!(self, Ask::Shelf(_) | Ask::BackupLog(..) | Ask::Node(NodePiece::BackupRuns, _))
    }

    /// The rules' need that it serves.
    pub(super) fn serves(&self) -> Need {
        match self {
            Ask::Ha => Need::Ha,
            Ask::Ceph => Need::Ceph,
            Ask::Osds => Need::Osds,
            Ask::ReplicationJobs | Ask::Node(NodePiece::Replication, _) => Need::Replication,
            Ask::BackupJobs => Need::BackupJobs,
            Ask::NotBackedUp => Need::NotBackedUp,
            Ask::Node(NodePiece::Storages, _) => Need::Storages,
            Ask::Node(NodePiece::Clock, _) => Need::Clocks,
            Ask::Node(NodePiece::Detail, _) | Ask::GuestDetail(_) => Need::Details,
            Ask::Node(NodePiece::BackupRuns, _) => Need::BackupRuns,
            Ask::Node(NodePiece::ThinPools, _) => Need::ThinPools,
            Ask::Node(NodePiece::ZfsPools, _) | Ask::ZfsState(..) => Need::Zfs,
            Ask::Node(NodePiece::Disks, _) => Need::Disks,
            Ask::Node(NodePiece::Certificates, _) => Need::Certificates,
            Ask::Node(NodePiece::Updates, _) => Need::Updates,
            Ask::Node(NodePiece::Subscription, _) => Need::Subscriptions,
            Ask::Shelf(_) => Need::Shelves,
            Ask::BackupLog(..) => Need::BackupLogs,
            Ask::StartsWithNode(_) => Need::StartsWithNode,
            Ask::Snapshots(_) => Need::Snapshots,
        }
    }

    /// Seconds between two times, in a cluster of so many nodes. The whole has to stay within six requests in ten seconds for three nodes, and
    /// twenty for 32.
    pub(super) fn pace_s(&self, nodes: usize) -> i64 {
        const MINUTE: i64 = 60;
        const HOUR: i64 = 3600;
        let is_large = nodes > 8;
        match self {
            Ask::Ha => 20,
            Ask::Ceph | Ask::Osds => 30,
            Ask::ReplicationJobs => 5 * MINUTE,
            Ask::BackupJobs => 10 * MINUTE,
            Ask::NotBackedUp => HOUR,
            Ask::Node(NodePiece::Storages, _) => {
                if is_large {
                    (2 * nodes as i64).max(MINUTE)
                } else {
                    40
                }
            }
            Ask::Node(NodePiece::Replication, _) => {
                if is_large {
                    2 * MINUTE
                } else {
                    MINUTE
                }
            }
            Ask::Node(NodePiece::Clock, _) => {
                if is_large {
                    5 * MINUTE
                } else {
                    150
                }
            }
            Ask::Node(NodePiece::Detail, _) => {
                if is_large {
                    MINUTE
                } else {
                    30
                }
            }
            Ask::GuestDetail(_) => MINUTE,
            Ask::Node(NodePiece::BackupRuns | NodePiece::ThinPools | NodePiece::ZfsPools, _) => 10 * MINUTE,
            Ask::Shelf(_) => 30 * MINUTE,
            Ask::Node(NodePiece::Disks, _) => 45 * MINUTE,
            Ask::Node(NodePiece::Certificates, _) | Ask::ZfsState(..) => HOUR,
            Ask::Node(NodePiece::Updates, _) => 6 * HOUR,
            Ask::Node(NodePiece::Subscription, _) => 12 * HOUR,
            Ask::BackupLog(..) => MINUTE,
            Ask::StartsWithNode(_) | Ask::Snapshots(_) => 24 * HOUR,
        }
    }
}

/// The storage of that label, and a node that can say what is in it.
pub(super) fn shelf_at<'a>(snapshot: &'a Snapshot, label: &str) -> Option<(&'a Storage, &'a Arc<str>)> {
    let storage = snapshot.storages.iter().find(|storage| storage.label() == label)?;
    let is_member = |name: &str| snapshot.node(name).is_some_and(|node| node.state == NodeState::Online);
    let mut usable = storage.nodes.iter().filter(|seen| seen.state == StorageState::Available && is_member(&seen.node));
    usable.next().map(|seen| (storage, &seen.node))
}

/// `pace_s`, up to a tenth more or less: so that not everything is asked at once, time and again. The same for the same question at the same
/// time.
pub(super) fn jittered_ms(pace_s: i64, seed: u64) -> i64 {
    // The finisher of SplitMix64: any seed gives an even spread.
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let share = i64::try_from(mixed % 201).unwrap_or(100) - 100;
    pace_s.saturating_mul(1000).saturating_add(pace_s.saturating_mul(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth_and_spreads() {
        let waits: Vec<i64> = (0..2000).map(|seed| jittered_ms(10, seed)).collect();
        assert!(waits.iter().all(|wait| (9000..=11_000).contains(wait)), "{waits:?}");
        let mean = waits.iter().sum::<i64>() / 2000;
        assert!((9900..10_100).contains(&mean), "{mean}");
        assert!(waits.iter().collect::<std::collections::BTreeSet<_>>().len() > 100);
    }
}
