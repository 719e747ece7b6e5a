//! `list_replication`: replication jobs, the failing first.
//!
//! Result: `{data, total, failing, jobs: [{id, guest?: {vmid, name?}, source, target, cluster?, state: "ok" | "failing" | "running" | "off", schedule?, fail_count?, error?, last_sync?:
//! {at, ago_s, ago}, next_sync?: at, took_s?}] (100 at most), age_s?, problems?: [text]}`.

use super::desk::Known;
use super::words::{arguments, at, moment, text as short};
use super::{Begun, Desk, ReadTool, ready};
use crate::model::ReplicationJob;
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_replication",
    title: "Looking at replication",
    description: "Replication jobs between nodes: when each last succeeded, and which fail with what error.",
    parameters: r#"{"type":"object","properties":{"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["cluster"],"additionalProperties":false}"#,
    begin,
};

/// The most jobs shown.
const MOST: usize = 100;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let result = desk.choose(wanted.cluster.as_deref()).map(|chosen| {
        let mut jobs: Vec<(&Known, &ReplicationJob)> = Vec::new();
        let mut problems = Vec::new();
        let mut age_s = None;
        for known in &chosen.known {
            let part = &known.snapshot.replication;
            age_s = age_s.max(part.age_s(known.now));
            jobs.extend(part.value.iter().flat_map(|jobs| jobs.iter()).map(|job| (known, job)));
            if let Some(problem) = &part.problem {
                problems.push(format!("{}: {problem}", known.view.name));
            } else if part.at.is_none() {
                problems.push(format!(
                    "{}: replication has not been looked at yet; ask again in a minute",
                    known.view.name
                ));
            }
        }
        jobs.sort_by_key(|(_, job)| (std::cmp::Reverse(job.fail_count), job.id.clone()));
        json!({
            "data": chosen.data,
            "total": jobs.len(),
            "failing": jobs.iter().filter(|(_, job)| job.fail_count > 0).count(),
            "jobs": jobs.iter().take(MOST).map(|(known, job)| row(known, job)).collect::<Vec<_>>(),
            "age_s": age_s,
            "problems": Some(problems).filter(|problems| !problems.is_empty()),
        })
    });
    Ok(ready(result))
}

fn row(known: &Known, job: &ReplicationJob) -> Value {
    let state = match job {
        job if job.is_disabled => "off",
        job if job.fail_count > 0 => "failing",
        job if job.is_running => "running",
        _ => "ok",
    };
    let guest = job
        .vmid
        .map(|vmid| json!({"vmid": vmid, "name": known.snapshot.guest(vmid).and_then(|guest| guest.name.clone())}));
    json!({
        "id": job.id,
        "guest": guest,
        "source": job.source,
        "target": job.target,
        "cluster": known.shown,
        "state": state,
        "schedule": job.schedule,
        "fail_count": Some(job.fail_count).filter(|count| *count > 0),
        "error": job.error.as_deref().map(short),
        "last_sync": job.last_sync_s.map(|last| moment(last, &known.snapshot, known.now)),
        "next_sync": job.next_sync_s.and_then(at),
        "took_s": job.duration_s.map(|seconds| seconds.round()),
    })
}
