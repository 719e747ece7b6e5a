//! `backup_stale`: guests whose newest backup is older than the job that covers them allows, one finding per job; and guests that no job covers.

use super::defaults::{level, settings};
use super::scene::{Case, Court, levels, seconds};
use super::{Need, Rule, schedule, words};
use crate::memory::Raised;
use crate::model::{BackupJob, Guest, Shelf, seconds_between};
use crate::tools::words::span;
use contract::alerts::{Finding, Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "backup_stale",
        condition: "The newest backup of a guest in an enabled job is older than 1.15 of the job's periods and the extra time (grace). For information: guests that no job covers.",
        defaults: settings([Some(level(0, 0)), Some(level(0, 0)), None], None, Some(7200)),
        unit: "",
    },
    needs: &[Need::BackupJobs, Need::Shelves, Need::NotBackedUp],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 3 * 3600;
const JOBS_FRESH_S: u64 = 3600;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut judged = Vec::new();
    if let Some(jobs) = scene.fresh(&scene.snapshot.backup_jobs, JOBS_FRESH_S) {
        let mut case = Case::default();
        for job in jobs.iter().filter(|job| job.is_enabled) {
            let object = scene.object(format_args!("backup-job/{}", job.id));
            match stale(court, job) {
                None => case.unseen.push(object),
                Some(guests) if guests.is_empty() => {}
                Some(guests) => case.findings.extend(of_job(court, job, object, &guests)),
            }
        }
        judged.push(court.judged(scene.object("backup-job/"), case));
    }
    if let Some(without) = scene.fresh(&scene.snapshot.slow.not_backed_up, FRESH_S) {
        let guests = without
            .iter()
            .filter_map(|vmid| scene.snapshot.guest(*vmid))
            .filter(|guest| !guest.is_template && court.settings(&scene.guest_labels(guest)).is_some());
        let names: Vec<String> = guests.map(Guest::label).collect();
        let object = scene.object("guests-without-backup-job");
        let finding = (!names.is_empty()).then(|| uncovered(court, names)).flatten();
        judged.push(court.judged(object, Case { findings: finding.into_iter().collect(), unseen: Vec::new() }));
    }
    judged
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let Some((_, id)) = raised.object.split_once("/backup-job/") else {
        let verb = if raised.subject.starts_with("1 ") { "is" } else { "are" };
        return Some(format!("{verb} now in a backup job"));
    };
    let job = scene.fresh(&scene.snapshot.backup_jobs, JOBS_FRESH_S)?.iter().find(|job| *job.id == *id);
    Some(match job {
        None => "was removed".to_owned(),
        Some(job) if !job.is_enabled => "was switched off".to_owned(),
        Some(_) => "has a fresh backup of every guest again".to_owned(),
    })
}

/// The guests of a job whose newest backup is too old, with its age in seconds; `None` when that cannot be told.
fn stale<'a>(court: &Court<'a>, job: &BackupJob) -> Option<Vec<(&'a Guest, Option<u64>)>> {
    let scene = &court.scene;
    let snapshot = scene.snapshot;
    let period_s = schedule::longest_gap_s(job.schedule.as_deref()?)?;
    let storage = job.storage.as_deref()?;
    let mut shelves: Vec<(Option<&str>, &Shelf)> = Vec::new();
    for kept in snapshot.storages.iter().filter(|kept| &*kept.name == storage) {
        let node = kept.node().map(|node| &**node);
        // What a node that is away keeps cannot be seen.
        if node.is_some_and(|node| scene.is_offline(node)) {
            continue;
        }
        let part = snapshot.slow.shelves.get(kept.label().as_str())?;
        shelves.push((node, scene.fresh(part, FRESH_S)?));
    }
    // A token that may not see backups gets an empty list: that is no proof that there are none.
    if shelves.iter().all(|(_, shelf)| shelf.count == 0) {
        return None;
    }
    let mut found = Vec::new();
    for guest in scene.guests().filter(|guest| job.covers(guest) && !scene.is_offline(&guest.node)) {
        let Some(settings) = court.settings(&scene.guest_labels(guest)) else { continue };
        let limit_s = period_s.saturating_add(period_s * 15 / 100).saturating_add(seconds(settings.grace, 7200));
        let newest = shelves.iter().filter_map(|(_, shelf)| shelf.newest.get(&guest.vmid)).max();
        match newest {
            Some(newest) => {
                let age_s = snapshot.seconds_since_s(*newest, scene.now);
                if age_s > limit_s {
                    found.push((guest, Some(age_s)));
                }
            }
            // A guest that was made a moment ago waits for the job's next run.
            None if seconds_between(guest.known_since, scene.now) > limit_s => found.push((guest, None)),
            None => {}
        }
    }
    Some(found)
}

fn of_job(
    court: &Court<'_>,
    job: &BackupJob,
    object: std::sync::Arc<str>,
    guests: &[(&Guest, Option<u64>)],
) -> Option<Finding> {
    let scene = &court.scene;
    let mut labels = scene.cluster_labels();
    labels.add("kind", "backup");
    labels.0.extend(job.storage.iter().map(|storage| ("storage".into(), std::sync::Arc::clone(storage))));
    let settings = court.settings(&labels)?;
    for (guest, _) in guests {
        labels.add("vmid", guest.vmid.to_string());
        labels.0.extend(guest.name.iter().map(|name| ("name".into(), std::sync::Arc::clone(name))));
    }
    let read = levels(&settings, |severity, _| (severity != Severity::Info).then_some(Reading::Raised));
    let affected: Vec<String> = guests
        .iter()
        .map(|(guest, age)| match age {
            Some(age) => format!("{}: {} old", guest.label(), span(*age)),
            None => format!("{}: none", guest.label()),
        })
        .collect();
    let subject = format!("backup job {}", words::quoted(&job.id));
    let summary = match guests {
        [(guest, Some(age))] => format!("has no fresh backup of {}: the newest is {} old", guest.label(), span(*age)),
        [(guest, None)] => format!("has no backup of {}", guest.label()),
        guests => format!("has no fresh backup of {}", words::count(guests.len(), "guest")),
    };
    let mut finding = court.finding(object, subject, summary, scene.now, read);
    finding.labels = labels;
    finding.affected = affected;
    finding.value = guests.iter().filter_map(|(_, age)| *age).max().map(|age| format!("{} old", span(age)));
    let when = job.schedule.as_deref().map(|schedule| format!(" ({})", words::quoted(schedule))).unwrap_or_default();
    finding.meaning =
        Some(format!("The job{when} does not run, or fails for them. Its last run in the task log says more."));
    Some(finding)
}

fn uncovered(court: &Court<'_>, names: Vec<String>) -> Option<Finding> {
    let scene = &court.scene;
    let labels = scene.cluster_labels();
    let settings = court.settings(&labels)?;
    let read = levels(&settings, |severity, _| (severity == Severity::Info).then_some(Reading::Raised));
    let subject = words::count(names.len(), "guest");
    let (summary, meaning) = if names.len() == 1 {
        ("is in no backup job", "It is lost if its disks are. Add it to a job, or except it from this rule.")
    } else {
        ("are in no backup job", "They are lost if their disks are. Add them to a job, or except them from this rule.")
    };
    let mut finding = court.finding(scene.object("guests-without-backup-job"), subject, summary, scene.now, read);
    finding.labels = labels;
    finding.affected = names;
    finding.meaning = Some(meaning.to_owned());
    Some(finding)
}
