//! A member of the cluster.

use jiff::Timestamp;
use std::sync::Arc;

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// A member that answers (corosync membership).
    Online,
    /// Not a member now: down, or cut off.
    Offline,
    /// A member, but its status daemon gives no data (often a dead NFS or backup server).
    NoData,
}

impl NodeState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Online => "online",
            NodeState::Offline => "offline",
            NodeState::NoData => "no data",
        }
    }
}

/// A node. Figures are the newest that were known; [`Node::figures_at`] says of when.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is there.
    pub state: NodeState,
    /// Since when it has this state, as HAIA saw it.
    pub state_since: Timestamp,
    /// Its address in the cluster.
    pub ip: Option<Arc<str>>,
    /// Processor threads.
    pub cpus: Option<u32>,
    /// Use of all threads, 0 to 1.
    pub cpu: Option<f64>,
    /// Memory in use.
    pub memory_bytes: Option<u64>,
    /// Memory there is.
    pub memory_total_bytes: Option<u64>,
    /// Root file system in use.
    pub disk_bytes: Option<u64>,
    /// Root file system size.
    pub disk_total_bytes: Option<u64>,
    /// Seconds since its start.
    pub uptime_s: Option<u64>,
    /// When the figures were last fresh, in HAIA's time.
    pub figures_at: Option<Timestamp>,
    /// The subscription level; empty: none.
    pub level: Arc<str>,
}
