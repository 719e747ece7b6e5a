//! The register of all actors: starts them, observes them, injects faults into them, stops them.

use crate::guard::{Guard, Stop};
use crate::letter::Lanes;
use crate::mailbox::Mailbox;
use crate::policy::Policy;
use crate::service::{Context, Handle, Reply, Service};
use crate::stats::Stats;
use actix::{Actor as _, AsyncContext as _};
use contract::BoxFuture;
use contract::message::{Fault, Lane, Msg};
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What supervision tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handler, destructor or factory panicked; the actor is being built afresh.
    Panicked {
        /// The actor.
        actor: &'static str,
        /// What the panic said.
        panic: String,
    },
    /// The actor runs again.
    Restarted {
        /// The actor.
        actor: &'static str,
        /// Its restarts so far.
        count: u64,
    },
    /// Too many crashes: the actor is not built again.
    GaveUp {
        /// The actor.
        actor: &'static str,
        /// Whether the daemon must end.
        required: bool,
    },
}

/// Takes supervision's events. Called on the actors' threads: it must be quick.
pub type Report = Arc<dyn Fn(Event) + Send + Sync>;

/// What one actor said when it was observed.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Its figures.
    pub stats: Arc<Stats>,
    /// Whether the daemon must end when it gives up.
    pub required: bool,
    /// What it told of itself, as JSON; or why it told nothing.
    pub detail: Result<Arc<RawValue>, Fault>,
}

/// Asks an actor to tell of itself.
struct Observe;

impl Msg for Observe {
    type Reply = Arc<RawValue>;
    const NAME: &'static str = "Observe";
}

impl<A: Service> Handle<Observe> for A {
    fn handle(&mut self, _: Observe, _: &Context<A>) -> Reply<Arc<RawValue>> {
        let told = serde_json::value::to_raw_value(&self.observe());
        Reply::Now(Arc::from(told.unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }
}

/// Makes an actor panic: `HAIA_FAULTS`.
struct Crash;

impl Msg for Crash {
    type Reply = ();
    const NAME: &'static str = "Crash";
}

impl<A: Service> Handle<Crash> for A {
    #[expect(clippy::panic, reason = "this is the fault that rehearsals inject")]
    fn handle(&mut self, _: Crash, _: &Context<A>) -> Reply<()> {
        panic!("a panic that was asked for")
    }
}

type Observer = Box<dyn Fn(Duration) -> BoxFuture<'static, Result<Arc<RawValue>, Fault>> + Send>;

struct Entry {
    stats: Arc<Stats>,
    required: bool,
    observe: Observer,
    crash: Box<dyn Fn() -> Result<(), Fault> + Send>,
    stop: Box<dyn Fn() + Send>,
}

/// All actors of one daemon. Not a singleton: every test makes its own.
#[derive(Clone)]
pub struct Supervision {
    entries: Arc<Mutex<Vec<Entry>>>,
    report: Report,
}

impl Supervision {
    /// A supervision that tells its events to `report`.
    pub fn new(report: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { entries: Arc::default(), report: Arc::new(report) }
    }

    /// Starts an actor on a thread: `make` builds it there, and again after each crash. A second actor of the same name replaces the first
    /// in the register (a worker thread that was replaced brings its shard anew).
    pub fn start<A: Service>(
        &self,
        on: &actix_rt::ArbiterHandle,
        name: &'static str,
        policy: Policy,
        make: impl Fn() -> A + Send + 'static,
    ) -> Mailbox<A> {
        let stats = Arc::new(Stats::new(name, policy.in_flight));
        let places = [policy.control, policy.interactive, policy.background];
        let (queues, lanes) = Lanes::new(places, Arc::clone(&stats));
        let (own_queues, own_stats, report) = (queues.clone(), Arc::clone(&stats), Arc::clone(&self.report));
        let address = Guard::start_in_arbiter(on, move |context| {
            let mailbox = Mailbox::new(context.address(), own_queues, Arc::clone(&own_stats));
            Guard::new(Box::new(make), lanes, mailbox, policy, own_stats, report)
        });
        let mailbox = Mailbox::new(address, queues, stats);
        self.register(&mailbox, policy.required);
        mailbox
    }

    fn register<A: Service>(&self, mailbox: &Mailbox<A>, required: bool) {
        let observe = mailbox.port::<Observe>(Lane::Control);
        let crash = mailbox.port::<Crash>(Lane::Control);
        let stopping = mailbox.clone();
        let entry = Entry {
            stats: Arc::clone(mailbox.stats()),
            required,
            observe: Box::new(move |within| {
                let port = observe.clone();
                Box::pin(async move { port.try_ask(Observe, within).await })
            }),
            crash: Box::new(move || crash.tell(Crash)),
            stop: Box::new(move || stopping.stop()),
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|old| old.stats.name() != entry.stats.name());
        entries.push(entry);
    }

    /// Asks every actor to tell of itself, all at once, none for longer than `within`. In the order of their start.
    pub async fn observe(&self, within: Duration) -> Vec<Observation> {
        let asked: Vec<_> = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.iter().map(|entry| (Arc::clone(&entry.stats), entry.required, (entry.observe)(within))).collect()
        };
        let answers = asked
            .into_iter()
            .map(|(stats, required, answer)| async move { Observation { stats, required, detail: answer.await } });
        futures_util::future::join_all(answers).await
    }

    /// The figures of every actor, without asking any.
    pub fn stats(&self) -> Vec<(Arc<Stats>, bool)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| (Arc::clone(&entry.stats), entry.required)).collect()
    }

    /// Makes an actor panic. `None` if there is none of that name.
    pub fn crash(&self, actor: &str) -> Option<Result<(), Fault>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| entry.stats.name() == actor).map(|entry| (entry.crash)())
    }

    /// Ends an actor: its state is dropped on its thread, what waits in its lanes is answered with `Closed`.
    pub fn stop(&self, actor: &str) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(|entry| entry.stats.name() == actor) {
            (entry.stop)();
        }
    }
}

impl<A: Service> Mailbox<A> {
    fn stop(&self) {
        self.send_stop(Stop);
    }
}
