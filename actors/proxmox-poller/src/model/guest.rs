//! A virtual machine or container.

use jiff::Timestamp;
use std::sync::Arc;

/// What kind of guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GuestKind {
    /// A virtual machine (QEMU).
    Vm,
    /// A container (LXC).
    Container,
}

impl GuestKind {
    /// `qemu` or `lxc`: the word in API paths.
    pub fn api(self) -> &'static str {
        match self {
            GuestKind::Vm => "qemu",
            GuestKind::Container => "lxc",
        }
    }

    /// `vm` or `container`: the word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            GuestKind::Vm => "vm",
            GuestKind::Container => "container",
        }
    }
}

/// What a guest does. QEMU's own words (QMP status) beyond running and stopped matter: an `io-error` guest hangs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GuestState {
    /// It runs.
    Running,
    /// It does not run.
    Stopped,
    /// Paused by someone, suspended, or about to run.
    Paused,
    /// Stopped by an error of its own: `io-error`, `internal-error`, `guest-panicked`. Holds QEMU's word.
    Failed(Arc<str>),
    /// The cluster gives no data on it now. What is known of it is old.
    Unknown,
    /// Any other word, as the cluster said it.
    Other(Arc<str>),
}

impl GuestState {
    /// The state as a word.
    pub fn as_str(&self) -> &str {
        match self {
            GuestState::Running => "running",
            GuestState::Stopped => "stopped",
            GuestState::Paused => "paused",
            GuestState::Unknown => "unknown",
            GuestState::Failed(word) | GuestState::Other(word) => word,
        }
    }

    /// Whether it is up: it has a process, whatever that does.
    pub fn is_up(&self) -> bool {
        !matches!(self, GuestState::Stopped | GuestState::Unknown)
    }

    /// Reads the cluster's word.
    pub fn from_word(word: &str) -> Self {
        match word {
            "running" => GuestState::Running,
            "stopped" => GuestState::Stopped,
            "paused" | "suspended" | "prelaunch" => GuestState::Paused,
            "io-error" | "internal-error" | "guest-panicked" => GuestState::Failed(word.into()),
            "unknown" | "" => GuestState::Unknown,
            other => GuestState::Other(other.into()),
        }
    }
}

/// A guest. Its identity is the VMID, which is one over the whole cluster; its node and name may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    /// Its number.
    pub vmid: u32,
    /// VM or container.
    pub kind: GuestKind,
    /// Its name, once known: a row without data has none.
    pub name: Option<Arc<str>>,
    /// Where it is.
    pub node: Arc<str>,
    /// What it does.
    pub state: GuestState,
    /// Since when it has this state, as HAIA saw it. For a guest seen in this state from the first poll on that is the first poll.
    pub state_since: Timestamp,
    /// Whether it had this state already when HAIA saw it first: then `state_since` is only a bound.
    pub state_from_first_sight: bool,
    /// Whether it is a template, which never runs.
    pub is_template: bool,
    /// Its tags.
    pub tags: Arc<[Arc<str>]>,
    /// Its pool.
    pub pool: Option<Arc<str>>,
    /// The lock on it (`backup`, `migrate`, …).
    pub lock: Option<Arc<str>>,
    /// What HA says of it, when HA manages it.
    pub ha_state: Option<Arc<str>>,
    /// Processors it has.
    pub cpus: Option<f64>,
    /// Use of its own processors, 0 to 1.
    pub cpu: Option<f64>,
    /// Memory in use; `None` where the figure says nothing: without balloon data the cluster gives what the VM takes of the host.
    pub memory_bytes: Option<u64>,
    /// Memory it may use.
    pub memory_total_bytes: Option<u64>,
    /// Memory it takes of the host.
    pub memory_of_host_bytes: Option<u64>,
    /// Root file system in use; containers only: the cluster does not know it of VMs.
    pub disk_bytes: Option<u64>,
    /// Size of its boot disk.
    pub disk_total_bytes: Option<u64>,
    /// Bytes received since its start.
    pub network_in_bytes: Option<u64>,
    /// Bytes sent since its start.
    pub network_out_bytes: Option<u64>,
    /// Seconds since its start; 0 when stopped.
    pub uptime_s: Option<u64>,
    /// When the figures were last fresh, in HAIA's time.
    pub figures_at: Option<Timestamp>,
    /// When it was last seen up (running, paused or hanging), in HAIA's time.
    pub ran_at: Option<Timestamp>,
    /// The node it was on then.
    pub ran_on: Option<Arc<str>>,
    /// Since when HAIA knows of it.
    pub known_since: Timestamp,
    /// In how many polls running it had no row: a row that is missing is no proof that the guest is gone.
    pub missed_polls: u32,
}

impl Guest {
    /// Whether it was up when it was last seen at all.
    pub fn was_up(&self) -> bool {
        self.ran_at.is_some() && self.ran_at == self.figures_at
    }

    /// The name, or the kind and number of a guest whose name is not known.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.vmid),
            None => format!("{} {}", self.kind.as_str(), self.vmid),
        }
    }

    /// Share of its memory in use, 0 to 1, where it is known.
    pub fn memory_fraction(&self) -> Option<f64> {
        super::fraction(self.memory_bytes, self.memory_total_bytes)
    }

    /// Share of its root file system in use, 0 to 1, where it is known.
    pub fn disk_fraction(&self) -> Option<f64> {
        super::fraction(self.disk_bytes, self.disk_total_bytes)
    }
}
