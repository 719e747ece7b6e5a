//! `/nodes/{node}/replication`: the jobs whose guest is on the node, with their last runs.

use super::{Answer, Context, Outcome, Reply, tasks};
use crate::model::{Guest, Node, Replication};
use crate::text::log_time;
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, node: &Node, rest: &[&str]) -> Option<Outcome> {
    match rest {
        [] => Some(replication(context, node)),
        [id, "status"] => Some(replication_status(context, node, id)),
        [id, "log"] => Some(replication_log(context, node, id)),
        _ => None,
    }
}

fn replication_row(context: &Context<'_>, node: &Node, job: &Replication) -> Value {
    let now = context.now();
    let (last_sync, last_try, fails) = job.runs(now);
    let next = if fails > 0 { last_try + Replication::RETRY } else { last_sync + Replication::PERIOD };
    let mut row = json!({
        "id": job.id(), "type": "local", "guest": job.vmid, "vmtype": context.cluster.guests.get(&job.vmid).map(|guest| guest.kind.word()),
        "jobnum": 0, "source": node.name, "target": job.target, "schedule": "*/15", "last_sync": last_sync,
        "last_try": last_try, "next_sync": next, "duration": 3.271_52, "fail_count": fails,
    });
    if fails > 0 {
        row["error"] = json!(replication_error(context, job));
    }
    row
}

fn replication_error(context: &Context<'_>, job: &Replication) -> String {
    let volume = context.cluster.guests.get(&job.vmid).map(Guest::volume).unwrap_or_default();
    format!(
        "command 'set -o pipefail && pvesm export {volume} zfs - -with-snapshots 1 | /usr/bin/ssh -e none -o 'BatchMode=yes' root@{} -- pvesm import {volume} zfs -' failed: exit code 255",
        job.target
    )
}

/// The jobs whose guest is on this node.
fn jobs<'a>(context: &'a Context<'_>, node: &'a Node) -> impl Iterator<Item = &'a Replication> {
    let cluster = context.cluster;
    let here = |vmid: u32| cluster.guests.get(&vmid).is_some_and(|guest| guest.node == node.name);
    cluster.services.replications.iter().filter(move |job| here(job.vmid) && context.sees_guest(job.vmid))
}

fn replication(context: &Context<'_>, node: &Node) -> Outcome {
    Ok(jobs(context, node).map(|job| replication_row(context, node, job)).collect::<Vec<_>>().into())
}

fn find<'a>(context: &'a Context<'_>, node: &'a Node, id: &str) -> Result<&'a Replication, Answer> {
    jobs(context, node)
        .find(|job| job.id() == id)
        .ok_or_else(|| Answer::error(500, &format!("no such replication job '{id}'")))
}

fn replication_status(context: &Context<'_>, node: &Node, id: &str) -> Outcome {
    let job = find(context, node, id)?;
    Ok(replication_row(context, node, job).into())
}

fn replication_log(context: &Context<'_>, node: &Node, id: &str) -> Result<Reply, Answer> {
    let job = find(context, node, id)?;
    let (_, at, fails) = job.runs(context.now());
    let line = |after: i64, text: &str| format!("{} {id}: {text}", log_time(at + after));
    let noun = context.cluster.guests.get(&job.vmid).map_or("VM", |guest| guest.kind.noun());
    let mut log =
        vec![line(0, "start replication job"), line(0, &format!("guest => {noun} {}, running => 1", job.vmid))];
    if fails > 0 {
        log.push(line(1, &format!("end replication job with error: {}", replication_error(context, job))));
    } else {
        log.push(line(1, "create snapshot '__replicate_'"));
        log.push(line(3, "end replication job"));
    }
    Ok(tasks::lines(log, 0, 50))
}
