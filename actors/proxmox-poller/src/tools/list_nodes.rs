//! `list_nodes`: the members of the clusters.
//!
//! Result: `{data, nodes: [{name, status: "online" | "offline" | "no data", cluster?, cpu_percent?, cpus?, memory?, memory_percent?, root_disk?, root_disk_percent?, uptime?,
//! guests_running, guests, status_for?, figures_age_s?, ip?}], quorum?: [{cluster, quorate, members}]}`.

use super::desk::Known;
use super::words::{arguments, percent, span, used_of};
use super::{Begun, Desk, ReadTool, ready};
use crate::model::{GuestState, Node, fraction, seconds_between};
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_nodes",
    title: "Looking at the nodes",
    description: "The nodes of the Proxmox clusters with status, CPU, memory, root disk, uptime and number of guests, and whether each cluster has quorum.",
    parameters: r#"{"type":"object","properties":{"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["cluster"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    Ok(ready(list(desk, &wanted)))
}

fn list(desk: &Desk, wanted: &Arguments) -> Result<Value, String> {
    let chosen = desk.choose(wanted.cluster.as_deref())?;
    let rows = chosen.known.iter().flat_map(|known| known.snapshot.nodes.iter().map(move |node| row(known, node)));
    let quorum = chosen.known.iter().filter_map(|known| {
        let quorum = known.snapshot.quorum.as_ref()?;
        Some(json!({"cluster": known.view.name, "quorate": quorum.is_quorate, "members": quorum.members}))
    });
    let quorum: Vec<Value> = quorum.collect();
    Ok(json!({
        "data": chosen.data,
        "nodes": rows.collect::<Vec<_>>(),
        "quorum": Some(quorum).filter(|quorum| !quorum.is_empty()),
    }))
}

/// A node as lists show it.
pub(super) fn row(known: &Known, node: &Node) -> Value {
    let guests = || known.snapshot.guests.iter().filter(|guest| guest.node == node.name && !guest.is_template);
    let is_old = node.figures_at != Some(known.snapshot.taken_at);
    json!({
        "name": node.name,
        "status": node.state.as_str(),
        "cluster": known.shown,
        "cpu_percent": percent(node.cpu),
        "cpus": node.cpus,
        "memory": used_of(node.memory_bytes, node.memory_total_bytes),
        "memory_percent": percent(fraction(node.memory_bytes, node.memory_total_bytes)),
        "root_disk": used_of(node.disk_bytes, node.disk_total_bytes),
        "root_disk_percent": percent(fraction(node.disk_bytes, node.disk_total_bytes)),
        "uptime": node.uptime_s.filter(|_| !is_old).map(span),
        "guests_running": guests().filter(|guest| guest.state == GuestState::Running).count(),
        "guests": guests().count(),
        "status_for": (node.state_since != known.snapshot.taken_at).then(|| span(seconds_between(node.state_since, known.now))),
        "figures_age_s": node.figures_at.filter(|_| is_old).map(|at| seconds_between(at, known.now)),
        "ip": node.ip,
    })
}
