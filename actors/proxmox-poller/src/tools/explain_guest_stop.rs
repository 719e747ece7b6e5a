//! `explain_guest_stop`: why a guest stopped: by whom, by its node, by itself, or not at all.
//!
//! Result: `{data, guest: {as in list_vms}, verdict, certain, summary, stopped?: {at, ago_s, ago}, task?: {as in list_tasks}, log?: [text] (its last 12 lines),
//! starts_with_node?, recent_tasks: [as in list_tasks] (8 at most), note?}`. `summary` is one or two sentences for a person. `verdict` is one of
//! `running`, `stopped_by_task`, `stopped_for_backup`, `stopped_without_task` (it crashed or was switched off from inside: Proxmox cannot tell), `stopped_with_node`,
//! `start_failed`, `paused`, `failed`, `node_offline`, `no_data`, `not_known`, `template`.

use super::desk::Known;
use super::get_vm_status::path;
use super::words::{self, arguments, moment, text as short};
use super::{Begun, Desk, ReadTool, list_tasks, list_vms, lookup, ready};
use crate::client::segment;
use crate::decode::{self, Text};
use crate::model::{NodeState, Task};
use crate::verdict::{Facts, explain};
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "explain_guest_stop",
    title: "Finding out why a guest stopped",
    description: "Why a virtual machine or container stopped or does not run: stopped by a user or job (who and when), by a crash or from inside, with its node, or paused by an error. Reads the task log. Call it for every \"why did X stop / crash / go down\".",
    parameters: r#"{"type":"object","properties":{"guest":{"type":"string","description":"The guest's name or VMID."},"cluster":{"type":["string","null"],"description":"Its cluster, if several have such a guest."}},"required":["guest","cluster"],"additionalProperties":false}"#,
    begin,
};

/// The lines of the task's log that are shown.
const LOG_LINES: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    guest: Text,
    #[serde(default)]
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let found = desk.choose(wanted.cluster.as_deref()).and_then(|chosen| {
        let (cluster, at) = lookup::guest(&chosen.known, wanted.guest.as_str())?;
        Ok((chosen.known[cluster].clone(), at, chosen.data))
    });
    let (known, at, data) = match found {
        Ok(found) => found,
        Err(said) => return Ok(ready(Err(said))),
    };
    Ok(Box::pin(async move {
        let guest = &known.snapshot.guests[at];
        let (tasks, note) = tasks_of(&known, guest.vmid, &guest.node).await;
        let starts_with_node = starts_with_node(&known, at).await;
        let of_guest: Vec<&Task> = tasks.iter().collect();
        let facts = Facts {
            snapshot: &known.snapshot,
            guest,
            tasks: &of_guest,
            known: known.view.stops.get(&guest.vmid),
            starts_with_node,
            now: known.now,
        };
        let found = explain(&facts);
        let log = match found.task {
            Some(task) => log(&known, task).await,
            None => None,
        };
        words::result(Ok(json!({
            "data": data,
            "guest": list_vms::row(&known, guest),
            "verdict": found.verdict.as_str(),
            "certain": found.is_certain,
            "summary": found.summary,
            "stopped": found.stopped_s.map(|stopped_s| moment(stopped_s, &known.snapshot, known.now)),
            "task": found.task.map(|task| list_tasks::row(&known, task)),
            "log": log,
            "starts_with_node": starts_with_node,
            "recent_tasks": tasks.iter().take(8).map(|task| list_tasks::row(&known, task)).collect::<Vec<_>>(),
            "note": note,
        })))
    }))
}

/// Every known task of a guest, newest first: those that HAIA saw, and those that the guest's node remembers.
async fn tasks_of(known: &Known, vmid: u32, node: &str) -> (Vec<Task>, Option<String>) {
    let mut tasks: Vec<Task> = known.snapshot.tasks.iter().filter(|task| task.vmid() == Some(vmid)).cloned().collect();
    let is_offline = known.snapshot.node(node).is_none_or(|node| node.state == NodeState::Offline);
    let mut note = None;
    if let Some(client) = known.view.client.as_ref().filter(|_| !is_offline) {
        let path = format!("/nodes/{}/tasks?vmid={vmid}&limit=50&source=all", segment(node));
        match client.slow(&path, decode::tasks).await {
            Ok(older) => tasks.extend(older.into_iter().filter(|task| task.vmid() == Some(vmid))),
            Err(error) => note = Some(format!("older tasks could not be read: {error}")),
        }
    }
    if known.snapshot.missing_privileges.iter().any(|one| one.0.name == "Sys.Audit") {
        note = Some(
            "without Sys.Audit only the token's own tasks can be seen: who stopped a guest stays hidden".to_owned(),
        );
    }
    tasks.sort_by(|a, b| b.started_s.cmp(&a.started_s).then_with(|| b.upid.cmp(&a.upid)));
    tasks.dedup_by(|a, b| a.upid == b.upid);
    (tasks, note)
}

async fn starts_with_node(known: &Known, at: usize) -> Option<bool> {
    let guest = &known.snapshot.guests[at];
    if let Some(told) = known.snapshot.slow.starts_with_node(guest.vmid) {
        return Some(told);
    }
    let is_offline = known.snapshot.node(&guest.node).is_none_or(|node| node.state == NodeState::Offline);
    let client = known.view.client.as_ref().filter(|_| !is_offline)?;
    client.slow(&path(guest, "config"), decode::guest_config).await.ok().map(|config| config.starts_with_node)
}

/// The end of a task's log.
async fn log(known: &Known, task: &Task) -> Option<Vec<String>> {
    let client = known.view.client.as_ref()?;
    let path = format!("/nodes/{}/tasks/{}/log?start=0&limit=5000", segment(&task.node), segment(&task.upid));
    let lines = client.slow(&path, decode::task_log).await.ok()?;
    let skipped = lines.len().saturating_sub(LOG_LINES);
    let lines: Vec<String> = lines.iter().skip(skipped).map(|(_, line)| short(line)).collect();
    (!lines.is_empty()).then_some(lines)
}
