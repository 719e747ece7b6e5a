//! `backup_coverage`: which guests are backed up by a job, which are not, how old each newest backup is, and which runs failed.
//!
//! Result: `{data, clusters: [{cluster, jobs: [{id, enabled, schedule?, storage?, mode?, guests: "all" | "all but 101, 102" | "pool x" | [vmid], next_run?}], guests, without_job: {total,
//! guests: [{vmid, name?, status}]}, without_backup?: {total, guests: […]}, oldest: [{vmid, name?, newest_backup: {at, ago_s, ago}}] (20, the oldest first), failed_runs_7d: {total, newest: [as in
//! list_tasks, with errors: [text] of the newest three] (10)}, running: [as in list_tasks], problems?: [text]}]}`. Lists of guests hold 50 at most. `without_backup` is missing when a storage could not be asked.

use super::desk::Known;
use super::words::{self, arguments, at, moment};
use super::{Begun, Desk, ReadTool, health, list_backups, list_tasks, ready};
use crate::client::segment;
use crate::decode;
use crate::model::{BackupJob, BackupSelection, Guest, Task, TaskState};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "backup_coverage",
    title: "Checking the backups",
    description: "Are backups all right? Backup jobs and which guests they cover, guests without a job or without any backup, how old each guest's newest backup is, and backup runs that failed in the last seven days.",
    parameters: r#"{"type":"object","properties":{"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["cluster"],"additionalProperties":false}"#,
    begin,
};

/// The most guests in one list.
const MOST: usize = 50;
const OLDEST: usize = 20;
/// What was fetched so many seconds ago is not asked for again.
const RECENT_S: u64 = 300;
/// The failed runs whose logs are read, and the lines taken of each.
const LOGS: usize = 3;
const ERRORS: usize = 10;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let chosen = match desk.choose(wanted.cluster.as_deref()) {
        Ok(chosen) => chosen,
        Err(said) => return Ok(ready(Err(said))),
    };
    Ok(Box::pin(async move {
        let clusters = join_all(chosen.known.iter().map(cluster)).await;
        words::result(Ok(json!({ "data": chosen.data, "clusters": clusters })))
    }))
}

async fn cluster(known: &Known) -> Value {
    let guests: Vec<&Guest> = known.snapshot.guests.iter().filter(|guest| !guest.is_template).collect();
    let (jobs, told, (backups, mut problems)) = futures_util::future::join3(
        jobs(known),
        async {
            let part = &known.snapshot.slow.not_backed_up;
            match (&part.value, &known.view.client) {
                // Looked at a moment ago: no need to ask again.
                (Some(told), _) if part.age_s(known.now).is_some_and(|age| age <= RECENT_S) => Some(told.to_vec()),
                (_, Some(client)) => {
                    client.slow("/cluster/backup-info/not-backed-up", decode::not_backed_up).await.ok()
                }
                (told, None) => told.as_deref().cloned(),
            }
        },
        list_backups::fetch(known, None, None),
    )
    .await;
    let is_whole = problems.is_empty();
    let jobs = jobs.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let is_without_job = |guest: &&&Guest| match &told {
        Some(told) => told.contains(&guest.vmid),
        // Before version 6.3, or without the right to ask: as the jobs read.
        None => !jobs.iter().any(|job| job.covers(guest)),
    };
    let without_job: Vec<&Guest> = guests.iter().filter(is_without_job).copied().collect();
    let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
    for backup in &backups {
        if let (Some(vmid), Some(created)) = (backup.volume.vmid, backup.volume.created_s) {
            let known = newest.entry(vmid).or_insert(created);
            *known = created.max(*known);
        }
    }
    let without_backup: Vec<&Guest> =
        guests.iter().filter(|guest| !newest.contains_key(&guest.vmid)).copied().collect();
    let mut oldest: Vec<(&Guest, i64)> =
        guests.iter().filter_map(|guest| Some((*guest, *newest.get(&guest.vmid)?))).collect();
    oldest.sort_by_key(|(_, created)| *created);
    let oldest = oldest.iter().take(OLDEST).map(|(guest, created)| {
        json!({"vmid": guest.vmid, "name": guest.name, "newest_backup": moment(*created, &known.snapshot, known.now)})
    });
    let failed: Vec<&Task> =
        health::failed_tasks(known, 7 * 86_400).into_iter().filter(|task| &*task.kind == "vzdump").collect();
    let errors = join_all(failed.iter().take(LOGS).map(|task| errors(known, task))).await;
    let failed_rows: Vec<Value> = failed
        .iter()
        .take(10)
        .enumerate()
        .map(|(at, task)| {
            let mut row = list_tasks::row(known, task);
            if let Some(errors) = errors.get(at).filter(|errors| !errors.is_empty()) {
                row["errors"] = json!(errors);
            }
            row
        })
        .collect();
    let running =
        known.snapshot.tasks.iter().filter(|task| &*task.kind == "vzdump" && task.state == TaskState::Running);
    json!({
        "cluster": known.view.name,
        "jobs": jobs.iter().map(row).collect::<Vec<_>>(),
        "guests": guests.len(),
        "without_job": listed(&without_job),
        "without_backup": is_whole.then(|| listed(&without_backup)),
        "oldest": oldest.collect::<Vec<_>>(),
        "failed_runs_7d": {
            "total": failed.len(),
            "newest": failed_rows,
        },
        "running": running.take(5).map(|task| list_tasks::row(known, task)).collect::<Vec<_>>(),
        "problems": Some(problems).filter(|problems| !problems.is_empty()),
    })
}

/// What a run that failed says of each guest it failed on.
async fn errors(known: &Known, task: &Task) -> Vec<String> {
    let Some(client) = &known.view.client else { return Vec::new() };
    let path = format!("/nodes/{}/tasks/{}/log?start=0&limit=5000", segment(&task.node), segment(&task.upid));
    let lines = client.slow(&path, decode::task_log).await.unwrap_or_default();
    let errors = lines.iter().map(|(_, line)| line).filter(|line| line.starts_with("ERROR:"));
    errors.take(ERRORS).map(|line| words::text(line)).collect()
}

/// The jobs as they are now, else as they were known.
async fn jobs(known: &Known) -> Result<Vec<BackupJob>, String> {
    let asked = match &known.view.client {
        Some(client) => client
            .slow("/cluster/backup", decode::backup_jobs)
            .await
            .map_err(|error| format!("the backup jobs cannot be read: {error}")),
        None => Err("the cluster cannot be asked".to_owned()),
    };
    match (asked, &known.snapshot.backup_jobs.value) {
        (Ok(jobs), _) => Ok(jobs),
        (Err(_), Some(before)) => Ok(before.to_vec()),
        (Err(problem), None) => Err(problem),
    }
}

fn listed(guests: &[&Guest]) -> Value {
    let row = |guest: &&Guest| json!({"vmid": guest.vmid, "name": guest.name, "status": guest.state.as_str()});
    json!({"total": guests.len(), "guests": guests.iter().take(MOST).map(row).collect::<Vec<_>>()})
}

fn row(job: &BackupJob) -> Value {
    let guests = match &job.selection {
        BackupSelection::All { except } if except.is_empty() => json!("all"),
        BackupSelection::All { except } => {
            json!(format!("all but {}", except.iter().take(MOST).map(u32::to_string).collect::<Vec<_>>().join(", ")))
        }
        BackupSelection::Guests(guests) => json!(guests.iter().take(MOST).collect::<Vec<_>>()),
        BackupSelection::Pool(pool) => json!(format!("pool {pool}")),
    };
    json!({
        "id": job.id,
        "enabled": job.is_enabled,
        "schedule": job.schedule,
        "storage": job.storage,
        "node": job.node,
        "mode": job.mode,
        "guests": guests,
        "next_run": job.next_run_s.filter(|_| job.is_enabled).and_then(at),
        "comment": job.comment.as_deref().map(words::text),
    })
}
