//! `list_storage`: how full storages are, and where that goes.
//!
//! Result: `{data, total, storages: [{name, node? (local ones), shared?, kind?, content?, status: "available" | "unknown", cluster?, used?, used_percent?, grows_percent_per_day?,
//! full_in? (only when within 90 days), figures_age_s?, unavailable_on?: [node]}], next_offset?}`, the fullest first.

use super::desk::Known;
use super::words::{Page, arguments, percent, span, used_of};
use super::{Begun, Desk, ReadTool, ready};
use crate::history::{Metric, Subject};
use crate::model::{Storage, StorageState, seconds_between};
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_storage",
    title: "Looking at the storages",
    description: "Storages with their use, the fullest first, how fast they grow by the last six hours and when they would be full. A shared storage is listed once.",
    parameters: r#"{"type":"object","properties":{"node":{"type":["string","null"],"description":"Only storages of this node (shared ones included)."},"name":{"type":["string","null"],"description":"Only storages whose name contains this."},"min_used_percent":{"type":["number","null"],"description":"Only storages at least this full."},"cluster":{"type":["string","null"],"description":"Only this cluster."},"limit":{"type":["integer","null"],"description":"How many to show: 50 by default, 200 at most."},"offset":{"type":["integer","null"],"description":"Where to begin: next_offset of the page before."}},"required":["node","name","min_used_percent","cluster","limit","offset"],"additionalProperties":false}"#,
    begin,
};

/// Beyond this nobody can say when a storage is full.
const FORESIGHT_S: u64 = 90 * 86_400;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    node: Option<String>,
    name: Option<String>,
    min_used_percent: Option<f64>,
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
    let name = wanted.name.as_deref().unwrap_or_default().to_lowercase();
    let node = wanted.node.as_deref().filter(|node| !node.is_empty());
    let matches = |storage: &&Storage| {
        storage.name.to_lowercase().contains(&name)
            && node.is_none_or(|node| storage.nodes.iter().any(|seen| seen.node.eq_ignore_ascii_case(node)))
            && wanted
                .min_used_percent
                .is_none_or(|least| storage.used_fraction().is_some_and(|used| used * 100.0 >= least))
    };
    let mut found: Vec<(&Known, &Storage)> = Vec::new();
    for known in &chosen.known {
        found.extend(known.snapshot.storages.iter().filter(matches).map(|storage| (known, storage)));
    }
    let used = |storage: &Storage| storage.used_fraction().unwrap_or(-1.0);
    found.sort_by(|a, b| used(b.1).total_cmp(&used(a.1)).then_with(|| a.1.label().cmp(&b.1.label())));
    let page = Page::of(wanted.limit, wanted.offset, 50, 200);
    Ok(json!({
        "data": chosen.data,
        "total": found.len(),
        "storages": page.items(&found).map(|(known, storage)| row(known, storage)).collect::<Vec<_>>(),
        "next_offset": page.next(found.len()),
    }))
}

/// A storage as lists show it.
pub(super) fn row(known: &Known, storage: &Storage) -> Value {
    let trend = known.trend(Metric::StorageUsed, Subject::Named(storage.label().into()));
    let per_day = trend.and_then(|trend| trend.growth_per_hour).map(|growth| (growth * 24_000.0).round() / 10.0);
    let full_in = trend.and_then(|trend| trend.full_in_s).filter(|seconds| *seconds < FORESIGHT_S);
    let is_old = storage.figures_at != Some(known.snapshot.taken_at);
    let away: Vec<_> =
        storage.nodes.iter().filter(|seen| seen.state == StorageState::Unknown).map(|seen| &seen.node).collect();
    json!({
        "name": storage.name,
        "node": storage.node(),
        "shared": storage.is_shared.then_some(true),
        "kind": storage.kind,
        "content": storage.content,
        "status": storage.state.as_str(),
        "cluster": known.shown,
        "used": used_of(storage.used_bytes, storage.total_bytes),
        "used_percent": percent(storage.used_fraction()),
        "grows_percent_per_day": per_day.filter(|growth| growth.abs() >= 0.1),
        "full_in": full_in.map(span),
        "figures_age_s": storage.figures_at.filter(|_| is_old).map(|at| seconds_between(at, known.now)),
        "unavailable_on": Some(away).filter(|away| !away.is_empty() && storage.is_shared),
    })
}
