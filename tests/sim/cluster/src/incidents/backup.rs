//! Backups: which guests a job includes, and a run of it, one task per node as vzdump does it. Runs also make the history before the start.

use super::{Effect, Incident, logs};
use crate::error::SimError;
use crate::figures::{mix, share};
use crate::model::{Backup, BackupJob, Cluster, Guest, Kind, NewTask};
use crate::text::{backup_time, file_time};

/// Seconds that the backup of one guest takes.
const PER_GUEST: i64 = 14;

/// Whether a job includes a guest.
pub(crate) fn included(job: &BackupJob, guest: &Guest) -> bool {
    match &job.pool {
        Some(pool) => guest.pool.as_ref() == Some(pool),
        None => job.vmids.contains(&guest.vmid),
    }
}

/// The job is due: it runs if it is enabled, and comes back at its next time.
pub(super) fn due(cluster: &mut Cluster, id: &str) -> Result<(), SimError> {
    let job = job(cluster, id)?;
    cluster.schedule(job.next_run(cluster.now), Effect::Job(job.id.clone()));
    if job.enabled {
        run_job(cluster, &job, cluster.now, None, true);
    }
    Ok(())
}

/// The job runs now, with or without a failure.
pub(super) fn now(cluster: &mut Cluster, id: &str, failure: Option<(u32, &str)>) -> Result<(), SimError> {
    let job = job(cluster, id)?;
    if let Some((vmid, _)) = failure {
        let guest = cluster.guest(vmid)?;
        if !included(&job, guest) {
            return Err(SimError::Impossible(format!("job {id} does not back guest {vmid} up")));
        }
    }
    run_job(cluster, &job, cluster.now, failure, true);
    Ok(())
}

fn job(cluster: &Cluster, id: &str) -> Result<BackupJob, SimError> {
    let jobs = &cluster.services.jobs;
    let known = jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>().join(", ");
    let found = jobs.iter().find(|job| job.id == id).cloned();
    found.ok_or_else(|| SimError::Unknown { kind: "backup job", name: id.to_owned(), known })
}

/// A run of a job that began at `start`: on each node that is there, its guests one after the other. With `locks`, each guest is
/// locked while it is its turn; history needs none.
pub(crate) fn run_job(cluster: &mut Cluster, job: &BackupJob, start: i64, failure: Option<(u32, &str)>, locks: bool) {
    let nodes: Vec<String> = cluster.nodes.iter().filter(|node| node.online).map(|node| node.name.clone()).collect();
    for node in nodes {
        let guests: Vec<Guest> =
            cluster.guests_on(&node).into_iter().filter(|guest| included(job, guest)).cloned().collect();
        if guests.is_empty() {
            continue;
        }
        let vmids: Vec<u32> = guests.iter().map(|guest| guest.vmid).collect();
        let mut log = logs::backup_begin(job, &vmids, start);
        let mut at = start + 2;
        let mut failed = false;
        for guest in &guests {
            let size = share(guest.disk, 0.2 + 0.1 * crate::figures::fraction(mix(u64::from(guest.vmid))));
            match failure.filter(|(vmid, _)| *vmid == guest.vmid) {
                Some((_, reason)) => {
                    failed = true;
                    log.extend(logs::backup_failed(guest, job, at, PER_GUEST, reason));
                }
                None => {
                    log.extend(logs::backup_guest(guest, job, at, PER_GUEST, size));
                    keep(cluster, job, guest, at, size);
                }
            }
            if locks {
                let (vmid, lock) = (guest.vmid, Some("backup".to_owned()));
                cluster.schedule(at, Effect::Incident(Incident::GuestLocked { vmid, lock }));
                cluster.schedule(at + PER_GUEST, Effect::Unlock(vmid));
            }
            at += PER_GUEST;
        }
        log.extend(logs::backup_end(at, failed));
        let error = failed.then_some("job errors");
        let id = if let [only] = vmids.as_slice() { only.to_string() } else { String::new() };
        let new =
            NewTask { node: &node, kind: "vzdump", id: &id, user: "root@pam", start, seconds: at - start + 1, error };
        cluster.task(new, log);
    }
}

/// Adds a backup and prunes the oldest of its guest on that storage.
fn keep(cluster: &mut Cluster, job: &BackupJob, guest: &Guest, at: i64, size: u64) {
    let (folder, ending) = if guest.kind == Kind::Qemu { ("vm", "vma.zst") } else { ("ct", "tar.zst") };
    let (volume, format, verified) = if job.storage == "pbs" {
        let volume = format!("pbs:backup/{folder}/{}/{}", guest.vmid, backup_time(at));
        (volume, if guest.kind == Kind::Qemu { "pbs-vm" } else { "pbs-ct" }, Some("ok"))
    } else {
        let file = format!("vzdump-{}-{}-{}.{ending}", guest.kind.word(), guest.vmid, file_time(at));
        (format!("{}:backup/{file}", job.storage), ending, None)
    };
    let kept = cluster.services.backups.entry((job.storage.clone(), guest.vmid)).or_default();
    kept.push_back(Backup { volume, vmid: guest.vmid, at, size, format, notes: guest.name.clone(), verified });
    while kept.len() > job.keep {
        kept.pop_front();
    }
}
