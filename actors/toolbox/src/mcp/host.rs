//! The actor that hosts the servers: owns their lives, knows their tools, passes calls on. It waits for nobody in a handler.

use super::config::Settings;
use super::held::HeldResults;
use super::lives::Lives;
use super::net::Net;
use super::offers::Offers;
use super::pins::Pins;
use super::server::{Server, Switches};
use super::states::{Keeper, States};
use super::stdio::Guardian;
use crate::toolbox::RefreshCatalogue;
use arc_swap::ArcSwap;
use contract::clock::SharedClock;
use contract::ids::SharedIds;
use contract::mcp::McpTrouble;
use contract::message::{Lane, Msg, Reconfigure};
use contract::relay::ResourceUpdates;
use contract::tools::SharedCatalogue;
use runtime::{Context, Handle, Port, Reply, Service};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The configuration as the composition root publishes it: a crashed host starts again with the newest.
pub type SharedSettings = Arc<ArcSwap<Settings>>;

/// Takes what the alert desk must hear. Called on the host's thread: it must be quick.
pub type Alarm = Arc<dyn Fn(McpTrouble) + Send + Sync>;

/// Everything the host needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Keeps pins and switches.
    pub states: Arc<dyn States>,
    /// Hears of troubles.
    pub alarm: Alarm,
    /// The toolbox's ear for changed tools. Set once the toolbox runs: it is started after the host, whose port it needs.
    pub refresh: Arc<OnceLock<Port<RefreshCatalogue>>>,
    /// The published catalogue: names in it that are not the host's are taken.
    pub catalogue: SharedCatalogue,
    /// Where updates of subscribed resources are counted.
    pub updates: Arc<ResourceUpdates>,
    /// How to start HAIA's own binary as a guardian of a program.
    pub guardian: Guardian,
    /// The time.
    pub clock: SharedClock,
    /// Randomness, for waits and ids.
    pub ids: SharedIds,
}

/// Servers on the network that connect at once.
const CONNECTING: usize = 64;
/// When to ask again for what is kept.
const LOAD_AGAIN: Duration = Duration::from_secs(5);

/// What is kept was read.
pub(super) struct Loaded(pub(super) Vec<(Arc<str>, String)>);

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "McpLoaded";
}

/// The actor.
pub struct Host {
    pub(super) settings: Arc<Settings>,
    pub(super) ports: Ports,
    pub(super) servers: BTreeMap<Arc<str>, Server>,
    pub(super) held: Rc<RefCell<HeldResults>>,
    pub(super) keeper: Option<Keeper>,
    pub(super) lives: Lives,
    pub(super) is_draining: bool,
    /// What was kept, by server; `None` until it is read.
    pub(super) kept: Option<BTreeMap<String, (Pins, Switches)>>,
    pub(super) file_problem: Option<String>,
    pub(super) offers: Offers,
    pub(super) is_stale: bool,
    pub(super) is_announcing: bool,
    pub(super) epochs: u64,
    pub(super) net: Net,
    pub(super) programs: Arc<Semaphore>,
    pub(super) connections: Arc<Semaphore>,
}

impl Host {
    /// What supervision builds the actor with.
    pub fn factory(settings: SharedSettings, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let settings = settings.load_full();
            Self {
                programs: Arc::new(Semaphore::new(settings.config.max_starting.max(1))),
                connections: Arc::new(Semaphore::new(CONNECTING)),
                settings,
                ports: ports.clone(),
                servers: BTreeMap::new(),
                held: Rc::default(),
                keeper: None,
                lives: Lives::default(),
                is_draining: false,
                kept: None,
                file_problem: None,
                offers: Offers::default(),
                is_stale: true,
                is_announcing: false,
                epochs: 0,
                net: Net::default(),
            }
        }
    }

    /// Whether what was kept is known: before, no server runs, since its pins would be unknown.
    pub(super) fn is_loaded(&self) -> bool {
        self.kept.is_some()
    }

    fn load(&self, context: &Context<Self>) {
        let (states, clock) = (Arc::clone(&self.ports.states), Arc::clone(&self.ports.clock));
        let loaded = context.mailbox().port::<Loaded>(Lane::Control);
        context.spawn(async move {
            let kept = loop {
                match states.load().await {
                    Ok(kept) => break kept,
                    Err(error) => {
                        tracing::warn!(error, "MCP servers wait: their pins cannot be read; trying again");
                        clock.pause(LOAD_AGAIN).await;
                    }
                }
            };
            if let Err(fault) = loaded.ask(Loaded(kept), LOAD_AGAIN).await {
                tracing::warn!(%fault, "the host of MCP servers did not take what was kept");
            }
        });
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Handle<Loaded> for Host {
    fn handle(&mut self, Loaded(states): Loaded, context: &Context<Self>) -> Reply<()> {
        let mut kept: BTreeMap<String, (Pins, Switches)> = BTreeMap::new();
        for (name, text) in states {
            let read = match name.split_once('/') {
                Some(("pins", server)) => {
                    serde_json::from_str(&text).map(|pins| kept.entry(server.to_owned()).or_default().0 = pins)
                }
                Some(("switches", server)) => {
                    serde_json::from_str(&text).map(|switches| kept.entry(server.to_owned()).or_default().1 = switches)
                }
                _ => continue,
            };
            if let Err(error) = read {
                tracing::warn!(%name, %error, "what was kept of an MCP server cannot be read; it counts as used for the first time");
            }
        }
        self.kept = Some(kept);
        self.apply(context);
        Reply::Now(())
    }
}

impl Handle<Reconfigure<Settings>> for Host {
    fn handle(&mut self, new: Reconfigure<Settings>, context: &Context<Self>) -> Reply<()> {
        if new.0.config.max_starting != self.settings.config.max_starting {
            self.programs = Arc::new(Semaphore::new(new.0.config.max_starting.max(1)));
        }
        self.settings = new.0;
        self.apply(context);
        Reply::Now(())
    }
}

/// What the host tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Servers by state.
    servers: BTreeMap<&'static str, usize>,
    /// Tools on offer.
    tools: usize,
    /// Why the file of servers cannot be read, if it cannot.
    file_problem: Option<String>,
    /// Whether it still waits for what was kept.
    waits_for_store: bool,
}

impl Service for Host {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        let (keeper, writer) = Keeper::new(Arc::clone(&self.ports.states), Arc::clone(&self.ports.clock));
        self.keeper = Some(keeper);
        context.spawn(writer);
        self.load(context);
    }

    fn observe(&self) -> Observed {
        let mut servers = BTreeMap::new();
        for server in self.servers.values() {
            let state = if server.entry.is_err() { "failed" } else { server.machine.state().as_str() };
            *servers.entry(state).or_default() += 1;
        }
        Observed {
            servers,
            tools: self.offers.tools.len(),
            file_problem: self.file_problem.clone(),
            waits_for_store: !self.is_loaded(),
        }
    }
}
