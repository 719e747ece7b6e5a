//! The approvals desk in a simulated world: its store, its owner and the people it tells are scripted; time and crashes are real.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use agent_supervisor::approvals::{ActionOwner, ApprovalsDesk, Config, Ports};
use arc_swap::ArcSwap;
use contract::alerts::Labels;
use contract::approvals::{
    ActionAuditEntry, ActionClass, ActionEnd, ActionOutcome, ActionPlan, ActionProgress, ApprovalChannel, Approver,
    DecideProposal, Decided, ListProposals, PlanAction, ProposalState, ProposalView, Propose, RunAction, ShowProposal,
};
use contract::caller::{Caller, Origin, Scope};
use contract::clock::Clock as _;
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::{Drain, Lane, Reconfigure};
use contract::notify::{Deliver, Notice};
use contract::store::{CommitProposals, KeptProposals, LoadProposals, ProposalRecord, ReadProposals, StoreError};
use contract::tools::{CallTool, ListTools, Risk};
use jiff::tz::TimeZone;
use runtime::world::World;
use runtime::{Context, Event, Handle, Mailbox, Policy, Port, Reply, Service};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What the store has, and what people heard.
#[derive(Default)]
struct Kept {
    proposals: Mutex<BTreeMap<u64, ProposalRecord>>,
    rows: Mutex<Vec<ActionAuditEntry>>,
    notices: Mutex<Vec<(Notice, Vec<Arc<str>>)>>,
    is_broken: AtomicBool,
}

impl Kept {
    fn answer<T>(&self, answer: impl FnOnce() -> T) -> Result<T, StoreError> {
        if self.is_broken.load(Ordering::SeqCst) { Err(StoreError("the disk is full".into())) } else { Ok(answer()) }
    }

    fn states(&self) -> Vec<ProposalState> {
        self.proposals.lock().expect("proposals").values().map(|record| record.state).collect()
    }

    fn rows(&self) -> Vec<&'static str> {
        self.rows.lock().expect("rows").iter().map(|row| row.what.as_str()).collect()
    }

    fn titles(&self) -> Vec<String> {
        self.notices.lock().expect("notices").iter().map(|(notice, _)| notice.title.clone()).collect()
    }
}

/// An owner of tools: what it plans and how its work ends is scripted.
#[derive(Clone)]
struct Machine {
    calls: Arc<Mutex<Vec<String>>>,
    node: Arc<Mutex<&'static str>>,
    end: Arc<Mutex<&'static str>>,
    progress: Arc<Mutex<Option<Port<ActionProgress>>>>,
    /// The store that breaks while the owner plans.
    breaks: Arc<Mutex<Option<Arc<Kept>>>>,
}

impl Service for Machine {
    type Observed = ();
    fn observe(&self) {}
}

impl Handle<PlanAction> for Machine {
    fn handle(&mut self, asked: PlanAction, _: &Context<Self>) -> Reply<Result<ActionPlan, Failure>> {
        self.calls.lock().expect("calls").push(format!("plan {} {}", asked.call.caller.name, asked.call.arguments));
        if let Some(kept) = self.breaks.lock().expect("store").take() {
            kept.is_broken.store(true, Ordering::SeqCst);
        }
        match *self.node.lock().expect("node") {
            "gone" => Reply::Now(Err(Failure::new(FailureClass::NotFound, "there is no guest 101"))),
            node => Reply::Now(Ok(plan(node))),
        }
    }
}

impl Handle<RunAction> for Machine {
    fn handle(&mut self, asked: RunAction, _: &Context<Self>) -> Reply<Result<ActionOutcome, Failure>> {
        self.calls.lock().expect("calls").push(format!("run {} {}", asked.proposal, asked.approved.arguments));
        let (end, progress) = (*self.end.lock().expect("end"), self.progress.lock().expect("progress").clone());
        let outcome = |end, text: &str| ActionOutcome { end, text: text.to_owned(), reference: None };
        Reply::later(async move {
            tokio::time::sleep(5 * SECOND).await;
            if let Some(progress) = progress {
                let text = "the task runs".to_owned();
                progress
                    .tell(ActionProgress { proposal: asked.proposal, text, reference: Some("UPID:1".into()) })
                    .expect("told");
            }
            tokio::time::sleep(5 * SECOND).await;
            match end {
                "done" => Ok(outcome(ActionEnd::Done, "web-01 is off")),
                "locked" => Err(Failure::new(FailureClass::InvalidRequest, "VM is locked (backup)")),
                "crash" => panic!("the owner crashed"),
                _ => std::future::pending().await,
            }
        })
    }
}

fn plan(node: &str) -> ActionPlan {
    let mut labels = Labels::default();
    labels.add("vmid", "101");
    ActionPlan {
        tool: "shutdown_guest".into(),
        class: ActionClass::Shutdown,
        risk: Risk::Write,
        arguments: r#"{"vmid":101}"#.into(),
        action: format!("Shut down web-01 (101) on {node}"),
        subject: "web-01 (101)".into(),
        labels,
        options: Vec::new(),
        reason: String::new(),
        effect: "web-01 ends".into(),
        dependents: Vec::new(),
        warnings: Vec::new(),
        blockers: Vec::new(),
        state: vec![contract::alerts::Fact { label: "node".into(), text: node.into() }],
        state_digest: node.into(),
        evidence: Vec::new(),
        timeout_s: 60,
    }
}

struct Bench {
    desk: Mailbox<ApprovalsDesk>,
    kept: Arc<Kept>,
    machine: Machine,
}

const POLICY: &str = "notify = [\"phone\"]\n[[allow]]\nclasses = [\"shutdown\"]";

async fn bench(world: &World) -> Bench {
    let kept = Arc::<Kept>::default();
    let bench = bench_with(world, Arc::clone(&kept));
    world.settle().await;
    bench
}

fn bench_with(world: &World, kept: Arc<Kept>) -> Bench {
    let machine = Machine {
        calls: Arc::default(),
        node: Arc::new(Mutex::new("pve1")),
        end: Arc::new(Mutex::new("done")),
        progress: Arc::default(),
        breaks: Arc::default(),
    };
    let built = machine.clone();
    let owner = world.supervision.start(&world.thread(), "machine", Policy::default(), move || built.clone());
    let with = || Arc::clone(&kept);
    let (load, commit, read, tell) = (with(), with(), with(), with());
    let last_id = |proposals: &BTreeMap<u64, ProposalRecord>| proposals.keys().last().copied().unwrap_or(0);
    let ports = Ports {
        clock: world.clock.clone(),
        timezone: TimeZone::UTC,
        load: Port::scripted("store", move |asked: LoadProposals| {
            load.answer(|| {
                let proposals = load.proposals.lock().expect("proposals");
                let wanted = |record: &&ProposalRecord| record.is_live || record.changed >= asked.since;
                KeptProposals {
                    proposals: proposals.values().filter(wanted).cloned().collect(),
                    last_id: last_id(&proposals),
                }
            })
        }),
        commit: Port::scripted("store", move |change: CommitProposals| {
            commit.answer(|| {
                let mut proposals = commit.proposals.lock().expect("proposals");
                proposals.extend(change.proposals.into_iter().map(|record| (record.id, record)));
                commit.rows.lock().expect("rows").extend(change.audit);
            })
        }),
        read: Port::scripted("store", move |asked: ReadProposals| {
            read.answer(|| {
                let proposals = read.proposals.lock().expect("proposals");
                let wanted = |record: &&ProposalRecord| {
                    asked.id.is_none_or(|id| id == record.id)
                        && (asked.states.is_empty() || asked.states.contains(&record.state))
                };
                proposals.values().rev().filter(wanted).cloned().collect()
            })
        }),
        deliver: Port::scripted("notifier", move |asked: Deliver| {
            tell.answer(|| tell.notices.lock().expect("notices").push((asked.notice, asked.channels)))
        }),
        owners: vec![ActionOwner {
            name: "machine",
            plan: owner.port(Lane::Interactive),
            run: owner.port(Lane::Interactive),
        }],
    };
    let config: Config = toml::from_str(POLICY).expect("TOML");
    let config = Arc::new(ArcSwap::from_pointee(config));
    let factory = ApprovalsDesk::factory(config, ports);
    let desk = world.supervision.start(&world.thread(), "approvals-desk", Policy::default(), factory);
    *machine.progress.lock().expect("progress") = Some(desk.port(Lane::Background));
    Bench { desk, kept, machine }
}

impl Bench {
    async fn try_propose(&self, plan: ActionPlan) -> Result<u64, Failure> {
        let caller = Caller { name: "web".into(), scope: Scope::Control, origin: Origin::Chat };
        let asked = Propose { owner: "machine".into(), plan, caller, request_id: RequestId::new("r-1") };
        let answer = self.desk.port::<Propose>(Lane::Interactive).ask(asked, 30 * SECOND).await.expect("answered");
        answer.map(|proposed| proposed.view.id)
    }

    async fn propose(&self) -> u64 {
        self.try_propose(plan("pve1")).await.expect("proposed")
    }

    async fn decide(&self, id: u64, approve: bool) -> Result<Decided, Failure> {
        let caller = Caller { name: "anna".into(), scope: Scope::Admin, origin: Origin::Chat };
        let by = Approver::caller(&caller, ApprovalChannel::Api);
        let asked = DecideProposal { id, tag: None, approve, by, request_id: RequestId::new("r-2") };
        self.desk.port::<DecideProposal>(Lane::Interactive).ask(asked, 30 * SECOND).await.expect("answered")
    }

    async fn show(&self, id: u64) -> ProposalView {
        let shown = self.desk.port::<ShowProposal>(Lane::Interactive).ask(ShowProposal { id }, SECOND).await;
        shown.expect("answered").expect("known")
    }

    /// Waits until a proposal has left the states of being open.
    async fn ended(&self, id: u64) -> ProposalView {
        loop {
            let view = self.show(id).await;
            if !view.state.is_open() {
                return view;
            }
            tokio::time::sleep(SECOND).await;
        }
    }

    fn calls(&self) -> Vec<String> {
        self.machine.calls.lock().expect("calls").clone()
    }

    fn break_store(&self, is_broken: bool) {
        self.kept.is_broken.store(is_broken, Ordering::SeqCst);
    }
}

#[test]
fn an_approved_action_is_planned_again_run_once_and_told_with_its_result() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let id = bench.propose().await;
        assert_eq!(bench.calls(), [""; 0], "proposing asks the owner nothing");
        world.settle().await;
        assert_eq!(bench.kept.titles(), ["Approve #1? Shut down web-01 (101) on pve1"]);
        let decided = bench.decide(id, true).await.expect("decided");
        assert!(decided.counted && decided.proposal.state == ProposalState::Approved, "{decided:?}");
        let view = bench.ended(id).await;
        assert_eq!((view.state, view.result.as_deref()), (ProposalState::Done, Some("web-01 is off")));
        assert_eq!((view.reference.as_deref(), view.progress.len()), (Some("UPID:1"), 1));
        assert_eq!(bench.calls(), ["plan web {\"vmid\":101}", "run 1 {\"vmid\":101}"]);
        assert_eq!(bench.kept.rows(), ["proposed", "decided", "began", "progress", "ended"]);
        world.settle().await;
        let notices = bench.kept.notices.lock().expect("notices");
        let marks: Vec<&str> = notices.iter().map(|(notice, _)| &*notice.id).collect();
        assert_eq!(marks, ["approval-1-proposed/0", "approval-1-running", "approval-1-done"]);
        assert!(
            notices.iter().all(|(notice, channels)| &*notice.thread == "approval/1" && *channels == ["phone".into()])
        );
    });
}

#[test]
fn each_way_to_go_wrong_ends_in_a_true_statement() {
    for (node, end, state, result) in [
        ("pve2", "done", ProposalState::Stale, "node was pve1 and is pve2 now"),
        ("gone", "done", ProposalState::Stale, "there is no guest 101"),
        ("pve1", "locked", ProposalState::Failed, "VM is locked (backup)"),
        ("pve1", "crash", ProposalState::Unknown, "look whether it was done"),
        ("pve1", "never", ProposalState::Unknown, "its end was not seen in time"),
    ] {
        World::run(async |world: &World| {
            let bench = bench(world).await;
            *bench.machine.end.lock().expect("end") = end;
            let id = bench.propose().await;
            *bench.machine.node.lock().expect("node") = node;
            bench.decide(id, true).await.expect("decided");
            let view = bench.ended(id).await;
            assert_eq!(view.state, state, "{node} {end}");
            assert!(view.result.as_ref().is_some_and(|text| text.contains(result)), "{view:?}");
            let runs = bench.calls().iter().filter(|call| call.starts_with("run")).count();
            assert_eq!(runs, usize::from(node == "pve1"));
            world.settle().await;
            assert_eq!(bench.kept.states()[0], state);
            world.take_events();
        });
    }
}

#[test]
fn an_owner_that_nobody_knows_runs_nothing() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let caller = Caller { name: "web".into(), scope: Scope::Control, origin: Origin::Chat };
        let asked = Propose { owner: "nobody".into(), plan: plan("pve1"), caller, request_id: RequestId::new("r") };
        let port = bench.desk.port::<Propose>(Lane::Interactive);
        let id = port.ask(asked, SECOND).await.expect("answered").expect("proposed").view.id;
        bench.decide(id, true).await.expect("decided");
        let view = bench.ended(id).await;
        assert_eq!(view.state, ProposalState::Stale);
        assert!(view.result.expect("told").contains("nobody named nobody"));
    });
}

#[test]
fn a_crash_of_the_desk_loses_no_proposal_and_repeats_no_action() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let running = bench.propose().await;
        bench.decide(running, true).await.expect("decided");
        tokio::time::sleep(7 * SECOND).await;
        assert_eq!(bench.show(running).await.state, ProposalState::Running);
        let other = ActionPlan { arguments: r#"{"vmid":102}"#.into(), ..plan("pve1") };
        let waiting = bench.try_propose(other).await.expect("proposed");
        world.supervision.crash("approvals-desk").expect("there").expect("told");
        let view = bench.show(running).await;
        assert_eq!(view.state, ProposalState::Unknown);
        assert_eq!(view.result.as_deref(), Some("HAIA ended while it ran; look up how UPID:1 ended"));
        assert_eq!(bench.show(waiting).await.state, ProposalState::Proposed);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(bench.calls().iter().filter(|call| call.starts_with("run")).count(), 1);
        assert!(bench.kept.titles().iter().any(|title| title.contains("result unknown")), "{:?}", bench.kept.titles());
        assert!(matches!(world.take_events()[..], [Event::Panicked { .. }, Event::Restarted { .. }]));
    });
}

#[test]
fn without_a_store_nothing_is_proposed_approved_or_run() {
    World::run(async |world: &World| {
        let kept = Arc::<Kept>::default();
        kept.is_broken.store(true, Ordering::SeqCst);
        let bench = bench_with(world, kept);
        assert_eq!(bench.try_propose(plan("pve1")).await.expect_err("no store").class, FailureClass::Overloaded);
        bench.break_store(false);
        let id = bench.propose().await;
        bench.break_store(true);
        assert_eq!(bench.decide(id, true).await.expect_err("no store").class, FailureClass::Overloaded);
        tokio::time::sleep(30 * SECOND).await;
        assert_eq!(bench.calls(), [""; 0]);
        bench.break_store(false);
        *bench.machine.breaks.lock().expect("store") = Some(Arc::clone(&bench.kept));
        assert!(bench.decide(id, true).await.expect("decided").counted);
        let view = bench.ended(id).await;
        assert_eq!(view.state, ProposalState::Failed, "the beginning could not be written down");
        assert!(!bench.calls().iter().any(|call| call.starts_with("run")));
        bench.break_store(false);
        tokio::time::sleep(90 * SECOND).await;
        assert_eq!(bench.kept.states(), [ProposalState::Failed], "the end is stored and told once the store works");
        assert!(bench.kept.titles().iter().any(|title| title.contains("failed")), "{:?}", bench.kept.titles());
    });
}

#[test]
fn what_is_over_is_found_in_the_store_and_lists_hold_both() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let old = bench.propose().await;
        assert!(bench.decide(old, false).await.expect("decided").counted);
        // Nobody asks meanwhile: the end of its time comes by itself.
        let expired = bench.propose().await;
        tokio::time::sleep(3700 * SECOND).await;
        assert_eq!(bench.kept.states(), [ProposalState::Denied, ProposalState::Expired]);
        tokio::time::sleep(7200 * SECOND).await;
        let new = bench.propose().await;
        let late = bench.decide(old, true).await.expect("answered");
        assert!(!late.counted && late.said.contains("was denied by anna"), "{}", late.said);
        assert_eq!(bench.decide(99, true).await.expect_err("unknown").class, FailureClass::NotFound);
        let list = async |states: Vec<ProposalState>| -> Vec<u64> {
            let port = bench.desk.port::<ListProposals>(Lane::Interactive);
            let views = port.ask(ListProposals { states, limit: 0 }, SECOND).await.expect("answered").expect("listed");
            views.iter().map(|view| view.id).collect()
        };
        assert_eq!(list(Vec::new()).await, [new, expired, old]);
        assert_eq!(list(vec![ProposalState::Proposed]).await, [new]);
        assert_eq!(list(vec![ProposalState::Denied]).await, [old]);
        assert_eq!(bench.show(old).await.state, ProposalState::Denied);
    });
}

#[test]
fn the_agent_can_ask_what_became_of_a_proposal() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let tools = bench.desk.port::<ListTools>(Lane::Interactive).ask(ListTools, SECOND).await.expect("listed");
        assert_eq!(
            tools.iter().map(|tool| (&*tool.name, tool.risk)).collect::<Vec<_>>(),
            [("get_proposal", Risk::Read)]
        );
        let id = bench.propose().await;
        let call = async |arguments: &str| {
            let call = CallTool {
                request_id: RequestId::new("r"),
                caller: Caller { name: "web".into(), scope: Scope::Control, origin: Origin::Chat },
                name: "get_proposal".into(),
                arguments: arguments.to_owned(),
                timeout: SECOND,
            };
            bench.desk.port::<CallTool>(Lane::Interactive).ask(call, SECOND).await.expect("answered").expect("result")
        };
        let waits = call(r#"{"proposal":1}"#).await;
        assert!(!waits.is_error && waits.text.contains("waits for a decision"), "{}", waits.text);
        bench.decide(id, true).await.expect("decided");
        bench.ended(id).await;
        let done = call("{}").await;
        assert!(done.text.contains("is done: web-01 is off") && done.text.contains("UPID:1"), "{}", done.text);
        assert!(call(r#"{"proposal":99}"#).await.is_error);
    });
}

#[test]
fn a_reload_and_the_end_of_haia_are_obeyed() {
    World::run(async |world: &World| {
        let bench = bench(world).await;
        let id = bench.propose().await;
        bench.decide(id, true).await.expect("decided");
        tokio::time::sleep(7 * SECOND).await;
        let reconfigure = bench.desk.port::<Reconfigure<Config>>(Lane::Control);
        let nothing: Config = toml::from_str("[[deny]]").expect("a rule that forbids everything");
        reconfigure.ask(Reconfigure(Arc::new(nothing)), SECOND).await.expect("taken over");
        assert_eq!(bench.try_propose(plan("pve1")).await.expect_err("forbidden now").class, FailureClass::Permission);
        let begun = world.clock.monotonic();
        bench.desk.port::<Drain>(Lane::Control).ask(Drain, 10 * SECOND).await.expect("drained");
        assert!(world.clock.monotonic() - begun >= 3 * SECOND, "the action that runs may end");
        assert_eq!(bench.show(id).await.state, ProposalState::Done);
        let ended = bench.try_propose(plan("pve1")).await.expect_err("too late");
        assert_eq!(ended.class, FailureClass::ShuttingDown);
    });
}
