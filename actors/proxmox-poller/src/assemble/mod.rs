//! Makes a snapshot of what one poll brought and of what was known before. Pure.
//!
//! Data that is gone is not forgotten: a row that turned unknown has lost its name and its numbers in the cluster, but not here. And data that
//! looks healthy is not believed when it cannot be: for up to five minutes the cluster shows the guests of a dead node as running.

mod guests;
mod nodes;
mod storages;
mod tasks;

pub(crate) use tasks::merge as merge_tasks;

use crate::client::{ApiError, ErrorKind};
use crate::decode::{ClusterRow, Permissions, ResourceRow};
use crate::model::{MissingPrivilege, PRIVILEGES, Part, Quorum, Snapshot, Task};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one poll brought.
#[derive(Clone, Debug)]
pub struct Polled {
    /// `/cluster/resources`.
    pub resources: Vec<ResourceRow>,
    /// `/cluster/status`.
    pub status: Result<Vec<ClusterRow>, ApiError>,
    /// `/cluster/tasks`.
    pub tasks: Result<Vec<Task>, ApiError>,
    /// What the token may do, if it was asked.
    pub permissions: Option<Permissions>,
    /// The server's clock, seconds since 1970.
    pub server_time_s: Option<i64>,
    /// The member that answered.
    pub endpoint: Arc<str>,
    /// Milliseconds that it took.
    pub poll_ms: u64,
}

/// The snapshot after a poll.
///
/// # Errors
/// There is not a single row: the privileges that are missing. An empty list means missing rights and never an empty cluster, which
/// has at least its own node in it.
pub fn assemble(
    cluster: &Arc<str>,
    polled: Polled,
    before: Option<&Snapshot>,
    now: Timestamp,
) -> Result<Snapshot, Vec<MissingPrivilege>> {
    let missing = missing_privileges(&polled, before);
    if polled.resources.is_empty() {
        let all = || PRIVILEGES.iter().map(|privilege| MissingPrivilege(*privilege)).collect();
        return Err(if missing.is_empty() { all() } else { missing });
    }
    let (mut own_name, mut quorum) = (None, None);
    if let Ok(rows) = &polled.status {
        for row in rows {
            if let ClusterRow::Cluster { name, is_quorate, members } = row {
                own_name.clone_from(name);
                quorum = Some(Quorum { is_quorate: *is_quorate, members: *members });
            }
        }
    }
    let (mut node_rows, mut guest_rows, mut storage_rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut other_rows: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for row in polled.resources {
        match &*row.kind {
            "node" => node_rows.push(row),
            "qemu" | "lxc" => guest_rows.push(row),
            "storage" => storage_rows.push(row),
            _ => *other_rows.entry(row.kind).or_default() += 1,
        }
    }
    let members = polled.status.as_deref().unwrap_or_default();
    let nodes = nodes::assemble(node_rows, members, before.map_or(&[], |before| &before.nodes), now);
    let tasks = match polled.tasks {
        Ok(tasks) => tasks::merge(tasks, before.map_or(&[], |before| &before.tasks)),
        Err(_) => before.map(|before| before.tasks.clone()).unwrap_or_default(),
    };
    let guests = guests::assemble(guest_rows, &nodes, &tasks, before, now);
    let storages = storages::assemble(storage_rows, &nodes, before.map_or(&[], |before| &before.storages), now);
    let mut server_clock = before.map_or_else(Arc::default, |before| Arc::clone(&before.server_clock));
    if let Some(server_s) = polled.server_time_s {
        Arc::make_mut(&mut server_clock).learn(now.as_second(), server_s);
    }
    Ok(Snapshot {
        cluster: Arc::clone(cluster),
        own_name,
        taken_at: now,
        server_time_s: polled.server_time_s,
        server_clock,
        endpoint: polled.endpoint,
        poll_ms: polled.poll_ms,
        nodes,
        guests,
        storages,
        tasks,
        quorum,
        ceph: before.map_or_else(Part::default, |before| before.ceph.clone()),
        ha: before.map_or_else(Part::default, |before| before.ha.clone()),
        replication: before.map_or_else(Part::default, |before| before.replication.clone()),
        backup_jobs: before.map_or_else(Part::default, |before| before.backup_jobs.clone()),
        slow: before.map_or_else(Arc::default, |before| Arc::clone(&before.slow)),
        other_rows,
        missing_privileges: missing,
        actions: before.map_or_else(Arc::default, |before| Arc::clone(&before.actions)),
    })
}

/// What the token lacks: as it was told, else as refusals show it, else as it was known.
fn missing_privileges(polled: &Polled, before: Option<&Snapshot>) -> Vec<MissingPrivilege> {
    if let Some(granted) = &polled.permissions {
        let is_missing = |name: &str| match name {
            // Quorum, tasks and HA are asked on the root; guests and storages may be granted one by one.
            "Sys.Audit" => !granted.has_on_root(name),
            _ => !granted.has_anywhere(name),
        };
        return PRIVILEGES.iter().filter(|one| is_missing(one.name)).map(|one| MissingPrivilege(*one)).collect();
    }
    let mut missing: Vec<MissingPrivilege> = before.map(|before| before.missing_privileges.clone()).unwrap_or_default();
    for error in [polled.status.as_ref().err(), polled.tasks.as_ref().err()].into_iter().flatten() {
        if let ErrorKind::Forbidden { privileges, .. } = &error.kind {
            missing.extend(privileges.iter().filter_map(|name| MissingPrivilege::named(name)));
        }
    }
    missing.sort();
    missing.dedup();
    missing
}

#[cfg(test)]
pub(crate) mod tests;
