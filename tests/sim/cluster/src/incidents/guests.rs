//! Incidents of a single guest: crashes, and what users do to it. A guest that stops by itself leaves no task.

use super::{Effect, logs};
use crate::error::SimError;
use crate::model::{Cluster, Guest, NewTask, Run, Snapshot};

/// How long the HA manager takes to start a service that stopped by itself.
const HA_RESTART: i64 = 10;

/// Something on the guest's node, with the node online.
pub(super) fn reachable(cluster: &Cluster, vmid: u32) -> Result<Guest, SimError> {
    let guest = cluster.guest(vmid)?.clone();
    let online = cluster.node(&guest.node).is_some_and(|node| node.online);
    if online {
        return Ok(guest);
    }
    Err(SimError::Impossible(format!("guest {vmid} is on {}, which is down", guest.node)))
}

fn running(cluster: &Cluster, vmid: u32) -> Result<Guest, SimError> {
    let guest = reachable(cluster, vmid)?;
    if guest.is_up() { Ok(guest) } else { Err(SimError::Impossible(format!("guest {vmid} is stopped already"))) }
}

/// A worker on the guest's node that is about the guest.
/// Gives its UPID.
pub(super) fn worker(
    cluster: &mut Cluster,
    guest: &Guest,
    action: &str,
    user: &str,
    seconds: i64,
    log: Vec<(i64, String)>,
) -> String {
    let (kind, id) = (guest.kind.task(action), guest.vmid.to_string());
    let start = cluster.now;
    let new = NewTask { node: &guest.node, kind: &kind, id: &id, user, start, seconds, error: None };
    cluster.task(new, log)
}

pub(super) fn crash(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    running(cluster, vmid)?;
    stop(cluster, vmid)?;
    if cluster.services.ha.iter().any(|service| service.vmid == vmid && service.wanted == "started") {
        cluster.schedule(cluster.now + HA_RESTART, Effect::HaRestart(vmid));
    }
    Ok(())
}

pub(super) fn ha_restart(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    let wanted = cluster.services.ha.iter().any(|service| service.vmid == vmid && service.state == "started");
    if wanted { start(cluster, vmid, "root@pam") } else { Ok(()) }
}

/// A task that ends with the guest stopped.
pub(super) fn end(cluster: &mut Cluster, vmid: u32, action: &str, user: &str, seconds: i64) -> Result<(), SimError> {
    let guest = running(cluster, vmid)?;
    let upid = worker(cluster, &guest, action, user, seconds, Vec::new());
    if let Some(service) = cluster.services.ha.iter_mut().find(|service| service.vmid == vmid) {
        "stopped".clone_into(&mut service.wanted);
        "stopped".clone_into(&mut service.state);
    }
    cluster.schedule(cluster.now + seconds, Effect::Stop(vmid).of_task(&upid));
    Ok(())
}

pub(super) fn start(cluster: &mut Cluster, vmid: u32, user: &str) -> Result<(), SimError> {
    let guest = reachable(cluster, vmid)?;
    if guest.is_up() || guest.template {
        return Err(SimError::Impossible(format!("guest {vmid} runs already, or is a template")));
    }
    let upid = worker(cluster, &guest, "start", user, 2, Vec::new());
    if let Some(service) = cluster.services.ha.iter_mut().find(|service| service.vmid == vmid) {
        "started".clone_into(&mut service.wanted);
        "started".clone_into(&mut service.state);
    }
    cluster.schedule(cluster.now + 1, Effect::Run(vmid).of_task(&upid));
    Ok(())
}

pub(super) fn reboot(cluster: &mut Cluster, vmid: u32, user: &str) -> Result<(), SimError> {
    let guest = running(cluster, vmid)?;
    let upid = worker(cluster, &guest, "reboot", user, 5, Vec::new());
    cluster.schedule(cluster.now + 4, Effect::Stop(vmid).of_task(&upid));
    cluster.schedule(cluster.now + 5, Effect::Run(vmid).of_task(&upid));
    Ok(())
}

pub(super) fn status(cluster: &mut Cluster, vmid: u32, to: &str) -> Result<(), SimError> {
    running(cluster, vmid)?;
    if let Run::Up { status, .. } = &mut cluster.guest_mut(vmid)?.run {
        to.clone_into(status);
    }
    Ok(())
}

pub(super) fn stop(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    cluster.guest_mut(vmid).map(|guest| guest.run = Run::Stopped)
}

pub(super) fn run(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    let since = cluster.now;
    cluster.guest_mut(vmid).map(|guest| {
        guest.run = Run::Up { since, status: "running".into() };
        guest.backup_reads = 0;
    })
}

/// Saved to disk: stopped, with a lock until it is resumed.
pub(super) fn hibernate(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    stop(cluster, vmid)?;
    cluster.guest_mut(vmid).map(|guest| guest.lock = Some("suspended".into()))
}

pub(super) fn destroy(cluster: &mut Cluster, vmid: u32, user: &str) -> Result<(), SimError> {
    let guest = reachable(cluster, vmid)?;
    if guest.is_up() {
        return Err(SimError::Impossible(format!("guest {vmid} runs: stop it before it is destroyed")));
    }
    let upid = worker(cluster, &guest, "destroy", user, 3, logs::destroy(&guest, cluster.now));
    cluster.schedule(cluster.now + 3, Effect::Remove(vmid).of_task(&upid));
    Ok(())
}

pub(super) fn remove(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    cluster.guest(vmid)?;
    cluster.guests.remove(&vmid);
    cluster.services.ha.retain(|service| service.vmid != vmid);
    cluster.services.replications.retain(|replication| replication.vmid != vmid);
    Ok(())
}

pub(super) fn migrate(cluster: &mut Cluster, vmid: u32, target: &str, user: &str) -> Result<(), SimError> {
    let guest = reachable(cluster, vmid)?;
    let node = cluster.node_mut(target)?;
    let address = node.address.clone();
    if !node.online || guest.node == target {
        return Err(SimError::Impossible(format!(
            "guest {vmid} cannot go to {target}: it is down, or its node already"
        )));
    }
    let live = guest.is_up() && guest.kind == crate::model::Kind::Qemu;
    let seconds = if live { 14 } else { 9 };
    let upid =
        worker(cluster, &guest, "migrate", user, seconds, logs::migration(&guest, target, &address, cluster.now));
    if live {
        // The target's side of a live migration is a start task of its own.
        let (start, id) = (cluster.now + 2, vmid.to_string());
        let new = NewTask { node: target, kind: "qmstart", id: &id, user, start, seconds: 1, error: None };
        cluster.task(new, Vec::new());
    } else if guest.is_up() {
        cluster.schedule(cluster.now + 3, Effect::Stop(vmid).of_task(&upid));
    }
    cluster.guest_mut(vmid)?.lock = Some("migrate".into());
    let restart = guest.is_up() && !live;
    let moved = Effect::Move { vmid, target: target.to_owned(), restart };
    cluster.schedule(cluster.now + seconds, moved.of_task(&upid));
    Ok(())
}

pub(super) fn move_to(cluster: &mut Cluster, vmid: u32, target: &str, restart: bool) -> Result<(), SimError> {
    let guest = cluster.guest_mut(vmid)?;
    guest.lock = None;
    let from = std::mem::replace(&mut guest.node, target.to_owned());
    if restart {
        run(cluster, vmid)?;
    }
    // Replication turns round when its guest moves to its target.
    for replication in cluster.services.replications.iter_mut().filter(|one| one.vmid == vmid && one.target == target) {
        replication.target.clone_from(&from);
    }
    Ok(())
}

pub(super) fn snapshot(cluster: &mut Cluster, vmid: u32, name: &str, user: &str) -> Result<(), SimError> {
    let guest = reachable(cluster, vmid)?;
    if guest.snapshots.iter().any(|snapshot| snapshot.name == name) {
        return Err(SimError::Impossible(format!("guest {vmid} has a snapshot \"{name}\" already")));
    }
    worker(cluster, &guest, "snapshot", user, 3, logs::snapshot(&guest, cluster.now));
    add_snapshot(cluster, vmid, name.to_owned(), String::new(), false)?;
    cluster.guest_mut(vmid)?.lock = Some("snapshot".into());
    cluster.schedule(cluster.now + 3, Effect::Unlock(vmid));
    Ok(())
}

pub(super) fn add_snapshot(
    cluster: &mut Cluster,
    vmid: u32,
    name: String,
    description: String,
    with_memory: bool,
) -> Result<(), SimError> {
    let at = cluster.now;
    let guest = cluster.guest_mut(vmid)?;
    guest.lock = None;
    guest.snapshots.push(Snapshot { name, at, description, with_memory });
    Ok(())
}
