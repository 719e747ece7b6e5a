//! Backups: which guests a job includes, and a run of it, one task per node as vzdump does it. Runs also make the history before the start.

use super::{Effect, logs};
use crate::error::SimError;
use crate::figures::{mix, share};
use crate::model::{Backup, BackupJob, Cluster, Guest, Kind, NewTask};
use crate::text::{backup_time, file_time};

/// What goes wrong with a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    fails: Vec<u32>,
    reason: String,
    warns: Option<u32>,
    aborts: bool,
}

impl Trouble {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn is_none(&self) -> bool {
        self.fails.is_empty() && self.warns.is_none() && !self.aborts
    }

    /// The backups of these guests fail for this reason.
    pub(crate) fn fails(vmids: Vec<u32>, reason: &str) -> Self {
        Self { fails: vmids, reason: reason.to_owned(), ..Self::default() }
    }

    /// It ends before the first guest.
    pub(crate) fn aborts(reason: &str) -> Self {
        Self { aborts: true, reason: reason.to_owned(), ..Self::default() }
    }

    /// One warning about this guest.
    pub(crate) fn warns(vmid: u32) -> Self {
        Self { warns: Some(vmid), ..Self::default() }
    }
}

/// Whether a job includes a guest.
pub(crate) fn included(job: &BackupJob, guest: &Guest) -> bool {
    match &job.pool {
        Some(pool) => guest.pool.as_ref() == Some(pool),
        None => job.vmids.contains(&guest.vmid),
    }
}

/// Seconds that the backup of a guest takes: a backup server gets what changed, a folder gets all of it.
fn seconds_for(job: &BackupJob, guest: &Guest) -> i64 {
    let gib = i64::try_from(guest.disk >> 30).unwrap_or(0);
    if job.storage == "pbs" { 14 } else { 14 + 4 * gib.min(2_000) }
}

/// The job is due: it runs if it is enabled, and comes back at its next time.
pub(super) fn due(cluster: &mut Cluster, id: &str) -> Result<(), SimError> {
    let job = job(cluster, id)?;
    cluster.schedule(job.next_run(cluster.now), Effect::Job(job.id.clone()));
    if job.enabled && !job.held {
        run_job(cluster, &job, cluster.now, &Trouble::none(), true);
    }
    Ok(())
}

/// The job runs now, with or without trouble.
pub(super) fn now(cluster: &mut Cluster, id: &str, trouble: &Trouble) -> Result<(), SimError> {
    let job = job(cluster, id)?;
    for vmid in trouble.fails.iter().chain(&trouble.warns) {
        if !included(&job, cluster.guest(*vmid)?) {
            return Err(SimError::Impossible(format!("job {id} does not back guest {vmid} up")));
        }
    }
    run_job(cluster, &job, cluster.now, trouble, true);
    Ok(())
}

pub(super) fn hold(cluster: &mut Cluster, id: &str, on: bool) -> Result<(), SimError> {
    let known = job(cluster, id)?.id;
    cluster.services.jobs.iter_mut().filter(|job| job.id == known).for_each(|job| job.held = on);
    Ok(())
}

fn job(cluster: &Cluster, id: &str) -> Result<BackupJob, SimError> {
    let jobs = &cluster.services.jobs;
    let known = jobs.iter().map(|job| job.id.clone()).collect::<Vec<_>>().join(", ");
    let found = jobs.iter().find(|job| job.id == id).cloned();
    found.ok_or_else(|| SimError::Unknown { kind: "backup job", name: id.to_owned(), known })
}

/// A run of a job that began at `start`, on each node that is there. With `locks`, each guest is locked while it is its turn and its backup
/// is there when the turn is over; history needs no locks.
pub(crate) fn run_job(cluster: &mut Cluster, job: &BackupJob, start: i64, trouble: &Trouble, locks: bool) {
    let nodes: Vec<String> = cluster.nodes.iter().filter(|node| node.online).map(|node| node.name.clone()).collect();
    for node in nodes {
        let guests: Vec<Guest> =
            cluster.guests_on(&node).into_iter().filter(|guest| included(job, guest)).cloned().collect();
        if guests.is_empty() {
            continue;
        }
        let away = cluster.storages.iter().any(|one| one.name == job.storage && one.inactive.contains_key(&node));
        let reason = format!("could not activate storage '{0}': storage '{0}' is not online", job.storage);
        let trouble = if away { &Trouble::aborts(&reason) } else { trouble };
        back_up(cluster, job, &node, &guests, "root@pam", start, trouble, locks);
    }
}

/// A vzdump task on a node: its guests one after the other. Gives its UPID.
#[expect(clippy::too_many_arguments, reason = "a run of vzdump has as many sides; a struct would only rename them")]
pub(crate) fn back_up(
    cluster: &mut Cluster,
    job: &BackupJob,
    node: &str,
    guests: &[Guest],
    user: &str,
    start: i64,
    trouble: &Trouble,
    locks: bool,
) -> String {
    let vmids: Vec<u32> = guests.iter().map(|guest| guest.vmid).collect();
    let id = if let [only] = vmids.as_slice() { only.to_string() } else { String::new() };
    let mut log = logs::backup_begin(job, &vmids, start);
    let new = |seconds, error| NewTask { node, kind: "vzdump", id: &id, user, start, seconds, error };
    if trouble.aborts {
        return cluster.task(new(1, Some(&trouble.reason)), log);
    }
    let mut at = start + 2;
    let mut failed = false;
    let mut effects = Vec::new();
    for guest in guests {
        // A guest that something else has locked fails at once, and keeps its lock.
        let blocked = guest.lock.as_ref().filter(|_| locks);
        if let Some(lock) = blocked {
            failed = true;
            let reason = format!("{} is locked ({lock})", guest.kind.noun());
            log.extend(logs::backup_failed(guest, job, at, 0, &reason));
            continue;
        }
        let seconds = seconds_for(job, guest);
        let size = size_of(guest);
        if trouble.fails.contains(&guest.vmid) {
            failed = true;
            log.extend(logs::backup_failed(guest, job, at, seconds, &trouble.reason));
        } else {
            if trouble.warns == Some(guest.vmid) {
                log.push((at, "WARN: guest agent is not running, file systems are not frozen".into()));
            }
            log.extend(logs::backup_guest(guest, job, at, seconds, size));
            effects.push((at + seconds, kept(job, guest, at)));
        }
        effects.push((at, Effect::Lock(guest.vmid, "backup")));
        effects.push((at + seconds, Effect::BackedUp(guest.vmid, size)));
        at += seconds;
    }
    log.extend(logs::backup_end(at, failed));
    let error = match (failed, trouble.warns) {
        (true, _) => Some("job errors"),
        (false, Some(_)) => Some("WARNINGS: 1"),
        (false, None) => None,
    };
    let upid = cluster.task(new(at - start + 1, error), log);
    for (at, effect) in effects {
        match effect {
            effect if locks => cluster.schedule(at, effect.of_task(&upid)),
            Effect::Keep { storage, keep, backup } => store(cluster, &storage, keep, *backup),
            _ => {}
        }
    }
    upid
}

/// Bytes that a backup of the guest takes.
fn size_of(guest: &Guest) -> u64 {
    share(guest.disk, 0.2 + 0.1 * crate::figures::fraction(mix(u64::from(guest.vmid))))
}

/// That the backup of a guest which began at a moment lies on the job's storage.
pub(crate) fn kept(job: &BackupJob, guest: &Guest, at: i64) -> Effect {
    let backup = made(job, guest, at, size_of(guest));
    Effect::Keep { storage: job.storage.clone(), keep: job.keep, backup: Box::new(backup) }
}

/// A backup as it will lie on the job's storage.
fn made(job: &BackupJob, guest: &Guest, at: i64, size: u64) -> Backup {
    let (folder, ending) = if guest.kind == Kind::Qemu { ("vm", "vma.zst") } else { ("ct", "tar.zst") };
    let (volume, format, verified) = if job.storage == "pbs" {
        let volume = format!("pbs:backup/{folder}/{}/{}", guest.vmid, backup_time(at));
        (volume, if guest.kind == Kind::Qemu { "pbs-vm" } else { "pbs-ct" }, Some("ok"))
    } else {
        let file = format!("vzdump-{}-{}-{}.{ending}", guest.kind.word(), guest.vmid, file_time(at));
        (format!("{}:backup/{file}", job.storage), ending, None)
    };
    Backup { volume, vmid: guest.vmid, at, size, format, notes: guest.name.clone(), verified }
}

/// Adds a backup and prunes the oldest of its guest on that storage.
pub(super) fn store(cluster: &mut Cluster, storage: &str, keep: usize, backup: Backup) {
    let kept = cluster.services.backups.entry((storage.to_owned(), backup.vmid)).or_default();
    kept.push_back(backup);
    while kept.len() > keep {
        kept.pop_front();
    }
}
