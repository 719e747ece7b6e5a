//! `list_snapshots`: snapshots of guests, asked of the cluster.
//!
//! Result: `{data, total, snapshots: [{guest: {vmid, name?}, name, cluster?, created?: {at, ago_s, ago}, holds_memory?, parent?, description?}], guests_asked, next_offset?, problems?:
//! [text]}`, the oldest first. Without a guest at most 150 guests are asked, from the first VMID on; `problems` says when that were not all.

use super::desk::Known;
use super::get_vm_status::path;
use super::words::{self, Page, arguments, moment, text as short};
use super::{Begun, Desk, ReadTool, lookup, ready};
use crate::decode::{self, SnapshotPoint, Text};
use crate::model::{Guest, NodeState};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_snapshots",
    title: "Looking at snapshots",
    description: "Snapshots of one guest or of all, the oldest first, with their age: forgotten snapshots fill storages.",
    parameters: r#"{"type":"object","properties":{"guest":{"type":["string","null"],"description":"Only snapshots of this guest: its name or VMID."},"older_than_days":{"type":["number","null"],"description":"Only snapshots at least so old."},"cluster":{"type":["string","null"],"description":"Only this cluster."},"limit":{"type":["integer","null"],"description":"How many to show: 50 by default, 200 at most."},"offset":{"type":["integer","null"],"description":"Where to begin: next_offset of the page before."}},"required":["guest","older_than_days","cluster","limit","offset"],"additionalProperties":false}"#,
    begin,
};

/// The most guests asked for one answer.
const GUESTS: usize = 150;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    guest: Option<Text>,
    older_than_days: Option<f64>,
    cluster: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let found = desk.choose(wanted.cluster.as_deref()).and_then(|chosen| {
        let guest = wanted.guest.as_ref().map(Text::as_str).filter(|guest| !guest.is_empty());
        let asked: Vec<(usize, usize)> = match guest {
            Some(guest) => vec![lookup::guest(&chosen.known, guest)?],
            None => {
                let all = chosen.known.iter().enumerate().flat_map(|(cluster, known)| {
                    known
                        .snapshot
                        .guests
                        .iter()
                        .enumerate()
                        .filter(|(_, guest)| !guest.is_template)
                        .map(move |(at, _)| (cluster, at))
                });
                all.collect()
            }
        };
        Ok((chosen, asked))
    });
    let (chosen, asked) = match found {
        Ok(found) => found,
        Err(said) => return Ok(ready(Err(said))),
    };
    Ok(Box::pin(async move {
        let mut problems = Vec::new();
        if asked.len() > GUESTS {
            problems.push(format!("only {GUESTS} of {} guests were asked: name a guest", asked.len()));
        }
        let answers = join_all(asked.iter().take(GUESTS).map(|(cluster, at)| {
            let known = &chosen.known[*cluster];
            let guest = &known.snapshot.guests[*at];
            async move { (known, guest, points(known, guest).await) }
        }))
        .await;
        let guests_asked = answers.len();
        let mut found: Vec<(&Known, &Guest, SnapshotPoint)> = Vec::new();
        for (known, guest, answer) in answers {
            match answer {
                Ok(points) => found.extend(points.into_iter().map(|point| (known, guest, point))),
                Err(problem) => problems.push(format!("{}: {problem}", guest.label())),
            }
        }
        if let Some(days) = wanted.older_than_days {
            found.retain(|(known, _, point)| {
                point
                    .created_s
                    .is_some_and(|created| known.snapshot.seconds_since_s(created, known.now) as f64 >= days * 86_400.0)
            });
        }
        found.sort_by_key(|(.., point)| point.created_s);
        let page = Page::of(wanted.limit, wanted.offset, 50, 200);
        problems.truncate(10);
        words::result(Ok(json!({
            "data": chosen.data,
            "total": found.len(),
            "snapshots": page.items(&found).map(|(known, guest, point)| row(known, guest, point)).collect::<Vec<_>>(),
            "guests_asked": guests_asked,
            "next_offset": page.next(found.len()),
            "problems": Some(problems).filter(|problems| !problems.is_empty()),
        })))
    }))
}

async fn points(known: &Known, guest: &Guest) -> Result<Vec<SnapshotPoint>, String> {
    let client = known.view.client.as_ref().ok_or("the cluster cannot be asked")?;
    if known.snapshot.node(&guest.node).is_some_and(|node| node.state == NodeState::Offline) {
        return Err(format!("its node {} is offline", guest.node));
    }
    client.slow(&path(guest, "snapshot"), decode::snapshot_points).await.map_err(|error| error.text)
}

fn row(known: &Known, guest: &Guest, point: &SnapshotPoint) -> Value {
    json!({
        "guest": {"vmid": guest.vmid, "name": guest.name},
        "name": point.name,
        "cluster": known.shown,
        "created": point.created_s.map(|created| moment(created, &known.snapshot, known.now)),
        "holds_memory": point.holds_memory.then_some(true),
        "parent": point.parent,
        "description": point.description.as_deref().map(short),
    })
}
