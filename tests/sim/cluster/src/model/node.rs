//! A node: its hardware, whether it is there, and what its own disks and packages look like. It changes only through incidents.

use super::guest::Guest;
use crate::figures::{seed, wave};

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) device: String,
    pub(crate) model: &'static str,
    pub(crate) serial: String,
    /// ssd, nvme, hdd
    pub(crate) kind: &'static str,
    pub(crate) size: u64,
    /// PASSED, OK, FAILED, UNKNOWN
    pub(crate) health: String,
    /// Life left in per cent; spinning disks have none.
    pub(crate) life_left: Option<u32>,
    /// ZFS, LVM, …
    pub(crate) used_for: &'static str,
    pub(crate) osd: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct ZfsPool {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) used: u64,
    /// ONLINE, DEGRADED, …
    pub(crate) health: String,
    pub(crate) disks: Vec<String>,
    pub(crate) scrubbed: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) package: &'static str,
    pub(crate) old: &'static str,
    pub(crate) new: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) address: String,
    pub(crate) online: bool,
    pub(crate) booted: i64,
    /// Since when pvestatd reports nothing: the node is down, or pvestatd is stuck.
    pub(crate) silent: Option<i64>,
    pub(crate) maintenance: bool,
    pub(crate) processors: u32,
    pub(crate) processor: &'static str,
    pub(crate) memory: u64,
    pub(crate) root_disk: u64,
    /// The middle of its own CPU use, beside what its guests use.
    pub(crate) load: f64,
    /// How far its clock is ahead of the others, in seconds.
    pub(crate) drift: i64,
    pub(crate) disks: Vec<Disk>,
    pub(crate) pools: Vec<ZfsPool>,
    pub(crate) updates: Vec<Update>,
    pub(crate) subscription: Option<&'static str>,
    pub(crate) certificate_ends: i64,
}

impl Node {
    pub(crate) fn uptime(&self, now: i64) -> i64 {
        (now - self.booted).max(0)
    }

    /// The share of its processors in use, from its guests and its own work.
    pub(crate) fn cpu(&self, guests: &[&Guest], now: i64) -> f64 {
        let cores: f64 = guests.iter().map(|guest| guest.cpu(now) * f64::from(guest.cores)).sum();
        let own = self.load * (0.6 + 0.8 * wave(seed(&self.name), now, 3600));
        (own + cores / f64::from(self.processors)).clamp(0.0, 1.0)
    }

    /// Bytes in use.
    pub(crate) fn memory_used(&self, guests: &[&Guest], now: i64) -> u64 {
        let of_guests: u64 = guests.iter().map(|guest| guest.memory_host(now).max(guest.memory_used(now))).sum();
        let own = (self.memory as f64 * (0.05 + 0.02 * wave(seed(&self.name) ^ 5, now, 7200))) as u64;
        (own + of_guests * 8 / 10).min(self.memory / 100 * 99)
    }
}
