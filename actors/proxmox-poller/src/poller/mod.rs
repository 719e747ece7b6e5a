//! The actor: keeps a snapshot of each cluster fresh, publishes it, remembers the figures of the past, and runs the tools.
//!
//! A beat in HAIA's time starts what is due; every question to a cluster runs beside the actor and comes back as a message. Nothing here waits
//! for a cluster, and a cluster that hangs delays no other.

mod act;
mod ask;
mod check;
mod cluster;
pub(crate) mod fetch;
mod handlers;
mod messages;
mod place;
mod plan;
mod probe;
mod watch;

use crate::actions::ACTION_TOOLS;
use crate::client::OpenTransport;
use crate::config::Config;
use crate::model::Snapshot;
use crate::rules::Need;
use crate::tools::{Desk, READ_TOOLS, View};
use arc_swap::ArcSwap;
use cluster::Cluster;
use contract::alerts::ReportFindings;
use contract::approvals::ActionProgress;
use contract::clock::SharedClock;
use contract::cluster::ClusterStatus;
use contract::message::{Fault, Lane, Msg};
use contract::monitor::RuleBook;
use contract::store::{KeepHistory, KeepStates, LoadHistory, LoadStates, StoreError};
use jiff::Timestamp;
use messages::{Beat, Fetched, NotKept, Polled, Remembered, Reported, Resumed};
use runtime::{Context, Port, Service};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether something is due, in HAIA's time.
const BEAT: Duration = Duration::from_secs(1);
/// How long a beat or a result may wait behind other messages.
const PATIENCE: Duration = Duration::from_secs(30);
const STORE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a report may take: it is answered once what it changed is stored.
const REPORT_DEADLINE: Duration = Duration::from_secs(30);
/// Under this name the store keeps what the rules remember.
const OWNER: &str = "proxmox-poller";
/// A question that has not come back after so long in HAIA's time and in real time is lost: its task crashed.
const LOST_S: i64 = 120;
const LOST_REAL_S: u64 = 120;

/// A question under way: since when, in HAIA's time and in real time.
type UnderWay = Option<(Timestamp, Duration)>;

fn is_under_way(question: UnderWay, now: Timestamp, real: Duration) -> bool {
    question.is_some_and(|(since, since_real)| {
        now.as_second().saturating_sub(since.as_second()) < LOST_S
            || real.saturating_sub(since_real).as_secs() < LOST_REAL_S
    })
}

/// The newest snapshot of each cluster, by its name: read without a message, and kept over a crash of the poller.
pub type SharedSnapshots = Arc<ArcSwap<BTreeMap<Arc<str>, Arc<Snapshot>>>>;

/// The configuration as the composition root publishes it: a crashed poller starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// How the rules are set, as the composition root publishes it.
pub type SharedRuleBook = Arc<ArcSwap<RuleBook>>;

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
    /// Reads what the rules remembered before the start.
    pub load_states: Port<LoadStates>,
    /// Keeps what the rules remember for the next start.
    pub keep_states: Port<KeepStates>,
    /// Takes what the rules found: the alert desk.
    pub report: Port<ReportFindings>,
    /// Takes how actions are getting on: the approvals desk.
    pub progress: Port<ActionProgress>,
    /// Where snapshots are published.
    pub snapshots: SharedSnapshots,
}

/// The actor.
pub struct ProxmoxPoller {
    ports: Ports,
    clusters: Vec<Cluster>,
    book: Arc<RuleBook>,
    /// The pieces that the rules need as they are set.
    needs: BTreeSet<Need>,
    is_draining: bool,
}

/// What the poller tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Each cluster.
    clusters: Vec<ClusterStatus>,
    /// Rows of history kept in memory.
    history_rows: usize,
    /// Rules that are used.
    rules: usize,
    /// Figures that found no place in the history.
    history_refused: u64,
    /// Tools on offer.
    tools: usize,
}

impl ProxmoxPoller {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, rules: SharedRuleBook, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let book = rules.load_full();
            let needs = plan::needs(&book);
            let mut poller = Self { ports: ports.clone(), clusters: Vec::new(), book, needs, is_draining: false };
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
                        Some(old) => {
                            new.history = Rc::clone(&old.history);
                            // Only the way to the cluster changed: what is remembered of it stays.
                            new.watch.adopt(&old.watch);
                            if !new.watch.is_ready {
                                begun.push(Arc::clone(&new.name));
                            }
                        }
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
        let (book, real) = (Arc::clone(&self.book), self.ports.clock.monotonic());
        for cluster in &mut self.clusters {
            if let Some(poll) = cluster.begin_poll(now, &self.ports) {
                let (name, generation) = (Arc::clone(&cluster.name), cluster.generation);
                let port = context.mailbox().port::<Polled>(Lane::Background);
                context.spawn(async move {
                    let news = poll.await;
                    report(&port, Polled { cluster: name, generation, news }).await;
                });
            }
            if let Some(snapshot) = published.get(&cluster.name).filter(|_| cluster.watch.is_dirty && !cluster.is_blind)
            {
                cluster.judge(snapshot, &book, now);
            }
            if let Some(findings) = cluster.watch.next_report(source(&cluster.name), now, real) {
                let (name, generation) = (Arc::clone(&cluster.name), cluster.generation);
                let (desk, port) = (self.ports.report.clone(), context.mailbox().port::<Reported>(Lane::Background));
                context.spawn(async move {
                    let refused = match desk.ask(findings.clone(), REPORT_DEADLINE).await {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => refused(&name, &error, findings),
                        Err(fault) => refused(&name, &fault, findings),
                    };
                    report(&port, Reported { cluster: name, generation, refused }).await;
                });
            }
            let Some(snapshot) = published.get(&cluster.name) else { continue };
            if let Some(kept) = cluster.watch.keep_due(snapshot, now, false) {
                let states = vec![(Arc::clone(&cluster.name), Some(kept))];
                let (name, store) = (Arc::clone(&cluster.name), self.ports.keep_states.clone());
                let port = context.mailbox().port::<NotKept>(Lane::Background);
                context.spawn(async move {
                    if !keep(&store, states).await {
                        report(&port, NotKept { cluster: name }).await;
                    }
                });
            }
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

    /// Reads the history of clusters, and what the rules remembered of them, from the store.
    fn remember(&self, clusters: Vec<Arc<str>>, context: &Context<Self>) {
        if !clusters.is_empty() {
            let (load, clusters) = (self.ports.load_states.clone(), clusters.clone());
            let port = context.mailbox().port::<Resumed>(Lane::Background);
            context.spawn(async move {
                let states = load.ask(LoadStates { owner: OWNER }, STORE_DEADLINE).await;
                let states = states.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
                report(&port, Resumed { clusters, states }).await;
            });
        }
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
            stops: Rc::new(cluster.watch.memory.stops.clone()),
        };
        Rc::new(Desk { now, views: self.clusters.iter().map(view).collect() })
    }
}

/// Who reports of a cluster.
fn source(cluster: &str) -> Arc<str> {
    format!("proxmox/{cluster}").into()
}

fn refused(cluster: &str, why: &dyn std::fmt::Display, findings: ReportFindings) -> Option<ReportFindings> {
    tracing::warn!(cluster, %why, "the alert desk did not take what was found; it is tried again");
    Some(findings)
}

/// Keeps named states. `false` when that failed.
async fn keep(store: &Port<KeepStates>, states: Vec<(Arc<str>, Option<String>)>) -> bool {
    let why = match store.ask(KeepStates { owner: OWNER, states }, STORE_DEADLINE).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(fault) => fault.to_string(),
    };
    tracing::warn!(why, "what the rules remember was not kept");
    false
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
            rules: crate::rules::RULES.iter().filter(|rule| crate::rules::is_used(rule, &self.book)).count(),
            tools: READ_TOOLS.len() + if self.takes_actions() { ACTION_TOOLS.len() } else { 0 },
        }
    }
}
