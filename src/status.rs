//! Puts `/status` together: asks every actor for a moment, adds what the warden knows. The same for the API, the command line and the
//! agent's own tool.

use contract::LocalBoxFuture;
use contract::alerts::{AlertState, AlertView, Finding, Judged, ReadDeskStatus, ReportFindings, Severity};
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
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long an actor may take to tell of itself: it answers between two messages, so more means that it is stuck.
const OBSERVE_DEADLINE: Duration = Duration::from_millis(500);

/// What the warden knows beside the actors: written by it, read by everyone.
#[derive(Default)]
pub struct Warden {
    generation: AtomicU64,
    reload_error: Mutex<Option<String>>,
    findings: Mutex<BTreeMap<String, Finding>>,
    stuck: Mutex<Vec<&'static str>>,
    desk: OnceLock<Port<ReportFindings>>,
}

impl Warden {
    /// The generation of the configuration.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A configuration was taken over.
    pub fn reloaded(&self) -> u64 {
        *lock(&self.reload_error) = None;
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A reload was refused.
    pub fn reload_failed(&self, why: String) {
        *lock(&self.reload_error) = Some(why);
    }

    /// Takes a finding about HAIA itself; one without a severity ends it.
    pub fn found(&self, finding: Finding) {
        self.report(finding.clone());
        let name = finding.key();
        let mut findings = lock(&self.findings);
        if finding.raised().is_some() {
            findings.insert(name, finding);
        } else {
            findings.remove(&name);
        }
    }

    /// What the warden found, as alerts: for the status when the alert desk itself does not answer.
    fn alerts(&self) -> Vec<AlertView> {
        let findings = lock(&self.findings);
        let alert = |(name, finding): (&String, &Finding)| AlertView {
            id: 0,
            name: name.clone(),
            state: AlertState::Firing,
            severity: finding.raised().unwrap_or(Severity::Warning),
            opened: Some(finding.since),
            ended: None,
            acknowledged: None,
            held: None,
            cause: None,
            is_flapping: false,
            explanation: None,
            finding: finding.clone(),
        };
        findings.iter().map(alert).collect()
    }

    /// Where findings about HAIA itself go, once there is an alert desk.
    pub fn report_to(&self, desk: Port<ReportFindings>) {
        let known: Vec<Finding> = lock(&self.findings).values().cloned().collect();
        if self.desk.set(desk).is_ok() {
            known.into_iter().for_each(|finding| self.report(finding));
        }
    }

    fn report(&self, finding: Finding) {
        let Some(desk) = self.desk.get() else { return };
        let (rule, scope) = (Arc::clone(&finding.rule), Arc::clone(&finding.object));
        let judged = Judged { rule, scope, findings: vec![finding], unseen: Vec::new() };
        let report = ReportFindings { source: "supervision".into(), is_baseline: false, judged: vec![judged] };
        if let Err(fault) = desk.tell(report) {
            tracing::warn!(%fault, "the alert desk was not told of a finding about HAIA itself");
        }
    }

    /// The actors that the watchdog calls stuck.
    pub fn set_stuck(&self, actors: Vec<&'static str>) {
        *lock(&self.stuck) = actors;
    }

    fn state_of(&self, observation: &Observation) -> &'static str {
        if lock(&self.stuck).contains(&observation.stats.name()) { "stuck" } else { observation.stats.state().as_str() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
                reload_error: lock(&reporter.warden.reload_error).clone(),
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
        state: warden.state_of(observation),
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
