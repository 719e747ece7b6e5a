//! The actor: keeps a snapshot of each cluster fresh, publishes it, remembers the figures of the past, and runs the tools.
//!
//! A beat in HAIA's time starts what is due; every question to a cluster runs beside the actor and comes back as a message. Nothing here waits
//! for a cluster, and a cluster that hangs delays no other.

mod cluster;
mod fetch;
mod handlers;
mod probe;

use crate::client::OpenTransport;
use crate::config::Config;
use crate::model::Snapshot;
use crate::tools::{Desk, READ_TOOLS, View};
use arc_swap::ArcSwap;
use cluster::Cluster;
use contract::clock::SharedClock;
use contract::cluster::ClusterStatus;
use contract::message::{Fault, Lane, Msg};
use contract::store::{HistorySlab, KeepHistory, LoadHistory, StoreError};
use fetch::{PartNews, PollNews};
use runtime::{Context, Port, Service};
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether something is due, in HAIA's time.
const BEAT: Duration = Duration::from_secs(1);
/// How long a beat or a result may wait behind other messages.
const PATIENCE: Duration = Duration::from_secs(30);
const STORE_DEADLINE: Duration = Duration::from_secs(10);

/// The newest snapshot of each cluster, by its name: read without a message, and kept over a crash of the poller.
pub type SharedSnapshots = Arc<ArcSwap<BTreeMap<Arc<str>, Arc<Snapshot>>>>;

/// The configuration as the composition root publishes it: a crashed poller starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// What the poller needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
    /// The way to the clusters: [`crate::client::open_network`].
    pub transport: OpenTransport,
    /// Reads the history kept before the start.
    pub load_history: Port<LoadHistory>,
    /// Keeps the history for the next start.
    pub keep_history: Port<KeepHistory>,
    /// Where snapshots are published.
    pub snapshots: SharedSnapshots,
}

/// The actor.
pub struct ProxmoxPoller {
    ports: Ports,
    clusters: Vec<Cluster>,
    is_draining: bool,
}

/// What the poller tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Each cluster.
    clusters: Vec<ClusterStatus>,
    /// Rows of history kept in memory.
    history_rows: usize,
    /// Figures that found no place in the history.
    history_refused: u64,
    /// Tools on offer.
    tools: usize,
}

/// Time to see what is due.
struct Beat;

impl Msg for Beat {
    type Reply = ();
    const NAME: &'static str = "Beat";
}

/// A poll ended.
struct Polled {
    cluster: Arc<str>,
    generation: u64,
    news: PollNews,
}

impl Msg for Polled {
    type Reply = ();
    const NAME: &'static str = "Polled";
}

/// A part was fetched.
struct Fetched {
    cluster: Arc<str>,
    generation: u64,
    news: PartNews,
}

impl Msg for Fetched {
    type Reply = ();
    const NAME: &'static str = "Fetched";
}

/// The history kept before the start was read.
struct Remembered {
    cluster: Arc<str>,
    slabs: Result<Vec<HistorySlab>, StoreError>,
}

impl Msg for Remembered {
    type Reply = ();
    const NAME: &'static str = "Remembered";
}

impl ProxmoxPoller {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let mut poller = Self { ports: ports.clone(), clusters: Vec::new(), is_draining: false };
            poller.take_over(&config.load());
            poller
        }
    }

    /// Takes over a configuration: unchanged clusters go on as they are. Returns the names of those that are new.
    fn take_over(&mut self, config: &Config) -> Vec<Arc<str>> {
        let mut before = std::mem::take(&mut self.clusters);
        let mut begun = Vec::new();
        for (name, cluster) in &config.clusters {
            match before.iter().position(|old| *old.name == **name && old.config == *cluster) {
                Some(at) => self.clusters.push(before.swap_remove(at)),
                None => {
                    let old = before.iter().find(|old| *old.name == **name);
                    let generation = old.map_or(0, |old| old.generation + 1);
                    let mut new = Cluster::new(name.as_str().into(), cluster.clone(), generation, &self.ports);
                    match old {
                        Some(old) => new.history = Rc::clone(&old.history),
                        None => begun.push(Arc::clone(&new.name)),
                    }
                    self.clusters.push(new);
                }
            }
        }
        let names: Vec<Arc<str>> = self.clusters.iter().map(|cluster| Arc::clone(&cluster.name)).collect();
        self.ports.snapshots.rcu(|published| {
            let mut kept = BTreeMap::clone(published);
            kept.retain(|name, _| names.contains(name));
            kept
        });
        begun
    }

    fn find(&mut self, name: &str, generation: u64) -> Option<&mut Cluster> {
        self.clusters.iter_mut().find(|cluster| *cluster.name == *name && cluster.generation == generation)
    }

    fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.ports.snapshots.rcu(|published| {
            let mut next = BTreeMap::clone(published);
            next.insert(Arc::clone(&snapshot.cluster), Arc::clone(&snapshot));
            next
        });
    }

    /// Starts what is due.
    fn start_due(&mut self, context: &Context<Self>) {
        if self.is_draining {
            return;
        }
        let now = self.ports.clock.now();
        let published = self.ports.snapshots.load_full();
        for cluster in &mut self.clusters {
            if let Some(poll) = cluster.begin_poll(now, &self.ports) {
                let (name, generation) = (Arc::clone(&cluster.name), cluster.generation);
                let port = context.mailbox().port::<Polled>(Lane::Background);
                context.spawn(async move {
                    let news = poll.await;
                    report(&port, Polled { cluster: name, generation, news }).await;
                });
            }
            let Some(snapshot) = published.get(&cluster.name) else { continue };
            for part in cluster.begin_parts(now, snapshot) {
                let (name, generation) = (Arc::clone(&cluster.name), cluster.generation);
                let port = context.mailbox().port::<Fetched>(Lane::Background);
                context.spawn(async move {
                    let news = part.await;
                    report(&port, Fetched { cluster: name, generation, news }).await;
                });
            }
        }
    }

    /// Reads the history of clusters from the store.
    fn remember(&self, clusters: Vec<Arc<str>>, context: &Context<Self>) {
        for cluster in clusters {
            let load = self.ports.load_history.clone();
            let port = context.mailbox().port::<Remembered>(Lane::Background);
            context.spawn(async move {
                let slabs = load.ask(LoadHistory { cluster: Arc::clone(&cluster) }, STORE_DEADLINE).await;
                let slabs = slabs.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
                report(&port, Remembered { cluster, slabs }).await;
            });
        }
    }

    /// What of a cluster's history is due to be kept.
    fn history_due(&mut self, name: &str, all: bool) -> Option<KeepHistory> {
        let now = self.ports.clock.now();
        let cluster = self.clusters.iter_mut().find(|cluster| *cluster.name == *name)?;
        let due = cluster.history.borrow_mut().due(now, all)?;
        Some(KeepHistory { cluster: Arc::clone(&cluster.name), slabs: due.slabs, forget_before: due.forget_before })
    }

    fn statuses(&self) -> Vec<ClusterStatus> {
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load());
        self.clusters.iter().map(|cluster| cluster.status(published.get(&cluster.name), now)).collect()
    }

    /// What tools see.
    fn desk(&self) -> Rc<Desk> {
        let (now, published) = (self.ports.clock.now(), self.ports.snapshots.load());
        let view = |cluster: &Cluster| View {
            name: Arc::clone(&cluster.name),
            snapshot: published.get(&cluster.name).cloned(),
            problem: cluster.problem.clone(),
            is_blind: cluster.is_blind,
            interval_s: cluster.config.poll_interval.0.as_secs().max(1),
            client: cluster.client.as_ref().ok().cloned(),
            history: Rc::clone(&cluster.history),
        };
        Rc::new(Desk { now, views: self.clusters.iter().map(view).collect() })
    }
}

/// Brings a result home. Only a poller that has ended does not take it, or one that is stuck for longer than anything should take.
async fn report<M: Msg<Reply = ()>>(port: &Port<M>, message: M) {
    if let Err(fault) = port.ask(message, PATIENCE).await {
        tracing::warn!(message = M::NAME, %fault, "a result did not reach the poller");
    }
}

impl Service for ProxmoxPoller {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        let names = self.clusters.iter().map(|cluster| Arc::clone(&cluster.name)).collect();
        self.remember(names, context);
        self.start_due(context);
        let beat = context.mailbox().port::<Beat>(Lane::Control);
        let clock = Arc::clone(&self.ports.clock);
        context.spawn(async move {
            loop {
                clock.sleep(BEAT).await;
                if let Err(Fault::Closed { .. } | Fault::Failed { .. }) = beat.ask(Beat, PATIENCE).await {
                    return;
                }
            }
        });
    }

    fn observe(&self) -> Observed {
        let sizes: Vec<(usize, u64)> = self.clusters.iter().map(|cluster| cluster.history.borrow().size()).collect();
        Observed {
            clusters: self.statuses(),
            history_rows: sizes.iter().map(|(rows, _)| rows).sum(),
            history_refused: sizes.iter().map(|(_, refused)| refused).sum(),
            tools: READ_TOOLS.len(),
        }
    }
}
