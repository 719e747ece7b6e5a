//! A backup job of the cluster.

use std::sync::Arc;

/// Which guests a job covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupSelection {
    /// All but these.
    All {
        /// Left out.
        except: Vec<u32>,
    },
    /// These.
    Guests(Vec<u32>),
    /// The members of a pool.
    Pool(Arc<str>),
}

/// A backup job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupJob {
    /// Its name.
    pub id: Arc<str>,
    /// Whether it runs at all.
    pub is_enabled: bool,
    /// When, as Proxmox writes it (`sat 02:00`).
    pub schedule: Option<Arc<str>>,
    /// Where to.
    pub storage: Option<Arc<str>>,
    /// Only guests on this node.
    pub node: Option<Arc<str>>,
    /// Which guests.
    pub selection: BackupSelection,
    /// `snapshot`, `suspend` or `stop`.
    pub mode: Option<Arc<str>>,
    /// When it runs next, seconds since 1970.
    pub next_run_s: Option<i64>,
    /// Its comment.
    pub comment: Option<Arc<str>>,
}

impl BackupJob {
    /// Whether it would back up this guest.
    pub fn covers(&self, guest: &super::Guest) -> bool {
        self.is_enabled
            && self.node.as_ref().is_none_or(|node| *node == guest.node)
            && match &self.selection {
                BackupSelection::All { except } => !except.contains(&guest.vmid),
                BackupSelection::Guests(guests) => guests.contains(&guest.vmid),
                BackupSelection::Pool(pool) => guest.pool.as_ref() == Some(pool),
            }
    }
}
