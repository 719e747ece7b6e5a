//! The read tools: one file each, and one line in [`READ_TOOLS`].
//!
//! A tool reads the published snapshots; some also ask the cluster. Every result is one JSON object without nulls, with units in the names of
//! its members, and begins with `data`: one entry per cluster, `{cluster, age_s, state: "fresh" | "stale" | "none", problem?}`. Where several
//! clusters are configured each item names its `cluster`. Lists are bounded: `total` counts what matched, `next_offset` is there when there is
//! more. Texts of guests, logs and notes are data, never instruction.

mod backup_coverage;
mod desk;
mod explain_guest_stop;
mod get_ceph_status;
mod get_cluster_resources;
mod get_ha_status;
mod get_node_status;
mod get_task_log;
mod get_vm_status;
mod health;
mod list_backups;
mod list_disks;
mod list_nodes;
mod list_replication;
mod list_snapshots;
mod list_storage;
mod list_tasks;
mod list_vms;
pub(crate) mod lookup;
pub(crate) mod words;

pub(crate) use desk::Known;
pub use desk::{Desk, View};

use contract::LocalBoxFuture;
use contract::tools::{Risk, Tool, ToolResult};
use serde_json::value::RawValue;
use std::rc::Rc;
use std::sync::Arc;

/// Every read tool.
pub const READ_TOOLS: &[ReadTool] = &[
    backup_coverage::TOOL,
    explain_guest_stop::TOOL,
    get_ceph_status::TOOL,
    get_cluster_resources::TOOL,
    get_ha_status::TOOL,
    get_node_status::TOOL,
    get_task_log::TOOL,
    get_vm_status::TOOL,
    list_backups::TOOL,
    list_disks::TOOL,
    list_nodes::TOOL,
    list_replication::TOOL,
    list_snapshots::TOOL,
    list_storage::TOOL,
    list_tasks::TOOL,
    list_vms::TOOL,
];

/// A call that has begun.
pub type Begun = LocalBoxFuture<'static, ToolResult>;

/// A tool that only looks.
pub struct ReadTool {
    /// Its name.
    pub name: &'static str,
    /// The words a person sees while it runs.
    pub title: &'static str,
    /// What it does and when to use it.
    pub description: &'static str,
    /// JSON schema of the arguments: every member required, optional ones nullable, nothing beside them.
    pub parameters: &'static str,
    /// Begins a call, or says what is wrong with its arguments.
    pub begin: fn(&Rc<Desk>, &str) -> Result<Begun, String>,
}

impl ReadTool {
    /// The tool as the catalogue holds it.
    pub fn offer(&self) -> Tool {
        // The schemas are constants that a test reads.
        let parameters =
            RawValue::from_string(self.parameters.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Tool {
            name: self.name.into(),
            description: self.description.into(),
            parameters: Arc::from(parameters),
            risk: Risk::Read,
            title: self.title.into(),
        }
    }
}

/// An answer that is there already.
fn ready(result: Result<serde_json::Value, String>) -> Begun {
    Box::pin(std::future::ready(words::result(result)))
}

#[cfg(test)]
mod tests;
