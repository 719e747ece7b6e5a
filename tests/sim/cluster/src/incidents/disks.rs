//! Incidents of a node's disks, ZFS pools and thin pools. They change what the disks say, not what guests do.

use super::logs;
use crate::error::SimError;
use crate::model::{Cluster, Disk, ThinPool, ZfsPool};

/// What happens to a node's disks and pools. Fractions are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub enum DiskChange {
    /// The ZFS pool's first disk shows so many checksum errors; the pool stays online.
    ZfsErrors {
        /// Which pool.
        pool: String,
        /// How many.
        errors: u64,
    },
    /// The ZFS pool is whole again, without errors.
    ZfsRepaired {
        /// Which pool.
        pool: String,
    },
    /// A thin pool of LVM fills.
    ThinPool {
        /// Its name, such as `data`.
        pool: String,
        /// Its data.
        used: f64,
        /// Its metadata.
        metadata: f64,
    },
    /// An SSD wears out.
    Worn {
        /// Such as `/dev/sda`.
        device: String,
        /// Life left in per cent.
        life_left: u32,
    },
    /// A disk is replaced by a new one.
    Replaced {
        /// Such as `/dev/sda`.
        device: String,
    },
}

fn pool<'a>(cluster: &'a mut Cluster, node: &str, name: &str) -> Result<&'a mut ZfsPool, SimError> {
    let pools = &mut cluster.node_mut(node)?.pools;
    let known = pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>().join(", ");
    let found = pools.iter_mut().find(|pool| pool.name == name);
    found.ok_or_else(|| SimError::Unknown { kind: "ZFS pool", name: name.to_owned(), known })
}

fn thin_pool<'a>(cluster: &'a mut Cluster, node: &str, name: &str) -> Result<&'a mut ThinPool, SimError> {
    let pools = &mut cluster.node_mut(node)?.thin_pools;
    let known = pools.iter().map(|pool| pool.name).collect::<Vec<_>>().join(", ");
    let found = pools.iter_mut().find(|pool| pool.name == name);
    found.ok_or_else(|| SimError::Unknown { kind: "thin pool", name: name.to_owned(), known })
}

fn disk<'a>(cluster: &'a mut Cluster, node: &str, device: &str) -> Result<&'a mut Disk, SimError> {
    let disks = &mut cluster.node_mut(node)?.disks;
    let known = disks.iter().map(|disk| disk.device.clone()).collect::<Vec<_>>().join(", ");
    let found = disks.iter_mut().find(|disk| disk.device == device);
    found.ok_or_else(|| SimError::Unknown { kind: "disk", name: device.to_owned(), known })
}

pub(super) fn degraded(cluster: &mut Cluster, node: &str, name: &str) -> Result<(), SimError> {
    pool(cluster, node, name).map(|pool| "DEGRADED".clone_into(&mut pool.health))
}

pub(super) fn fails(cluster: &mut Cluster, node: &str, device: &str) -> Result<(), SimError> {
    disk(cluster, node, device).map(|disk| logs::FAILED.clone_into(&mut disk.health))
}

pub(super) fn change(cluster: &mut Cluster, node: &str, change: DiskChange) -> Result<(), SimError> {
    match change {
        DiskChange::ZfsErrors { pool: name, errors } => pool(cluster, node, &name).map(|pool| pool.errors = errors),
        DiskChange::ZfsRepaired { pool: name } => pool(cluster, node, &name).map(|pool| {
            "ONLINE".clone_into(&mut pool.health);
            pool.errors = 0;
        }),
        DiskChange::ThinPool { pool: name, used, metadata } => thin_pool(cluster, node, &name).map(|pool| {
            pool.used = used.clamp(0.0, 1.0);
            pool.metadata_used = metadata.clamp(0.0, 1.0);
        }),
        DiskChange::Worn { device, life_left } => {
            disk(cluster, node, &device).map(|disk| disk.life_left = Some(life_left.min(100)))
        }
        DiskChange::Replaced { device } => disk(cluster, node, &device).map(|disk| {
            "PASSED".clone_into(&mut disk.health);
            disk.life_left = disk.life_left.map(|_| 100);
            disk.serial = format!("{}R", disk.serial);
        }),
    }
}
