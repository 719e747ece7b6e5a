//! Incidents of a node: power, boot, its services, disks. A node that is down shows what it last reported until the samples are too old.

use super::Effect;
use crate::error::SimError;
use crate::model::{Cluster, NewTask, Replication, Run, Update};

/// How long the HA manager waits before it takes a lost node for dead and fenced.
const FENCED_AFTER: i64 = 120;
/// From a node's stopall to the end of its power.
const OFF_AFTER: i64 = 15;
/// From fencing to the start elsewhere.
const RECOVERED_AFTER: i64 = 20;
/// From a node's return to the cluster to the first report of its pvestatd.
const AWAKE_AFTER: i64 = 12;
/// From a node's return to its OSDs being up.
const OSDS_AFTER: i64 = 25;

pub(super) fn down(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    if !node.online {
        return Err(SimError::Impossible(format!("{name} is down already")));
    }
    node.online = false;
    let restarting = node.restarting;
    cluster.silence(name)?;
    cluster.tasks.cut(name, now);
    osds(cluster, name, false)?;
    // Replications to it fail from their next run on.
    let next = now - now.rem_euclid(Replication::PERIOD) + Replication::PERIOD;
    for replication in cluster.services.replications.iter_mut().filter(|one| one.target == name) {
        replication.failing = replication.failing.or(Some(next));
    }
    if restarting {
        super::ha::freeze(cluster, name);
        return Ok(());
    }
    let down_since = cluster.node(name).and_then(|node| node.silent).unwrap_or(now);
    cluster.schedule(now + FENCED_AFTER, Effect::Fence { node: name.to_owned(), down_since });
    Ok(())
}

/// The node's OSDs come up or go down together.
pub(super) fn osds(cluster: &mut Cluster, name: &str, up: bool) -> Result<(), SimError> {
    if up && !cluster.node_mut(name)?.online {
        return Ok(());
    }
    if let Some(ceph) = &mut cluster.services.ceph {
        ceph.osds.iter_mut().filter(|osd| osd.node == name).for_each(|osd| osd.up = up);
    }
    Ok(())
}

/// After a shutdown: like a loss of power, but nothing runs any more.
pub(super) fn off(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    for guest in cluster.guests.values_mut().filter(|guest| guest.node == name) {
        guest.run = Run::Stopped;
    }
    down(cluster, name)
}

/// Gives the moment at which the power goes.
pub(super) fn shut_down(cluster: &mut Cluster, name: &str, user: &str) -> Result<i64, SimError> {
    if !cluster.node_mut(name)?.online {
        return Err(SimError::Impossible(format!("{name} is down already")));
    }
    let start = cluster.now;
    // Services that leave for maintenance are waited for.
    let leaving = super::ha::leaving(cluster, name);
    let off = OFF_AFTER + super::ha::BETWEEN_MIGRATIONS * i64::try_from(leaving.len()).unwrap_or(0);
    let running: Vec<(u32, String, &'static str)> = cluster
        .guests_on(name)
        .iter()
        .filter(|guest| guest.is_up() && !leaving.contains(&guest.vmid))
        .map(|guest| (guest.vmid, guest.kind.task("shutdown"), guest.kind.noun()))
        .collect();
    let log = running.iter().map(|(vmid, _, noun)| (start, format!("Stopping {noun} {vmid} (timeout = 180 seconds)")));
    let log = log.collect();
    cluster.task(NewTask { node: name, kind: "stopall", id: "", user, start, seconds: off - 3, error: None }, log);
    for (vmid, kind, _) in running {
        let id = vmid.to_string();
        cluster.task(
            NewTask { node: name, kind: &kind, id: &id, user, start: start + 1, seconds: 5, error: None },
            Vec::new(),
        );
        cluster.schedule(start + 6, Effect::Stop(vmid));
    }
    cluster.schedule(start + off, Effect::Off(name.to_owned()));
    Ok(start + off)
}

/// Shuts the node down and has it boot again.
pub(super) fn reboot(cluster: &mut Cluster, name: &str, user: &str, seconds: i64) -> Result<(), SimError> {
    let off = shut_down(cluster, name, user)?;
    cluster.node_mut(name)?.restarting = true;
    cluster.schedule(off + seconds.max(1), Effect::Boot(name.to_owned()));
    Ok(())
}

/// So many updates wait; none any more is an upgrade by somebody.
pub(super) fn updates(cluster: &mut Cluster, name: &str, count: usize) -> Result<(), SimError> {
    const PACKAGES: [&str; 6] =
        ["pve-manager", "libssl3t64", "proxmox-kernel-6.14", "qemu-server", "openssh-server", "zfsutils-linux"];
    let update = |at: usize| Update { package: PACKAGES[at % PACKAGES.len()], old: "9.0.10", new: "9.0.11" };
    cluster.node_mut(name)?.updates = (0..count).map(update).collect();
    if count == 0 {
        let start = cluster.now;
        let user = "root@pam";
        cluster
            .task(NewTask { node: name, kind: "aptupdate", id: "", user, start, seconds: 9, error: None }, Vec::new());
    }
    Ok(())
}

/// pvestatd of a node that booted reports for the first time.
pub(super) fn awake(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    let node = cluster.node_mut(name)?;
    if node.online {
        node.silent = None;
    }
    Ok(())
}

pub(super) fn returns(cluster: &mut Cluster, name: &str) -> Result<(), SimError> {
    let now = cluster.now;
    let node = cluster.node_mut(name)?;
    if node.online {
        return Err(SimError::Impossible(format!("{name} is up already")));
    }
    node.online = true;
    node.booted = now;
    node.restarting = false;
    cluster.schedule(now + AWAKE_AFTER, Effect::Awake(name.to_owned()));
    cluster.schedule(now + OSDS_AFTER, Effect::OsdsUp(name.to_owned()));
    for replication in cluster.services.replications.iter_mut().filter(|one| one.target == name) {
        replication.failing = None;
    }
    let managed: Vec<u32> = cluster.services.ha.iter().map(|service| service.vmid).collect();
    let mut starting = Vec::new();
    for guest in cluster.guests.values_mut().filter(|guest| guest.node == name) {
        guest.run = Run::Stopped;
        // A backup that the loss of the node cut off has left its lock; the boot takes it away.
        guest.lock.take_if(|lock| lock == "backup");
        // Services of the HA manager are its own to start.
        if guest.onboot && !guest.template && !managed.contains(&guest.vmid) {
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
    super::ha::thaw(cluster, name);
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
    guest.lock = None;
    guest.node = target;
    super::guests::start(cluster, vmid, "root@pam")
}

pub(super) fn pvestatd(cluster: &mut Cluster, name: &str, stuck: bool) -> Result<(), SimError> {
    let node = cluster.node_mut(name)?;
    match (node.online, stuck) {
        (true, true) => cluster.silence(name),
        (true, false) => {
            node.silent = None;
            Ok(())
        }
        (false, _) => Ok(()),
    }
}
