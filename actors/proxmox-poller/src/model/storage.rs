//! A storage. Shared ones come with one row per node and are one storage here; local ones are one per node.

use jiff::Timestamp;
use std::sync::Arc;

/// Whether a storage can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageState {
    /// It can.
    Available,
    /// The cluster gives no data on it (any more) from at least one node.
    Unknown,
}

impl StorageState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            StorageState::Available => "available",
            StorageState::Unknown => "unknown",
        }
    }
}

/// How one node sees a storage.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageUse {
    /// The node.
    pub node: Arc<str>,
    /// Whether it can use it.
    pub state: StorageState,
}

/// A storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// Its name.
    pub name: Arc<str>,
    /// Whether all nodes see the same one.
    pub is_shared: bool,
    /// The nodes that have it, by name: one for a local storage.
    pub nodes: Vec<StorageUse>,
    /// `Unknown` when no node can use it.
    pub state: StorageState,
    /// Its type (`zfspool`, `nfs`, `pbs`, …), where told.
    pub kind: Option<Arc<str>>,
    /// What it may hold (`images,backup`), where told.
    pub content: Option<Arc<str>>,
    /// In use.
    pub used_bytes: Option<u64>,
    /// Its size.
    pub total_bytes: Option<u64>,
    /// When the figures were last fresh, in HAIA's time.
    pub figures_at: Option<Timestamp>,
}

impl Storage {
    /// Share in use, 0 to 1.
    pub fn used_fraction(&self) -> Option<f64> {
        super::fraction(self.used_bytes, self.total_bytes)
    }

    /// The node of a local storage; `None` for a shared one.
    pub fn node(&self) -> Option<&Arc<str>> {
        self.nodes.first().filter(|_| !self.is_shared).map(|seen| &seen.node)
    }

    /// `node/name` for a local storage, the name for a shared one: one over the whole cluster.
    pub fn label(&self) -> String {
        self.node().map_or_else(|| self.name.to_string(), |node| format!("{node}/{}", self.name))
    }

    /// Whether it may hold backups.
    pub fn holds_backups(&self) -> bool {
        self.content.as_deref().is_some_and(|content| content.split(',').any(|kind| kind.trim() == "backup"))
    }
}
