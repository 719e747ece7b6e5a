//! A cluster played by the test, and a poller that looks at it.

use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::ReportFindings;
use contract::approvals::ActionProgress;
use contract::caller::{Caller, Origin, Scope};
use contract::cluster::{ClusterStatus, ListClusters};
use contract::ids::RequestId;
use contract::message::{Lane, Msg};
use contract::store::{HistorySlab, KeepHistory, KeepStates, LoadHistory, LoadStates, StoreError};
use contract::tools::{CallTool, ToolResult};
use proxmox_poller::client::{Exchange, OpenTransport, Transport, TransportError};
use proxmox_poller::model::Snapshot;
use proxmox_poller::{ClusterConfig, Config, Ports, ProxmoxPoller, SharedConfig, SharedRuleBook, SharedSnapshots};
use runtime::world::{TestClock, World};
use runtime::{Handle, Mailbox, Policy, Port};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a member does with a question.
pub(crate) enum Step {
    /// Answers 200 with this data.
    Data(String),
    /// Answers this status and reason phrase, without data.
    Status(u16, &'static str),
    /// Nothing comes back, for this reason.
    Fail(TransportError),
    /// Nothing comes back, ever.
    Hang,
}

type Behaviour = Box<dyn Fn(usize, &str) -> Step + Send>;

/// The cluster: how it behaves, and what it was asked (member and path), with the second of the question.
#[derive(Clone)]
pub(crate) struct Cluster {
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Arc<Mutex<Vec<(u64, usize, String)>>>,
    clock: Arc<TestClock>,
}

impl Cluster {
    pub(crate) fn new(world: &World) -> Self {
        let healthy: Behaviour = Box::new(|_, path| healthy(path));
        Self { behaviour: Arc::new(Mutex::new(healthy)), asked: Arc::default(), clock: Arc::clone(&world.clock) }
    }

    pub(crate) fn behave(&self, behaviour: impl Fn(usize, &str) -> Step + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// The questions since the last time, as `second member path`.
    pub(crate) fn asked(&self) -> Vec<(u64, usize, String)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn open(&self) -> OpenTransport {
        let cluster = self.clone();
        Arc::new(move |_| Ok(Rc::new(cluster.clone()) as Rc<dyn Transport>))
    }
}

impl Transport for Cluster {
    fn get(
        &self,
        endpoint: usize,
        path: &str,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        use contract::clock::Clock as _;
        let second = self.clock.monotonic().as_secs();
        self.asked.lock().unwrap().push((second, endpoint, path.to_owned()));
        let date_s = Some(self.clock.now().as_second());
        let exchange = |status: u16, reason: &str, body: String| Exchange {
            status,
            reason: reason.to_owned(),
            date_s,
            body: body.into(),
        };
        match (self.behaviour.lock().unwrap())(endpoint, path) {
            Step::Data(data) => Box::pin(std::future::ready(Ok(exchange(200, "OK", format!("{{\"data\":{data}}}"))))),
            Step::Status(status, reason) => {
                Box::pin(std::future::ready(Ok(exchange(status, reason, "{\"data\":null}".to_owned()))))
            }
            Step::Fail(error) => Box::pin(std::future::ready(Err(error))),
            Step::Hang => Box::pin(std::future::pending()),
        }
    }
}

pub(crate) const RESOURCES: &str = r#"[
    {"type":"node","node":"pve1","status":"online","cpu":0.5,"maxcpu":8,"mem":4,"maxmem":8,"uptime":100000},
    {"type":"qemu","vmid":101,"node":"pve1","name":"web-01","status":"running","cpu":0.25,"maxcpu":2,"mem":10,"maxmem":40,"uptime":9000},
    {"type":"storage","node":"pve1","storage":"local","status":"available","disk":40,"maxdisk":100,"content":"backup"}]"#;

/// What a healthy cluster without Ceph answers.
pub(crate) fn healthy(path: &str) -> Step {
    let data = match path {
        "/cluster/resources" => RESOURCES,
        "/cluster/status" => {
            r#"[{"type":"cluster","name":"LAB","quorate":1,"nodes":1},{"type":"node","name":"pve1","online":1}]"#
        }
        "/access/permissions" => r#"{"/":{"Sys.Audit":1,"VM.Audit":1,"Datastore.Audit":1}}"#,
        "/cluster/ha/status/current" => {
            r#"[{"type":"quorum","id":"quorum","status":"OK"},{"type":"service","sid":"vm:101","node":"pve1","state":"started"}]"#
        }
        "/cluster/ceph/status" => return Step::Status(500, "binary not installed: /usr/bin/ceph-mon"),
        "/cluster/replication" => r#"[{"id":"101-0","guest":101,"target":"pve2"}]"#,
        "/nodes/pve1/replication" => r#"[{"id":"101-0","guest":101,"target":"pve2","fail_count":2,"error":"ssh"}]"#,
        "/version" => r#"{"version":"8.4.1"}"#,
        _ => "[]",
    };
    Step::Data(data.to_owned())
}

pub(crate) fn config(endpoints: usize) -> Config {
    let endpoints: Vec<String> = (0..endpoints).map(|at| format!("https://10.0.0.{at}:8006")).collect();
    let cluster: ClusterConfig = serde_json::from_value(serde_json::json!({
        "endpoints": endpoints, "token_id": "haia@pve!monitor", "token_secret": "s3cret",
    }))
    .unwrap();
    Config { clusters: [("lab".to_owned(), cluster)].into() }
}

/// A poller that runs, and the ways to it.
pub(crate) struct Running {
    pub(crate) poller: Mailbox<ProxmoxPoller>,
    pub(crate) cluster: Cluster,
    pub(crate) snapshots: SharedSnapshots,
    pub(crate) kept: Arc<Mutex<Vec<KeepHistory>>>,
    pub(crate) desk: Desk,
}

/// The store and the alert desk as the poller meets them.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    /// What the rules remember, as it was kept last.
    pub(crate) states: Arc<Mutex<BTreeMap<Arc<str>, String>>>,
    /// Every report that was taken.
    pub(crate) reports: Arc<Mutex<Vec<ReportFindings>>>,
    /// Whether reports are refused.
    pub(crate) refuses: Arc<AtomicBool>,
    /// How often states were kept.
    pub(crate) times_kept: Arc<AtomicUsize>,
}

impl Desk {
    /// What is raised now, as `rule:object`, by everything that was reported.
    pub(crate) fn raised(&self) -> BTreeSet<String> {
        let mut open: BTreeMap<String, bool> = BTreeMap::new();
        for judged in self.reports.lock().unwrap().iter().flat_map(|report| &report.judged) {
            let of_scope = |key: &String| {
                key.strip_prefix(&*judged.rule).and_then(|rest| rest.strip_prefix(':')).is_some_and(|object| {
                    (object == &*judged.scope || (judged.scope.ends_with('/') && object.starts_with(&*judged.scope)))
                        && !judged.unseen.iter().any(|unseen| **unseen == *object)
                })
            };
            open.retain(|key, _| !of_scope(key));
            open.extend(judged.findings.iter().filter(|one| one.raised().is_some()).map(|one| (one.key(), true)));
        }
        open.into_keys().collect()
    }
}

impl Running {
    pub(crate) fn start(world: &World, endpoints: usize) -> Self {
        Self::with(world, Cluster::new(world), endpoints, Vec::new())
    }

    pub(crate) fn with(world: &World, cluster: Cluster, endpoints: usize, history: Vec<HistorySlab>) -> Self {
        Self::resumed(world, cluster, endpoints, history, Desk::default())
    }

    /// The same, with a store and a desk of before.
    pub(crate) fn resumed(
        world: &World,
        cluster: Cluster,
        endpoints: usize,
        history: Vec<HistorySlab>,
        desk: Desk,
    ) -> Self {
        let kept: Arc<Mutex<Vec<KeepHistory>>> = Arc::default();
        let (loading, states, reports) = (desk.clone(), desk.clone(), desk.clone());
        let keeping = Arc::clone(&kept);
        let snapshots = SharedSnapshots::default();
        let ports = Ports {
            clock: Arc::clone(&world.clock) as _,
            transport: cluster.open(),
            load_history: Port::<LoadHistory>::scripted("store", move |_| Ok(history.clone())),
            keep_history: Port::<KeepHistory>::scripted("store", move |message| {
                keeping.lock().unwrap().push(message);
                Ok(())
            }),
            load_states: Port::<LoadStates>::scripted("store", move |_| {
                let states = loading.states.lock().unwrap();
                Ok(states.iter().map(|(name, text)| (Arc::clone(name), text.clone())).collect())
            }),
            keep_states: Port::<KeepStates>::scripted("store", move |message| {
                states.times_kept.fetch_add(1, Ordering::Relaxed);
                let kept = message.states.into_iter().filter_map(|(name, text)| Some((name, text?)));
                states.states.lock().unwrap().extend(kept);
                Ok(())
            }),
            report: Port::<ReportFindings>::scripted("alert-desk", move |report| {
                if reports.refuses.load(Ordering::Relaxed) {
                    return Err(StoreError("not now".to_owned()));
                }
                reports.reports.lock().unwrap().push(report);
                Ok(())
            }),
            progress: Port::<ActionProgress>::scripted("approvals", |_| ()),
            snapshots: Arc::clone(&snapshots),
        };
        let config: SharedConfig = Arc::new(ArcSwap::from_pointee(config(endpoints)));
        let factory = ProxmoxPoller::factory(config, SharedRuleBook::default(), ports);
        let poller = world.supervision.start(&world.thread(), "proxmox-poller", Policy::optional(), factory);
        Self { poller, cluster, snapshots, kept, desk }
    }

    pub(crate) async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        ProxmoxPoller: Handle<M>,
    {
        self.poller.port::<M>(Lane::Interactive).ask(message, Duration::from_secs(60)).await.unwrap()
    }

    pub(crate) async fn status(&self) -> ClusterStatus {
        self.ask(ListClusters).await.remove(0)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.snapshots.load().get("lab").expect("a snapshot"))
    }

    pub(crate) async fn call(&self, name: &str, arguments: &str) -> ToolResult {
        let call = CallTool {
            request_id: RequestId::new("r"),
            caller: Caller { name: "test".into(), scope: Scope::Control, origin: Origin::Chat },
            name: name.into(),
            arguments: arguments.to_owned(),
            timeout: Duration::from_secs(30),
        };
        self.ask(call).await.unwrap()
    }
}

/// Lets simulated time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
