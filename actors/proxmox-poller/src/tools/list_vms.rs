//! `list_vms`: guests, filtered and by the page.
//!
//! Result: `{data, total, summary: {<status>: count, templates?}, guests: [{vmid, name?, kind: "vm" | "container", node, status, cluster?, cpu_percent?,
//! cpus?, memory?, memory_percent?, disk_percent?, uptime?, tags?, lock?, ha?, status_for?, figures_age_s?}], next_offset?}`. `status_for` tells how long HAIA has
//! seen this status; `figures_age_s` is there only when the figures are older than the poll. Guests in trouble come first. `total` and `summary` count
//! what matched, templates only where they are asked for.

use super::desk::Known;
use super::words::{Page, arguments, percent, span, used_of};
use super::{Begun, Desk, ReadTool, ready};
use crate::decode::Text;
use crate::model::{Guest, GuestKind, GuestState};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_vms",
    title: "Looking at the guests",
    description: "Virtual machines and containers with status, node, CPU, memory and uptime: what runs, what is stopped, what is in trouble. Filters narrow the list; summary counts everything that matched.",
    parameters: r#"{"type":"object","properties":{"status":{"type":["string","null"],"description":"running, stopped, paused, unknown, trouble (failed, paused or unknown), template, or null for all."},"kind":{"type":["string","null"],"enum":["vm","container",null],"description":"Only virtual machines or only containers."},"node":{"type":["string","null"],"description":"Only guests on this node."},"tag":{"type":["string","null"],"description":"Only guests with this tag."},"name":{"type":["string","null"],"description":"Only guests whose name contains this."},"cluster":{"type":["string","null"],"description":"Only this cluster."},"limit":{"type":["integer","null"],"description":"How many to show: 50 by default, 200 at most."},"offset":{"type":["integer","null"],"description":"Where to begin: next_offset of the page before."}},"required":["status","kind","node","tag","name","cluster","limit","offset"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    status: Option<String>,
    kind: Option<String>,
    node: Option<String>,
    tag: Option<Text>,
    name: Option<Text>,
    cluster: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

const STATUSES: [&str; 6] = ["running", "stopped", "paused", "unknown", "trouble", "template"];

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let mut wanted: Arguments = arguments(text)?;
    wanted.status =
        wanted.status.map(|status| status.to_ascii_lowercase()).filter(|status| !status.is_empty() && status != "all");
    if let Some(status) = wanted.status.as_deref().filter(|status| !STATUSES.contains(status)) {
        return Err(format!("there is no status {status:?}; use one of {}", STATUSES.join(", ")));
    }
    Ok(ready(list(desk, &wanted)))
}

/// How urgently a guest should be looked at.
pub(super) fn rank(guest: &Guest) -> u8 {
    match guest.state {
        GuestState::Failed(_) => 0,
        GuestState::Unknown | GuestState::Other(_) => 1,
        GuestState::Paused => 2,
        GuestState::Running => 3,
        GuestState::Stopped => 4,
    }
}

fn matches(guest: &Guest, wanted: &Arguments) -> bool {
    let status = match wanted.status.as_deref() {
        None => !guest.is_template,
        Some("template") => guest.is_template,
        Some("trouble") => rank(guest) < 3 && !guest.is_template,
        Some(status) => guest.state.as_str() == status && !guest.is_template,
    };
    let kind = wanted.kind.as_deref().is_none_or(|kind| match guest.kind {
        GuestKind::Vm => matches!(kind, "vm" | "qemu"),
        GuestKind::Container => matches!(kind, "container" | "ct" | "lxc"),
    });
    let filled =
        |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_lowercase()).filter(|text| !text.is_empty());
    status
        && kind
        && wanted.node.as_deref().is_none_or(|node| node.is_empty() || guest.node.eq_ignore_ascii_case(node))
        && filled(&wanted.tag).is_none_or(|tag| guest.tags.iter().any(|one| one.to_lowercase() == tag))
        && filled(&wanted.name)
            .is_none_or(|part| guest.name.as_deref().is_some_and(|name| name.to_lowercase().contains(&part)))
}

fn list(desk: &Desk, wanted: &Arguments) -> Result<Value, String> {
    let chosen = desk.choose(wanted.cluster.as_deref())?;
    let mut found: Vec<(&Known, &Guest)> = Vec::new();
    for known in &chosen.known {
        found.extend(known.snapshot.guests.iter().filter(|guest| matches(guest, wanted)).map(|guest| (known, guest)));
    }
    let mut summary: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, guest) in &found {
        *summary.entry(if guest.is_template { "templates" } else { guest.state.as_str() }).or_default() += 1;
    }
    found.sort_by_key(|(_, guest)| (rank(guest).min(3), guest.vmid));
    let page = Page::of(wanted.limit, wanted.offset, 50, 200);
    let guests: Vec<Value> = page.items(&found).map(|(known, guest)| row(known, guest)).collect();
    Ok(json!({
        "data": chosen.data,
        "total": found.len(),
        "summary": summary,
        "guests": guests,
        "next_offset": page.next(found.len()),
    }))
}

/// A guest as lists show it.
pub(super) fn row(known: &Known, guest: &Guest) -> Value {
    let age = |at| crate::model::seconds_between(at, known.now);
    let is_old = guest.figures_at != Some(known.snapshot.taken_at);
    let runs = guest.state == GuestState::Running;
    let old_age = guest.figures_at.filter(|_| is_old).map(age);
    let shows_figures = runs || guest.state == GuestState::Unknown;
    json!({
        "vmid": guest.vmid,
        "name": guest.name,
        "kind": guest.kind.as_str(),
        "node": guest.node,
        "status": guest.state.as_str(),
        "cluster": known.shown,
        "cpu_percent": percent(guest.cpu.filter(|_| shows_figures)),
        "cpus": guest.cpus,
        "memory": used_of(guest.memory_bytes.filter(|_| shows_figures), guest.memory_total_bytes).filter(|_| shows_figures),
        "memory_percent": percent(guest.memory_fraction().filter(|_| shows_figures)),
        "disk_percent": percent(guest.disk_fraction()),
        "uptime": guest.uptime_s.filter(|uptime| runs && *uptime > 0).map(span),
        "tags": Some(&guest.tags).filter(|tags| !tags.is_empty()),
        "lock": guest.lock,
        "ha": guest.ha_state,
        "status_for": (!guest.state_from_first_sight).then(|| span(age(guest.state_since))),
        "figures_age_s": old_age,
        "template": guest.is_template.then_some(true),
    })
}
