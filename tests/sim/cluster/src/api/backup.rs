//! Backup jobs, what they include, and the guests that none includes.

use super::{Answer, Context, Outcome, flag};
use crate::incidents::included;
use crate::model::BackupJob;
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, rest: &[&str]) -> Option<Outcome> {
    if let Err(answer) = context.need("/", "Sys.Audit") {
        return Some(Err(answer));
    }
    let outcome = match rest {
        [] => Ok(context.cluster.services.jobs.iter().map(|job| row(context, job)).collect::<Vec<_>>().into()),
        [id] => find(context, id).map(|job| row(context, job).into()),
        [id, "included_volumes"] => find(context, id).map(|job| volumes(context, job).into()),
        _ => return None,
    };
    Some(outcome)
}

fn find<'a>(context: &'a Context<'_>, id: &str) -> Result<&'a BackupJob, Answer> {
    let found = context.cluster.services.jobs.iter().find(|job| job.id == id);
    found.ok_or_else(|| Answer::error(400, &format!("No such job '{id}'")))
}

fn row(context: &Context<'_>, job: &BackupJob) -> Value {
    let mut keep = serde_json::Map::new();
    for (name, count) in job.prune.split(',').filter_map(|part| part.split_once('=')) {
        // The server gives these as text.
        keep.insert(name.to_owned(), json!(count));
    }
    let mut row = json!({
        "id": job.id, "type": "vzdump", "schedule": job.schedule, "storage": job.storage, "mode": "snapshot", "comment": job.comment,
        "notes-template": "{{guestname}}", "prune-backups": keep, "compress": "zstd", "fleecing": { "enabled": 0 },
    });
    if let Some(pool) = &job.pool {
        row["pool"] = json!(pool);
    } else {
        row["vmid"] = json!(job.vmids.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    }
    if job.enabled {
        // Enabled is the default, and then it is not told.
        row["next-run"] = json!(job.next_run(context.now()));
    } else {
        row["enabled"] = flag(false);
    }
    row
}

fn volumes(context: &Context<'_>, job: &BackupJob) -> Value {
    let guests = context.cluster.guests.values().filter(|guest| included(job, guest) && context.sees_guest(guest.vmid));
    let children = guests.map(|guest| {
        let disk = guest.disk_name();
        let volume = json!({ "id": disk, "name": guest.volume(), "included": 1, "reason": "enabled" });
        json!({ "id": guest.vmid, "name": guest.name, "type": guest.kind.word(), "children": [volume] })
    });
    json!({ "children": children.collect::<Vec<_>>() })
}

/// Guests that no job includes. As on a real cluster a disabled job counts as one that does.
pub(super) fn not_backed_up(context: &Context<'_>) -> Outcome {
    context.need("/", "Sys.Audit")?;
    let jobs = &context.cluster.services.jobs;
    let guests = context.cluster.guests.values().filter(|guest| !jobs.iter().any(|job| included(job, guest)));
    let rows = guests.map(|guest| json!({ "vmid": guest.vmid, "name": guest.name, "type": guest.kind.word() }));
    Ok(rows.collect::<Vec<_>>().into())
}
