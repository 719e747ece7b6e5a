//! Ordinary life and its small failures: guests made and cloned, snapshots removed, migrations that fail, restarts in a loop.

use super::{Effect, Incident, guests, logs};
use crate::error::SimError;
use crate::model::{Cluster, Guest, Kind, NewTask, Run};
use std::time::Duration;

/// How often pvestatd looks, in seconds: until its next look a new guest has no figures.
const PVESTATD: i64 = 10;
/// How long a guest that crashes in a loop stays down.
const DOWN: i64 = 5;

fn check_free(cluster: &Cluster, vmid: u32) -> Result<(), SimError> {
    if cluster.guests.contains_key(&vmid) {
        return Err(SimError::Impossible(format!("VMID {vmid} is taken")));
    }
    Ok(())
}

/// Puts a new guest in place, locked until its task is done, with no sample before pvestatd's next look.
fn appear(cluster: &mut Cluster, mut guest: Guest, lock: &'static str, seconds: i64) {
    let now = cluster.now;
    guest.sampled_from = now - now.rem_euclid(PVESTATD) + PVESTATD;
    guest.lock = Some(lock.to_owned());
    cluster.schedule(now + seconds, Effect::Unlock(guest.vmid));
    cluster.guests.insert(guest.vmid, guest);
}

pub(super) fn create(
    cluster: &mut Cluster,
    vmid: u32,
    name: &str,
    node: &str,
    container: bool,
    user: &str,
) -> Result<(), SimError> {
    check_free(cluster, vmid)?;
    if !cluster.node_mut(node)?.online {
        return Err(SimError::Impossible(format!("{node} is down: nothing can be made on it")));
    }
    let kind = if container { Kind::Lxc } else { Kind::Qemu };
    let guest = Guest::new(vmid, kind, name, node);
    let (start, seconds) = (cluster.now, if container { 8 } else { 2 });
    let (task, id) = (kind.task("create"), vmid.to_string());
    let log = logs::creation(&guest, start);
    cluster.task(NewTask { node, kind: &task, id: &id, user, start, seconds, error: None }, log);
    appear(cluster, guest, "create", seconds);
    Ok(())
}

pub(super) fn clone(cluster: &mut Cluster, source: u32, vmid: u32, name: &str, user: &str) -> Result<(), SimError> {
    check_free(cluster, vmid)?;
    let origin = guests::reachable(cluster, source)?;
    let (start, seconds) = (cluster.now, 25);
    let (task, id) = (origin.kind.task("clone"), source.to_string());
    let log = vec![(start, format!("create full clone of drive {} ({})", origin.disk_name(), origin.volume()))];
    cluster.task(NewTask { node: &origin.node, kind: &task, id: &id, user, start, seconds, error: None }, log);
    cluster.guest_mut(source)?.lock = Some("clone".into());
    cluster.schedule(start + seconds, Effect::Unlock(source));
    let copy = Guest {
        vmid,
        name: name.to_owned(),
        run: Run::Stopped,
        template: false,
        onboot: false,
        snapshots: Vec::new(),
        backup_reads: 0,
        ..origin
    };
    appear(cluster, copy, "clone", seconds);
    Ok(())
}

pub(super) fn remove_snapshot(cluster: &mut Cluster, vmid: u32, name: &str, user: &str) -> Result<(), SimError> {
    let guest = guests::reachable(cluster, vmid)?;
    let known = guest.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect::<Vec<_>>().join(", ");
    if !guest.snapshots.iter().any(|snapshot| snapshot.name == name) {
        return Err(SimError::Unknown { kind: "snapshot", name: name.to_owned(), known });
    }
    guests::worker(cluster, &guest, "delsnapshot", user, 4, Vec::new());
    let now = cluster.now;
    let guest = cluster.guest_mut(vmid)?;
    guest.snapshots.retain(|snapshot| snapshot.name != name);
    guest.lock = Some("snapshot-delete".into());
    cluster.schedule(now + 4, Effect::Unlock(vmid));
    Ok(())
}

pub(super) fn age_snapshot(cluster: &mut Cluster, vmid: u32, name: &str, days: i64) -> Result<(), SimError> {
    let now = cluster.now;
    let guest = cluster.guest_mut(vmid)?;
    let known = guest.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect::<Vec<_>>().join(", ");
    let found = guest.snapshots.iter_mut().find(|snapshot| snapshot.name == name);
    let snapshot = found.ok_or_else(|| SimError::Unknown { kind: "snapshot", name: name.to_owned(), known })?;
    snapshot.at = now - days * 86_400;
    Ok(())
}

pub(super) fn migration_fails(
    cluster: &mut Cluster,
    vmid: u32,
    target: &str,
    user: &str,
    error: &str,
) -> Result<(), SimError> {
    let guest = guests::reachable(cluster, vmid)?;
    let address = cluster.node_mut(target)?.address.clone();
    let (start, seconds) = (cluster.now, 3);
    let log = logs::migration_failed(&guest, target, &address, start, seconds, error);
    let (kind, id) = (guest.kind.task("migrate"), vmid.to_string());
    let aborted = Some("migration aborted");
    cluster.task(NewTask { node: &guest.node, kind: &kind, id: &id, user, start, seconds, error: aborted }, log);
    cluster.guest_mut(vmid)?.lock = Some("migrate".into());
    cluster.schedule(start + seconds, Effect::Unlock(vmid));
    Ok(())
}

/// Puts a number of crashes on the agenda, each with its return.
pub(super) fn restart_loop(cluster: &mut Cluster, vmid: u32, every: Duration, times: u32) -> Result<(), SimError> {
    let guest = guests::reachable(cluster, vmid)?;
    let managed = cluster.services.ha.iter().any(|service| service.vmid == vmid);
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX / 1_000).max(DOWN + 2);
    for round in 0..i64::from(times.min(500)) {
        let at = cluster.now + round * every;
        cluster.schedule(at, Effect::Incident(Incident::GuestCrashes { vmid }));
        match (managed, guest.kind) {
            // The HA manager brings it back.
            (true, _) => {}
            (false, Kind::Lxc) => cluster.schedule(at + DOWN, Effect::Run(vmid)),
            (false, Kind::Qemu) => {
                let start = Incident::GuestStarted { vmid, user: "root@pam".into() };
                cluster.schedule(at + DOWN, Effect::Incident(start));
            }
        }
    }
    Ok(())
}
