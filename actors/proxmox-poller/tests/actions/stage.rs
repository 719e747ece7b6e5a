//! A poller that may act, before a simulated cluster.

use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::{Judged, ReportFindings};
use contract::approvals::{ActionEnd, ActionOutcome, ActionPlan, ActionProgress, Approved, PlanAction, RunAction};
use contract::caller::{Caller, Origin, Scope};
use contract::clock::Clock as _;
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::message::{Lane, Msg};
use contract::store::{KeepHistory, KeepStates, LoadHistory, LoadStates};
use contract::tools::{CallTool, ToolResult};
use proxmox_poller::client::{Exchange, Transport, TransportError, Unanswered};
use proxmox_poller::{ClusterConfig, Config, Ports, ProxmoxPoller, SharedConfig, SharedSnapshots};
use runtime::world::{TestClock, World};
use runtime::{Handle, Mailbox, Policy, Port};
use serde_json::Value;
use sim_cluster::{Answer, Cluster, Incident, Request, SimConfig};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stands between the poller and the cluster.
#[derive(Default)]
pub(crate) struct Between {
    /// The list of resources as it was: told until an order comes.
    stale: Option<Answer>,
    /// Orders vanish on their way.
    pub(crate) swallows: bool,
}

/// The simulated cluster at the world's time.
#[derive(Clone)]
pub(crate) struct Sim {
    cluster: Arc<Mutex<Cluster>>,
    pub(crate) between: Arc<Mutex<Between>>,
    clock: Arc<TestClock>,
}

impl Sim {
    /// The cluster, brought to the present.
    pub(crate) fn now<R>(&self, look: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut cluster = self.cluster.lock().unwrap();
        cluster.advance_to(self.clock.now());
        look(&mut cluster)
    }

    pub(crate) fn happen(&self, incident: Incident) {
        self.now(|cluster| cluster.incident(incident).unwrap());
    }

    pub(crate) fn row(&self, id: &str) -> Value {
        let rows = self.now(|cluster| cluster.look("/cluster/resources").unwrap());
        rows.as_array().unwrap().iter().find(|row| row["id"] == id).cloned().unwrap_or_default()
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.row(id)["status"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn writes(&self) -> Vec<Request> {
        self.now(|cluster| cluster.writes())
    }

    /// From now until the next order the cluster lists its guests as they are now.
    pub(crate) fn freeze_list(&self) {
        let answer = self.now(|cluster| cluster.answer("/cluster/resources"));
        self.between.lock().unwrap().stale = Some(answer);
    }
}

fn exchange(answer: Answer, date_s: i64) -> Exchange {
    Exchange { status: answer.status, reason: answer.reason, date_s: Some(date_s), body: answer.body.into() }
}

impl Transport for Sim {
    fn get(
        &self,
        endpoint: usize,
        path: &str,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        let (mut answer, date) = self.now(|cluster| (cluster.answer_of(endpoint, path), cluster.now()));
        if let Some(stale) = self.between.lock().unwrap().stale.clone().filter(|_| path == "/cluster/resources") {
            answer = stale;
        }
        Box::pin(std::future::ready(match answer.status {
            0 => Err(TransportError::Connect("no route to host".to_owned())),
            _ => Ok(exchange(answer, date.as_second())),
        }))
    }

    fn post(&self, endpoint: usize, path: &str, form: String) -> LocalBoxFuture<'static, Result<Exchange, Unanswered>> {
        self.between.lock().unwrap().stale = None;
        let dropped = || Unanswered::perhaps_arrived(TransportError::Dropped("reset by peer".to_owned()));
        if self.between.lock().unwrap().swallows {
            return Box::pin(std::future::ready(Err(dropped())));
        }
        let (answer, date, seen) = self.now(|cluster| {
            let answer = cluster.request(endpoint, "POST", path, &form);
            (answer, cluster.now(), cluster.writes().last().map_or(0, |write| write.status))
        });
        Box::pin(std::future::ready(match (answer.status, seen) {
            (0, 0) => Err(Unanswered::not_sent(TransportError::Connect("no route to host".to_owned()))),
            (0, _) => Err(dropped()),
            _ => Ok(exchange(answer, date.as_second())),
        }))
    }
}

pub(crate) fn config(allow_actions: bool, more: &Value) -> Config {
    let mut cluster = serde_json::json!({
        "endpoints": ["https://10.0.0.1:8006", "https://10.0.0.2:8006", "https://10.0.0.3:8006"],
        "token_id": "haia@pve!monitor", "token_secret": "s3cret", "allow_actions": allow_actions,
    });
    let members = more.as_object().cloned().unwrap_or_default();
    cluster.as_object_mut().unwrap().extend(members);
    let cluster: ClusterConfig = serde_json::from_value(cluster).unwrap();
    Config { clusters: [("homelab".to_owned(), cluster)].into() }
}

pub(crate) fn call(tool: &str, arguments: &str) -> CallTool {
    CallTool {
        request_id: RequestId::new("r"),
        caller: Caller { name: "test".into(), scope: Scope::Control, origin: Origin::Chat },
        name: tool.into(),
        arguments: arguments.to_owned(),
        timeout: Duration::from_secs(20),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the approvals desk")]
pub(crate) fn approved(plan: ActionPlan) -> RunAction {
    RunAction { approved: Approved::by_the_desk(plan), proposal: 7, request_id: "r".into(), approved_by: "anna".into() }
}

/// A poller's neighbours, as far as actions touch them.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) progress: Arc<Mutex<Vec<ActionProgress>>>,
    pub(crate) judged: Arc<Mutex<Vec<Judged>>>,
    pub(crate) kept: Arc<Mutex<Vec<String>>>,
}

impl Heard {
    pub(crate) fn ports(
        &self,
        clock: contract::clock::SharedClock,
        transport: proxmox_poller::client::OpenTransport,
    ) -> (Ports, SharedSnapshots) {
        let snapshots = SharedSnapshots::default();
        let (told, judged, kept) = (Arc::clone(&self.progress), Arc::clone(&self.judged), Arc::clone(&self.kept));
        let ports = Ports {
            clock,
            transport,
            load_history: Port::<LoadHistory>::scripted("store", |_| Ok(Vec::new())),
            keep_history: Port::<KeepHistory>::scripted("store", |_| Ok(())),
            load_states: Port::<LoadStates>::scripted("store", |_| Ok(Vec::new())),
            keep_states: Port::<KeepStates>::scripted("store", move |message| {
                kept.lock().unwrap().extend(message.states.into_iter().filter_map(|(_, text)| text));
                Ok(())
            }),
            report: Port::<ReportFindings>::scripted("alert-desk", move |report| {
                judged.lock().unwrap().extend(report.judged);
                Ok(())
            }),
            progress: Port::<ActionProgress>::scripted("approvals", move |step| told.lock().unwrap().push(step)),
            snapshots: Arc::clone(&snapshots),
        };
        (ports, snapshots)
    }
}

pub(crate) struct Stage {
    pub(crate) sim: Sim,
    pub(crate) heard: Heard,
    pub(crate) poller: Mailbox<ProxmoxPoller>,
    /// The number of the next proposal.
    proposal: Cell<u64>,
}

impl Stage {
    /// A poller whose token may do everything, after its first look.
    pub(crate) async fn start(world: &World) -> Self {
        Self::with(world, SimConfig::acting(), config(true, &Value::Null)).await
    }

    pub(crate) async fn with(world: &World, sim: SimConfig, config: Config) -> Self {
        let cluster = Arc::new(Mutex::new(Cluster::new(sim, TestClock::ORIGIN).unwrap()));
        let sim = Sim { cluster, between: Arc::default(), clock: Arc::clone(&world.clock) };
        let (way, heard) = (sim.clone(), Heard::default());
        let transport = Arc::new(move |_: &ClusterConfig| Ok(Rc::new(way.clone()) as Rc<dyn Transport>));
        let (ports, _) = heard.ports(Arc::clone(&world.clock) as _, transport);
        let config: SharedConfig = Arc::new(ArcSwap::from_pointee(config));
        let factory = ProxmoxPoller::factory(config, Arc::default(), ports);
        let poller = world.supervision.start(&world.thread(), "proxmox-poller", Policy::optional(), factory);
        pass(60).await;
        Self { sim, heard, poller, proposal: Cell::new(7) }
    }

    pub(crate) async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        ProxmoxPoller: Handle<M>,
    {
        self.poller.port::<M>(Lane::Interactive).ask(message, Duration::from_secs(90_000)).await.unwrap()
    }

    pub(crate) async fn try_plan(&self, tool: &str, arguments: &str) -> Result<ActionPlan, Failure> {
        self.ask(PlanAction { call: call(tool, arguments) }).await
    }

    pub(crate) async fn plan(&self, tool: &str, arguments: &str) -> ActionPlan {
        self.try_plan(tool, arguments).await.unwrap_or_else(|failure| panic!("{tool} {arguments}: {failure}"))
    }

    /// A plan that nothing stands in the way of.
    pub(crate) async fn clear(&self, tool: &str, arguments: &str) -> ActionPlan {
        let plan = self.plan(tool, arguments).await;
        assert_eq!(plan.blockers, [""; 0], "{tool} {arguments}");
        plan
    }

    pub(crate) async fn run(&self, plan: ActionPlan) -> ActionOutcome {
        let proposal = self.proposal.replace(self.proposal.get() + 1);
        self.ask(RunAction { proposal, ..approved(plan) }).await.unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Plans and runs, and expects this end with these words.
    #[track_caller]
    pub(crate) fn expect(outcome: &ActionOutcome, end: ActionEnd, words: &[&str]) {
        assert_eq!(outcome.end, end, "{outcome:?}");
        for word in words {
            assert!(outcome.text.contains(word), "{word:?} in {outcome:?}");
        }
    }

    pub(crate) async fn read(&self, tool: &str, arguments: &str) -> ToolResult {
        self.ask(call(tool, arguments)).await.unwrap()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.heard.progress.lock().unwrap().iter().map(|step| step.text.clone()).collect()
    }
}

/// Lets simulated time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
