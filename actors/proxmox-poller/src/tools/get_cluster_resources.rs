//! `get_cluster_resources`: the clusters at a glance, and whether they are healthy.
//!
//! Result: `{data, healthy, clusters: [{cluster, own_name?, healthy, problems: [{severity: "critical" | "warning", text}] (30 at most), quorate?, nodes: [{name, status, cpu_percent?,
//! memory_percent?, guests_running}], guests: {<status>: count}, trouble?: [as in list_vms] (20 at most), fullest_storages: [as in list_storage] (5), ceph?: {health}, ha?: {resources},
//! replication?: {jobs, failing}, running_tasks: [as in list_tasks] (5), failed_tasks_24h: {total, newest: [as in list_tasks] (5)}, missing_privileges?, grant?}]}`.

use super::desk::Known;
use super::words::{arguments, percent};
use super::{Begun, Desk, ReadTool, health, list_storage, list_tasks, list_vms, ready};
use crate::model::{GuestState, Task, TaskState, fraction, grant_command};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_cluster_resources",
    title: "Looking at the whole cluster",
    description: "The whole Proxmox cluster at a glance: whether it is healthy and every problem found, nodes, counts of guests, guests in trouble, the fullest storages, Ceph, HA, replication, running and failed tasks. Call it for \"is everything all right?\".",
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
    let result = desk.choose(wanted.cluster.as_deref()).map(|chosen| {
        let clusters: Vec<Value> = chosen.known.iter().map(cluster).collect();
        let is_blind = desk.views.iter().any(|view| view.snapshot.is_none());
        let healthy = !is_blind && clusters.iter().all(|cluster| cluster["healthy"] == true);
        json!({ "data": chosen.data, "healthy": healthy, "clusters": clusters })
    });
    Ok(ready(result))
}

fn cluster(known: &Known) -> Value {
    let snapshot = &known.snapshot;
    let problems = health::problems(known);
    let mut guests: BTreeMap<&str, usize> = BTreeMap::new();
    for guest in &snapshot.guests {
        *guests.entry(if guest.is_template { "templates" } else { guest.state.as_str() }).or_default() += 1;
    }
    let nodes = snapshot.nodes.iter().map(|node| {
        let running = |guest: &&crate::model::Guest| guest.node == node.name && guest.state == GuestState::Running;
        json!({
            "name": node.name,
            "status": node.state.as_str(),
            "cpu_percent": percent(node.cpu),
            "memory_percent": percent(fraction(node.memory_bytes, node.memory_total_bytes)),
            "guests_running": snapshot.guests.iter().filter(running).count(),
        })
    });
    let mut trouble: Vec<_> =
        snapshot.guests.iter().filter(|guest| list_vms::rank(guest) < 3 && !guest.is_template).collect();
    trouble.sort_by_key(|guest| (list_vms::rank(guest), guest.vmid));
    let trouble: Vec<Value> = trouble.into_iter().take(20).map(|guest| list_vms::row(known, guest)).collect();
    let mut storages: Vec<_> = snapshot.storages.iter().filter(|storage| storage.used_fraction().is_some()).collect();
    storages.sort_by(|a, b| b.used_fraction().unwrap_or(0.0).total_cmp(&a.used_fraction().unwrap_or(0.0)));
    let storages: Vec<Value> = storages.into_iter().take(5).map(|storage| list_storage::row(known, storage)).collect();
    let rows = |tasks: &[&Task]| tasks.iter().take(5).map(|task| list_tasks::row(known, task)).collect::<Vec<_>>();
    let running: Vec<&Task> = snapshot.tasks.iter().filter(|task| task.state == TaskState::Running).collect();
    let failed: Vec<&Task> = health::failed_tasks(known, 86_400);
    let missing: Vec<&str> = snapshot.missing_privileges.iter().map(|one| one.0.name).collect();
    let token = known.view.client.as_ref().map(|client| client.token_id().to_owned());
    json!({
        "cluster": known.view.name,
        "own_name": snapshot.own_name,
        "healthy": problems.is_empty(),
        "problems": problems.iter().take(30).map(|problem| json!({"severity": problem.severity, "text": problem.text})).collect::<Vec<_>>(),
        "problems_total": Some(problems.len()).filter(|count| *count > 30),
        "quorate": snapshot.quorum.as_ref().map(|quorum| quorum.is_quorate),
        "nodes": nodes.collect::<Vec<_>>(),
        "guests": guests,
        "trouble": Some(trouble).filter(|trouble| !trouble.is_empty()),
        "fullest_storages": storages,
        "ceph": snapshot.ceph.value.as_ref().map(|ceph| json!({"health": ceph.health})),
        "ha": snapshot.ha.value.as_ref().filter(|ha| !ha.resources.is_empty()).map(|ha| json!({"resources": ha.resources.len()})),
        "replication": snapshot.replication.value.as_ref().filter(|jobs| !jobs.is_empty()).map(|jobs| {
            json!({"jobs": jobs.len(), "failing": jobs.iter().filter(|job| job.fail_count > 0).count()})
        }),
        "running_tasks": rows(&running),
        "failed_tasks_24h": {"total": failed.len(), "newest": rows(&failed)},
        "missing_privileges": Some(&missing).filter(|missing| !missing.is_empty()),
        "grant": token.filter(|_| !missing.is_empty()).map(|token| grant_command(&token)),
    })
}
