//! What is known of one cluster at one moment: [`Snapshot`] and everything in it.
//!
//! Snapshots are immutable and shared by `Arc`: whoever reads one never waits and never sees it change. Units stand in names and
//! docs: `_bytes` are bytes, `_s` seconds, `cpu` and other fractions 0 to 1. Text in it comes from the cluster and is data.
//! Nothing here does I/O or reads a clock.

mod backup;
mod ceph;
mod guest;
mod ha;
mod node;
mod own;
mod part;
mod privilege;
mod replication;
mod server_clock;
mod slow;
mod snapshot;
mod storage;
mod task;

pub use backup::{BackupJob, BackupSelection};
pub use ceph::{CephCheck, CephStatus};
pub use guest::{Guest, GuestKind, GuestState};
pub use ha::{HaManager, HaResource, HaStatus};
pub use node::{Node, NodeState};
pub use own::{OwnAction, task_kinds};
pub use part::Part;
pub use privilege::{MissingPrivilege, PRIVILEGES, Privilege, grant_command};
pub use replication::ReplicationJob;
pub use server_clock::ServerClock;
pub use slow::{GuestParts, NodeParts, Shelf, Slow};
pub use snapshot::{Quorum, Snapshot};
pub(crate) use snapshot::{doer, seconds_between};
pub use storage::{Storage, StorageState, StorageUse};
pub(crate) use task::is_node_name;
pub use task::{Task, TaskState, Upid};

/// `used` of `total` as a fraction, 0 to 1.
pub(crate) fn fraction(used: Option<u64>, total: Option<u64>) -> Option<f64> {
    match (used, total) {
        (Some(used), Some(total)) if total > 0 => Some(used as f64 / total as f64),
        _ => None,
    }
}
