//! `/cluster/resources` and `/nodes`: rows for nodes, guests and storages, with what is still known of each.

use super::{Context, Outcome, Reply, bad_parameter, flag};
use crate::config::Version;
use crate::model::{Guest, Node, Storage};
use serde_json::{Value, json};

pub(super) fn resources(context: &Context<'_>) -> Outcome {
    let wanted = context.query.text("type");
    if let Some(other) = wanted.filter(|wanted| !matches!(*wanted, "vm" | "storage" | "node" | "sdn")) {
        let text = format!("value '{other}' does not have a value in the enumeration 'vm, storage, node, sdn'");
        return Err(bad_parameter("type", &text));
    }
    let wants = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
    let cluster = context.cluster;
    let mut rows = Vec::new();
    if wanted.is_none() {
        let pools = cluster.services.pools.keys().filter(|pool| context.holds(&format!("/pool/{pool}"), "Pool.Audit"));
        rows.extend(pools.map(|pool| json!({ "id": format!("/pool/{pool}"), "type": "pool", "pool": pool })));
    }
    if wants("vm") {
        rows.extend(cluster.guests.values().filter(|guest| context.sees_guest(guest.vmid)).map(|g| guest(context, g)));
    }
    if wants("node") {
        rows.extend(cluster.nodes.iter().map(|found| {
            let mut row = node(context, found);
            row["id"] = json!(format!("node/{}", found.name));
            row
        }));
    }
    if wants("storage") {
        for found in &cluster.storages {
            if context.holds(&format!("/storage/{}", found.name), "Datastore.Audit") {
                rows.extend(cluster.nodes.iter().map(|node| storage(context, found, node)));
            }
        }
    }
    if wants("sdn") && context.holds("/sdn/zones/localnetwork", "SDN.Audit") {
        // Version 9 calls them network; a client of old versions meets a type that it does not know.
        rows.extend(cluster.nodes.iter().map(|node| match context.version {
            Version::V9 => json!({
                "id": format!("network/{}/zone/localnetwork", node.name), "type": "network", "node": node.name,
                "network": "localnetwork", "network-type": "zone", "status": "ok",
            }),
            _ => json!({
                "id": format!("sdn/{}/localnetwork", node.name), "type": "sdn", "node": node.name, "sdn": "localnetwork", "status": "ok",
            }),
        }));
    }
    Ok(rows.into())
}

/// `/nodes`
pub(super) fn nodes(context: &Context<'_>) -> Reply {
    let rows = context.cluster.nodes.iter().map(|found| {
        let mut row = node(context, found);
        row["id"] = json!(format!("node/{}", found.name));
        row["ssl_fingerprint"] = json!(context.cluster.fingerprint);
        row
    });
    rows.collect::<Vec<_>>().into()
}

fn node(context: &Context<'_>, node: &Node) -> Value {
    let cluster = context.cluster;
    let sample = cluster.sample(context.local, node);
    let seen = cluster.sees(context.local, node);
    let status = match (seen, sample) {
        (false, _) => "offline",
        (true, None) => "unknown",
        (true, Some(_)) => "online",
    };
    let mut row = json!({ "node": node.name, "type": "node", "status": status });
    if !context.holds(&format!("/nodes/{}", node.name), "Sys.Audit") {
        return row;
    }
    row["level"] = json!("");
    let Some(at) = sample else { return row };
    row["maxcpu"] = json!(node.processors);
    row["maxmem"] = json!(node.memory);
    row["maxdisk"] = json!(node.root_disk);
    row["cgroup-mode"] = json!(2);
    if seen {
        let guests = cluster.guests_on(&node.name);
        row["cpu"] = json!(node.cpu(&guests, at));
        row["mem"] = json!(node.memory_used(&guests, at));
        row["disk"] = json!(node.root_disk / 5);
        row["uptime"] = json!(node.known_uptime(at));
    }
    row
}

fn guest(context: &Context<'_>, guest: &Guest) -> Value {
    let cluster = context.cluster;
    let id = format!("{}/{}", guest.kind.word(), guest.vmid);
    let mut row = json!({ "id": id, "vmid": guest.vmid, "node": guest.node, "type": guest.kind.word() });
    if let Some(pool) = &guest.pool {
        row["pool"] = json!(pool);
    }
    if let Some(lock) = &guest.lock {
        row["lock"] = json!(lock);
    }
    if !guest.tags.is_empty() {
        row["tags"] = json!(guest.tags.join(";"));
    }
    if let Some(service) = cluster.services.ha.iter().find(|service| service.vmid == guest.vmid) {
        row["hastate"] = json!(service.state);
    }
    let Some((guest, at)) = cluster.seen_guest(context.local, guest) else {
        row["status"] = json!("unknown");
        return row;
    };
    row["status"] = json!(guest.status());
    row["name"] = json!(guest.name);
    row["template"] = flag(guest.template);
    row["maxcpu"] = json!(guest.cores);
    row["maxmem"] = json!(guest.memory);
    row["maxdisk"] = json!(guest.disk);
    row["cpu"] = json!(guest.cpu(at));
    row["mem"] = json!(guest.memory_used(at));
    if context.version == Version::V9 {
        row["memhost"] = json!(guest.memory_host(at));
    }
    row["disk"] = json!(guest.disk_used());
    row["uptime"] = json!(guest.uptime(at));
    for (which, name) in (1..).zip(["netin", "netout", "diskread", "diskwrite"]) {
        row[name] = json!(guest.counter(which, at));
    }
    row
}

fn storage(context: &Context<'_>, storage: &Storage, node: &Node) -> Value {
    let cluster = context.cluster;
    let (name, on) = (&storage.name, &node.name);
    let mut row = json!({
        "id": format!("storage/{on}/{name}"), "type": "storage", "storage": name, "node": on, "shared": flag(storage.shared),
    });
    // A storage that turned inactive is not renewed either: its last sample stays as long as any.
    let fresh = storage.inactive.get(on).copied();
    let sample = match (cluster.sample(context.local, node), fresh) {
        (Some(_), Some(since)) if cluster.now - since > 300 => None,
        (Some(at), Some(since)) => Some(at.min(since)),
        (sample, None) => sample,
        (None, _) => None,
    };
    let Some(at) = sample else {
        row["status"] = json!("unknown");
        return row;
    };
    row["status"] = json!("available");
    row["plugintype"] = json!(storage.kind);
    row["content"] = json!(storage.content);
    row["disk"] = json!(storage.used(on, at));
    row["maxdisk"] = json!(storage.total);
    row
}
