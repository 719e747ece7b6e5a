//! The tools of a cluster, which answer what the samples hold.

use super::{Bench, tool};
use contract::tools::{Catalogue, Risk, ToolResult};
use std::sync::Arc;

const TOOLS: [&str; 7] = [
    "explain_guest_stop",
    "get_cluster_resources",
    "get_node_status",
    "get_vm_status",
    "list_nodes",
    "list_tasks",
    "list_vms",
];

/// What a tool of a cluster answers; `None` for any other tool.
pub fn answer(name: &str, arguments: &str) -> Option<ToolResult> {
    Some(match name {
        "explain_guest_stop" if !arguments.contains("web-02") => {
            ToolResult::error("there is no guest \"web-99\"; did you mean web-02 (105, vm on pve1)?")
        }
        "explain_guest_stop" => ToolResult::ok(include_str!("../samples/explain_guest_stop.json")),
        "get_cluster_resources" => ToolResult::ok(include_str!("../samples/get_cluster_resources.json")),
        "get_node_status" => ToolResult::ok(include_str!("../samples/get_node_status.json")),
        "get_vm_status" => ToolResult::ok(include_str!("../samples/get_vm_status.json")),
        "list_nodes" => ToolResult::ok(r#"{"nodes":[{"name":"pve1"},{"name":"pve2"}]}"#),
        "list_tasks" => ToolResult::ok(include_str!("../samples/list_tasks.json")),
        "list_vms" => ToolResult::ok(r#"{"total":0,"guests":[]}"#),
        _ => return None,
    })
}

/// Offers the tools of a cluster beside the others.
pub fn offer(bench: &Bench) {
    let mut tools = bench.catalogue.load().tools.clone();
    tools.extend(TOOLS.map(|name| tool(name, Risk::Read)));
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    bench.catalogue.store(Arc::new(Catalogue { tools }));
}
