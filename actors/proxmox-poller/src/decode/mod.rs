//! Reading the API's answers. Tolerant: unknown fields and row types are passed over, every scalar may come in any form, and what
//! cannot be read is absent. Pure: bytes in, rows out.

mod access;
mod backup;
mod backup_log;
mod ceph;
mod cluster;
mod disks;
mod guest;
mod ha;
mod node;
mod osds;
mod replication;
mod scalar;
mod shape;
mod task;
mod upkeep;
mod zfs;

pub use access::{Permissions, permissions, server_time, version};
pub use backup::{Volume, backup_jobs, not_backed_up, volumes};
pub use backup_log::{BackupFailure, backup_failure};
pub use ceph::ceph_status;
pub use cluster::{ClusterRow, ResourceRow, cluster_status, resources};
pub use disks::{Disk, ThinPool, ZfsPool, disks, thin_pools, zfs_pools};
pub use guest::{GuestConfig, GuestDetail, SnapshotPoint, guest_config, guest_detail, has_feature, snapshot_points};
pub use ha::ha_status;
pub use node::{NodeDetail, NodeStorage, node_detail, node_storages};
pub use osds::{Osd, osds};
pub use replication::replication;
pub(crate) use scalar::Text;
pub use shape::{DecodeError, check};
pub use task::{TaskEnd, begun, task_end, task_log, tasks};
pub use upkeep::{Certificate, Subscription, certificates, subscription, updates};
pub use zfs::{ZfsMember, ZfsState, zfs_state};
