//! `get_vm_status`: one guest, with its recent past, what it says of itself now, and its latest tasks.
//!
//! Result: `{data, guest: {as in list_vms}, past?: {cpu?: past, memory?: past, disk?: past}, live?: {qemu_status?, memory?, memory_percent?, disk?, swap?, agent, network_received?,
//! network_sent?, starts_with_node?, system?, notes?, disks?, networks?}, live_problem?, recent_tasks: [as in list_tasks] (8 at most)}` where past is as in get_node_status.

use super::desk::Known;
use super::get_node_status::past_of;
use super::words::{self, arguments, percent, size, text as short, used_of};
use super::{Begun, Desk, ReadTool, list_tasks, list_vms, lookup, ready};
use crate::client::{ApiClient, ApiError, segment};
use crate::decode::{self, GuestConfig, GuestDetail, Text};
use crate::history::{Metric, Subject};
use crate::model::{Guest, GuestKind, NodeState, fraction};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_vm_status",
    title: "Looking at a guest",
    description: "One virtual machine or container in detail: status, node, CPU, memory and disk now and over the last day and week, disks, networks, whether it starts with its node, and its latest tasks.",
    parameters: r#"{"type":"object","properties":{"guest":{"type":"string","description":"The guest's name or VMID."},"cluster":{"type":["string","null"],"description":"Its cluster, if several have such a guest."}},"required":["guest","cluster"],"additionalProperties":false}"#,
    begin,
};

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
        let (live, live_problem) = match ask(&known, guest).await {
            Ok((detail, config)) => (Some(live(guest, &detail, config.as_ref())), None),
            Err(problem) => (None, Some(problem)),
        };
        let subject = || Subject::Guest(guest.vmid);
        let tasks = known.snapshot.tasks.iter().filter(|task| task.vmid() == Some(guest.vmid)).take(8);
        words::result(Ok(json!({
            "data": data,
            "guest": list_vms::row(&known, guest),
            "past": {
                "cpu": past_of(&known, Metric::GuestCpu, subject()),
                "memory": past_of(&known, Metric::GuestMemory, subject()),
                "disk": past_of(&known, Metric::GuestDisk, subject()),
            },
            "live": live,
            "live_problem": live_problem,
            "recent_tasks": tasks.map(|task| list_tasks::row(&known, task)).collect::<Vec<_>>(),
        })))
    }))
}

/// Asks the cluster about a guest. Where it has moved since the last poll it is asked for where it is.
async fn ask(known: &Known, guest: &Guest) -> Result<(GuestDetail, Option<GuestConfig>), String> {
    let client = known.view.client.as_ref().ok_or("the cluster cannot be asked")?;
    if known.snapshot.node(&guest.node).is_some_and(|node| node.state == NodeState::Offline) {
        return Err(format!("its node {} is offline: these are the last figures that were known", guest.node));
    }
    let detail = detail(client, guest).await.map_err(|error| error.text)?;
    let config = client.slow(&path(guest, "config"), decode::guest_config).await.ok();
    Ok((detail, config))
}

async fn detail(client: &ApiClient, guest: &Guest) -> Result<GuestDetail, ApiError> {
    let is_vm = guest.kind == GuestKind::Vm;
    client.slow(&path(guest, "status/current"), |body| decode::guest_detail(body, is_vm)).await
}

/// A path of a guest.
pub(super) fn path(guest: &Guest, rest: &str) -> String {
    format!("/nodes/{}/{}/{}/{rest}", segment(&guest.node), guest.kind.api(), guest.vmid)
}

fn live(guest: &Guest, detail: &GuestDetail, config: Option<&GuestConfig>) -> Value {
    let slots = |slots: &[(std::sync::Arc<str>, std::sync::Arc<str>)]| {
        let slots: BTreeMap<String, String> =
            slots.iter().take(20).map(|(slot, value)| (slot.to_string(), short(value))).collect();
        Some(slots).filter(|slots| !slots.is_empty())
    };
    let runs = detail.uptime_s.is_some_and(|uptime| uptime > 0);
    json!({
        "status": detail.status,
        "qemu_status": detail.qemu_status.as_ref().filter(|word| detail.status.as_ref() != Some(*word)),
        "cpu_percent": percent(detail.cpu.filter(|_| runs)),
        "memory": used_of(detail.memory_bytes, detail.memory_total_bytes).filter(|_| runs),
        "memory_percent": percent(fraction(detail.memory_bytes, detail.memory_total_bytes).filter(|_| runs)),
        "disk": used_of(detail.disk_bytes, detail.disk_total_bytes),
        "swap": used_of(detail.swap_bytes, detail.swap_total_bytes).filter(|_| guest.kind == GuestKind::Container && runs),
        "agent": (guest.kind == GuestKind::Vm).then_some(detail.has_agent),
        "ha": detail.ha_state,
        "lock": detail.lock,
        "network_received": detail.network_in_bytes.filter(|_| runs).map(size),
        "network_sent": detail.network_out_bytes.filter(|_| runs).map(size),
        "disk_read": detail.disk_read_bytes.filter(|_| runs).map(size),
        "disk_written": detail.disk_written_bytes.filter(|_| runs).map(size),
        "starts_with_node": config.map(|config| config.starts_with_node),
        "system": config.and_then(|config| config.system.clone()),
        "notes": config.and_then(|config| config.notes.as_deref()).map(short),
        "disks": config.and_then(|config| slots(&config.disks)),
        "networks": config.and_then(|config| slots(&config.networks)),
    })
}
