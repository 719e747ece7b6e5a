//! A guest: what it is configured to be, what it does now, and its figures at a moment. It changes only through incidents.

use crate::figures::{fraction, mix, share, wave};

/// The two kinds of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Qemu,
    Lxc,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// What task types of this kind begin with.
    pub(crate) fn task(self, action: &str) -> String {
        match (self, action) {
            // The one whose letters run together.
            (Self::Qemu, "migrate") => "qmigrate".into(),
            (Self::Qemu, _) => format!("qm{action}"),
            (Self::Lxc, _) => format!("vz{action}"),
        }
    }

    /// How the HA manager names it.
    pub(crate) fn sid(self, vmid: u32) -> String {
        match self {
            Self::Qemu => format!("vm:{vmid}"),
            Self::Lxc => format!("ct:{vmid}"),
        }
    }

    /// How logs name it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "CT",
        }
    }
}

/// What a guest does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Run {
    Stopped,
    /// With the moment of its start, and the QMP status: `running`, `paused`, `io-error`, …
    Up {
        since: i64,
        status: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) at: i64,
    pub(crate) description: String,
    pub(crate) with_memory: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) vmid: u32,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) run: Run,
    pub(crate) cores: u32,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
    pub(crate) storage: String,
    pub(crate) pool: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) onboot: bool,
    pub(crate) template: bool,
    /// QEMU: the guest agent and the balloon driver answer.
    pub(crate) agent: bool,
    /// The middle of its CPU use, from 0 to 1 of its cores.
    pub(crate) load: f64,
    /// The middle of its memory use, from 0 to 1.
    pub(crate) memory_use: f64,
    /// Containers: how full the root file system is, from 0 to 1.
    pub(crate) disk_use: f64,
    pub(crate) lock: Option<String>,
    /// What somebody wrote into its notes; empty: nothing.
    pub(crate) notes: String,
    pub(crate) snapshots: Vec<Snapshot>,
    /// It does not react to a shutdown from outside.
    pub(crate) deaf: bool,
    /// When pvestatd first sees it: a new guest has no sample before.
    pub(crate) sampled_from: i64,
    /// Bytes that backups read from its disks since its start.
    pub(crate) backup_reads: u64,
}

impl Guest {
    /// A small stopped guest without tags and pool.
    pub(crate) fn new(vmid: u32, kind: Kind, name: &str, node: &str) -> Self {
        Self {
            vmid,
            kind,
            name: name.to_owned(),
            node: node.to_owned(),
            run: Run::Stopped,
            cores: 1,
            memory: 1 << 30,
            disk: 8 << 30,
            storage: "local-zfs".into(),
            pool: None,
            tags: Vec::new(),
            onboot: false,
            template: false,
            agent: kind == Kind::Qemu,
            load: 0.05,
            memory_use: 0.4,
            disk_use: 0.3,
            lock: None,
            notes: String::new(),
            snapshots: Vec::new(),
            deaf: false,
            sampled_from: 0,
            backup_reads: 0,
        }
    }

    /// Which counter holds the bytes read from disks.
    pub(crate) const DISK_READ: u64 = 3;

    fn seed(&self) -> u64 {
        mix(u64::from(self.vmid))
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.run, Run::Up { .. })
    }

    /// As pvestatd reports it: the QMP status.
    pub(crate) fn status(&self) -> &str {
        match &self.run {
            Run::Stopped => "stopped",
            Run::Up { status, .. } => status,
        }
    }

    /// As the guest's own list reports it: running or stopped.
    pub(crate) fn plain_status(&self) -> &'static str {
        if self.is_up() { "running" } else { "stopped" }
    }

    /// Seconds since its start; 0 when stopped.
    pub(crate) fn uptime(&self, now: i64) -> i64 {
        match self.run {
            Run::Stopped => 0,
            Run::Up { since, .. } => (now - since).max(0),
        }
    }

    pub(crate) fn process(&self) -> i64 {
        match self.run {
            Run::Stopped => 0,
            Run::Up { since, .. } => 1_000 + (mix(self.seed() ^ since.unsigned_abs()) % 3_900_000) as i64,
        }
    }

    /// The share of its own cores that it uses.
    pub(crate) fn cpu(&self, now: i64) -> f64 {
        match &self.run {
            Run::Up { status, .. } if status == "running" => {
                // Compressing and checksumming a backup is counted as the guest's own work.
                let backup = if self.lock.as_deref() == Some("backup") { 0.6 } else { 0.0 };
                (self.load * (0.7 + 0.6 * wave(self.seed(), now, 5400)) + backup).clamp(0.001, 1.0)
            }
            _ => 0.0,
        }
    }

    /// Bytes in use as reported: with an agent the guest's own figure, else what the host spends on it.
    pub(crate) fn memory_used(&self, now: i64) -> u64 {
        match (self.is_up(), self.kind, self.agent) {
            (false, _, _) => 0,
            (true, Kind::Qemu, false) => self.memory_host(now),
            (true, _, _) => {
                let used = self.memory_use * (0.95 + 0.1 * wave(self.seed() ^ 2, now, 21_600));
                share(self.memory, used.min(1.0))
            }
        }
    }

    /// QEMU on version 9: what the host spends, a little more than the guest has.
    pub(crate) fn memory_host(&self, now: i64) -> u64 {
        if !self.is_up() || self.kind == Kind::Lxc {
            return 0;
        }
        share(self.memory, 0.97 + 0.05 * wave(self.seed() ^ 3, now, 43_200))
    }

    /// Containers: bytes used of the root file system, 0 when stopped. QEMU: always 0.
    pub(crate) fn disk_used(&self) -> u64 {
        if self.kind == Kind::Lxc && self.is_up() { share(self.disk, self.disk_use) } else { 0 }
    }

    /// A counter since the guest's start, such as bytes received.
    pub(crate) fn counter(&self, which: u64, now: i64) -> u64 {
        // Not of the load: a counter never falls while the guest runs.
        let per_second = 200.0 + fraction(self.seed() ^ (which << 8)) * 27_000.0;
        let read = if which == Self::DISK_READ && self.is_up() { self.backup_reads } else { 0 };
        (self.uptime(now) as f64 * per_second) as u64 + read
    }

    /// The name of its first disk.
    pub(crate) fn disk_name(&self) -> &'static str {
        if self.kind == Kind::Lxc { "rootfs" } else { "scsi0" }
    }

    /// The volume of its first disk.
    pub(crate) fn volume(&self) -> String {
        let prefix = match (self.kind, self.template) {
            (Kind::Lxc, _) if self.storage == "local-zfs" => "subvol",
            (_, true) => "base",
            _ => "vm",
        };
        format!("{}:{prefix}-{}-disk-0", self.storage, self.vmid)
    }

    /// A MAC address of its own.
    pub(crate) fn mac(&self) -> String {
        let drawn = self.seed().to_be_bytes();
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", drawn[0], drawn[1], drawn[2])
    }
}
