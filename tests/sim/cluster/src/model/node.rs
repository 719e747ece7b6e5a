//! A node: its hardware, whether it is there, and what its own disks and packages look like. It changes only through incidents.

use super::guest::{Guest, Run};
use crate::figures::{seed, share, wave};
use std::collections::BTreeMap;

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
    /// Checksum errors of its first disk.
    pub(crate) errors: u64,
}

/// A thin pool of LVM.
#[derive(Clone, Debug)]
pub(crate) struct ThinPool {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) size: u64,
    pub(crate) metadata: u64,
    /// From 0 to 1.
    pub(crate) used: f64,
    /// From 0 to 1.
    pub(crate) metadata_used: f64,
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
    /// What its guests did when it fell silent: all that others know of them.
    pub(crate) frozen: BTreeMap<u32, Run>,
    /// Its boot as its last report had it.
    pub(crate) frozen_boot: i64,
    pub(crate) maintenance: bool,
    /// It went down to come back: its services wait for it.
    pub(crate) restarting: bool,
    /// Since when its local resource manager is stuck.
    pub(crate) manager_stuck: Option<i64>,
    pub(crate) processors: u32,
    pub(crate) processor: &'static str,
    pub(crate) memory: u64,
    pub(crate) root_disk: u64,
    /// The middle of its own CPU use, beside what its guests use.
    pub(crate) load: f64,
    /// What it needs of its memory, from 0 to 1, in place of what its guests and its own work need.
    pub(crate) memory_level: Option<f64>,
    /// ZFS's cache: counted as used, and given back when something needs it.
    pub(crate) cache: u64,
    /// How far its clock is ahead of the others, in seconds.
    pub(crate) drift: i64,
    pub(crate) disks: Vec<Disk>,
    pub(crate) pools: Vec<ZfsPool>,
    pub(crate) thin_pools: Vec<ThinPool>,
    pub(crate) updates: Vec<Update>,
    /// notfound, active, expired, …
    pub(crate) subscription: String,
    pub(crate) certificate_ends: i64,
}

impl Node {
    pub(crate) fn uptime(&self, now: i64) -> i64 {
        (now - self.booted).max(0)
    }

    /// Its uptime as others know it, by a sample of that moment.
    pub(crate) fn known_uptime(&self, at: i64) -> i64 {
        let booted = if self.silent.is_some() { self.frozen_boot } else { self.booted };
        (at - booted).max(0)
    }

    /// The share of its processors in use, from its guests and its own work.
    pub(crate) fn cpu(&self, guests: &[&Guest], now: i64) -> f64 {
        let cores: f64 = guests.iter().map(|guest| guest.cpu(now) * f64::from(guest.cores)).sum();
        let own = self.load * (0.6 + 0.8 * wave(seed(&self.name), now, 3600));
        (own + cores / f64::from(self.processors)).clamp(0.0, 1.0)
    }

    /// Bytes in use, ZFS's cache with them.
    pub(crate) fn memory_used(&self, guests: &[&Guest], now: i64) -> u64 {
        (self.memory_needed(guests, now) + self.cache).min(self.memory / 100 * 99)
    }

    /// Bytes that cannot be given back.
    pub(crate) fn memory_needed(&self, guests: &[&Guest], now: i64) -> u64 {
        if let Some(level) = self.memory_level {
            return share(self.memory, level);
        }
        let of_guests: u64 = guests.iter().map(|guest| guest.memory_host(now).max(guest.memory_used(now))).sum();
        let own = (self.memory as f64 * (0.05 + 0.02 * wave(seed(&self.name) ^ 5, now, 7200))) as u64;
        (own + of_guests * 8 / 10).min(self.memory / 100 * 98)
    }
}
