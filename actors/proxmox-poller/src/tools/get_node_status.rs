//! `get_node_status`: one node, with its recent past and what it says of itself now.
//!
//! Result: `{data, node: {as in list_nodes}, past?: {cpu?: past, memory?: past}, live?: {load, io_wait_percent?, memory_available?, swap?, version, kernel, processor},
//! live_problem?, guests: [{vmid, name, status, cpu_percent?, memory_percent?}] (the 20 busiest), recent_tasks: [as in list_tasks] (10 at most)}` where past is
//! `{hour_average_percent, day_average_percent, day_highest_percent, week_average_percent}`.

use super::desk::Known;
use super::words::{arguments, percent, size, used_of};
use super::{Begun, Desk, ReadTool, list_nodes, list_tasks, lookup, ready, words};
use crate::client::segment;
use crate::decode::{self, NodeDetail};
use crate::history::{Metric, Subject, Trend};
use crate::model::{Guest, GuestState, NodeState};
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "get_node_status",
    title: "Looking at a node",
    description: "One node in detail: load, CPU, memory, swap and root disk now and over the last day and week, version, its busiest guests and latest tasks.",
    parameters: r#"{"type":"object","properties":{"node":{"type":"string","description":"The node's name."},"cluster":{"type":["string","null"],"description":"Its cluster, if several have a node of that name."}},"required":["node","cluster"],"additionalProperties":false}"#,
    begin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    node: String,
    #[serde(default)]
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let chosen = match desk.choose(wanted.cluster.as_deref()) {
        Ok(chosen) => chosen,
        Err(said) => return Ok(ready(Err(said))),
    };
    let (cluster, at) = match lookup::node(&chosen.known, &wanted.node) {
        Ok(found) => found,
        Err(said) => return Ok(ready(Err(said))),
    };
    let (known, data) = (chosen.known[cluster].clone(), chosen.data);
    Ok(Box::pin(async move {
        let node = &known.snapshot.nodes[at];
        let live = match (&known.view.client, node.state) {
            (_, NodeState::Offline) => {
                Err("the node is offline: these are the last figures that were known".to_owned())
            }
            (None, _) => Err("the cluster cannot be asked".to_owned()),
            (Some(client), _) => {
                let path = format!("/nodes/{}/status", segment(&node.name));
                client.slow(&path, decode::node_detail).await.map_err(|error| error.text)
            }
        };
        let (live, live_problem) = match live {
            Ok(live) => (Some(live), None),
            Err(problem) => (None, Some(problem)),
        };
        let subject = || Subject::Named(Arc::clone(&node.name));
        let mut busiest: Vec<&Guest> = known
            .snapshot
            .guests
            .iter()
            .filter(|guest| guest.node == node.name && guest.state == GuestState::Running)
            .collect();
        let load = |guest: &Guest| guest.cpu.unwrap_or(0.0) * guest.cpus.unwrap_or(1.0);
        busiest.sort_by(|a, b| load(b).total_cmp(&load(a)));
        let guests: Vec<Value> = busiest.iter().take(20).map(|guest| brief(guest)).collect();
        let tasks = known.snapshot.tasks.iter().filter(|task| task.node == node.name).take(10);
        words::result(Ok(json!({
            "data": data,
            "node": list_nodes::row(&known, node),
            "past": {
                "cpu": known.trend(Metric::NodeCpu, subject()).as_ref().map(past),
                "memory": known.trend(Metric::NodeMemory, subject()).as_ref().map(past),
            },
            "live": live.as_ref().map(detail),
            "live_problem": live_problem,
            "guests": guests,
            "recent_tasks": tasks.map(|task| list_tasks::row(&known, task)).collect::<Vec<_>>(),
        })))
    }))
}

fn brief(guest: &Guest) -> Value {
    json!({
        "vmid": guest.vmid,
        "name": guest.name,
        "status": guest.state.as_str(),
        "cpu_percent": percent(guest.cpu),
        "memory_percent": percent(guest.memory_fraction()),
    })
}

fn detail(live: &NodeDetail) -> Value {
    json!({
        "load": Some(&live.load).filter(|load| !load.is_empty()),
        "io_wait_percent": percent(live.io_wait),
        "memory_available": live.memory_available_bytes.map(size),
        "swap": used_of(live.swap_used_bytes, live.swap_total_bytes.filter(|total| *total > 0)),
        "version": live.version,
        "kernel": live.kernel,
        "processor": live.processor,
        "sockets": live.sockets,
    })
}

/// A figure's past in per cent.
pub(super) fn past(trend: &Trend) -> Value {
    json!({
        "hour_average_percent": percent(trend.hour_average),
        "day_average_percent": percent(trend.day_average),
        "day_highest_percent": percent(trend.day_highest),
        "week_average_percent": percent(trend.week_average),
    })
}

/// The same for a figure of a known cluster, where there is any.
pub(super) fn past_of(known: &Known, metric: Metric, subject: Subject) -> Option<Value> {
    known.trend(metric, subject).as_ref().map(past)
}
