//! A small cluster to play on: three nodes, two guests, two storages, all well.

use crate::history::History;
use crate::memory::Memory;
use crate::model::{
    Guest, GuestKind, GuestState, Node, NodeParts, NodeState, Part, Quorum, Slow, Snapshot, Storage, StorageState,
    StorageUse, Task, TaskState,
};
use crate::rules::{Scene, judge};
use contract::alerts::{Finding, Judged, Reading};
use contract::monitor::RuleBook;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// The server's clock at [`at`]`(0)`, seconds since 1970: as HAIA's.
pub(super) const T0: i64 = 1_772_366_400;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(T0 + seconds)
}

pub(super) struct Stage {
    pub(super) snapshot: Snapshot,
    /// The snapshot before the last [`Stage::observe`].
    pub(super) before: Option<Snapshot>,
    pub(super) memory: Memory,
    pub(super) history: History,
    book: RuleBook,
}

fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        state: NodeState::Online,
        state_since: at(-90_000),
        ip: None,
        cpus: Some(8),
        cpu: Some(0.1),
        memory_bytes: Some(40),
        memory_total_bytes: Some(100),
        disk_bytes: Some(10),
        disk_total_bytes: Some(100),
        uptime_s: Some(90_000),
        figures_at: Some(at(0)),
        level: "".into(),
    }
}

fn guest(vmid: u32, name: &str, kind: GuestKind, node: &str) -> Guest {
    Guest {
        vmid,
        kind,
        name: Some(name.into()),
        node: node.into(),
        state: GuestState::Running,
        state_since: at(-50_000),
        state_from_first_sight: true,
        is_template: false,
        tags: Arc::default(),
        pool: None,
        lock: None,
        ha_state: None,
        cpus: Some(2.0),
        cpu: Some(0.1),
        memory_bytes: Some(40),
        memory_total_bytes: Some(100),
        memory_of_host_bytes: Some(60),
        disk_bytes: (kind == GuestKind::Container).then_some(10),
        disk_total_bytes: Some(100),
        network_in_bytes: None,
        network_out_bytes: None,
        uptime_s: Some(50_000),
        figures_at: Some(at(0)),
        ran_at: Some(at(0)),
        ran_on: Some(node.into()),
        known_since: at(-90_000),
        missed_polls: 0,
    }
}

fn storage(name: &str, is_shared: bool, nodes: &[&str]) -> Storage {
    let seen = |node: &&str| StorageUse { node: (*node).into(), state: StorageState::Available };
    Storage {
        name: name.into(),
        is_shared,
        nodes: nodes.iter().map(seen).collect(),
        state: StorageState::Available,
        kind: Some(if is_shared { "nfs" } else { "dir" }.into()),
        content: Some("images,backup".into()),
        used_bytes: Some(40),
        total_bytes: Some(100),
        figures_at: Some(at(0)),
    }
}

impl Stage {
    pub(super) fn new() -> Self {
        let snapshot = Snapshot {
            cluster: "homelab".into(),
            own_name: None,
            taken_at: at(0),
            server_time_s: Some(T0),
            server_clock: Arc::default(),
            endpoint: "https://a:8006".into(),
            poll_ms: 10,
            nodes: ["pve1", "pve2", "pve3"].map(node).into(),
            guests: vec![
                guest(101, "web-01", GuestKind::Vm, "pve1"),
                guest(102, "db-01", GuestKind::Container, "pve2"),
            ],
            storages: vec![storage("nas", true, &["pve1", "pve2", "pve3"]), storage("local", false, &["pve1"])],
            tasks: Vec::new(),
            quorum: Some(Quorum { is_quorate: true, members: 3 }),
            ceph: Part::default(),
            ha: Part::default(),
            replication: Part::default(),
            backup_jobs: Part::default(),
            slow: Arc::default(),
            other_rows: std::collections::BTreeMap::new(),
            missing_privileges: Vec::new(),
            actions: Arc::default(),
        };
        let mut stage = Self {
            snapshot,
            before: None,
            memory: Memory::default(),
            history: History::default(),
            book: RuleBook::default(),
        };
        stage.observe();
        stage
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.snapshot.nodes.iter_mut().find(|node| &*node.name == name).unwrap()
    }

    pub(super) fn guest(&mut self, vmid: u32) -> &mut Guest {
        self.snapshot.guests.iter_mut().find(|guest| guest.vmid == vmid).unwrap()
    }

    pub(super) fn slow(&mut self) -> &mut Slow {
        Arc::make_mut(&mut self.snapshot.slow)
    }

    pub(super) fn parts(&mut self, node: &str) -> &mut NodeParts {
        self.slow().nodes.entry(node.into()).or_default()
    }

    pub(super) fn book(&mut self, json: &str) {
        self.book = serde_json::from_str(json).unwrap();
    }

    /// Seconds pass, and a poll shows everything as it was.
    pub(super) fn pass(&mut self, seconds: i64) {
        let snapshot = &mut self.snapshot;
        snapshot.taken_at += SignedDuration::from_secs(seconds);
        snapshot.server_time_s = snapshot.server_time_s.map(|time| time + seconds);
        let now = snapshot.taken_at;
        let older = |uptime: Option<u64>| uptime.map(|uptime| uptime + seconds.unsigned_abs());
        for node in snapshot.nodes.iter_mut().filter(|node| node.state == NodeState::Online) {
            (node.figures_at, node.uptime_s) = (Some(now), older(node.uptime_s));
        }
        for guest in snapshot.guests.iter_mut().filter(|guest| guest.state != GuestState::Unknown) {
            guest.figures_at = Some(now);
            if guest.state.is_up() {
                (guest.ran_at, guest.ran_on, guest.uptime_s) =
                    (Some(now), Some(Arc::clone(&guest.node)), older(guest.uptime_s));
            }
        }
        for storage in snapshot.storages.iter_mut().filter(|storage| storage.state == StorageState::Available) {
            storage.figures_at = Some(now);
        }
        self.observe();
    }

    /// A guest is seen in another state.
    pub(super) fn turn(&mut self, vmid: u32, state: GuestState) {
        let now = self.snapshot.taken_at;
        let guest = self.guest(vmid);
        guest.state_since = now;
        guest.state_from_first_sight = false;
        if state == GuestState::Stopped {
            guest.uptime_s = Some(0);
        } else if guest.state == GuestState::Stopped && state.is_up() {
            guest.uptime_s = Some(1);
        }
        guest.state = state;
        if guest.state.is_up() {
            guest.ran_at = Some(now);
        }
        self.observe();
    }

    /// A guest stops ten seconds from now.
    pub(super) fn stop(&mut self, vmid: u32) {
        self.advance(10);
        self.turn(vmid, GuestState::Stopped);
    }

    /// Time passes without a poll.
    pub(super) fn advance(&mut self, seconds: i64) {
        self.snapshot.taken_at += SignedDuration::from_secs(seconds);
        self.snapshot.server_time_s = self.snapshot.server_time_s.map(|time| time + seconds);
        let now = self.snapshot.taken_at;
        self.snapshot.nodes.iter_mut().for_each(|node| node.figures_at = Some(now));
        self.snapshot.storages.iter_mut().for_each(|storage| storage.figures_at = Some(now));
    }

    /// A task that began and ended so many seconds from [`at`]`(0)`; without an end it runs.
    pub(super) fn task(&mut self, node: &str, kind: &str, id: &str, user: &str, start: i64, end: Option<(i64, &str)>) {
        let task = Task {
            upid: format!("UPID:{node}:1:1:{:X}:{kind}:{id}:{user}:", T0 + start).into(),
            node: node.into(),
            kind: kind.into(),
            id: id.into(),
            user: user.into(),
            started_s: T0 + start,
            ended_s: end.map(|(end, _)| T0 + end),
            state: end.map_or(TaskState::Running, |(_, status)| TaskState::from_status(status)),
        };
        self.snapshot.tasks.retain(|known| known.upid != task.upid);
        self.snapshot.tasks.push(task);
        self.snapshot.tasks.sort_by_key(|task| std::cmp::Reverse(task.started_s));
    }

    /// The memory learns of the snapshot as it is.
    pub(super) fn observe(&mut self) {
        self.memory.observe(self.before.as_ref(), &self.snapshot);
        self.before = Some(self.snapshot.clone());
    }

    pub(super) fn judged(&self) -> Vec<Judged> {
        let scene = Scene {
            snapshot: &self.snapshot,
            memory: &self.memory,
            history: &self.history,
            book: &self.book,
            now: self.snapshot.taken_at,
        };
        judge(scene, |_| true)
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.judged().into_iter().flat_map(|one| one.findings).collect()
    }

    /// What is raised, as `severity rule:object`.
    pub(super) fn read(&self) -> Vec<String> {
        let raised = self.findings();
        let raised = raised.iter().filter_map(|finding| Some((finding.raised()?, finding)));
        raised.map(|(severity, finding)| format!("{} {}", severity.as_str(), finding.key())).collect()
    }

    /// The one finding of a rule.
    pub(super) fn found(&self, rule: &str) -> Finding {
        let mut of_rule: Vec<Finding> = self.findings().into_iter().filter(|finding| &*finding.rule == rule).collect();
        assert_eq!(of_rule.len(), 1, "{rule}: {of_rule:?}");
        of_rule.remove(0)
    }

    /// Whether a rule says that it cannot see an object, or says nothing of its scope at all.
    pub(super) fn is_unseen(&self, rule: &str, object: &str) -> bool {
        let judged = self.judged();
        let mut over = judged.iter().filter(|one| {
            &*one.rule == rule
                && (object == &*one.scope || (one.scope.ends_with('/') && object.starts_with(&*one.scope)))
        });
        over.all(|one| one.unseen.iter().any(|unseen| **unseen == *object))
    }

    /// How long a level that is raised has to hold, in seconds.
    pub(super) fn holds_s(&self, rule: &str) -> u64 {
        let finding = self.found(rule);
        let raised = finding.levels.iter().filter(|level| level.reading == Reading::Raised);
        raised.max_by_key(|level| level.severity).map(|level| level.raise_for.as_secs()).unwrap()
    }
}
