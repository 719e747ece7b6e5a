//! What happened before the start: a week of backups, and the tasks of an ordinary week. Only the past: nothing in it is still running.

use crate::incidents::{Trouble, run_job};
use crate::model::{BackupJob, Cluster, NewTask};

pub(super) const DAY: i64 = 86_400;

/// Fills tasks and backups. The guest `failed` was not backed up last night.
pub(super) fn fill(cluster: &mut Cluster, homelab: bool, failed: Option<u32>) {
    let now = cluster.now;
    // A large cluster keeps two nights: its tasks beyond that are of no use to anybody.
    let days = if homelab { 8 } else { 2 };
    let jobs = cluster.services.jobs.clone();
    for job in jobs.iter().filter(|job| job.enabled) {
        let runs: Vec<i64> = past_runs(job, now, days).collect();
        for (at, start) in runs.iter().enumerate() {
            let last = at + 1 == runs.len() && job.days == 1;
            let reason =
                "backup write data failed: command error: write_data upload error: pipelined request failed: timed out";
            let trouble = match failed.filter(|_| last) {
                Some(vmid) => Trouble::fails(vec![vmid], reason),
                None => Trouble::none(),
            };
            run_job(cluster, job, *start, &trouble, false);
        }
    }
    if homelab {
        week(cluster, now);
    }
}

/// The runs that were over before `now`, oldest first.
fn past_runs(job: &BackupJob, now: i64, days: i64) -> impl Iterator<Item = i64> {
    let period = job.days * DAY;
    // No run takes longer.
    let over = now - 2 * 3_600;
    let last = job.next_run(over) - period;
    let count = if job.days == 1 { days } else { 3 };
    (0..count).rev().map(move |back| last - back * period)
}

/// What people did in the days before.
fn week(cluster: &mut Cluster, now: i64) {
    let done = [
        (6 * DAY, "pve1", "qmsnapshot", "103", "root@pam", 3, None),
        (5 * DAY + 7_200, "pve2", "aptupdate", "", "root@pam", 9, None),
        (3 * DAY + 1_800, "pve3", "vzreboot", "114", "anna@pve", 5, None),
        (2 * DAY + 900, "pve2", "qmigrate", "126", "root@pam", 31, None),
        (2 * DAY, "pve3", "qmstop", "130", "anna@pve", 1, None),
        (30 * 3_600, "pve1", "aptupdate", "", "root@pam", 8, None),
        (26 * 3_600, "pve3", "vncproxy", "109", "anna@pve", 240, None),
        (5 * 3_600, "pve1", "srvreload", "networking", "root@pam", 1, None),
    ];
    for (age, node, kind, id, user, seconds, error) in done {
        cluster.task(NewTask { node, kind, id, user, start: now - age, seconds, error }, Vec::new());
    }
}
