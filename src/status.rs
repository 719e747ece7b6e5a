//! Puts `/status` together: asks every actor for a moment, adds what the warden knows. The same for the API, the command line and the
//! agent's own tool.

use crate::warden::Warden;
use contract::LocalBoxFuture;
use contract::alerts::ReadDeskStatus;
use contract::clock::SharedClock;
use contract::cluster::ListClusters;
use contract::jobs::ListJobs;
use contract::mcp::ListMcpServers;
use contract::notify::ListChannels;
use contract::provider::ListProviders;
use contract::status::{ActorStatus, ConnectionCounts, Gauges, Status, StatusSource, StreamCounts, TurnCounts};
use contract::store::StoreHealth;
use contract::usage::ListKeyUsage;
use runtime::{Observation, Port, Supervision};
use std::sync::Arc;
use std::time::Duration;

/// How long an actor may take to tell of itself: it answers between two messages, so more means that it is stuck.
const OBSERVE_DEADLINE: Duration = Duration::from_millis(500);

/// Gives the status.
#[derive(Clone)]
pub struct Reporter {
    /// All actors.
    pub supervision: Supervision,
    /// The warden's knowledge.
    pub warden: Arc<Warden>,
    /// Counters.
    pub gauges: Arc<Gauges>,
    /// Time.
    pub clock: SharedClock,
    /// Asks the provider pool.
    pub providers: Port<ListProviders>,
    /// Asks the provider pool for the accounts by key.
    pub keys: Port<ListKeyUsage>,
    /// Asks the store.
    pub store: Port<StoreHealth>,
    /// Asks the poller of clusters.
    pub clusters: Port<ListClusters>,
    /// Asks the alert desk.
    pub desk: Port<ReadDeskStatus>,
    /// Asks the scheduler.
    pub jobs: Port<ListJobs>,
    /// Asks the notifier.
    pub channels: Port<ListChannels>,
    /// Asks the host of attached MCP servers.
    pub mcp: Port<ListMcpServers>,
}

impl StatusSource for Reporter {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        let reporter = self.clone();
        Box::pin(async move {
            let (observations, providers, keys, store, clusters, desk, jobs, channels, mcp) = tokio::join!(
                reporter.supervision.observe(OBSERVE_DEADLINE),
                reporter.providers.try_ask(ListProviders, OBSERVE_DEADLINE),
                reporter.keys.try_ask(ListKeyUsage, OBSERVE_DEADLINE),
                reporter.store.try_ask(StoreHealth, OBSERVE_DEADLINE),
                reporter.clusters.try_ask(ListClusters, OBSERVE_DEADLINE),
                reporter.desk.try_ask(ReadDeskStatus, OBSERVE_DEADLINE),
                reporter.jobs.try_ask(ListJobs, OBSERVE_DEADLINE),
                reporter.channels.try_ask(ListChannels, OBSERVE_DEADLINE),
                reporter.mcp.try_ask(ListMcpServers, OBSERVE_DEADLINE),
            );
            let counts = desk.as_ref().ok().map(|desk| desk.counts);
            let (alerts, heartbeats) = match desk {
                Ok(desk) => (desk.alerts, desk.heartbeats),
                Err(_) => (reporter.warden.alerts(), Vec::new()),
            };
            let actors = observations.iter().map(|observation| actor_status(observation, &reporter.warden)).collect();
            Status {
                version: env!("CARGO_PKG_VERSION"),
                uptime_s: reporter.clock.monotonic().as_secs(),
                generation: reporter.warden.generation(),
                reload_error: reporter.warden.reload_error(),
                turns: TurnCounts {
                    active: reporter.gauges.turns_active.get(),
                    queued: reporter.gauges.turns_queued.get(),
                },
                streams: StreamCounts { open: reporter.gauges.streams_open.get() },
                provider_connections: ConnectionCounts { active: reporter.gauges.provider_connections.get() },
                actors,
                providers: providers.unwrap_or_default(),
                keys: keys.unwrap_or_default(),
                clusters: clusters.unwrap_or_default(),
                alerts,
                alert_counts: counts,
                heartbeats,
                jobs: jobs.unwrap_or_default(),
                channels: channels.unwrap_or_default(),
                mcp_servers: mcp.unwrap_or_default(),
                store: store.ok(),
            }
        })
    }
}

fn actor_status(observation: &Observation, warden: &Warden) -> ActorStatus {
    let stats = &observation.stats;
    ActorStatus {
        name: stats.name(),
        state: warden.state_of(&observation.stats),
        required: observation.required,
        restarts: stats.restarts(),
        mailbox_depth: stats.depth(),
        handled: stats.handled(),
        dead_letters: stats.dead_letters(),
        wait_ms: stats.wait().quantiles_ms(),
        handle_ms: stats.handle().quantiles_ms(),
        detail: observation.detail.as_ref().ok().cloned(),
    }
}
