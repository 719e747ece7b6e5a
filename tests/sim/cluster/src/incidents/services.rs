//! Incidents of what nodes share: storages, Ceph, replication, high availability, and tasks of other kinds.

use crate::error::SimError;
use crate::model::{Cluster, NewTask, Osd};
use std::time::Duration;

pub(super) fn fill(
    cluster: &mut Cluster,
    storage: &str,
    node: Option<&str>,
    percent: f64,
    over: Duration,
) -> Result<(), SimError> {
    if !(0.0..=100.0).contains(&percent) {
        return Err(SimError::Impossible(format!("{percent} % of a storage: give 0 to 100")));
    }
    let now = cluster.now;
    let seconds = i64::try_from(over.as_secs()).unwrap_or(i64::MAX / 4);
    cluster.storage_mut(storage).map(|storage| storage.fill(node, percent / 100.0, now, seconds))
}

pub(super) fn storage_inactive(cluster: &mut Cluster, storage: &str, node: Option<&str>) -> Result<(), SimError> {
    let now = cluster.now;
    let nodes: Vec<String> = match node {
        Some(node) => vec![cluster.node_mut(node)?.name.clone()],
        None => cluster.nodes.iter().map(|node| node.name.clone()).collect(),
    };
    let storage = cluster.storage_mut(storage)?;
    for node in nodes {
        storage.inactive.entry(node).or_insert(now);
    }
    Ok(())
}

pub(super) fn quorum_lost(cluster: &mut Cluster) {
    if cluster.quorum_lost.is_none() {
        cluster.quorum_lost = Some(cluster.now);
        cluster.frozen = cluster.guests.values().map(|guest| (guest.vmid, guest.run.clone())).collect();
    }
}

pub(super) fn ceph_muted(cluster: &mut Cluster, code: String, on: bool) -> Result<(), SimError> {
    let muted = &mut cluster.ceph_mut()?.muted;
    if on {
        muted.insert(code)
    } else {
        muted.remove(&code)
    };
    Ok(())
}

pub(super) fn osd(cluster: &mut Cluster, id: u32, change: impl FnOnce(&mut Osd)) -> Result<(), SimError> {
    let ceph = cluster.ceph_mut()?;
    let known = format!("0 to {}", ceph.osds.len().saturating_sub(1));
    let found = ceph.osds.iter_mut().find(|osd| osd.id == id);
    found.map(change).ok_or_else(|| SimError::Unknown { kind: "OSD", name: id.to_string(), known })
}

pub(super) fn ceph_recovers(cluster: &mut Cluster) -> Result<(), SimError> {
    let dead: Vec<String> = cluster.nodes.iter().filter(|node| !node.online).map(|node| node.name.clone()).collect();
    let ceph = cluster.ceph_mut()?;
    ceph.degraded = 0;
    ceph.raised.clear();
    ceph.muted.clear();
    ceph.osds.iter_mut().for_each(|osd| {
        osd.up = !dead.contains(&osd.node);
        osd.is_in = true;
    });
    Ok(())
}

pub(super) fn replication(cluster: &mut Cluster, vmid: u32, fails: bool) -> Result<(), SimError> {
    let now = cluster.now;
    let known = cluster.services.replications.iter().map(|one| one.id()).collect::<Vec<_>>().join(", ");
    let Some(found) = cluster.services.replications.iter_mut().find(|one| one.vmid == vmid) else {
        return Err(SimError::Unknown { kind: "replication of guest", name: vmid.to_string(), known });
    };
    found.failing = fails.then_some(found.failing.unwrap_or(now));
    Ok(())
}

pub(super) fn ha_state(cluster: &mut Cluster, vmid: u32, state: &str) -> Result<(), SimError> {
    let known = cluster.services.ha.iter().map(|one| one.vmid.to_string()).collect::<Vec<_>>().join(", ");
    let Some(found) = cluster.services.ha.iter_mut().find(|one| one.vmid == vmid) else {
        return Err(SimError::Unknown { kind: "HA service of guest", name: vmid.to_string(), known });
    };
    state.clone_into(&mut found.state);
    Ok(())
}

pub(super) fn task_fails(
    cluster: &mut Cluster,
    node: &str,
    kind: &str,
    id: &str,
    user: &str,
    error: &str,
) -> Result<(), SimError> {
    cluster.node_mut(node)?;
    let start = cluster.now;
    cluster.task(NewTask { node, kind, id, user, start, seconds: 1, error: Some(error) }, Vec::new());
    Ok(())
}
