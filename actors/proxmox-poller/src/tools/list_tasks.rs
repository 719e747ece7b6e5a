//! `list_tasks`: what the clusters did.
//!
//! Result: `{data, total, tasks: [{upid, kind, node, status: "running" | "OK" | "WARNINGS: n" | error text, failed?, guest?: {vmid, name?}, about?, user, cluster?,
//! started: {at, ago_s, ago}, took?}], next_offset?, note?}`, the newest first. Known are the last 1,000 tasks that HAIA saw.

use super::desk::Known;
use super::words::{Page, arguments, moment, span, text as short};
use super::{Begun, Desk, ReadTool, lookup, ready};
use crate::decode::Text;
use crate::model::{Task, TaskState};
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_tasks",
    title: "Looking at what was done",
    description: "Recent tasks of the clusters, the newest first: starts, stops, backups, migrations, with who began them and how they ended. For what happened last night: since_hours. For failed backups: kind vzdump and failed true.",
    parameters: r#"{"type":"object","properties":{"failed":{"type":["boolean","null"],"description":"true: only tasks that failed."},"running":{"type":["boolean","null"],"description":"true: only tasks that run now."},"kind":{"type":["string","null"],"description":"Only tasks whose type contains this: vzdump (backups), qmstart, vzstop, migrate, ..."},"guest":{"type":["string","null"],"description":"Only tasks of this guest: its name or VMID."},"node":{"type":["string","null"],"description":"Only tasks of this node."},"user":{"type":["string","null"],"description":"Only tasks of users whose name contains this."},"since_hours":{"type":["number","null"],"description":"Only tasks begun within so many hours."},"cluster":{"type":["string","null"],"description":"Only this cluster."},"limit":{"type":["integer","null"],"description":"How many to show: 30 by default, 200 at most."},"offset":{"type":["integer","null"],"description":"Where to begin: next_offset of the page before."}},"required":["failed","running","kind","guest","node","user","since_hours","cluster","limit","offset"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    failed: Option<bool>,
    running: Option<bool>,
    kind: Option<String>,
    guest: Option<Text>,
    node: Option<String>,
    user: Option<String>,
    since_hours: Option<f64>,
    cluster: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    Ok(ready(list(desk, &wanted)))
}

fn list(desk: &Desk, wanted: &Arguments) -> Result<Value, String> {
    let chosen = desk.choose(wanted.cluster.as_deref())?;
    let guest = wanted.guest.as_ref().map(Text::as_str).filter(|guest| !guest.is_empty());
    let only = match guest {
        // A guest that is gone still has tasks under its number.
        Some(guest) => match (lookup::guest(&chosen.known, guest), guest.parse::<u32>()) {
            (Ok((cluster, at)), _) => Some((Some(cluster), chosen.known[cluster].snapshot.guests[at].vmid)),
            (Err(_), Ok(vmid)) => Some((None, vmid)),
            (Err(said), Err(_)) => return Err(said),
        },
        None => None,
    };
    let contains = |text: &str, part: &Option<String>| {
        part.as_deref().is_none_or(|part| text.to_lowercase().contains(&part.trim().to_lowercase()))
    };
    let mut found: Vec<(&Known, &Task)> = Vec::new();
    for (place, known) in chosen.known.iter().enumerate() {
        let matches = |task: &&Task| {
            let age_s = known.snapshot.seconds_since_s(task.started_s, known.now);
            (wanted.failed != Some(true) || task.state.is_failure())
                && (wanted.running != Some(true) || task.state == TaskState::Running)
                && contains(&task.kind, &wanted.kind)
                && contains(&task.user, &wanted.user)
                && wanted.node.as_deref().is_none_or(|node| node.is_empty() || task.node.eq_ignore_ascii_case(node))
                && wanted.since_hours.is_none_or(|hours| age_s as f64 <= hours * 3600.0)
                && only.is_none_or(|(cluster, vmid)| {
                    cluster.is_none_or(|cluster| cluster == place) && task.vmid() == Some(vmid)
                })
        };
        found.extend(known.snapshot.tasks.iter().filter(matches).map(|task| (known, task)));
    }
    found.sort_by_key(|(_, task)| std::cmp::Reverse(task.started_s));
    let page = Page::of(wanted.limit, wanted.offset, 30, 200);
    let is_partial =
        chosen.known.iter().any(|known| known.snapshot.missing_privileges.iter().any(|one| one.0.name == "Sys.Audit"));
    Ok(json!({
        "data": chosen.data,
        "total": found.len(),
        "tasks": page.items(&found).map(|(known, task)| row(known, task)).collect::<Vec<_>>(),
        "next_offset": page.next(found.len()),
        "note": is_partial.then_some("without Sys.Audit only the token's own tasks can be seen"),
    }))
}

/// A task as lists show it.
pub(super) fn row(known: &Known, task: &Task) -> Value {
    let guest = task.vmid().map(|vmid| {
        let name = known.snapshot.guest(vmid).and_then(|guest| guest.name.clone());
        json!({"vmid": vmid, "name": name})
    });
    json!({
        "upid": task.upid,
        "kind": task.kind,
        "node": task.node,
        "status": short(&task.state.to_string()),
        "failed": task.state.is_failure().then_some(true),
        "about": Some(&task.id).filter(|id| guest.is_none() && !id.is_empty()),
        "guest": guest,
        "user": task.user,
        "cluster": known.shown,
        "started": moment(task.started_s, &known.snapshot, known.now),
        "took": task.duration_s().map(|seconds| span(seconds.unsigned_abs())),
    })
}
