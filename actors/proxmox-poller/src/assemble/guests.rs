//! Guests: a row without data keeps what was known; a guest without a row is kept for a while.

use crate::decode::ResourceRow;
use crate::model::{Guest, GuestKind, GuestState, Node, NodeState, Snapshot, Task, TaskState};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// How many polls a guest without a row is kept: a hiccup of the cluster's file system or of rights is no deletion.
const KEPT_POLLS: u32 = 6;

pub(super) fn assemble(
    rows: Vec<ResourceRow>,
    nodes: &[Node],
    tasks: &[Task],
    before: Option<&Snapshot>,
    now: Timestamp,
) -> Vec<Guest> {
    let is_offline: HashMap<&str, bool> =
        nodes.iter().map(|node| (&*node.name, node.state == NodeState::Offline)).collect();
    let mut guests: Vec<Guest> = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(vmid) = row.vmid else { continue };
        let old = before.and_then(|before| before.guest(vmid));
        let on_dead_node = row.node.as_deref().is_some_and(|node| is_offline.get(node).copied().unwrap_or(false));
        guests.push(guest(vmid, row, old, on_dead_node, before.is_some(), now));
    }
    guests.sort_by_key(|guest| guest.vmid);
    // During a migration both nodes may show a row: the one with data is the truer.
    guests.dedup_by(|later, earlier| {
        let same = later.vmid == earlier.vmid;
        if same && earlier.state == GuestState::Unknown {
            std::mem::swap(later, earlier);
        }
        same
    });
    let gone = before.map_or(&[][..], |before| &before.guests).iter().filter(|old| {
        guests.binary_search_by_key(&old.vmid, |guest| guest.vmid).is_err()
            && old.missed_polls < KEPT_POLLS
            && !was_destroyed(old.vmid, tasks)
    });
    let gone: Vec<Guest> = gone.map(|old| missed(old, now)).collect();
    if !gone.is_empty() {
        guests.extend(gone);
        guests.sort_by_key(|guest| guest.vmid);
    }
    guests
}

fn was_destroyed(vmid: u32, tasks: &[Task]) -> bool {
    let last = tasks.iter().find(|task| task.vmid() == Some(vmid));
    last.is_some_and(|task| {
        matches!(&*task.kind, "qmdestroy" | "vzdestroy") && matches!(task.state, TaskState::Ok | TaskState::Warnings(_))
    })
}

fn missed(old: &Guest, now: Timestamp) -> Guest {
    let state_since = if old.state == GuestState::Unknown { old.state_since } else { now };
    Guest { state: GuestState::Unknown, state_since, missed_polls: old.missed_polls + 1, ..old.clone() }
}

fn guest(
    vmid: u32,
    row: ResourceRow,
    old: Option<&Guest>,
    on_dead_node: bool,
    was_watched: bool,
    now: Timestamp,
) -> Guest {
    let kind = if &*row.kind == "lxc" { GuestKind::Container } else { GuestKind::Vm };
    let state = match row.status.as_deref().map(GuestState::from_word) {
        // The cluster keeps the last figures of a dead node's guests for five minutes.
        _ if on_dead_node => GuestState::Unknown,
        Some(state) => state,
        None => GuestState::Unknown,
    };
    let row_node = row.node.clone();
    let is_fresh = state != GuestState::Unknown;
    let same_state = old.filter(|old| old.state == state);
    let keep = |new: Option<u64>, of: fn(&Guest) -> Option<u64>| if is_fresh { new } else { old.and_then(of) };
    let (memory, of_host) = memory(kind, &row);
    let disk = row.disk_bytes.filter(|_| kind == GuestKind::Container && state == GuestState::Running);
    Guest {
        vmid,
        kind,
        name: row.name.or_else(|| old.and_then(|old| old.name.clone())),
        node: row.node.or_else(|| old.map(|old| Arc::clone(&old.node))).unwrap_or_default(),
        state_since: same_state.map_or(now, |old| old.state_since),
        state_from_first_sight: same_state.map_or(old.is_none() && !was_watched, |old| old.state_from_first_sight),
        is_template: row.is_template || (!is_fresh && old.is_some_and(|old| old.is_template)),
        tags: row.tags.as_deref().map(tags).unwrap_or_default(),
        pool: row.pool.or_else(|| old.filter(|_| !is_fresh).and_then(|old| old.pool.clone())),
        lock: row.lock,
        ha_state: row.ha_state,
        cpus: if is_fresh { row.cpus } else { old.and_then(|old| old.cpus) },
        cpu: if is_fresh { row.cpu } else { old.and_then(|old| old.cpu) },
        memory_bytes: keep(memory, |old| old.memory_bytes),
        memory_total_bytes: keep(row.memory_total_bytes, |old| old.memory_total_bytes),
        memory_of_host_bytes: keep(of_host, |old| old.memory_of_host_bytes),
        disk_bytes: keep(disk, |old| old.disk_bytes),
        disk_total_bytes: keep(row.disk_total_bytes, |old| old.disk_total_bytes),
        network_in_bytes: keep(row.network_in_bytes, |old| old.network_in_bytes),
        network_out_bytes: keep(row.network_out_bytes, |old| old.network_out_bytes),
        uptime_s: keep(row.uptime_s, |old| old.uptime_s),
        figures_at: if is_fresh { Some(now) } else { old.and_then(|old| old.figures_at) },
        ran_at: if state.is_up() { Some(now) } else { old.and_then(|old| old.ran_at) },
        ran_on: if state.is_up() { row_node.clone() } else { old.and_then(|old| old.ran_on.clone()) },
        known_since: old.map_or(now, |old| old.known_since),
        missed_polls: 0,
        state,
    }
}

/// Memory in use, and memory taken of the host. Without balloon data the first figure of a VM is the second one, and says nothing of
/// what its system uses; it can even be more than the VM has.
fn memory(kind: GuestKind, row: &ResourceRow) -> (Option<u64>, Option<u64>) {
    let of_host = row.memory_of_host_bytes.filter(|bytes| *bytes > 0);
    let Some(used) = row.memory_bytes else { return (None, of_host) };
    let is_opaque = kind == GuestKind::Vm
        && (row.memory_total_bytes.is_some_and(|total| used > total) || (used > 0 && of_host == Some(used)));
    if is_opaque { (None, of_host.or(Some(used))) } else { (Some(used), of_host) }
}

fn tags(text: &str) -> Arc<[Arc<str>]> {
    text.split([';', ',', ' ']).map(str::trim).filter(|tag| !tag.is_empty()).map(Arc::from).collect()
}
