//! The host of attached MCP servers, on a thread of its own: what such a server sends may be large, and no chat should wait for it.
//!
//! What it remembers lies in the store, what goes wrong with a server becomes a finding, and each server's process has a guardian: this very
//! program in a hidden mode, which outlives HAIA just long enough to end the server.

use contract::LocalBoxFuture;
use contract::alerts::{Finding, Judged, ReportFindings, Severity};
use contract::clock::SharedClock;
use contract::ids::SharedIds;
use contract::mcp::McpTrouble;
use contract::message::Lane;
use contract::relay::ResourceUpdates;
use contract::store::{KeepStates, LoadStates};
use contract::tools::SharedCatalogue;
use http_gateway::McpPorts;
use runtime::{Mailbox, Policy, Port, Supervision};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::Store;
use toolbox::RefreshCatalogue;
use toolbox::mcp::{Guardian, Host, Ports, SharedSettings, States};

const OWNER: &str = "mcp";
const STORE_DEADLINE: Duration = Duration::from_secs(10);
/// The hidden mode of this program.
pub const GUARDIAN: &str = "mcp-guardian";

/// What the host is made of.
pub struct Parts<'a> {
    pub settings: SharedSettings,
    pub clock: SharedClock,
    pub ids: SharedIds,
    pub supervision: &'a Supervision,
    pub thread: &'a actix_rt::ArbiterHandle,
    pub store: &'a Mailbox<Store>,
    pub catalogue: SharedCatalogue,
    /// Takes findings about servers: the alert desk.
    pub report: Port<ReportFindings>,
    /// Where updates of subscribed resources are counted.
    pub updates: Arc<ResourceUpdates>,
    /// Filled in once the toolbox runs.
    pub refresh: Arc<OnceLock<Port<RefreshCatalogue>>>,
}

/// Starts it. It is not required: HAIA's own tools go on without.
pub fn start(parts: Parts<'_>) -> Mailbox<Host> {
    let Parts { settings, clock, ids, supervision, thread, store, catalogue, report, updates, refresh } = parts;
    let states = Kept { load: store.port(Lane::Background), keep: store.port(Lane::Background) };
    let ports = Ports {
        states: Arc::new(states),
        alarm: Arc::new(move |trouble| tell(&report, trouble)),
        refresh,
        catalogue,
        updates,
        guardian: Guardian { program: PathBuf::from("/proc/self/exe"), arguments: vec![OsString::from(GUARDIAN)] },
        clock,
        ids,
    };
    supervision.start(thread, "mcp-host", Policy::optional(), Host::factory(settings, ports))
}

/// What the routes and the command line use.
pub fn gateway_ports(host: &Mailbox<Host>) -> McpPorts {
    McpPorts {
        list: host.port(Lane::Interactive),
        toggle: host.port(Lane::Interactive),
        toggle_tool: host.port(Lane::Interactive),
        logs: host.port(Lane::Interactive),
        approve: host.port(Lane::Interactive),
    }
}

fn tell(desk: &Port<ReportFindings>, trouble: McpTrouble) {
    let object = format!("mcp/{}", trouble.server);
    let subject = format!("MCP server {}", trouble.server);
    let severity = (!trouble.is_over).then_some(Severity::Warning);
    let summary = match (trouble.is_over, trouble.rule) {
        (false, _) => trouble.summary,
        (true, "mcp_server_failed") => "runs again".to_owned(),
        (true, _) => "has no tool that waits for approval any more".to_owned(),
    };
    let mut finding = Finding::new(trouble.rule, object.as_str(), subject, summary, severity, trouble.since);
    finding.labels.add("name", trouble.server);
    let judged =
        Judged { rule: trouble.rule.into(), scope: object.into(), findings: vec![finding], unseen: Vec::new() };
    let report = ReportFindings { source: "mcp".into(), is_baseline: false, judged: vec![judged] };
    if let Err(fault) = desk.tell(report) {
        tracing::warn!(%fault, "the alert desk was not told of trouble with an MCP server");
    }
}

/// Pins and switches in the store.
struct Kept {
    load: Port<LoadStates>,
    keep: Port<KeepStates>,
}

impl States for Kept {
    fn load(&self) -> LocalBoxFuture<'static, Result<Vec<(Arc<str>, String)>, String>> {
        let port = self.load.clone();
        Box::pin(async move {
            let kept =
                port.ask(LoadStates { owner: OWNER }, STORE_DEADLINE).await.map_err(|fault| fault.to_string())?;
            kept.map_err(|error| error.to_string())
        })
    }

    fn keep(&self, states: Vec<(Arc<str>, Option<String>)>) -> LocalBoxFuture<'static, Result<(), String>> {
        let port = self.keep.clone();
        Box::pin(async move {
            let kept = port.ask(KeepStates { owner: OWNER, states }, STORE_DEADLINE).await;
            kept.map_err(|fault| fault.to_string())?.map_err(|error| error.to_string())
        })
    }
}
