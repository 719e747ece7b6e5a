//! Everything the gateway needs of the rest of the daemon: its whole dependency declaration.

use contract::BoxFuture;
use contract::alerts::{
    Acknowledge, AddSilence, Beat, EndSilence, ExpectAlert, ListAlerts, ListSilences, ReadAlertHistory, ReadDeskStatus,
    ReceiveAlertmanager, ShowAlert,
};
use contract::approvals::{DecideProposal, ListProposals, ShowProposal};
use contract::chat::Agent;
use contract::clock::SharedClock;
use contract::direct::Direct;
use contract::ids::SharedIds;
use contract::jobs::{ListJobs, PauseJob, ReadJobHistory, RunJob};
use contract::mcp::{ApproveMcpServer, ListMcpServers, ReadMcpLogs, ToggleMcpServer, ToggleMcpTool};
use contract::message::Fault;
use contract::notify::{ListChannels, ListDeadLetters, TestChannel};
use contract::provider::{ListModels, Models, ProbeProvider, RouteReadiness};
use contract::relay::{AskAttached, CallForMcp, ListMcpOffers, ResourceUpdates};
use contract::status::{Gauges, StatusSource};
use contract::store::{AddKey, ListKeys, ReadActionAudit, ReadAudit, RevokeKey, SharedAudit, VerifyActionAudit};
use contract::tools::{CallTool, SharedCatalogue};
use contract::usage::ReadUsage;
use runtime::Port;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// What the routes use, on every worker thread.
#[derive(Clone)]
pub struct Ports {
    /// The stored keys.
    pub keys: Port<ListKeys>,
    /// Stores a key.
    pub add_key: Port<AddKey>,
    /// Forgets a key.
    pub revoke_key: Port<RevokeKey>,
    /// Reads the audit trail.
    pub audit: Port<ReadAudit>,
    /// Reads the accounts.
    pub usage: Port<ReadUsage>,
    /// Takes the audit rows of administrative requests.
    pub audit_sink: SharedAudit,
    /// The models and routes.
    pub models: Port<ListModels>,
    /// Whether a route can answer.
    pub readiness: Port<RouteReadiness>,
    /// Probes a provider.
    pub probe: Port<ProbeProvider>,
    /// Alerts, jobs and channels.
    pub watch: WatchPorts,
    /// The tools that are served to MCP clients.
    pub tools: ToolPorts,
    /// The MCP servers that HAIA attaches.
    pub mcp: McpPorts,
    /// Proposals and the record of actions.
    pub approvals: ApprovalPorts,
    /// The whole status.
    pub status: Arc<dyn StatusSource>,
    /// The daemon itself.
    pub control: Arc<dyn DaemonControl>,
    /// Time.
    pub clock: SharedClock,
    /// Ids and secrets.
    pub ids: SharedIds,
    /// Figures of running work.
    pub gauges: Arc<Gauges>,
    /// The folder for what of a request is too much for memory; HAIA may write to it.
    pub spool: Arc<Path>,
    /// Makes what each worker thread has of its own.
    pub threads: ThreadFactory,
}

/// The approvals desk, and its record in the store.
#[derive(Clone)]
pub struct ApprovalPorts {
    /// Lists proposals.
    pub list: Port<ListProposals>,
    /// Shows one proposal.
    pub show: Port<ShowProposal>,
    /// Takes a person's decision.
    pub decide: Port<DecideProposal>,
    /// Reads the record of actions.
    pub record: Port<ReadActionAudit>,
    /// Checks the record of actions.
    pub verify: Port<VerifyActionAudit>,
}

/// The tools that are served to MCP clients.
#[derive(Clone)]
pub struct ToolPorts {
    /// Every tool there is.
    pub everything: SharedCatalogue,
    /// The part of it that is HAIA's own: without the tools of attached servers.
    pub own: SharedCatalogue,
    /// What a model is shown: the same, or fewer and a search for the rest.
    pub shown: SharedCatalogue,
    /// Calls one.
    pub call: Port<CallTool>,
    /// Calls one for a client who can hear of progress and be asked.
    pub call_for_mcp: Port<CallForMcp>,
    /// Lists what attached servers offer beside tools.
    pub offers: Port<ListMcpOffers>,
    /// Asks the attached server whose resource or prompt it is.
    pub ask_attached: Port<AskAttached>,
    /// How often subscribed resources of theirs were updated.
    pub updates: Arc<ResourceUpdates>,
}

/// The MCP servers that HAIA attaches.
#[derive(Clone)]
pub struct McpPorts {
    /// Tells how they do.
    pub list: Port<ListMcpServers>,
    /// Switches one on or off.
    pub toggle: Port<ToggleMcpServer>,
    /// Switches a tool of one on or off.
    pub toggle_tool: Port<ToggleMcpTool>,
    /// Reads what one wrote.
    pub logs: Port<ReadMcpLogs>,
    /// Releases what one's changed definitions hold back.
    pub approve: Port<ApproveMcpServer>,
}

/// The actors that watch and tell.
#[derive(Clone)]
pub struct WatchPorts {
    /// Lists alerts.
    pub alerts: Port<ListAlerts>,
    /// Shows one alert.
    pub show_alert: Port<ShowAlert>,
    /// Reads the history of alerts.
    pub alert_history: Port<ReadAlertHistory>,
    /// Takes notice of an alert.
    pub acknowledge: Port<Acknowledge>,
    /// Says that an alert was meant to happen.
    pub expect_alert: Port<ExpectAlert>,
    /// Silences.
    pub add_silence: Port<AddSilence>,
    /// Ends a silence.
    pub end_silence: Port<EndSilence>,
    /// Lists silences.
    pub silences: Port<ListSilences>,
    /// What the alert desk says of itself.
    pub desk: Port<ReadDeskStatus>,
    /// Takes a heartbeat.
    pub beat: Port<Beat>,
    /// Takes Alertmanager's payloads.
    pub alertmanager: Port<ReceiveAlertmanager>,
    /// Lists jobs.
    pub jobs: Port<ListJobs>,
    /// Reads the runs of a job.
    pub job_history: Port<ReadJobHistory>,
    /// Runs a job now.
    pub run_job: Port<RunJob>,
    /// Pauses and resumes a job.
    pub pause_job: Port<PauseJob>,
    /// Lists channels.
    pub channels: Port<ListChannels>,
    /// Lists messages that were given up.
    pub dead_letters: Port<ListDeadLetters>,
    /// Sends a test message.
    pub test_channel: Port<TestChannel>,
}

/// Called once on each worker thread, before its first request: it may start actors on that thread.
pub type ThreadFactory = Arc<dyn Fn() -> ThreadPorts + Send + Sync>;

/// What one worker thread has of its own: agent and models with that thread's connections.
#[derive(Clone)]
pub struct ThreadPorts {
    /// Runs turns.
    pub agent: Rc<dyn Agent>,
    /// Calls models.
    pub models: Rc<dyn Models>,
    /// Calls providers beside chats.
    pub direct: Rc<dyn Direct>,
}

/// What the gateway may ask of the daemon as a whole.
pub trait DaemonControl: Send + Sync {
    /// Reads the configuration again, all or nothing. The answer is the new generation, or every error found.
    fn reload(&self) -> BoxFuture<'static, Result<u64, Vec<String>>>;
    /// Makes an actor panic. `None` if there is none of that name.
    fn crash(&self, actor: &str) -> Option<Result<(), Fault>>;
    /// Whether faults may be injected (`HAIA_FAULTS`).
    fn faults_enabled(&self) -> bool;
    /// Whether every required actor runs; else which does not.
    ///
    /// # Errors
    /// Says which actor does not run, for people.
    fn required_actors_running(&self) -> Result<(), String>;
    /// The route behind the model id `haia`.
    fn default_route(&self) -> Arc<str>;
}
