//! The actor: brings time, the store, the notifier and the agent to the state machine.
//!
//! Every change is committed before anything of it can be seen: rows go to the notifier, and reports are answered, once the store has them.
//! A store that fails delays telling, never deciding: what is decided meanwhile is kept in order and tried again. Nothing here waits in a
//! handler, and no alert waits for its explanation.

mod helpers;
mod reports;
mod requests;

use crate::config::Config;
use crate::desk::Desk;
use crate::explain::{self, Explainer};
use crate::journal::Journal;
use crate::watchdog::{Healthy, Outbound, Sender, Trouble};
use arc_swap::ArcSwap;
use contract::chat::{RunTurn, TurnText};
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::ids::SharedIds;
use contract::message::{Fault, Lane, Msg};
use contract::notify::RowsQueued;
use contract::store::{CommitAlerts, KeptAlerts, LoadAlerts, ReadAlertEvents, ReadAlerts, StoreError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use runtime::{Context, Port, Service};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the store may take.
const STORE_DEADLINE: Duration = Duration::from_secs(10);
/// How long a result may wait behind other messages.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a question waits for the store to tell what was kept.
const LOAD_PATIENCE: Duration = Duration::from_secs(10);
/// The waits before the store is asked again at the start.
const LOAD_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_LOAD_BACKOFF: Duration = Duration::from_secs(15);
/// The shortest sleep, in HAIA's time: a deadline that is met a moment early is not looked at in a loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// The configuration as the composition root publishes it: a crashed desk starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// What the desk needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
    /// Ids of messages and rows.
    pub ids: SharedIds,
    /// HAIA's own time zone.
    pub timezone: TimeZone,
    /// Reads what was kept, at the start.
    pub load: Port<LoadAlerts>,
    /// Stores changes.
    pub commit: Port<CommitAlerts>,
    /// Reads alerts that are over.
    pub read_alerts: Port<ReadAlerts>,
    /// Reads history.
    pub read_events: Port<ReadAlertEvents>,
    /// Tells the notifier of rows that are stored.
    pub queued: Port<RowsQueued>,
    /// Explains alerts.
    pub run_turn: Port<RunTurn>,
    /// Whether HAIA could tell of an alert now: for the outbound sign of life.
    pub healthy: Healthy,
    /// Sends signs of life: [`crate::network_sender`].
    pub sender: Sender,
}

/// The actor.
pub struct AlertDesk {
    ports: Ports,
    config: Arc<Config>,
    /// `None` until the store has told what was kept.
    desk: Option<Desk>,
    journal: Journal,
    explainer: Explainer,
    outbound: Outbound,
    /// Turns true when the desk is there; its end wakes whoever waits.
    is_ready: watch::Sender<bool>,
    /// When to look again.
    wake: watch::Sender<Timestamp>,
    /// Whether the wait before another try of a commit is under way.
    is_backing_off: bool,
}

/// What the desk tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Whether the store has told what was kept.
    loaded: bool,
    /// Alerts in memory.
    alerts: usize,
    /// Findings that found no place there.
    refused: u64,
    /// Open alerts.
    open: u64,
    /// Why changes cannot be stored now.
    store_problem: Option<String>,
}

/// Time to look what is due.
struct Wake;

impl Msg for Wake {
    type Reply = ();
    const NAME: &'static str = "Wake";
}

/// The store told what was kept.
struct Loaded(KeptAlerts);

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "Loaded";
}

/// A commit ended.
struct Committed(Result<(), StoreError>);

impl Msg for Committed {
    type Reply = ();
    const NAME: &'static str = "Committed";
}

/// The wait before another try of a commit is over.
struct TryAgain;

impl Msg for TryAgain {
    type Reply = ();
    const NAME: &'static str = "TryAgain";
}

/// An explanation ended.
struct Explained {
    id: u64,
    /// `None`: it was cancelled.
    answer: Option<Result<TurnText, Failure>>,
}

impl Msg for Explained {
    type Reply = ();
    const NAME: &'static str = "Explained";
}

/// A sign of life was sent, or not.
struct Pinged(Result<(), Trouble>);

impl Msg for Pinged {
    type Reply = ();
    const NAME: &'static str = "Pinged";
}

impl AlertDesk {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || Self {
            ports: ports.clone(),
            config: config.load_full(),
            desk: None,
            journal: Journal::default(),
            explainer: Explainer::default(),
            outbound: Outbound::default(),
            is_ready: watch::channel(false).0,
            wake: watch::channel(Timestamp::MIN).0,
            is_backing_off: false,
        }
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Brings the desk up to date after an input and lets the changes go their way.
    fn settle(&mut self, context: &Context<Self>) {
        let now = self.now();
        let Some(desk) = &mut self.desk else { return };
        desk.settle(now, self.journal.may_tell());
        let changes = desk.take_changes();
        self.journal.add(changes, &self.ports.ids, desk.calendar().timezone_name(), now);
        self.explainer.cancel(|id| desk.numbered(id).is_some_and(|(_, alert)| alert.state.is_open()));
        let wake = desk.wake();
        self.begin_commit(context);
        self.send_sign_of_life(now, context);
        let next = self.outbound.next(self.config.monitor.watchdog.as_ref()).map_or(wake, |next| next.min(wake));
        self.wake.send_replace(next);
    }

    fn begin_commit(&mut self, context: &Context<Self>) {
        if self.is_backing_off {
            return;
        }
        let Some(commit) = self.journal.begin() else { return };
        let (port, committed) = (self.ports.commit.clone(), context.mailbox().port::<Committed>(Lane::Control));
        context.spawn(async move {
            let outcome = port.ask(commit, STORE_DEADLINE).await;
            let outcome = outcome.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            report(&committed, Committed(outcome)).await;
        });
    }

    /// Takes the outcome of a commit: what it made visible goes out, or it is tried again later.
    fn committed(&mut self, outcome: Result<(), StoreError>, context: &Context<Self>) {
        if let Err(error) = &outcome {
            tracing::error!(%error, again_in = ?self.journal.backoff(), "changes of alerts cannot be stored; they are kept and tried again");
        }
        let has_failed = outcome.is_err();
        let visible = self.journal.done(outcome);
        if has_failed {
            self.is_backing_off = true;
            let (clock, wait) = (Arc::clone(&self.ports.clock), self.journal.backoff());
            let again = context.mailbox().port::<TryAgain>(Lane::Control);
            context.spawn(async move {
                clock.pause(wait).await;
                report(&again, TryAgain).await;
            });
            return;
        }
        if !visible.rows.is_empty()
            && let Err(fault) = self.ports.queued.tell(RowsQueued(visible.rows))
        {
            tracing::warn!(%fault, "the notifier was not told of new rows; it finds them in the store");
        }
        self.explainer.want(visible.explain);
        self.begin_explanations(context);
        self.begin_commit(context);
    }

    /// Asks the store for what was kept until it answers.
    fn load(&self, context: &Context<Self>) {
        let (load, clock) = (self.ports.load.clone(), Arc::clone(&self.ports.clock));
        let loaded = context.mailbox().port::<Loaded>(Lane::Control);
        context.spawn(async move {
            let mut wait = LOAD_BACKOFF;
            loop {
                let why = match load.ask(LoadAlerts, STORE_DEADLINE).await {
                    Ok(Ok(kept)) => return report(&loaded, Loaded(kept)).await,
                    Ok(Err(error)) => error.to_string(),
                    Err(fault) => fault.to_string(),
                };
                tracing::error!(why, "the alerts of the last run cannot be read; nothing is told before that");
                clock.pause(wait).await;
                wait = wait.saturating_mul(2).min(LONGEST_LOAD_BACKOFF);
            }
        });
    }

    fn loaded(&mut self, kept: KeptAlerts, context: &Context<Self>) {
        let now = self.now();
        if let Some((_, data)) = kept.states.iter().find(|(name, _)| &**name == explain::BUDGET) {
            self.explainer.restore(data);
        }
        let mut desk = Desk::new(Arc::clone(&self.config), self.ports.timezone.clone(), now);
        desk.restore(kept, now);
        self.desk = Some(desk);
        self.settle(context);
        self.is_ready.send_replace(true);
    }
}

/// Brings a result home. Only a desk that has ended does not take it, or one that is stuck for longer than anything should take.
async fn report<M: Msg<Reply = ()>>(port: &Port<M>, message: M) {
    if let Err(fault) = port.ask(message, PATIENCE).await {
        tracing::warn!(message = M::NAME, %fault, "a result did not reach the alert desk");
    }
}

impl Service for AlertDesk {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        self.load(context);
        let (clock, mut when) = (Arc::clone(&self.ports.clock), self.wake.subscribe());
        let mut is_ready = self.is_ready.subscribe();
        let wake = context.mailbox().port::<Wake>(Lane::Control);
        context.spawn(async move {
            if is_ready.wait_for(|ready| *ready).await.is_err() {
                return;
            }
            loop {
                let next = *when.borrow_and_update();
                let wait = Duration::try_from(next.duration_since(clock.now())).unwrap_or(Duration::ZERO);
                tokio::select! {
                    () = clock.sleep(wait.max(SHORTEST_SLEEP)) => {}
                    changed = when.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                }
                if let Err(Fault::Closed { .. } | Fault::Failed { .. }) = wake.ask(Wake, PATIENCE).await {
                    return;
                }
            }
        });
    }

    fn observe(&self) -> Observed {
        let (alerts, refused) = self.desk.as_ref().map(Desk::size).unwrap_or_default();
        let counts = self.desk.as_ref().map(Desk::counts).unwrap_or_default();
        Observed {
            loaded: self.desk.is_some(),
            alerts,
            refused,
            open: counts.firing + counts.acknowledged,
            store_problem: self.journal.problem().map(str::to_owned),
        }
    }
}
