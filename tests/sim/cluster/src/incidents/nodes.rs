//! Incidents of a node: power, boot, its services, disks. A node that is down shows what it last reported until the samples are too old.

use super::{Effect, logs};
use crate::error::SimError;
use crate::model::{Cluster, NewTask, Run};

/// How long the HA manager waits before it takes a lost node for dead and fenced.
const FENCED_AFTER: i64 = 120;
/// From fencing to the start elsewhere.
const RECOVERED_AFTER: i64 = 20;

pub(super) fn down(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    if !node.online {
        return Err(SimError::Impossible(format!("{name} is down already")));
    }
    node.online = false;
    node.silent = node.silent.or(Some(now));
    cluster.tasks.cut(name, now);
    if let Some(ceph) = &mut cluster.services.ceph {
        ceph.osds.iter_mut().filter(|osd| osd.node == name).for_each(|osd| osd.up = false);
    }
    cluster.schedule(now + FENCED_AFTER, Effect::Fence { node: name.to_owned(), down_since: now });
    Ok(())
}

/// After a shutdown: like a loss of power, but nothing runs any more.
pub(super) fn off(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    for guest in cluster.guests.values_mut().filter(|guest| guest.node == name) {
        guest.run = Run::Stopped;
    }
    down(cluster, name)
}

pub(super) fn shut_down(cluster: &mut Cluster, name: &str, user: &str) -> Result<(), SimError> {
    if !cluster.node_mut(name)?.online {
        return Err(SimError::Impossible(format!("{name} is down already")));
    }
    let start = cluster.now;
    let running: Vec<(u32, String, &'static str)> = cluster
        .guests_on(name)
        .iter()
        .filter(|guest| guest.is_up())
        .map(|guest| (guest.vmid, guest.kind.task("shutdown"), guest.kind.noun()))
        .collect();
    let log = running.iter().map(|(vmid, _, noun)| (start, format!("Stopping {noun} {vmid} (timeout = 180 seconds)")));
    let log = log.collect();
    cluster.task(NewTask { node: name, kind: "stopall", id: "", user, start, seconds: 12, error: None }, log);
    for (vmid, kind, _) in running {
        let id = vmid.to_string();
        cluster.task(
            NewTask { node: name, kind: &kind, id: &id, user, start: start + 1, seconds: 5, error: None },
            Vec::new(),
        );
        cluster.schedule(start + 6, Effect::Stop(vmid));
    }
    cluster.schedule(start + 15, Effect::Off(name.to_owned()));
    Ok(())
}

pub(super) fn returns(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    if node.online {
        return Err(SimError::Impossible(format!("{name} is up already")));
    }
    node.online = true;
    node.silent = None;
    node.booted = now;
    if let Some(ceph) = &mut cluster.services.ceph {
        ceph.osds.iter_mut().filter(|osd| osd.node == name).for_each(|osd| osd.up = true);
    }
    let mut starting = Vec::new();
    for guest in cluster.guests.values_mut().filter(|guest| guest.node == name) {
        guest.run = Run::Stopped;
        if guest.onboot && !guest.template {
            starting.push((guest.vmid, guest.kind.task("start"), guest.kind.noun()));
        }
    }
    let begin = now + 5;
    let moment = |at: usize| begin + 2 * i64::try_from(at).unwrap_or(i64::MAX / 4);
    let log = starting.iter().enumerate().map(|(at, (vmid, _, noun))| (moment(at), format!("Starting {noun} {vmid}")));
    let log: Vec<_> = log.collect();
    let seconds = moment(starting.len()) - begin;
    let new = NewTask { node: name, kind: "startall", id: "", user: "root@pam", start: begin, seconds, error: None };
    cluster.task(new, log);
    for (at, (vmid, kind, _)) in starting.iter().enumerate() {
        let (id, start) = (vmid.to_string(), moment(at));
        let new = NewTask { node: name, kind, id: &id, user: "root@pam", start, seconds: 2, error: None };
        cluster.task(new, Vec::new());
        cluster.schedule(start + 1, Effect::Run(*vmid));
    }
    Ok(())
}

/// The HA manager has not heard of the node for long: its services are fenced and recovered elsewhere.
pub(super) fn fence(cluster: &mut Cluster, name: &str, down_since: i64) -> Result<(), SimError> {
    let still = cluster.node_mut(name).is_ok_and(|node| !node.online && node.silent == Some(down_since));
    if !still || cluster.nodes.iter().filter(|node| node.online).count() * 2 <= cluster.nodes.len() {
        return Ok(());
    }
    let now = cluster.now;
    let on_node: Vec<u32> = cluster.guests_on(name).iter().map(|guest| guest.vmid).collect();
    let mut lost = Vec::new();
    for service in &mut cluster.services.ha {
        if on_node.contains(&service.vmid) && service.wanted == "started" {
            "fence".clone_into(&mut service.state);
            lost.push(service.vmid);
        }
    }
    for vmid in lost {
        cluster.services.fenced.insert(vmid);
        cluster.schedule(now + RECOVERED_AFTER, Effect::Recover(vmid));
    }
    Ok(())
}

pub(super) fn recover(cluster: &mut Cluster, vmid: u32) -> Result<(), SimError> {
    if !cluster.services.fenced.remove(&vmid) {
        return Ok(());
    }
    let target =
        cluster.nodes.iter().filter(|node| node.online && !node.maintenance).map(|node| node.name.clone()).next();
    let Some(target) = target else { return Ok(()) };
    let guest = cluster.guest_mut(vmid)?;
    guest.run = Run::Stopped;
    guest.node = target;
    super::guests::start(cluster, vmid, "root@pam")
}

pub(super) fn pvestatd(cluster: &mut Cluster, name: &str, stuck: bool) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    if node.online {
        node.silent = stuck.then_some(node.silent.unwrap_or(now));
    }
    Ok(())
}

pub(super) fn zfs_degraded(cluster: &mut Cluster, name: &str, pool: &str) -> Result<(), SimError> {
    let node = cluster.node_mut(name)?;
    let known = node.pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>().join(", ");
    let Some(found) = node.pools.iter_mut().find(|found| found.name == pool) else {
        return Err(SimError::Unknown { kind: "ZFS pool", name: pool.to_owned(), known });
    };
    "DEGRADED".clone_into(&mut found.health);
    Ok(())
}

pub(super) fn disk_fails(cluster: &mut Cluster, name: &str, device: &str) -> Result<(), SimError> {
    let node = cluster.node_mut(name)?;
    let known = node.disks.iter().map(|disk| disk.device.clone()).collect::<Vec<_>>().join(", ");
    let Some(disk) = node.disks.iter_mut().find(|disk| disk.device == device) else {
        return Err(SimError::Unknown { kind: "disk", name: device.to_owned(), known });
    };
    logs::FAILED.clone_into(&mut disk.health);
    Ok(())
}
