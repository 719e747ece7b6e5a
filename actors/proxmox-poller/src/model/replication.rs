//! A replication job. Times are seconds since 1970 by the node's own clock.

use std::sync::Arc;

/// A job that copies a guest's disks to another node.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicationJob {
    /// `<vmid>-<number>`.
    pub id: Arc<str>,
    /// The guest.
    pub vmid: Option<u32>,
    /// From where; the guest's node.
    pub source: Arc<str>,
    /// To where.
    pub target: Arc<str>,
    /// How often, as Proxmox writes it.
    pub schedule: Option<Arc<str>>,
    /// Whether it is switched off.
    pub is_disabled: bool,
    /// Failures in a row.
    pub fail_count: u32,
    /// What the last failure said.
    pub error: Option<Arc<str>>,
    /// When it last succeeded.
    pub last_sync_s: Option<i64>,
    /// When it was last tried.
    pub last_try_s: Option<i64>,
    /// When it is due.
    pub next_sync_s: Option<i64>,
    /// Seconds that the last run took.
    pub duration_s: Option<f64>,
    /// Whether it runs now.
    pub is_running: bool,
}
