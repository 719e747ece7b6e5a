//! The coordinator: discovers models, keeps the health of providers, answers what there is, and publishes the table that calls use.

use crate::config::Config;
use crate::discovery;
use crate::exchange::client_of;
use crate::meter::Meter;
use crate::outcome::{CallFailed, CallRecovered};
use crate::provider::Provider;
use crate::report;
use crate::succession::build;
use crate::table::{SharedTable, Table};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Lane, Msg, Reconfigure};
use contract::provider::{
    Abilities, ListModels, ListProviders, ModelEntry, ModelList, ProbeProvider, ProviderState, ProviderStatus,
    Readiness, RouteReadiness,
};
use contract::store::{CacheModels, LoadModels, StoreError};
use contract::usage::{KeyStatus, ListKeyUsage, LoadUsage, UsageSlot, UsageTotals};
use runtime::{Context, Handle, Port, Reply, Service};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the models of a provider that answers are asked for again.
const REFRESH: Duration = Duration::from_secs(600);
/// How often a provider that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(30);
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// What the coordinator needs of others.
#[derive(Clone)]
pub struct PoolPorts {
    /// Time.
    pub clock: SharedClock,
    /// Reads the models known before the start.
    pub load_models: Port<LoadModels>,
    /// Keeps the models for the next start.
    pub cache_models: Port<CacheModels>,
    /// Reads the accounts of earlier runs.
    pub load_usage: Port<LoadUsage>,
    /// Where the table is published.
    pub table: SharedTable,
    /// The accounts.
    pub meter: Arc<Meter>,
}

/// The coordinator.
pub struct ProviderPool {
    config: Arc<Config>,
    ports: PoolPorts,
    providers: Vec<Arc<Provider>>,
    models: BTreeMap<Arc<str>, Vec<ModelEntry>>,
    /// The newest discovery of each provider: what an older one reports is dropped, so that reloads leave no second chain of timers.
    rounds: BTreeMap<Arc<str>, u64>,
    /// Those whose list could not be had when they were last asked for it.
    unlisted: BTreeSet<Arc<str>>,
    /// The round that was followed by an early one already: however many calls fail, one is enough.
    hastened: BTreeMap<Arc<str>, u64>,
    draining: bool,
}

/// What the coordinator tells of itself.
#[derive(Serialize)]
pub struct PoolState {
    providers: usize,
    models: usize,
    draining: bool,
}

/// Models were found, or not, at one provider.
struct Discovered {
    provider: Arc<str>,
    round: u64,
    found: Result<Vec<ModelEntry>, Failure>,
}

impl Msg for Discovered {
    type Reply = ();
    const NAME: &'static str = "Discovered";
}

/// The store's cache was read.
struct Loaded(Result<Vec<ModelEntry>, StoreError>);

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "Loaded";
}

/// The accounts of earlier runs were read.
struct LoadedUsage(Result<Vec<(UsageSlot, UsageTotals)>, StoreError>);

impl Msg for LoadedUsage {
    type Reply = ();
    const NAME: &'static str = "LoadedUsage";
}

/// It is time to ask for the accounts of earlier runs once more.
struct AskUsage;

impl Msg for AskUsage {
    type Reply = ();
    const NAME: &'static str = "AskUsage";
}

/// It is time to ask a provider for its models.
struct Discover {
    provider: Arc<str>,
    round: u64,
}

impl Msg for Discover {
    type Reply = ();
    const NAME: &'static str = "Discover";
}

impl ProviderPool {
    /// A coordinator with `config`.
    pub fn new(config: Arc<Config>, ports: PoolPorts) -> Self {
        // After a crash the published table still holds what was known of the providers.
        let before = ports.table.load();
        let mut models: BTreeMap<Arc<str>, Vec<ModelEntry>> = BTreeMap::new();
        for entry in &before.models {
            models.entry(Arc::clone(&entry.provider)).or_default().push(entry.clone());
        }
        let providers = build(&config, &before.providers);
        drop(before);
        Self {
            config,
            ports,
            providers,
            models,
            rounds: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            hastened: BTreeMap::new(),
            draining: false,
        }
    }

    fn publish(&self) {
        let models = self.providers.iter().flat_map(|provider| {
            let configured = &provider.config.models;
            let known = self.models.get(&provider.name);
            let listed = configured.iter().map(|model| {
                let known = known.and_then(|known| known.iter().find(|entry| entry.model.as_ref() == model));
                known.cloned().unwrap_or_else(|| ModelEntry {
                    provider: Arc::clone(&provider.name),
                    model: Arc::from(model.as_str()),
                    created: None,
                    context_tokens: None,
                    tools: None,
                    abilities: Abilities::default(),
                })
            });
            let discovered = known.filter(|_| configured.is_empty()).into_iter().flatten().cloned();
            listed.chain(discovered).collect::<Vec<_>>()
        });
        let table = Table {
            providers: self.providers.clone(),
            models: models.collect(),
            routes: self.config.routes.0.iter().map(|(name, to)| (Arc::from(name.as_str()), to.clone())).collect(),
            limits: self.config.limits.clone(),
        };
        self.ports.table.store(Arc::new(table));
    }

    fn discover(&mut self, provider: &Arc<Provider>, context: &Context<Self>) {
        if self.draining {
            return;
        }
        let round = self.rounds.entry(Arc::clone(&provider.name)).or_default();
        *round += 1;
        let round = *round;
        let client = client_of(provider);
        let (provider, clock) = (Arc::clone(provider), Arc::clone(&self.ports.clock));
        let report = context.mailbox().port::<Discovered>(Lane::Background);
        context.spawn(async move {
            let name = Arc::clone(&provider.name);
            let found = discovery::models(provider, client, clock).await;
            if let Err(fault) = report.tell(Discovered { provider: name, round, found }) {
                tracing::warn!(%fault, "discovered models were not taken");
            }
        });
    }

    /// Asks the store for the accounts of earlier runs, unless they are known.
    fn ask_usage(&self, context: &Context<Self>) {
        let Some(since) = self.ports.meter.wants() else { return };
        let load = self.ports.load_usage.clone();
        let loaded = context.mailbox().port::<LoadedUsage>(Lane::Background);
        context.spawn(async move {
            let sums = load.ask(LoadUsage { since }, STORE_DEADLINE).await;
            let sums = sums.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            if let Err(fault) = loaded.tell(LoadedUsage(sums)) {
                tracing::warn!(%fault, "the accounts of earlier runs were not taken");
            }
        });
    }

    fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name.as_ref() == name)
    }
}

impl Service for ProviderPool {
    type Observed = PoolState;

    fn started(&mut self, context: &Context<Self>) {
        self.publish();
        let load = self.ports.load_models.clone();
        let loaded = context.mailbox().port::<Loaded>(Lane::Background);
        context.spawn(async move {
            let cached = load.ask(LoadModels, STORE_DEADLINE).await;
            let cached = cached.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            if let Err(fault) = loaded.tell(Loaded(cached)) {
                tracing::warn!(%fault, "cached models were not taken");
            }
        });
        self.ask_usage(context);
        for provider in self.providers.clone() {
            self.discover(&provider, context);
        }
    }

    fn observe(&self) -> PoolState {
        let models = self.models.values().map(Vec::len).sum();
        PoolState { providers: self.providers.len(), models, draining: self.draining }
    }
}

impl Handle<Loaded> for ProviderPool {
    fn handle(&mut self, Loaded(cached): Loaded, _: &Context<Self>) -> Reply<()> {
        match cached {
            Ok(entries) => {
                let mut by_provider: BTreeMap<Arc<str>, Vec<ModelEntry>> = BTreeMap::new();
                for entry in entries {
                    by_provider.entry(Arc::clone(&entry.provider)).or_default().push(entry);
                }
                for (provider, entries) in by_provider {
                    // What a provider said itself since the start is newer.
                    self.models.entry(provider).or_insert(entries);
                }
                self.publish();
            }
            Err(error) => tracing::warn!(%error, "the cache of models could not be read"),
        }
        Reply::Now(())
    }
}

impl Handle<LoadedUsage> for ProviderPool {
    fn handle(&mut self, LoadedUsage(sums): LoadedUsage, context: &Context<Self>) -> Reply<()> {
        match sums {
            Ok(sums) => self.ports.meter.load(sums),
            Err(error) => {
                tracing::warn!(%error, "the accounts of earlier runs cannot be read: limits count from the start of this one");
                context.tell_after(RETRY, Lane::Background, AskUsage);
            }
        }
        Reply::Now(())
    }
}

impl Handle<AskUsage> for ProviderPool {
    fn handle(&mut self, _: AskUsage, context: &Context<Self>) -> Reply<()> {
        self.ask_usage(context);
        Reply::Now(())
    }
}

impl Handle<Discovered> for ProviderPool {
    fn handle(&mut self, found: Discovered, context: &Context<Self>) -> Reply<()> {
        // Known but for a clock that was ahead.
        self.ask_usage(context);
        let newest = self.rounds.get(&found.provider) == Some(&found.round);
        let Some(provider) = self.find(&found.provider).cloned().filter(|_| newest) else { return Reply::Now(()) };
        let again = match found.found {
            Ok(models) => {
                self.unlisted.remove(&provider.name);
                let health = &provider.standing.health;
                provider.standing.circuit.reached();
                // Whoever lists its models may still fail every call: where one failed just now, the list is no sign that it works.
                let fails =
                    health.state() == ProviderState::Failing && health.failed_within(RETRY / 2, self.ports.clock.now());
                if !fails && health.worked() {
                    tracing::info!(provider = %provider.name, models = models.len(), "provider is reachable");
                }
                let news = self.models.get(&provider.name) != Some(&models);
                if news {
                    let cache = CacheModels { provider: Arc::clone(&provider.name), models: models.clone() };
                    self.models.insert(Arc::clone(&provider.name), models);
                    self.publish();
                    if let Err(fault) = self.ports.cache_models.tell(cache) {
                        tracing::debug!(%fault, "models were not cached");
                    }
                }
                if fails { RETRY } else { REFRESH }
            }
            Err(failure) => {
                self.unlisted.insert(Arc::clone(&provider.name));
                let keys_elsewhere = provider.has_keys_of_models_only();
                if provider.standing.health.unlisted(
                    &failure,
                    keys_elsewhere,
                    self.ports.clock.monotonic(),
                    self.ports.clock.now(),
                ) {
                    tracing::warn!(provider = %provider.name, class = failure.class.as_str(), reason = %failure, "provider does not answer");
                } else {
                    tracing::debug!(provider = %provider.name, reason = %failure, "the list of models cannot be had");
                }
                RETRY
            }
        };
        context.tell_after(again, Lane::Background, Discover { provider: found.provider, round: found.round });
        Reply::Now(())
    }
}

impl Handle<Discover> for ProviderPool {
    fn handle(&mut self, due: Discover, context: &Context<Self>) -> Reply<()> {
        let newest = self.rounds.get(&due.provider) == Some(&due.round);
        if let Some(provider) = self.find(&due.provider).cloned().filter(|_| newest) {
            self.discover(&provider, context);
        }
        Reply::Now(())
    }
}

impl Handle<ListModels> for ProviderPool {
    fn handle(&mut self, _: ListModels, _: &Context<Self>) -> Reply<Arc<ModelList>> {
        Reply::Now(Arc::new(self.ports.table.load().list()))
    }
}

impl Handle<ListProviders> for ProviderPool {
    fn handle(&mut self, _: ListProviders, _: &Context<Self>) -> Reply<Vec<ProviderStatus>> {
        let table = self.ports.table.load();
        let now = self.ports.clock.monotonic();
        let status = |provider: &Arc<Provider>| report::status(provider, &table.models, &self.ports.meter, now);
        Reply::Now(self.providers.iter().map(status).collect())
    }
}

impl Handle<ListKeyUsage> for ProviderPool {
    fn handle(&mut self, _: ListKeyUsage, _: &Context<Self>) -> Reply<Vec<KeyStatus>> {
        Reply::Now(self.ports.meter.keys(&self.config.limits))
    }
}

impl Handle<RouteReadiness> for ProviderPool {
    fn handle(&mut self, question: RouteReadiness, _: &Context<Self>) -> Reply<Readiness> {
        Reply::Now(self.ports.table.load().readiness(&question.route))
    }
}

impl Handle<ProbeProvider> for ProviderPool {
    fn handle(&mut self, probe: ProbeProvider, _: &Context<Self>) -> Reply<Result<Vec<ModelEntry>, Failure>> {
        let Some(provider) = self.find(&probe.provider).cloned() else {
            let message = format!("there is no provider {:?}", probe.provider);
            return Reply::Now(Err(Failure::new(FailureClass::NotFound, message)));
        };
        let client = client_of(&provider);
        Reply::later(discovery::models(provider, client, Arc::clone(&self.ports.clock)))
    }
}

impl Handle<CallFailed> for ProviderPool {
    fn handle(&mut self, call: CallFailed, context: &Context<Self>) -> Reply<()> {
        tracing::warn!(provider = %call.provider, class = call.failure.class.as_str(), reason = %call.failure, "provider fails");
        // One failed call is no proof that it is down: it is asked long before the usual round would.
        if let Some(round) = self.rounds.get(&call.provider).copied()
            && self.hastened.insert(Arc::clone(&call.provider), round) != Some(round)
        {
            context.tell_after(RETRY, Lane::Background, Discover { provider: call.provider, round });
        }
        Reply::Now(())
    }
}

impl Handle<CallRecovered> for ProviderPool {
    fn handle(&mut self, call: CallRecovered, context: &Context<Self>) -> Reply<()> {
        tracing::info!(provider = %call.provider, "provider works");
        // Where the list is under way, it comes anyway.
        if self.unlisted.remove(&call.provider)
            && let Some(provider) = self.find(&call.provider).cloned()
        {
            self.discover(&provider, context);
        }
        Reply::Now(())
    }
}

impl Handle<Reconfigure<Config>> for ProviderPool {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, context: &Context<Self>) -> Reply<()> {
        let before = std::mem::take(&mut self.providers);
        self.providers = build(&config, &before);
        self.config = config;
        self.models.retain(|name, _| self.providers.iter().any(|provider| provider.name == *name));
        self.publish();
        for provider in self.providers.clone() {
            if !before.iter().any(|old| Arc::ptr_eq(old, &provider)) {
                self.discover(&provider, context);
            }
        }
        Reply::Now(())
    }
}

impl Handle<Drain> for ProviderPool {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.draining = true;
        Reply::Now(())
    }
}
