//! The cluster: everything that the API tells, and what is still to happen. It does no I/O and reads no clock; `advance` brings the time.

mod ceph;
mod guest;
mod node;
mod services;
mod storage;
mod task;

pub(crate) use ceph::{Ceph, Osd};
pub(crate) use guest::{Guest, Kind, Run, Snapshot};
pub(crate) use node::{Disk, Node, ThinPool, Update, ZfsPool};
pub(crate) use services::{Backup, BackupJob, HaService, Replication, Services};
pub(crate) use storage::{Level, Storage};
pub(crate) use task::{NewTask, Task, Tasks};

use crate::error::SimError;
use crate::fault::Faults;
use crate::incidents::{Effect, happen};
use crate::task_rule::TaskRules;
use std::collections::BTreeMap;

/// How long pmxcfs keeps a sample of pvestatd, in seconds.
const SAMPLE_KEPT: i64 = 300;
/// How many effects one advance does at most: a clock that jumps by years must not hold a request up.
const AT_ONCE: usize = 100_000;

/// The state of the simulated cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) now: i64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) guests: BTreeMap<u32, Guest>,
    pub(crate) storages: Vec<Storage>,
    pub(crate) tasks: Tasks,
    pub(crate) services: Services,
    pub(crate) fingerprint: String,
    /// Since when no node sees another.
    pub(crate) quorum_lost: Option<i64>,
    /// What all guests did then: all that the other nodes know of them.
    pub(crate) frozen: BTreeMap<u32, Run>,
    pub(crate) faults: Faults,
    pub(crate) task_rules: TaskRules,
    /// How often the servers have dropped every connection.
    pub(crate) drops: u64,
    agenda: BTreeMap<(i64, u64), Effect>,
    scheduled: u64,
}

impl Cluster {
    pub(crate) fn new(name: String, now: i64, nodes: Vec<Node>, storages: Vec<Storage>, services: Services) -> Self {
        Self {
            name,
            now,
            nodes,
            guests: BTreeMap::new(),
            storages,
            tasks: Tasks::default(),
            services,
            fingerprint: String::new(),
            quorum_lost: None,
            frozen: BTreeMap::new(),
            faults: Faults::default(),
            task_rules: TaskRules::default(),
            drops: 0,
            agenda: BTreeMap::new(),
            scheduled: 0,
        }
    }

    /// Puts something on the agenda. What is due at the same second happens in the order it was scheduled.
    pub(crate) fn schedule(&mut self, at: i64, effect: Effect) {
        self.scheduled += 1;
        self.agenda.insert((at, self.scheduled), effect);
    }

    /// Moves time on, doing what became due, each at its own time. Time never goes backwards.
    pub(crate) fn advance(&mut self, now: i64) {
        for _ in 0..AT_ONCE {
            let Some(first) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) else { break };
            let ((at, _), effect) = first.remove_entry();
            self.now = self.now.max(at);
            // What a script says may have become impossible meanwhile: the guest is gone, the node is down. Then it does not happen.
            let _ = happen(self, effect);
        }
        self.now = self.now.max(now);
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> Result<&mut Node, SimError> {
        let known = names(self.nodes.iter().map(|node| node.name.as_str()));
        let found = self.nodes.iter_mut().find(|node| node.name == name);
        found.ok_or_else(|| SimError::Unknown { kind: "node", name: name.to_owned(), known })
    }

    pub(crate) fn guest(&self, vmid: u32) -> Result<&Guest, SimError> {
        self.guests.get(&vmid).ok_or_else(|| self.no_guest(vmid))
    }

    pub(crate) fn guest_mut(&mut self, vmid: u32) -> Result<&mut Guest, SimError> {
        if !self.guests.contains_key(&vmid) {
            return Err(self.no_guest(vmid));
        }
        self.guests.get_mut(&vmid).ok_or_else(|| SimError::Impossible(format!("guest {vmid} is gone")))
    }

    fn no_guest(&self, vmid: u32) -> SimError {
        let known: Vec<String> = self.guests.values().map(|guest| format!("{} ({})", guest.vmid, guest.name)).collect();
        SimError::Unknown { kind: "guest", name: vmid.to_string(), known: names(known.iter().map(String::as_str)) }
    }

    pub(crate) fn storage_mut(&mut self, name: &str) -> Result<&mut Storage, SimError> {
        let known = names(self.storages.iter().map(|storage| storage.name.as_str()));
        let found = self.storages.iter_mut().find(|storage| storage.name == name);
        found.ok_or_else(|| SimError::Unknown { kind: "storage", name: name.to_owned(), known })
    }

    pub(crate) fn ceph_mut(&mut self) -> Result<&mut Ceph, SimError> {
        let missing = || SimError::Impossible("the simulated cluster has no Ceph: set SimConfig::ceph".into());
        self.services.ceph.as_mut().ok_or_else(missing)
    }

    pub(crate) fn guests_on<'a>(&'a self, node: &'a str) -> Vec<&'a Guest> {
        self.guests.values().filter(|guest| guest.node == node).collect()
    }

    /// Begins a task on a node.
    pub(crate) fn task(&mut self, new: NewTask<'_>, log: Vec<(i64, String)>) -> String {
        let booted = self.node(new.node).map_or(new.start, |node| node.booted);
        self.tasks.add(new, booted, log)
    }

    /// From now on nothing new is known of a node: what it last reported stays for a while.
    pub(crate) fn silence(&mut self, name: &str) -> Result<(), SimError> {
        let now = self.now;
        let frozen = self.guests_on(name).into_iter().map(|guest| (guest.vmid, guest.run.clone())).collect();
        let node = self.node_mut(name)?;
        if node.silent.is_none() {
            node.silent = Some(now);
            node.frozen = frozen;
            node.frozen_boot = node.booted;
        }
        Ok(())
    }

    /// What `local` knows of what a guest does, and the moment of that sample. Nothing without a sample.
    pub(crate) fn seen_guest<'a>(
        &'a self,
        local: &str,
        guest: &'a Guest,
    ) -> Option<(std::borrow::Cow<'a, Guest>, i64)> {
        let node = self.node(&guest.node)?;
        let at = self.sample(local, node).filter(|at| *at >= guest.sampled_from)?;
        let frozen = match (node.silent, self.quorum_lost) {
            (Some(_), _) => &node.frozen,
            (None, Some(_)) if node.name != local => &self.frozen,
            _ => return Some((std::borrow::Cow::Borrowed(guest), at)),
        };
        let run = frozen.get(&guest.vmid)?.clone();
        Some((std::borrow::Cow::Owned(Guest { run, ..guest.clone() }), at))
    }

    /// Whether `local` sees `node` as a member that is there.
    pub(crate) fn sees(&self, local: &str, node: &Node) -> bool {
        node.online && (self.quorum_lost.is_none() || node.name == local)
    }

    /// Since when `local` has no new sample of `node`.
    pub(crate) fn silent_since(&self, local: &str, node: &Node) -> Option<i64> {
        node.silent.or(self.quorum_lost.filter(|_| node.name != local))
    }

    /// The moment of the newest sample of `node` that `local` still keeps.
    pub(crate) fn sample(&self, local: &str, node: &Node) -> Option<i64> {
        match self.silent_since(local, node) {
            None => Some(self.now),
            Some(since) if self.now - since <= SAMPLE_KEPT => Some(since),
            Some(_) => None,
        }
    }

    /// Whether enough members see each other, as `local` sees it.
    pub(crate) fn quorate(&self, local: &str) -> bool {
        let seen = self.nodes.iter().filter(|node| self.sees(local, node)).count();
        seen * 2 > self.nodes.len()
    }
}

/// Some names, for an error.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    let shown = all.iter().take(12).copied().collect::<Vec<_>>().join(", ");
    if all.len() > 12 { format!("{shown} and {} more", all.len() - 12) } else { shown }
}
