//! What is kept over a restart: the states of guests and nodes, and what the rules remember. Compact JSON.
//!
//! What is read back becomes the snapshot that the first poll is compared with: so what stopped meanwhile is seen as a stop.

use super::Memory;
use crate::model::{Guest, GuestKind, GuestState, Node, NodeState, Part, ServerClock, Slow, Snapshot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What was kept, as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The states of before, as a snapshot to compare with. It is not to be published: it holds little.
    pub snapshot: Snapshot,
    /// What the rules remember.
    pub memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct File {
    at: Timestamp,
    guests: Vec<KeptGuest>,
    nodes: Vec<KeptNode>,
    #[serde(default)]
    server_clock: ServerClock,
    memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct KeptGuest {
    v: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    c: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<Arc<str>>,
    o: Arc<str>,
    s: Arc<str>,
    t: i64,
    #[serde(default, skip_serializing_if = "is_false")]
    f: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<u64>,
    k: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct KeptNode {
    n: Arc<str>,
    s: Arc<str>,
    t: i64,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

/// Writes what is to be kept.
pub fn pack(snapshot: &Snapshot, memory: &Memory) -> String {
    let guest = |guest: &Guest| KeptGuest {
        v: guest.vmid,
        c: guest.kind == GuestKind::Container,
        n: guest.name.clone(),
        o: Arc::clone(&guest.node),
        s: guest.state.as_str().into(),
        t: guest.state_since.as_second(),
        f: guest.state_from_first_sight,
        r: guest.ran_at.map(Timestamp::as_second),
        q: guest.ran_on.clone().filter(|ran_on| *ran_on != guest.node),
        g: guest.figures_at.map(Timestamp::as_second),
        u: guest.uptime_s.filter(|uptime| *uptime > 0),
        k: guest.known_since.as_second(),
        b: snapshot.slow.starts_with_node(guest.vmid),
    };
    let node = |node: &Node| KeptNode {
        n: Arc::clone(&node.name),
        s: node.state.as_str().into(),
        t: node.state_since.as_second(),
    };
    let file = File {
        at: snapshot.taken_at,
        guests: snapshot.guests.iter().filter(|guest| !guest.is_template).map(guest).collect(),
        nodes: snapshot.nodes.iter().map(node).collect(),
        server_clock: (*snapshot.server_clock).clone(),
        memory: memory.clone(),
    };
    serde_json::to_string(&file).unwrap_or_default()
}

/// Reads back what was kept for a cluster; `None` when it cannot be read.
pub fn unpack(cluster: &Arc<str>, text: &str) -> Option<Kept> {
    let file: File = serde_json::from_str(text).ok()?;
    let at = |second: i64| Timestamp::from_second(second).unwrap_or(file.at);
    let mut slow = Slow::default();
    for (vmid, starts_with_node) in file.guests.iter().filter_map(|guest| Some((guest.v, guest.b?))) {
        // Known, and yet to be asked for again: its age is not.
        slow.guests.entry(vmid).or_default().starts_with_node =
            Part { value: Some(Arc::new(starts_with_node)), ..Part::default() };
    }
    let guest = |kept: KeptGuest| Guest {
        vmid: kept.v,
        kind: if kept.c { GuestKind::Container } else { GuestKind::Vm },
        name: kept.n,
        state: GuestState::from_word(&kept.s),
        state_since: at(kept.t),
        state_from_first_sight: kept.f,
        is_template: false,
        tags: Arc::default(),
        pool: None,
        lock: None,
        ha_state: None,
        cpus: None,
        cpu: None,
        memory_bytes: None,
        memory_total_bytes: None,
        memory_of_host_bytes: None,
        disk_bytes: None,
        disk_total_bytes: None,
        network_in_bytes: None,
        network_out_bytes: None,
        uptime_s: kept.u,
        figures_at: kept.g.map(at),
        ran_at: kept.r.map(at),
        ran_on: kept.r.and(Some(kept.q.unwrap_or_else(|| Arc::clone(&kept.o)))),
        known_since: at(kept.k),
        missed_polls: 0,
        node: kept.o,
    };
    let node = |kept: KeptNode| Node {
        name: kept.n,
        state: match &*kept.s {
            "online" => NodeState::Online,
            "offline" => NodeState::Offline,
            _ => NodeState::NoData,
        },
        state_since: at(kept.t),
        ip: None,
        cpus: None,
        cpu: None,
        memory_bytes: None,
        memory_total_bytes: None,
        disk_bytes: None,
        disk_total_bytes: None,
        uptime_s: None,
        figures_at: None,
        level: Arc::default(),
    };
    let mut guests: Vec<Guest> = file.guests.into_iter().map(guest).collect();
    guests.sort_by_key(|guest| guest.vmid);
    guests.dedup_by_key(|guest| guest.vmid);
    let mut nodes: Vec<Node> = file.nodes.into_iter().map(node).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let snapshot = Snapshot {
        cluster: Arc::clone(cluster),
        own_name: None,
        taken_at: file.at,
        server_time_s: None,
        server_clock: Arc::new(file.server_clock),
        endpoint: Arc::default(),
        poll_ms: 0,
        nodes,
        guests,
        storages: Vec::new(),
        tasks: Vec::new(),
        quorum: None,
        ceph: Part::default(),
        ha: Part::default(),
        replication: Part::default(),
        backup_jobs: Part::default(),
        slow: Arc::new(slow),
        other_rows: BTreeMap::new(),
        missing_privileges: Vec::new(),
        actions: Arc::default(),
    };
    Some(Kept { snapshot, memory: file.memory })
}

/// Changes when something changed that is worth keeping: not with every figure.
pub fn fingerprint(snapshot: &Snapshot, memory: &Memory) -> u64 {
    let mut hasher = DefaultHasher::new();
    for guest in &snapshot.guests {
        (guest.vmid, guest.state.as_str(), &guest.node, &guest.name, guest.is_template).hash(&mut hasher);
    }
    for node in &snapshot.nodes {
        (&node.name, node.state).hash(&mut hasher);
    }
    for (vmid, stop) in &memory.stops {
        (vmid, stop.since, stop.is_final, stop.kind as u8).hash(&mut hasher);
    }
    for (vmid, starts) in &memory.starts {
        (vmid, starts.last()).hash(&mut hasher);
    }
    for (name, node) in &memory.nodes {
        (name, &node.planned, node.is_away).hash(&mut hasher);
    }
    for (key, failed) in &memory.failed_backups {
        (key, &failed.upid, failed.is_read, failed.is_over).hash(&mut hasher);
    }
    for (key, raised) in memory.raised.iter().filter(|(_, raised)| raised.is_lasting(snapshot.taken_at)) {
        (key, raised.clear_at.is_some()).hash(&mut hasher);
    }
    memory.actions.hash(&mut hasher);
    (memory.blind.as_ref().map(|blind| blind.since), memory.is_settled).hash(&mut hasher);
    hasher.finish()
}
