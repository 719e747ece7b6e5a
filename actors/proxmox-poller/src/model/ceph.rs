//! How Ceph does.

use std::sync::Arc;

/// One thing that Ceph complains about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CephCheck {
    /// Its code (`OSD_DOWN`).
    pub code: Arc<str>,
    /// `HEALTH_WARN` or `HEALTH_ERR`.
    pub severity: Arc<str>,
    /// Ceph's words.
    pub message: Arc<str>,
    /// Whether somebody muted it.
    pub is_muted: bool,
}

/// Ceph's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CephStatus {
    /// `HEALTH_OK`, `HEALTH_WARN` or `HEALTH_ERR`; empty where it was not told.
    pub health: Arc<str>,
    /// What it complains about, by code.
    pub checks: Vec<CephCheck>,
    /// Storage daemons there are.
    pub osds: Option<u32>,
    /// Storage daemons that run.
    pub osds_up: Option<u32>,
    /// Storage daemons that take data.
    pub osds_in: Option<u32>,
    /// In use.
    pub used_bytes: Option<u64>,
    /// Its size.
    pub total_bytes: Option<u64>,
    /// Placement groups by state.
    pub placement_groups: Vec<(Arc<str>, u32)>,
    /// Monitors in quorum, by name.
    pub monitors: Vec<Arc<str>>,
    /// Bytes read per second now.
    pub read_bytes_per_s: Option<u64>,
    /// Bytes written per second now.
    pub write_bytes_per_s: Option<u64>,
}
