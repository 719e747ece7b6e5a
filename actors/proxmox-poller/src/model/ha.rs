//! What high availability does.

use std::sync::Arc;

/// A guest that HA manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaResource {
    /// `vm:101` or `ct:102`.
    pub id: Arc<str>,
    /// Where it is.
    pub node: Option<Arc<str>>,
    /// What it does: `started`, `stopped`, `error`, `fence`, `recovery`, `migrate`, `freeze`, …
    pub state: Arc<str>,
    /// What it should do.
    pub wanted: Option<Arc<str>>,
    /// The manager's words.
    pub status: Option<Arc<str>>,
}

impl HaResource {
    /// The guest.
    pub fn vmid(&self) -> Option<u32> {
        self.id.rsplit(':').next()?.parse().ok()
    }
}

/// The cluster's HA manager, or a node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaManager {
    /// `quorum`, `master`, `lrm`, `fencing`.
    pub kind: Arc<str>,
    /// The node, where it is a node's.
    pub node: Option<Arc<str>>,
    /// Its words: `OK`, `pve1 (active, …)`, `pve2 (maintenance mode, …)`, `… old timestamp - dead?`.
    pub status: Arc<str>,
}

/// HA as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HaStatus {
    /// The managers' lines.
    pub managers: Vec<HaManager>,
    /// The guests it manages.
    pub resources: Vec<HaResource>,
}
