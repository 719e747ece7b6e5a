//! The HA manager: what it does by itself, on maintenance, on a reboot, and when it was asked for something. It acts on its services only.

use super::{Effect, Incident, guests};
use crate::error::SimError;
use crate::model::{Cluster, HaService};

/// How long the manager takes to act on a request.
pub(crate) const ACTS_AFTER: i64 = 10;
/// From one of its migrations to the next.
pub(super) const BETWEEN_MIGRATIONS: i64 = 16;
/// As whom it acts.
const USER: &str = "root@pam";

/// Enters or leaves maintenance: services leave the node one after the other, and come home.
pub(super) fn maintenance(cluster: &mut Cluster, name: &str, on: bool) -> Result<(), SimError> {
    let node = cluster.node_mut(name)?;
    if node.maintenance == on {
        return Ok(());
    }
    node.maintenance = on;
    let on_node = |cluster: &Cluster, vmid: u32| cluster.guest(vmid).is_ok_and(|guest| guest.node == name);
    let target = if on { elsewhere(cluster, name) } else { Some(name.to_owned()) };
    let Some(target) = target else { return Ok(()) };
    let moves = |service: &&HaService| {
        if on { on_node(cluster, service.vmid) } else { service.home.as_deref() == Some(name) }
    };
    let moving: Vec<u32> = cluster.services.ha.iter().filter(moves).map(|service| service.vmid).collect();
    for service in cluster.services.ha.iter_mut().filter(|service| moving.contains(&service.vmid)) {
        service.home = on.then(|| name.to_owned());
    }
    for (at, vmid) in moving.into_iter().enumerate() {
        let after = 2 + BETWEEN_MIGRATIONS * i64::try_from(at).unwrap_or(i64::MAX / 100);
        let incident = Incident::GuestMigrated { vmid, target: target.clone(), user: USER.into() };
        cluster.schedule(cluster.now + after, Effect::Incident(incident));
    }
    Ok(())
}

/// Services that are still on a node that they are to leave.
pub(super) fn leaving(cluster: &Cluster, name: &str) -> Vec<u32> {
    let here = |service: &&HaService| {
        service.home.as_deref() == Some(name) && cluster.guest(service.vmid).is_ok_and(|guest| guest.node == name)
    };
    if !cluster.node(name).is_some_and(|node| node.maintenance) {
        return Vec::new();
    }
    cluster.services.ha.iter().filter(here).map(|service| service.vmid).collect()
}

/// A node for what leaves this one: the one that is there with the fewest guests.
fn elsewhere(cluster: &Cluster, name: &str) -> Option<String> {
    let fit = cluster.nodes.iter().filter(|node| node.online && !node.maintenance && node.name != name);
    fit.min_by_key(|node| cluster.guests_on(&node.name).len()).map(|node| node.name.clone())
}

pub(super) fn manager_stuck(cluster: &mut Cluster, name: &str, on: bool) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    node.manager_stuck = on.then_some(node.manager_stuck.unwrap_or(now));
    Ok(())
}

/// The node reboots: its services wait for it.
pub(super) fn freeze(cluster: &mut Cluster, name: &str) {
    for vmid in services_on(cluster, name) {
        set_state(cluster, vmid, "freeze");
    }
}

/// The node is back: what waited, and what was not moved away, is started.
pub(super) fn thaw(cluster: &mut Cluster, name: &str) {
    let now = cluster.now;
    for vmid in services_on(cluster, name) {
        set_state(cluster, vmid, "started");
        cluster.schedule(now + 2 * ACTS_AFTER, Effect::HaRestart(vmid));
    }
}

/// The services on a node that are to run.
fn services_on(cluster: &Cluster, name: &str) -> Vec<u32> {
    let here = |service: &&HaService| {
        service.wanted == "started" && cluster.guest(service.vmid).is_ok_and(|guest| guest.node == name)
    };
    cluster.services.ha.iter().filter(here).map(|service| service.vmid).collect()
}

fn set_state(cluster: &mut Cluster, vmid: u32, state: &str) {
    for service in cluster.services.ha.iter_mut().filter(|service| service.vmid == vmid) {
        state.clone_into(&mut service.state);
    }
}

/// Somebody asked for it to run: noted now, done later.
pub(crate) fn ask_start(cluster: &mut Cluster, vmid: u32) -> Effect {
    want(cluster, vmid, "started");
    Effect::HaStart(vmid)
}

/// Somebody asked for it to stop.
pub(crate) fn ask_stop(cluster: &mut Cluster, vmid: u32, how: &'static str) -> Effect {
    want(cluster, vmid, "stopped");
    Effect::HaStop(vmid, how)
}

fn want(cluster: &mut Cluster, vmid: u32, wanted: &str) {
    for service in cluster.services.ha.iter_mut().filter(|service| service.vmid == vmid) {
        wanted.clone_into(&mut service.wanted);
    }
}

pub(super) fn start(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    if cluster.guest(vmid)?.is_up() { Ok(()) } else { guests::start(cluster, vmid, USER) }
}

pub(super) fn stop(cluster: &mut Cluster, vmid: u32, how: &'static str) -> Result<(), SimError> {
    let seconds = if how == "stop" { 1 } else { 4 };
    guests::end(cluster, vmid, how, USER, seconds)
}
