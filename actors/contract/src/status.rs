//! What HAIA says of itself: the shape of `/status`, and the counters that are read without a message.

use crate::LocalBoxFuture;
use crate::alerts::{AlertCounts, AlertView, HeartbeatView};
use crate::cluster::ClusterStatus;
use crate::jobs::JobStatus;
use crate::mcp::McpServerStatus;
use crate::notify::ChannelStatus;
use crate::provider::{ProviderStatus, Quantiles};
use crate::store::StoreReport;
use crate::usage::KeyStatus;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The whole of `/status`. The top-level names are fixed by the interface.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// HAIA's version.
    pub version: &'static str,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Counts the configurations taken over since the start, from 1.
    pub generation: u64,
    /// Why the last reload was refused; `None` if none was.
    pub reload_error: Option<String>,
    /// Turns of the agent.
    pub turns: TurnCounts,
    /// Streams to clients.
    pub streams: StreamCounts,
    /// Connections that providers work on.
    pub provider_connections: ConnectionCounts,
    /// Every actor.
    pub actors: Vec<ActorStatus>,
    /// Every provider.
    pub providers: Vec<ProviderStatus>,
    /// Every caller with a limit, and every one that called a model this month.
    pub keys: Vec<KeyStatus>,
    /// Every Proxmox cluster.
    pub clusters: Vec<ClusterStatus>,
    /// Open and pending alerts.
    pub alerts: Vec<AlertView>,
    /// Figures of alerts; `None` when the alert desk did not answer.
    pub alert_counts: Option<AlertCounts>,
    /// Heartbeats that others send.
    pub heartbeats: Vec<HeartbeatView>,
    /// Scheduled jobs.
    pub jobs: Vec<JobStatus>,
    /// Notification channels.
    pub channels: Vec<ChannelStatus>,
    /// Attached MCP servers.
    pub mcp_servers: Vec<McpServerStatus>,
    /// The store; `None` when it did not answer.
    pub store: Option<StoreReport>,
}

/// Turns of the agent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TurnCounts {
    /// Running.
    pub active: i64,
    /// Waiting for a place.
    pub queued: i64,
}

/// Streams to clients.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StreamCounts {
    /// Open.
    pub open: i64,
}

/// Connections to providers.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ConnectionCounts {
    /// With a request on them.
    pub active: i64,
}

/// An actor as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ActorStatus {
    /// The name.
    pub name: &'static str,
    /// `starting`, `running`, `restarting`, `stuck`, `failed`, `stopped`.
    pub state: &'static str,
    /// Whether the daemon ends when it gives up.
    pub required: bool,
    /// Restarts after a panic.
    pub restarts: u64,
    /// Messages waiting, over all lanes.
    pub mailbox_depth: u64,
    /// Messages handled.
    pub handled: u64,
    /// Messages that were never handled.
    pub dead_letters: u64,
    /// Milliseconds that messages waited.
    pub wait_ms: Quantiles,
    /// Milliseconds that handling took.
    pub handle_ms: Quantiles,
    /// What the actor says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Arc<RawValue>>,
}

/// Gives the status: the same for `/status`, the command line and the agent's own tool.
pub trait StatusSource: Send + Sync + 'static {
    /// Asks every actor, none for longer than a moment; what did not answer is shown as such.
    fn status(&self) -> LocalBoxFuture<'static, Status>;
}

/// Figures that change with every request: plain counters instead of messages.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Streams open to clients.
    pub streams_open: Gauge,
    /// Requests that providers work on.
    pub provider_connections: Gauge,
    /// Turns running.
    pub turns_active: Gauge,
    /// Turns waiting.
    pub turns_queued: Gauge,
}

/// One figure that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// The figure now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more, until the guard is dropped. `of` picks the figure.
    pub fn enter(gauges: &Arc<Gauges>, of: fn(&Gauges) -> &Gauge) -> GaugeGuard {
        of(gauges).0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard { gauges: Arc::clone(gauges), of }
    }
}

/// Holds one count of a [`Gauge`].
pub struct GaugeGuard {
    gauges: Arc<Gauges>,
    of: fn(&Gauges) -> &Gauge,
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        (self.of)(&self.gauges).0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When something happened, and how long ago: for ages in answers.
pub fn seconds_since(then: Timestamp, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(then.as_second()).max(0)
}
