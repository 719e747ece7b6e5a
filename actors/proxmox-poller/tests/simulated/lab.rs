//! A poller before a simulated cluster.

use crate::pager::Pager;
use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::ReportFindings;
use contract::approvals::ActionProgress;
use contract::clock::Clock as _;
use contract::message::{Lane, Msg};
use contract::monitor::RuleBook;
use contract::store::{KeepHistory, KeepStates, LoadHistory, LoadStates};
use proxmox_poller::client::{Exchange, Transport, TransportError};
use proxmox_poller::model::Snapshot;
use proxmox_poller::{ClusterConfig, Config, Ports, ProxmoxPoller, SharedConfig, SharedSnapshots};
use runtime::world::{TestClock, World};
use runtime::{Handle, Mailbox, Policy, Port};
use sim_cluster::{Cluster, Incident, SimConfig};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type States = Arc<Mutex<BTreeMap<Arc<str>, String>>>;

/// The simulated cluster at the world's time.
#[derive(Clone)]
pub(crate) struct Sim {
    cluster: Arc<Mutex<Cluster>>,
    clock: Arc<TestClock>,
}

impl Sim {
    pub(crate) fn new(world: &World, config: SimConfig) -> Self {
        Self::aged(world, config, 0)
    }

    /// One whose time began so many hours before the world's.
    pub(crate) fn aged(world: &World, config: SimConfig, hours: u64) -> Self {
        let start = TestClock::ORIGIN - jiff::SignedDuration::from_hours(i64::try_from(hours).unwrap());
        let cluster = Cluster::new(config, start).unwrap();
        Self { cluster: Arc::new(Mutex::new(cluster)), clock: Arc::clone(&world.clock) }
    }

    /// The cluster, brought to the present.
    pub(crate) fn now<R>(&self, look: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut cluster = self.cluster.lock().unwrap();
        cluster.advance_to(self.clock.now());
        look(&mut cluster)
    }

    pub(crate) fn happen(&self, incidents: &[Incident]) {
        self.now(|cluster| incidents.iter().for_each(|incident| cluster.incident(incident.clone()).unwrap()));
    }
}

impl Transport for Sim {
    fn get(
        &self,
        endpoint: usize,
        path: &str,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        let (answer, date) = self.now(|cluster| (cluster.answer_of(endpoint, path), cluster.now()));
        let exchange = match answer.status {
            0 => Err(TransportError::Connect("no route to host".to_owned())),
            status => {
                Ok(Exchange { status, reason: answer.reason, date_s: Some(date.as_second()), body: answer.body.into() })
            }
        };
        Box::pin(std::future::ready(exchange))
    }
}

pub(crate) fn config() -> Config {
    let cluster: ClusterConfig = serde_json::from_value(serde_json::json!({
        "endpoints": ["https://10.0.0.1:8006", "https://10.0.0.2:8006", "https://10.0.0.3:8006"],
        "token_id": "haia@pve!monitor", "token_secret": "s3cret",
    }))
    .unwrap();
    Config { clusters: [("homelab".to_owned(), cluster)].into() }
}

pub(crate) struct Lab {
    pub(crate) sim: Sim,
    pub(crate) pager: Arc<Mutex<Pager>>,
    pub(crate) states: States,
    pub(crate) snapshots: SharedSnapshots,
    pub(crate) poller: Mailbox<ProxmoxPoller>,
}

impl Lab {
    pub(crate) fn start(world: &World, sim: SimConfig, book: &str) -> Self {
        Self::resume(world, "proxmox-poller", Sim::new(world, sim), book, States::default())
    }

    /// A poller with what another one kept.
    pub(crate) fn resume(world: &World, name: &'static str, sim: Sim, book: &str, states: States) -> Self {
        let (pager, snapshots): (Arc<Mutex<Pager>>, SharedSnapshots) = Default::default();
        let (desk, clock) = (Arc::clone(&pager), Arc::clone(&world.clock));
        let (loading, keeping, way) = (Arc::clone(&states), Arc::clone(&states), sim.clone());
        let ports = Ports {
            clock: Arc::clone(&world.clock) as _,
            transport: Arc::new(move |_| Ok(Rc::new(way.clone()) as Rc<dyn Transport>)),
            load_history: Port::<LoadHistory>::scripted("store", |_| Ok(Vec::new())),
            keep_history: Port::<KeepHistory>::scripted("store", |_| Ok(())),
            load_states: Port::<LoadStates>::scripted("store", move |_| {
                Ok(loading.lock().unwrap().iter().map(|(name, text)| (Arc::clone(name), text.clone())).collect())
            }),
            keep_states: Port::<KeepStates>::scripted("store", move |message| {
                let kept = message.states.into_iter().filter_map(|(name, text)| Some((name, text?)));
                keeping.lock().unwrap().extend(kept);
                Ok(())
            }),
            report: Port::<ReportFindings>::scripted("alert-desk", move |report| {
                desk.lock().unwrap().take(&report, clock.now());
                Ok(())
            }),
            progress: Port::<ActionProgress>::scripted("approvals", |_| ()),
            snapshots: Arc::clone(&snapshots),
        };
        let book: RuleBook = serde_json::from_str(book).unwrap();
        let config: SharedConfig = Arc::new(ArcSwap::from_pointee(config()));
        let factory = ProxmoxPoller::factory(config, Arc::new(ArcSwap::from_pointee(book)), ports);
        let poller = world.supervision.start(&world.thread(), name, Policy::optional(), factory);
        Self { sim, pager, states, snapshots, poller }
    }

    pub(crate) async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        ProxmoxPoller: Handle<M>,
    {
        self.poller.port::<M>(Lane::Interactive).ask(message, Duration::from_secs(600)).await.unwrap()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.snapshots.load().get("homelab").expect("a snapshot"))
    }

    pub(crate) fn pager(&self) -> Pager {
        self.pager.lock().unwrap().clone()
    }

    /// Waits until `is_so`, at most so many seconds; whether it was.
    pub(crate) async fn until(&self, seconds: u64, mut is_so: impl FnMut(&Pager) -> bool) -> bool {
        for _ in 0..seconds {
            if is_so(&self.pager.lock().unwrap()) {
                return true;
            }
            pass(1).await;
        }
        is_so(&self.pager.lock().unwrap())
    }
}

/// Lets simulated time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
