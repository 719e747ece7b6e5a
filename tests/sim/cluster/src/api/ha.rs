//! High availability: what the cluster resource manager and the nodes' local ones say.

use super::{Context, Outcome, flag, index};
use crate::model::{Guest, HaService, Node};
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, rest: &[&str]) -> Option<Outcome> {
    let audited = |data: Value| context.need("/", "Sys.Audit").map(|()| data.into());
    let outcome = match rest {
        [] => context.need("/", "Sys.Audit").map(|()| index("id", &["status", "resources", "rules"])),
        ["status"] => Ok(index("name", &["current", "manager_status"])),
        ["status", "current"] => audited(current(context)),
        ["status", "manager_status"] => audited(manager(context)),
        ["resources"] => audited(services(context).map(|(guest, service)| resource(guest, service)).collect()),
        ["resources", sid] => {
            let found = services(context).find(|(guest, _)| guest.kind.sid(guest.vmid) == *sid);
            match found {
                Some((guest, service)) => audited(resource(guest, service)),
                None => Err(super::Answer::error(500, &format!("no such resource '{sid}'"))),
            }
        }
        ["rules"] => audited(json!([])),
        ["groups"] => Err(super::Answer::error(500, "cannot index groups: ha groups have been migrated to rules")),
        _ => return None,
    };
    Some(outcome)
}

fn services<'a>(context: &'a Context<'_>) -> impl Iterator<Item = (&'a Guest, &'a HaService)> {
    let cluster = context.cluster;
    cluster.services.ha.iter().filter_map(|service| Some((cluster.guests.get(&service.vmid)?, service)))
}

fn resource(guest: &Guest, service: &HaService) -> Value {
    let kind = if guest.kind == crate::model::Kind::Qemu { "vm" } else { "ct" };
    json!({
        "sid": guest.kind.sid(guest.vmid), "type": kind, "state": service.wanted, "max_restart": 1, "max_relocate": 1, "failback": 1,
        "digest": "5f0c7d2e9a414c1b8e572d6b1a90c3f4d7e8a901",
    })
}

/// The node that manages: the first that is there.
fn master<'a>(context: &'a Context<'_>) -> Option<&'a Node> {
    context.cluster.nodes.iter().find(|node| context.cluster.sees(context.local, node))
}

fn current(context: &Context<'_>) -> Value {
    let (cluster, now) = (context.cluster, context.now());
    let quorate = cluster.quorate(context.local);
    let mut rows = vec![json!({
        "id": "quorum", "type": "quorum", "node": context.local, "quorate": flag(quorate),
        "status": if quorate { "OK" } else { "No quorum on node!" },
    })];
    let Some(master) = master(context) else { return Value::Array(rows) };
    let stamp = |at: i64| crate::text::log_time(at);
    rows.push(json!({
        "id": "master", "type": "master", "node": master.name, "timestamp": now, "status": format!("{} (active, {})", master.name, stamp(now)),
    }));
    let active: Vec<&str> = services(context).map(|(guest, _)| guest.node.as_str()).collect();
    for node in &cluster.nodes {
        let name = &node.name;
        let gone = if node.online { node.manager_stuck } else { node.silent };
        let (at, text) = match gone {
            Some(since) if now - since > 120 => (since, format!("{name} (old timestamp - dead?, {})", stamp(since))),
            Some(since) => (since, format!("{name} (active, {})", stamp(since))),
            None if node.maintenance => (now, format!("{name} (maintenance mode, {})", stamp(now))),
            None if active.contains(&name.as_str()) => (now, format!("{name} (active, {})", stamp(now))),
            None => (now, format!("{name} (idle, {})", stamp(now))),
        };
        rows.push(json!({ "id": format!("lrm:{name}"), "type": "lrm", "node": name, "timestamp": at, "status": text }));
    }
    for (guest, service) in services(context) {
        let sid = guest.kind.sid(guest.vmid);
        rows.push(json!({
            "id": format!("service:{sid}"), "type": "service", "sid": sid, "node": guest.node, "state": service.state,
            "request_state": service.wanted, "crm_state": service.state, "max_restart": 1, "max_relocate": 1, "failback": 1,
            "status": format!("{sid} ({}, {})", guest.node, service.state),
        }));
    }
    Value::Array(rows)
}

fn manager(context: &Context<'_>) -> Value {
    let cluster = context.cluster;
    let state = |node: &Node| match (cluster.sees(context.local, node), node.maintenance) {
        (false, _) => "unknown",
        (true, true) => "maintenance",
        (true, false) => "online",
    };
    let nodes: Value = cluster
        .nodes
        .iter()
        .map(|node| (node.name.clone(), json!(state(node))))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let services: Value = services(context)
        .map(|(guest, service)| (guest.kind.sid(guest.vmid), json!({ "node": guest.node, "state": service.state })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "manager_status": {
            "master_node": master(context).map(|node| node.name.clone()), "node_status": nodes, "service_status": services,
            "timestamp": context.now(),
        },
        "quorum": { "node": context.local, "quorate": flag(cluster.quorate(context.local)) },
    })
}
