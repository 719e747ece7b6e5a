//! The actor: brings time, the store, owners of tools and the notifier to the state machine, and carries out its effects.
//!
//! Nothing here decides. Nothing waits in a handler.

mod answers;

use super::config::Config;
use super::desk::{Answer, Desk, Effect, Input, PLAN_WITHIN};
use super::proposal::Proposal;
use arc_swap::ArcSwap;
use contract::approvals::{ActionEnd, ActionOutcome, ActionPlan, PlanAction, ProposalView, RunAction};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::message::{Fault, Lane, Msg};
use contract::notify::{Deliver, Notice};
use contract::store::{CommitProposals, KeptProposals, LoadProposals, ProposalRecord, ReadProposals, StoreError};
use contract::tools::CallTool;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use runtime::{Context, Handle, Port, Reply, Service};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long the store may take.
const STORE_DEADLINE: Duration = Duration::from_secs(10);
/// How long the notifier may take to store a message.
const TELL_DEADLINE: Duration = Duration::from_secs(15);
/// How long a result may wait behind other messages.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a question waits for the store to tell what was kept.
const LOAD_PATIENCE: Duration = Duration::from_secs(8);
/// The waits before the store is asked again at the start.
const LOAD_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_LOAD_BACKOFF: Duration = Duration::from_secs(15);
/// What is over stays in memory for as long as the policy counts it.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// The shortest sleep, in HAIA's time.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);
/// How long the end of HAIA waits for actions that run.
const DRAIN_PATIENCE: Duration = Duration::from_secs(4);

/// The configuration as the composition root publishes it: a crashed desk starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// Somebody whose tools change something.
#[derive(Clone)]
pub struct ActionOwner {
    /// The name that Toolbox knows the owner by.
    pub name: &'static str,
    /// Plans.
    pub plan: Port<PlanAction>,
    /// Does what was approved.
    pub run: Port<RunAction>,
}

/// What the desk needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
    /// HAIA's own time zone.
    pub timezone: TimeZone,
    /// Reads what was kept, at the start.
    pub load: Port<LoadProposals>,
    /// Stores changes. One lane for all of them: they must arrive in order.
    pub commit: Port<CommitProposals>,
    /// Reads proposals that are over.
    pub read: Port<ReadProposals>,
    /// Tells people.
    pub deliver: Port<Deliver>,
    /// Who plans and runs actions.
    pub owners: Vec<ActionOwner>,
}

/// The actor.
pub struct ApprovalsDesk {
    ports: Ports,
    config: Arc<Config>,
    /// `None` until the store has told what was kept.
    desk: Option<Desk>,
    tickets: HashMap<u64, oneshot::Sender<Answer>>,
    last_ticket: u64,
    /// Turns true when the desk is there.
    is_ready: watch::Sender<bool>,
    /// When to look again.
    wake: watch::Sender<Timestamp>,
    /// Whether nothing is under way.
    is_idle: watch::Sender<bool>,
}

/// What the desk tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Whether the store has told what was kept.
    loaded: bool,
    /// Proposals that wait for a person.
    waiting: usize,
    /// Actions that run.
    running: usize,
    /// Why changes cannot be stored now.
    store_problem: Option<String>,
}

/// Something that came of an effect, or time.
pub(super) struct Happened(Input);

impl Msg for Happened {
    type Reply = ();
    const NAME: &'static str = "Happened";
}

/// The store told what was kept.
struct Loaded(KeptProposals);

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "Loaded";
}

impl ApprovalsDesk {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || Self {
            ports: ports.clone(),
            config: config.load_full(),
            desk: None,
            tickets: HashMap::new(),
            last_ticket: 0,
            is_ready: watch::channel(false).0,
            wake: watch::channel(Timestamp::MAX).0,
            is_idle: watch::channel(true).0,
        }
    }

    /// Gives the desk an input and carries out what follows.
    fn take(&mut self, input: Input, context: &Context<Self>) {
        let now = self.ports.clock.now();
        let Some(desk) = &mut self.desk else { return };
        let effects = desk.step(now, input);
        self.wake.send_replace(desk.wake());
        self.is_idle.send_replace(desk.is_idle());
        for effect in effects {
            self.carry_out(effect, context);
        }
    }

    fn carry_out(&mut self, effect: Effect, context: &Context<Self>) {
        match effect {
            Effect::Answer { ticket, answer } => {
                if let Some(asker) = self.tickets.remove(&ticket) {
                    // Whoever asked may be gone; what was decided stands.
                    let _ = asker.send(*answer);
                }
            }
            Effect::Commit(change) => {
                let port = self.ports.commit.clone();
                self.spawn(context, async move {
                    let outcome = port.ask(change, STORE_DEADLINE).await;
                    Input::Committed(outcome.unwrap_or_else(|fault| Err(StoreError(fault.to_string()))))
                });
            }
            Effect::Plan { id, owner, call } => {
                let port = self.owner(&owner).map(|owner| owner.plan.clone());
                self.spawn(context, async move {
                    Input::Planned { id, plan: plan(port, &owner, *call).await.map(Box::new) }
                });
            }
            Effect::Run { id, owner, run, within } => {
                let port = self.owner(&owner).map(|owner| owner.run.clone());
                self.spawn(context, async move { Input::Ended { id, outcome: run_it(port, *run, within).await } });
            }
            Effect::Tell { id, mark, notice } => {
                let (port, channels) = (self.ports.deliver.clone(), self.config.notify.clone());
                self.spawn(context, async move {
                    let has_worked = tell(&port, *notice, &channels).await;
                    Input::Told { id, mark, has_worked }
                });
            }
            Effect::Pause(wait) => {
                let clock = Arc::clone(&self.ports.clock);
                self.spawn(context, async move {
                    clock.pause(wait).await;
                    Input::Again
                });
            }
        }
    }

    fn owner(&self, name: &str) -> Option<&ActionOwner> {
        self.ports.owners.iter().find(|owner| owner.name == name)
    }

    /// Runs `work` beside the desk and brings home what came of it.
    fn spawn(&self, context: &Context<Self>, work: impl Future<Output = Input> + 'static) {
        let port = context.mailbox().port::<Happened>(Lane::Control);
        context.spawn(async move { report(&port, Happened(work.await)).await });
    }

    /// Asks the store for what was kept until it answers: nothing is proposed or decided before.
    fn load(&self, context: &Context<Self>) {
        let (load, clock) = (self.ports.load.clone(), Arc::clone(&self.ports.clock));
        let loaded = context.mailbox().port::<Loaded>(Lane::Control);
        context.spawn(async move {
            let mut wait = LOAD_BACKOFF;
            loop {
                let since = clock.now().saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
                let why = match load.ask(LoadProposals { since }, STORE_DEADLINE).await {
                    Ok(Ok(kept)) => return report(&loaded, Loaded(kept)).await,
                    Ok(Err(error)) => error.to_string(),
                    Err(fault) => fault.to_string(),
                };
                tracing::error!(
                    why,
                    "the proposals of the last run cannot be read; nothing is proposed or approved before that"
                );
                clock.pause(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_LOAD_BACKOFF);
            }
        });
    }

    /// Answers once the desk is there.
    fn when_ready<M, T>(&self, message: M, context: &Context<Self>) -> Reply<Result<T, Failure>>
    where
        Self: Handle<M>,
        M: Msg<Reply = Result<T, Failure>>,
        T: 'static,
    {
        let (mut is_ready, port) = (self.is_ready.subscribe(), context.mailbox().port::<M>(Lane::Interactive));
        let too_late = self.ports.clock.pause(LOAD_PATIENCE);
        Reply::later(async move {
            let is_ready = tokio::select! {
                biased;
                ready = is_ready.wait_for(|ready| *ready) => ready.is_ok(),
                () = too_late => false,
            };
            if !is_ready {
                let message =
                    "the store does not say which proposals there are; nothing can be proposed or decided before that";
                return Err(Failure::new(FailureClass::Overloaded, message));
            }
            port.ask(message, PATIENCE).await.unwrap_or_else(|fault| Err(fault.into()))
        })
    }

    /// Gives the desk a question under a ticket; the answer comes through the other end.
    fn ask(&mut self, question: impl FnOnce(u64) -> Input, context: &Context<Self>) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, sender);
        self.take(question(self.last_ticket), context);
        answer
    }
}

/// Brings a result home. Only a desk that has ended does not take it, or one that is stuck for longer than anything should take.
async fn report<M: Msg<Reply = ()>>(port: &Port<M>, message: M) {
    if let Err(fault) = port.ask(message, PATIENCE).await {
        tracing::warn!(message = M::NAME, %fault, "a result did not reach the approvals desk");
    }
}

async fn plan(port: Option<Port<PlanAction>>, owner: &str, call: CallTool) -> Result<ActionPlan, String> {
    let Some(port) = port else { return Err(format!("nobody named {owner} plans actions now")) };
    match port.ask(PlanAction { call }, PLAN_WITHIN).await {
        Ok(Ok(plan)) => Ok(plan),
        Ok(Err(failure)) => Err(failure.message.into_owned()),
        Err(fault) => Err(fault.to_string()),
    }
}

async fn run_it(port: Option<Port<RunAction>>, run: RunAction, within: Duration) -> ActionOutcome {
    let outcome = |end, text: String| ActionOutcome { end, text, reference: None };
    let Some(port) = port else {
        return outcome(ActionEnd::Failed, "it was not begun: nobody does such actions now".to_owned());
    };
    match port.try_ask(run, within).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(failure)) => outcome(ActionEnd::Failed, failure.message.into_owned()),
        // Only a full mailbox is sure to have taken nothing.
        Err(Fault::Busy { actor }) => outcome(ActionEnd::Failed, format!("it was not begun: {actor} is busy")),
        Err(Fault::Expired { .. }) => {
            outcome(ActionEnd::Unknown, "its end was not seen in time; look whether it was done".to_owned())
        }
        Err(fault) => outcome(ActionEnd::Unknown, format!("{fault}; look whether it was done")),
    }
}

async fn tell(port: &Port<Deliver>, notice: Notice, channels: &[String]) -> bool {
    let channels = channels.iter().map(|channel| channel.as_str().into()).collect();
    let id = Arc::clone(&notice.id);
    let why = match port.ask(Deliver { notice, channels }, TELL_DEADLINE).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(fault) => fault.to_string(),
    };
    tracing::warn!(notice = %id, why, "people could not be told of a proposal; it is tried again");
    false
}

/// A proposal that is over, as the store keeps it.
fn seen(record: &ProposalRecord) -> Option<ProposalView> {
    match Proposal::unpack(record) {
        Ok(proposal) => Some(proposal.view),
        Err(error) => {
            tracing::warn!(proposal = record.id, error, "a proposal cannot be read and is left out");
            None
        }
    }
}

impl Handle<Happened> for ApprovalsDesk {
    fn handle(&mut self, Happened(input): Happened, context: &Context<Self>) -> Reply<()> {
        self.take(input, context);
        Reply::Now(())
    }
}

impl Handle<Loaded> for ApprovalsDesk {
    fn handle(&mut self, Loaded(kept): Loaded, context: &Context<Self>) -> Reply<()> {
        let now = self.ports.clock.now();
        self.desk = Some(Desk::new(Arc::clone(&self.config), self.ports.timezone.clone(), kept, now));
        self.take(Input::Tick, context);
        self.is_ready.send_replace(true);
        Reply::Now(())
    }
}

impl Service for ApprovalsDesk {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        self.load(context);
        let (clock, mut when) = (Arc::clone(&self.ports.clock), self.wake.subscribe());
        let port = context.mailbox().port::<Happened>(Lane::Background);
        context.spawn(async move {
            loop {
                let at = *when.borrow_and_update();
                let wait = Duration::try_from(at.duration_since(clock.now())).unwrap_or_default().max(SHORTEST_SLEEP);
                let is_due = tokio::select! {
                    biased;
                    changed = when.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        false
                    }
                    () = clock.sleep(wait), if at != Timestamp::MAX => true,
                };
                if is_due {
                    report(&port, Happened(Input::Tick)).await;
                }
            }
        });
    }

    fn observe(&self) -> Observed {
        use contract::approvals::ProposalState;
        let count =
            |state| self.desk.as_ref().map_or(0, |desk| desk.views().filter(|view| view.state == state).count());
        Observed {
            loaded: self.desk.is_some(),
            waiting: count(ProposalState::Proposed),
            running: count(ProposalState::Running),
            store_problem: self.desk.as_ref().and_then(Desk::problem).map(str::to_owned),
        }
    }
}
