//! Puts `/status` together: asks every actor for a moment, adds what the warden knows. The same for the API, the command line and the
//! agent's own tool.

use contract::LocalBoxFuture;
use contract::alerts::Finding;
use contract::clock::SharedClock;
use contract::cluster::ListClusters;
use contract::provider::ListProviders;
use contract::status::{
    ActorStatus, AlertStatus, ConnectionCounts, Gauges, Status, StatusSource, StreamCounts, TurnCounts,
};
use contract::store::StoreHealth;
use contract::usage::ListKeyUsage;
use runtime::{Observation, Port, Supervision};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
        let name = format!("{}:{}", finding.rule, finding.object);
        let mut findings = lock(&self.findings);
        if finding.severity.is_some() {
            findings.insert(name, finding);
        } else {
            findings.remove(&name);
        }
    }

    fn alerts(&self) -> Vec<AlertStatus> {
        let findings = lock(&self.findings);
        let alert = |(name, finding): (&String, &Finding)| AlertStatus {
            name: name.clone(),
            state: "firing".to_owned(),
            finding: finding.clone(),
        };
        findings.iter().map(alert).collect()
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
}

impl StatusSource for Reporter {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        let reporter = self.clone();
        Box::pin(async move {
            let (observations, providers, keys, store, clusters) = tokio::join!(
                reporter.supervision.observe(OBSERVE_DEADLINE),
                reporter.providers.try_ask(ListProviders, OBSERVE_DEADLINE),
                reporter.keys.try_ask(ListKeyUsage, OBSERVE_DEADLINE),
                reporter.store.try_ask(StoreHealth, OBSERVE_DEADLINE),
                reporter.clusters.try_ask(ListClusters, OBSERVE_DEADLINE),
            );
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
                alerts: reporter.warden.alerts(),
                jobs: Vec::new(),
                channels: Vec::new(),
                mcp_servers: Vec::new(),
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
