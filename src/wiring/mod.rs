//! Starts every actor and connects every port, once, in one place: the only code that knows all of them.
//!
//! Each actor gets its configuration as a shared cell that a reload writes first, so that a restart after a crash has the newest; its
//! ports are its whole dependency. Waiting goes one way: gateway → agent supervisor → toolbox → poller and pool → store. The actors that watch and
//! tell are in [`watching`]; where two of them need each other, one end is connected late.

mod attached;
mod bench;
mod life;
mod nowhere;
mod providers;
mod watching;

pub use providers::ToldProviders;

pub use attached::GUARDIAN;

use crate::config::Settings;
use crate::status::Reporter;
use crate::warden::Warden;
use agent_supervisor::approvals::{self, ActionOwner, ApprovalsDesk};
use agent_supervisor::{AgentSupervisor, BackgroundTurns};
use arc_swap::ArcSwap;
use bench::{Bench, shard_name};
use contract::approvals::{ActionProgress, PlanAction, RunAction};
use contract::chat::RunTurn;
use contract::clock::SharedClock;
use contract::cluster::{ClusterState, ListClusters, ProbeCluster, RunCheck};
use contract::ids::SharedIds;
use contract::message::Lane;
use contract::provider::{BUILTIN_OFFLINE, ListModels, ListProviders, ProbeProvider, ProviderState, RouteReadiness};
use contract::relay::ResourceUpdates;
use contract::status::Gauges;
use contract::store::{
    AddKey, CacheModels, KeepHistory, ListKeys, LoadHistory, LoadModels, ReadAudit, RevokeKey, StoreHealth, StoredKey,
};
use contract::tools::{CallTool, ListTools, SharedCatalogue};
use contract::usage::{ListKeyUsage, LoadUsage, ReadUsage};
use http_gateway::{
    ApprovalPorts, DaemonControl, HttpGateway, Listeners, RefreshKeys, Running, ThreadFactory, ThreadPorts, ToolPorts,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prometheus::ProbeServers;
use provider_pool::{CallFailed, CallRecovered, GrantCall, Meter, PoolPorts, ProviderPool};
use proxmox_poller::ProxmoxPoller;
use runtime::{Handle, Late, Mailbox, Policy, Port, Supervision};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{AuditQueue, Store, UsageQueue};
use toolbox::mcp::Host;
use toolbox::{Owner, RefreshCatalogue, Toolbox};
use watching::Watching;

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
    /// How much faster than the world HAIA's time runs.
    pub time_factor: f64,
    /// Whether it answers one command only, perhaps beside the real daemon: it looks, and tells and changes nothing.
    pub is_for_one_command: bool,
}

/// The running actors.
pub struct Actors {
    /// Gives the status.
    pub reporter: Arc<Reporter>,
    /// Probes providers, for `haia check`.
    pub probe: Port<ProbeProvider>,
    /// Probes clusters, for `haia check`.
    pub probe_cluster: Port<ProbeCluster>,
    /// Probes Prometheus and Alertmanager, for `haia check`.
    pub probe_servers: Port<ProbeServers>,
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
    watching: Watching,
    approvals: Mailbox<ApprovalsDesk>,
    /// What watches and tells, and turns that nobody reads as they come: reading a large cluster takes milliseconds, in which no chat may wait.
    watch_thread: actix_rt::Arbiter,
    /// The host of attached MCP servers.
    mcp: Mailbox<Host>,
    mcp_thread: actix_rt::Arbiter,
}

/// The configuration as the actors' factories read it.
struct Live {
    store: Arc<ArcSwap<store::Config>>,
    pool: Arc<ArcSwap<provider_pool::Config>>,
    clusters: proxmox_poller::SharedConfig,
    agents: agent_supervisor::SharedSettings,
    approvals: approvals::SharedConfig,
    toolbox: toolbox::SharedConfig,
    mcp: toolbox::mcp::SharedSettings,
}

/// Starts everything but the listeners.
///
/// # Errors
/// The agent's prompt cannot be used, which the configuration's check has told before.
pub fn start(parts: Parts) -> anyhow::Result<Actors> {
    let Parts { settings, clock, ids, origin, supervision, warden, address, control, time_factor, is_for_one_command } =
        parts;
    let watched = watching::Settings::of(&settings);
    let agent = agent_supervisor::Settings::new(settings.agent, &settings.prompts)?;
    let store_thread = actix_rt::Arbiter::new();
    let core_thread = actix_rt::Arbiter::new();
    let watch_thread = actix_rt::Arbiter::new();
    let mcp_thread = actix_rt::Arbiter::new();
    let core = core_thread.handle();
    let gauges: Arc<Gauges> = Arc::default();
    // The folder that the daemon writes to anyway: a system's own for such files may lie in memory.
    let spool = Arc::from(settings.store.folder());
    let live = Live {
        store: Arc::new(ArcSwap::from_pointee(settings.store)),
        pool: Arc::new(ArcSwap::from_pointee(settings.providers)),
        clusters: Arc::new(ArcSwap::from_pointee(settings.clusters)),
        agents: Arc::new(ArcSwap::from_pointee(agent)),
        approvals: Arc::new(ArcSwap::from_pointee(settings.approvals)),
        toolbox: Arc::new(ArcSwap::from_pointee(settings.tools)),
        mcp: Arc::new(ArcSwap::from_pointee(settings.mcp)),
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

    let nowhere =
        is_for_one_command.then(|| supervision.start(&core, "nowhere", Policy::optional(), || nowhere::Nowhere));
    let books = nowhere::Books { store: &store, nowhere: nowhere.as_ref() };

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

    let watch = watch_thread.handle();
    let (run_turn, background) = Late::<RunTurn>::port("background-turns");
    let (run_check, checks) = Late::<RunCheck>::port("proxmox-poller");
    let (progress, steps) = Late::<ActionProgress>::port("approvals-desk");
    let watching = watching::start(watching::Parts {
        settings: watched,
        clock: Arc::clone(&clock),
        time_factor,
        ids: Arc::clone(&ids),
        supervision: &supervision,
        thread: &watch,
        store: &store,
        nowhere: nowhere.as_ref(),
        run_turn: run_turn.clone(),
        run_check,
    });

    let poller = {
        let ports = proxmox_poller::Ports {
            clock: Arc::clone(&clock),
            report: watching::reports(&watching.desk, nowhere.as_ref()),
            progress,
            load_states: store.port(Lane::Background),
            keep_states: books.port(Lane::Background),
            transport: proxmox_poller::client::open_network(),
            load_history: store.port::<LoadHistory>(Lane::Background),
            keep_history: books.port::<KeepHistory>(Lane::Background),
            snapshots: Arc::default(),
        };
        let factory = ProxmoxPoller::factory(Arc::clone(&live.clusters), Arc::clone(&watching.live.rules), ports);
        // Chat goes on without a cluster to look at, so it is not required.
        supervision.start(&watch, "proxmox-poller", Policy::optional(), factory)
    };
    checks.connect(poller.port(Lane::Background));
    let (plan_tool, plans_tools) = Late::<PlanAction>::port("mcp-host");
    let (run_tool, runs_tools) = Late::<RunAction>::port("mcp-host");
    let approvals = {
        let ports = approvals::Ports {
            clock: Arc::clone(&clock),
            timezone: TimeZone::system(),
            load: books.port(Lane::Interactive),
            commit: books.port(Lane::Interactive),
            read: store.port(Lane::Interactive),
            deliver: watching::messages(&watching.notifier, nowhere.as_ref()),
            owners: vec![
                ActionOwner {
                    name: "proxmox-poller",
                    plan: poller.port(Lane::Interactive),
                    run: poller.port(Lane::Interactive),
                },
                ActionOwner {
                    name: "prometheus",
                    plan: watching.prometheus.port(Lane::Interactive),
                    run: watching.prometheus.port(Lane::Interactive),
                },
                ActionOwner { name: toolbox::mcp::OWNER, plan: plan_tool, run: run_tool },
            ],
        };
        let factory = ApprovalsDesk::factory(Arc::clone(&live.approvals), ports);
        // Without it nothing is done; everything else goes on.
        supervision.start(&watch, "approvals-desk", Policy::optional(), factory)
    };
    steps.connect(approvals.port(Lane::Background));
    warden.report_to(watching::reports(&watching.desk, nowhere.as_ref()));

    let (mcp_status, mcp_answers) = Late::port("mcp-host");
    let reporter = Arc::new(Reporter {
        supervision: supervision.clone(),
        warden,
        gauges: Arc::clone(&gauges),
        clock: Arc::clone(&clock),
        providers: pool.port::<ListProviders>(Lane::Control),
        keys: pool.port::<ListKeyUsage>(Lane::Control),
        store: store.port::<StoreHealth>(Lane::Control),
        clusters: poller.port::<ListClusters>(Lane::Control),
        desk: watching.desk.port(Lane::Control),
        jobs: watching.scheduler.port(Lane::Control),
        channels: watching.notifier.port(Lane::Control),
        mcp: mcp_status,
    });

    let (catalogue, everything, own): (SharedCatalogue, SharedCatalogue, SharedCatalogue) = Default::default();
    let updates: Arc<ResourceUpdates> = Arc::default();
    let refresh: Arc<OnceLock<Port<RefreshCatalogue>>> = Arc::default();
    let mcp = attached::start(attached::Parts {
        settings: Arc::clone(&live.mcp),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        supervision: &supervision,
        thread: &mcp_thread.handle(),
        store: &store,
        catalogue: Arc::clone(&catalogue),
        report: watching.desk.port(Lane::Background),
        updates: Arc::clone(&updates),
        refresh: Arc::clone(&refresh),
    });
    mcp_answers.connect(mcp.port(Lane::Control));
    runs_tools.connect(mcp.port(Lane::Interactive));
    plans_tools.connect(mcp.port(Lane::Interactive));
    let toolbox = {
        let ports = toolbox::Ports {
            owners: vec![
                Owner { plan: Some(poller.port(Lane::Interactive)), ..owner("proxmox-poller", &poller) },
                owner("approvals-desk", &approvals),
                owner("alert-desk", &watching.desk),
                owner("scheduler", &watching.scheduler),
                Owner {
                    plan: Some(watching.prometheus.port(Lane::Interactive)),
                    ..owner("prometheus", &watching.prometheus)
                },
                Owner {
                    call_for_mcp: Some(mcp.port(Lane::Interactive)),
                    plan: Some(mcp.port(Lane::Interactive)),
                    ..owner(toolbox::mcp::OWNER, &mcp)
                },
            ],
            catalogue: Arc::clone(&catalogue),
            everything: Arc::clone(&everything),
            own: Arc::clone(&own),
            audit: audit.clone(),
            clock: Arc::clone(&clock),
            timezone: TimeZone::system(),
            status: reporter.clone(),
            propose: Some(approvals.port(Lane::Interactive)),
        };
        supervision.start(&core, "toolbox", Policy::default(), Toolbox::factory(Arc::clone(&live.toolbox), ports))
    };
    if refresh.set(toolbox.port::<RefreshCatalogue>(Lane::Control)).is_err() {
        tracing::error!("the host of MCP servers was connected twice");
    }

    let agents = {
        let factory = AgentSupervisor::factory(Arc::clone(&live.agents), Arc::clone(&gauges), Arc::clone(&clock));
        supervision.start(&core, "agent-supervisor", Policy::default(), factory)
    };

    let bench = Bench {
        table: Arc::clone(&table),
        failed: pool.port::<CallFailed>(Lane::Background),
        recovered: pool.port::<CallRecovered>(Lane::Background),
        agents: agents.clone(),
        toolbox: toolbox.clone(),
        decide: approvals.port(Lane::Interactive),
        approvals: Arc::clone(&live.approvals),
        catalogue: Arc::clone(&catalogue),
        audit: Arc::clone(&audit),
        meter,
        proofs: Arc::default(),
        gauges: Arc::clone(&gauges),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
    };
    let threads: ThreadFactory = {
        let (supervision, bench) = (supervision.clone(), bench.clone());
        let workers = AtomicUsize::new(0);
        Arc::new(move || {
            let name = shard_name(workers.fetch_add(1, Ordering::Relaxed));
            let shard = bench.shard(&supervision, &actix_rt::Arbiter::current(), name);
            let (turns, models) = bench.turns(shard.port::<GrantCall>(Lane::Interactive), Lane::Interactive);
            ThreadPorts { agent: Rc::new(turns), direct: models.clone(), models }
        })
    };

    let background_turns = {
        let shard = bench.shard(&supervision, &watch, "provider-shard-background");
        let grant = shard.port::<GrantCall>(Lane::Background);
        let made = move || bench.turns(grant.clone(), Lane::Background).0;
        let factory = BackgroundTurns::factory(Arc::clone(&live.agents), Arc::clone(&clock), made);
        // What watches goes on without explanations, so it is not required.
        supervision.start(&watch, "background-turns", Policy::optional(), factory)
    };
    background.connect(background_turns.port(Lane::Background));
    watching.hear(&poller, &approvals, background_turns.port(Lane::Interactive));

    let gateway_ports = http_gateway::Ports {
        keys: store.port::<ListKeys>(Lane::Interactive),
        add_key: store.port::<AddKey>(Lane::Interactive),
        revoke_key: store.port::<RevokeKey>(Lane::Interactive),
        audit: store.port::<ReadAudit>(Lane::Interactive),
        usage: store.port::<ReadUsage>(Lane::Interactive),
        audit_sink: audit,
        models: pool.port::<ListModels>(Lane::Interactive),
        readiness: pool.port::<RouteReadiness>(Lane::Interactive),
        probe: pool.port::<ProbeProvider>(Lane::Interactive),
        watch: watching.gateway_ports(),
        tools: ToolPorts {
            everything,
            own,
            shown: catalogue,
            call: toolbox.port(Lane::Interactive),
            call_for_mcp: toolbox.port(Lane::Interactive),
            offers: mcp.port(Lane::Interactive),
            ask_attached: mcp.port(Lane::Interactive),
            updates,
        },
        mcp: attached::gateway_ports(&mcp),
        approvals: ApprovalPorts {
            list: approvals.port(Lane::Interactive),
            show: approvals.port(Lane::Interactive),
            decide: approvals.port(Lane::Interactive),
            record: store.port(Lane::Interactive),
            verify: store.port(Lane::Interactive),
        },
        status: reporter.clone(),
        control,
        clock,
        ids,
        gauges,
        spool,
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
        probe_servers: watching.probe(),
        gateway_ports,
        published,
        live,
        gateway,
        store,
        pool,
        poller,
        agents,
        toolbox,
        watching,
        approvals,
        store_thread,
        core_thread,
        watch_thread,
        mcp,
        mcp_thread,
    })
}

fn owner<A: Handle<ListTools> + Handle<CallTool>>(name: &'static str, mailbox: &Mailbox<A>) -> Owner {
    Owner {
        name,
        list: mailbox.port(Lane::Interactive),
        call: mailbox.port(Lane::Interactive),
        call_for_mcp: None,
        plan: None,
    }
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

    /// Whether a cluster was not looked at yet.
    pub async fn clusters_unseen(&self) -> bool {
        let clusters = self.reporter.clusters.ask(ListClusters, DRAIN_DEADLINE).await.unwrap_or_default();
        clusters.iter().any(|cluster| cluster.state == ClusterState::Starting)
    }

    /// Starts the HTTP server's worker threads.
    ///
    /// # Errors
    /// A socket cannot be used.
    pub fn serve(&self, tcp: Option<TcpListener>, unix: Option<UnixListener>) -> std::io::Result<Running> {
        let refresh = self.gateway.port::<RefreshKeys>(Lane::Control);
        http_gateway::serve(Listeners { tcp, unix }, Arc::clone(&self.published), self.gateway_ports.clone(), refresh)
    }
}
