//! Starts every actor and connects every port, once, in one place: the only code that knows all of them.
//!
//! Each actor gets its configuration as a shared cell that a reload writes first, so that a restart after a crash has the newest; its
//! ports are its whole dependency. Waiting goes one way: gateway → agent supervisor → toolbox → poller and pool → store.

use crate::config::{Changes, Settings};
use crate::status::{Reporter, Warden};
use agent_supervisor::{AgentSupervisor, TurnPorts, Turns};
use arc_swap::ArcSwap;
use contract::clock::SharedClock;
use contract::cluster::{ListClusters, ProbeCluster};
use contract::ids::SharedIds;
use contract::message::{Drain, Lane, Reconfigure};
use contract::provider::{BUILTIN_OFFLINE, ListModels, ListProviders, ProbeProvider, ProviderState, RouteReadiness};
use contract::status::Gauges;
use contract::store::{
    AddKey, CacheModels, KeepHistory, ListKeys, LoadHistory, LoadModels, ReadAudit, RevokeKey, StoreHealth, StoredKey,
};
use contract::tools::{CallTool, ListTools, SharedCatalogue};
use contract::usage::{ListKeyUsage, LoadUsage};
use http_gateway::{DaemonControl, HttpGateway, Listeners, RefreshKeys, Running, ThreadFactory, ThreadPorts};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use provider_pool::{
    CallFailed, CallRecovered, Exchange, ExchangePorts, GrantCall, Meter, PoolPorts, Proofs, ProviderPool, Shard,
};
use proxmox_poller::ProxmoxPoller;
use runtime::{Handle, Mailbox, Policy, Port, Supervision};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{AuditQueue, Store, UsageQueue};
use toolbox::{Owner, RefreshCatalogue, Toolbox};

/// Audit rows on their way to the store.
const AUDIT_QUEUE: usize = 16_384;
/// How long an actor may take to bring its work to an end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How often a drain looks whether the last answer has ended.
const IDLE_PERIOD: Duration = Duration::from_millis(20);
/// How long the store may take to tell its keys, a lock of another process included.
const KEYS_DEADLINE: Duration = Duration::from_secs(10);
const RECONFIGURE_DEADLINE: Duration = Duration::from_secs(5);

/// What the actors are made of.
pub struct Parts {
    /// The configuration.
    pub settings: Settings,
    /// Time.
    pub clock: SharedClock,
    /// Ids.
    pub ids: SharedIds,
    /// When the store was created.
    pub origin: Timestamp,
    /// All actors.
    pub supervision: Supervision,
    /// What the warden knows.
    pub warden: Arc<Warden>,
    /// The address that was bound, if any.
    pub address: Option<SocketAddr>,
    /// What the gateway may ask of the daemon.
    pub control: Arc<dyn DaemonControl>,
}

/// The running actors.
pub struct Actors {
    /// Gives the status.
    pub reporter: Arc<Reporter>,
    /// Probes providers, for `haia check`.
    pub probe: Port<ProbeProvider>,
    /// Probes clusters, for `haia check`.
    pub probe_cluster: Port<ProbeCluster>,
    gateway_ports: http_gateway::Ports,
    published: Arc<http_gateway::Shared>,
    live: Live,
    gateway: Mailbox<HttpGateway>,
    store: Mailbox<Store>,
    pool: Mailbox<ProviderPool>,
    poller: Mailbox<ProxmoxPoller>,
    agents: Mailbox<AgentSupervisor>,
    toolbox: Mailbox<Toolbox>,
    store_thread: actix_rt::Arbiter,
    core_thread: actix_rt::Arbiter,
    /// Reading a large cluster takes milliseconds, in which no chat may wait.
    cluster_thread: actix_rt::Arbiter,
}

/// The configuration as the actors' factories read it.
struct Live {
    store: Arc<ArcSwap<store::Config>>,
    pool: Arc<ArcSwap<provider_pool::Config>>,
    clusters: proxmox_poller::SharedConfig,
    agents: agent_supervisor::SharedSettings,
    toolbox: toolbox::SharedConfig,
}

/// Starts everything but the listeners.
///
/// # Errors
/// The agent's prompt cannot be used, which the configuration's check has told before.
pub fn start(parts: Parts) -> anyhow::Result<Actors> {
    let Parts { settings, clock, ids, origin, supervision, warden, address, control } = parts;
    let agent = agent_supervisor::Settings::new(settings.agent, &settings.prompts)?;
    let store_thread = actix_rt::Arbiter::new();
    let core_thread = actix_rt::Arbiter::new();
    let cluster_thread = actix_rt::Arbiter::new();
    let core = core_thread.handle();
    let gauges: Arc<Gauges> = Arc::default();
    let live = Live {
        store: Arc::new(ArcSwap::from_pointee(settings.store)),
        pool: Arc::new(ArcSwap::from_pointee(settings.providers)),
        clusters: Arc::new(ArcSwap::from_pointee(settings.clusters)),
        agents: Arc::new(ArcSwap::from_pointee(agent)),
        toolbox: Arc::new(ArcSwap::from_pointee(settings.tools)),
    };

    let audit = Arc::new(AuditQueue::new(AUDIT_QUEUE));
    let usage = Arc::new(UsageQueue::default());
    let store = {
        let (config, queue, clock) = (Arc::clone(&live.store), Arc::clone(&audit), Arc::clone(&clock));
        let usage = Arc::clone(&usage);
        // Chat goes on without a store, so it is not required.
        supervision.start(&store_thread.handle(), "store", Policy::optional(), move || {
            Store::new(Arc::clone(&config), Arc::clone(&queue), Arc::clone(&clock), origin)
                .with_usage(Arc::clone(&usage))
        })
    };

    let table: provider_pool::SharedTable = Arc::default();
    let meter = Arc::new(Meter::new(Arc::clone(&clock), TimeZone::system(), usage));
    let pool = {
        let config = Arc::clone(&live.pool);
        let ports = PoolPorts {
            clock: Arc::clone(&clock),
            load_models: store.port::<LoadModels>(Lane::Background),
            cache_models: store.port::<CacheModels>(Lane::Background),
            load_usage: store.port::<LoadUsage>(Lane::Background),
            table: Arc::clone(&table),
            meter: Arc::clone(&meter),
        };
        supervision.start(&core, "provider-pool", Policy::default(), move || {
            ProviderPool::new(config.load_full(), ports.clone())
        })
    };

    let poller = {
        let ports = proxmox_poller::Ports {
            clock: Arc::clone(&clock),
            transport: proxmox_poller::client::open_network(),
            load_history: store.port::<LoadHistory>(Lane::Background),
            keep_history: store.port::<KeepHistory>(Lane::Background),
            snapshots: Arc::default(),
        };
        let factory = ProxmoxPoller::factory(Arc::clone(&live.clusters), ports);
        // Chat goes on without a cluster to look at, so it is not required.
        supervision.start(&cluster_thread.handle(), "proxmox-poller", Policy::optional(), factory)
    };

    let reporter = Arc::new(Reporter {
        supervision: supervision.clone(),
        warden,
        gauges: Arc::clone(&gauges),
        clock: Arc::clone(&clock),
        providers: pool.port::<ListProviders>(Lane::Control),
        keys: pool.port::<ListKeyUsage>(Lane::Control),
        store: store.port::<StoreHealth>(Lane::Control),
        clusters: poller.port::<ListClusters>(Lane::Control),
    });

    let catalogue: SharedCatalogue = Arc::default();
    let toolbox = {
        let ports = toolbox::Ports {
            owners: vec![Owner {
                name: "proxmox-poller",
                list: poller.port::<ListTools>(Lane::Interactive),
                call: poller.port::<CallTool>(Lane::Interactive),
            }],
            catalogue: Arc::clone(&catalogue),
            audit: audit.clone(),
            clock: Arc::clone(&clock),
            timezone: TimeZone::system(),
            status: reporter.clone(),
        };
        supervision.start(&core, "toolbox", Policy::default(), Toolbox::factory(Arc::clone(&live.toolbox), ports))
    };

    let agents = {
        let factory = AgentSupervisor::factory(Arc::clone(&live.agents), Arc::clone(&gauges), Arc::clone(&clock));
        supervision.start(&core, "agent-supervisor", Policy::default(), factory)
    };

    let threads: ThreadFactory = {
        let (supervision, pool, agents, toolbox) = (supervision.clone(), pool.clone(), agents.clone(), toolbox.clone());
        let (clock, ids, gauges, audit) =
            (Arc::clone(&clock), Arc::clone(&ids), Arc::clone(&gauges), Arc::clone(&audit));
        let core_table = Arc::clone(&table);
        let proofs: Arc<Proofs> = Arc::default();
        let workers = AtomicUsize::new(0);
        Arc::new(move || {
            let name = shard_name(workers.fetch_add(1, Ordering::Relaxed));
            let (table, known) = (Arc::clone(&core_table), Arc::clone(&core_table));
            let shard = {
                let (meter, clock, ids) = (Arc::clone(&meter), Arc::clone(&clock), Arc::clone(&ids));
                supervision.start(&actix_rt::Arbiter::current(), name, Policy::default(), move || {
                    Shard::new(Arc::clone(&table), Arc::clone(&meter), Arc::clone(&clock), Arc::clone(&ids))
                })
            };
            let models = Rc::new(Exchange::new(ExchangePorts {
                grant: shard.port::<GrantCall>(Lane::Interactive),
                failed: pool.port::<CallFailed>(Lane::Background),
                recovered: pool.port::<CallRecovered>(Lane::Background),
                audit: audit.clone(),
                meter: Arc::clone(&meter),
                gauges: Arc::clone(&gauges),
                clock: Arc::clone(&clock),
                ids: Arc::clone(&ids),
                proofs: Arc::clone(&proofs),
            }));
            let agent = Rc::new(Turns::new(TurnPorts {
                start_turn: agents.port(Lane::Interactive),
                keep_round: agents.port(Lane::Interactive),
                call_tool: toolbox.port::<CallTool>(Lane::Interactive),
                models: models.clone(),
                catalogue: Arc::clone(&catalogue),
                known_tokens: Rc::new(move |target| known.load().context_tokens(target)),
                clock: Arc::clone(&clock),
                ids: Arc::clone(&ids),
            }));
            ThreadPorts { agent, direct: models.clone(), models }
        })
    };

    let gateway_ports = http_gateway::Ports {
        keys: store.port::<ListKeys>(Lane::Interactive),
        add_key: store.port::<AddKey>(Lane::Interactive),
        revoke_key: store.port::<RevokeKey>(Lane::Interactive),
        audit: store.port::<ReadAudit>(Lane::Interactive),
        audit_sink: audit,
        models: pool.port::<ListModels>(Lane::Interactive),
        readiness: pool.port::<RouteReadiness>(Lane::Interactive),
        probe: pool.port::<ProbeProvider>(Lane::Interactive),
        status: reporter.clone(),
        control,
        clock,
        ids,
        gauges,
        threads,
    };
    let listen = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let published = http_gateway::Shared::new(settings.server, listen, http_gateway::host_name());
    let gateway = {
        let (published, keys) = (Arc::clone(&published), gateway_ports.keys.clone());
        let clock = Arc::clone(&gateway_ports.clock);
        supervision.start(&core, "http-gateway", Policy::default(), move || {
            HttpGateway::new(Arc::clone(&published), keys.clone(), Arc::clone(&clock))
        })
    };
    let probe = pool.port::<ProbeProvider>(Lane::Interactive);
    let probe_cluster = poller.port::<ProbeCluster>(Lane::Interactive);
    Ok(Actors {
        reporter,
        probe,
        probe_cluster,
        gateway_ports,
        published,
        live,
        gateway,
        store,
        pool,
        poller,
        agents,
        toolbox,
        store_thread,
        core_thread,
        cluster_thread,
    })
}

async fn tell<A, C>(mailbox: &Mailbox<A>, config: Arc<C>)
where
    A: Handle<Reconfigure<C>>,
    C: Send + Sync + 'static,
{
    if let Err(fault) = mailbox.port(Lane::Control).ask(Reconfigure(config), RECONFIGURE_DEADLINE).await {
        tracing::warn!(%fault, "an actor takes the new configuration over when it is built afresh");
    }
}

/// The shards' names: as many as there are likely workers; beyond, they share the last.
fn shard_name(worker: usize) -> &'static str {
    const NAMES: [&str; 16] = [
        "provider-shard-0",
        "provider-shard-1",
        "provider-shard-2",
        "provider-shard-3",
        "provider-shard-4",
        "provider-shard-5",
        "provider-shard-6",
        "provider-shard-7",
        "provider-shard-8",
        "provider-shard-9",
        "provider-shard-10",
        "provider-shard-11",
        "provider-shard-12",
        "provider-shard-13",
        "provider-shard-14",
        "provider-shard-15",
    ];
    NAMES[worker.min(NAMES.len() - 1)]
}

impl Actors {
    /// Reads the stored keys, so that no request meets a gateway that does not know them.
    ///
    /// # Errors
    /// Why the store cannot tell.
    pub async fn read_keys(&self) -> Result<(), String> {
        let refresh = self.gateway.port::<RefreshKeys>(Lane::Control);
        refresh.ask(RefreshKeys, KEYS_DEADLINE).await.unwrap_or_else(|fault| Err(fault.to_string()))
    }

    /// The names of the stored keys.
    ///
    /// # Errors
    /// Why the store cannot tell.
    pub async fn stored_keys(&self) -> Result<Vec<StoredKey>, String> {
        match self.gateway_ports.keys.ask(ListKeys, KEYS_DEADLINE).await {
            Ok(keys) => keys.map_err(|error| error.to_string()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// The first model of a route that is not the built-in responder.
    pub async fn first_model(&self, route: &str) -> Option<String> {
        let list = self.gateway_ports.models.ask(ListModels, DRAIN_DEADLINE).await.ok()?;
        let route = list.routes.iter().find(|known| known.name.as_ref() == route)?;
        route.entries.iter().find(|entry| entry.as_str() != BUILTIN_OFFLINE).cloned()
    }

    /// Whether a provider was not heard of yet.
    pub async fn providers_unknown(&self) -> bool {
        let providers = self.reporter.providers.ask(ListProviders, DRAIN_DEADLINE).await.unwrap_or_default();
        providers.iter().any(|provider| provider.state == ProviderState::Unknown)
    }

    /// Starts the HTTP server's worker threads.
    ///
    /// # Errors
    /// A socket cannot be used.
    pub fn serve(&self, tcp: Option<TcpListener>, unix: Option<UnixListener>) -> std::io::Result<Running> {
        let refresh = self.gateway.port::<RefreshKeys>(Lane::Control);
        http_gateway::serve(Listeners { tcp, unix }, Arc::clone(&self.published), self.gateway_ports.clone(), refresh)
    }

    /// Gives every actor its part of a new configuration, which was validated as a whole.
    ///
    /// # Errors
    /// The agent's prompt cannot be used; nothing has changed then.
    pub async fn reconfigure(&self, settings: Settings, changes: &Changes) -> anyhow::Result<()> {
        let agent = agent_supervisor::Settings::new(settings.agent, &settings.prompts)?;
        self.live.store.store(Arc::new(settings.store));
        self.live.pool.store(Arc::new(settings.providers));
        self.live.clusters.store(Arc::new(settings.clusters));
        self.live.agents.store(Arc::new(agent));
        self.live.toolbox.store(Arc::new(settings.tools));
        if changes.store {
            tell(&self.store, self.live.store.load_full()).await;
        }
        if changes.providers {
            tell(&self.pool, self.live.pool.load_full()).await;
        }
        if changes.clusters {
            tell(&self.poller, self.live.clusters.load_full()).await;
            let refresh = self.toolbox.port::<RefreshCatalogue>(Lane::Control);
            if let Err(fault) = refresh.ask(RefreshCatalogue, RECONFIGURE_DEADLINE).await {
                tracing::warn!(%fault, "the tools for clusters are offered after the toolbox's next look");
            }
        }
        if changes.agent {
            tell(&self.agents, self.live.agents.load_full()).await;
        }
        if changes.tools {
            tell(&self.toolbox, self.live.toolbox.load_full()).await;
        }
        if changes.server {
            tell(&self.gateway, Arc::new(settings.server)).await;
        }
        Ok(())
    }

    /// Stops taking new work.
    pub async fn drain(&self) {
        let (gateway, agents, pool, poller) = (
            self.gateway.port::<Drain>(Lane::Control),
            self.agents.port::<Drain>(Lane::Control),
            self.pool.port::<Drain>(Lane::Control),
            self.poller.port::<Drain>(Lane::Control),
        );
        let told = tokio::join!(
            gateway.ask(Drain, DRAIN_DEADLINE),
            agents.ask(Drain, DRAIN_DEADLINE),
            pool.ask(Drain, DRAIN_DEADLINE),
            poller.ask(Drain, DRAIN_DEADLINE),
        );
        for fault in [told.0.err(), told.1.err(), told.2.err(), told.3.err()].into_iter().flatten() {
            tracing::warn!(%fault, "an actor did not drain");
        }
    }

    /// Waits until nobody is being answered. The deadline is the caller's.
    pub async fn idle(&self, clock: &SharedClock) {
        let gauges = &self.gateway_ports.gauges;
        let running = || {
            [&gauges.streams_open, &gauges.provider_connections, &gauges.turns_active, &gauges.turns_queued]
                .into_iter()
                .any(|gauge| gauge.get() > 0)
        };
        while running() {
            clock.pause(IDLE_PERIOD).await;
        }
    }

    /// Ends the actors, the store last, after its checkpoint.
    pub async fn stop(self) {
        if let Err(fault) = self.store.port::<Drain>(Lane::Control).ask(Drain, DRAIN_DEADLINE).await {
            tracing::warn!(%fault, "the store did not write its checkpoint; its journal is read at the next start");
        }
        self.cluster_thread.stop();
        self.core_thread.stop();
        self.store_thread.stop();
        let joined = [self.cluster_thread.join(), self.core_thread.join(), self.store_thread.join()];
        if joined.iter().any(Result::is_err) {
            tracing::error!("an actors' thread crashed while it ended");
        }
    }
}
