//! The actix actor around a domain actor: it takes letters out of the lanes, contains panics, and builds the actor afresh.
//!
//! A panic must never reach actix, which would end the actor and drop its queue. The guard catches it, drops the spoilt actor, and builds
//! a fresh one after a backoff: messages stay in their lanes, senders notice nothing but the time.

use crate::letter::{Lanes, Letter, Opened};
use crate::mailbox::Mailbox;
use crate::policy::Policy;
use crate::service::{Context, Service};
use crate::stats::{ActorState, Stats};
use crate::supervision::{Event, Report};
use actix::{ActorContext as _, AsyncContext as _};
use contract::message::Fault;
use std::any::Any;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use tokio::time::Instant;

/// One letter was queued.
pub(crate) struct Wake;

impl actix::Message for Wake {
    type Result = ();
}

/// A detached future ended: a letter that waited for its place may go on.
struct Landed;

impl actix::Message for Landed {
    type Result = ();
}

/// A backoff is over.
struct Rebuild;

impl actix::Message for Rebuild {
    type Result = ();
}

/// The daemon asks the guard to end; letters in the lanes are answered with `Closed`.
pub(crate) struct Stop;

impl actix::Message for Stop {
    type Result = ();
}

pub(crate) type Factory<A> = Box<dyn Fn() -> A + Send>;

/// Whether there is an actor to handle letters.
enum Life<A: Service> {
    /// Not built yet, or waiting out a backoff.
    Down,
    Up(A, Context<A>),
    /// Given up: nothing is handled any more.
    GaveUp,
}

/// The guard of one actor.
pub(crate) struct Guard<A: Service> {
    life: Life<A>,
    make: Factory<A>,
    lanes: Lanes<A>,
    mailbox: Mailbox<A>,
    policy: Policy,
    stats: Arc<Stats>,
    report: Report,
    /// When it crashed, within the policy's window.
    crashes: VecDeque<Instant>,
    /// Wake-ups whose letter had to stay in its lane. Never fewer than the letters that wait without a wake-up under way.
    owed: usize,
}

impl<A: Service> Guard<A> {
    pub(crate) fn new(
        make: Factory<A>,
        lanes: Lanes<A>,
        mailbox: Mailbox<A>,
        policy: Policy,
        stats: Arc<Stats>,
        report: Report,
    ) -> Self {
        Self { life: Life::Down, make, lanes, mailbox, policy, stats, report, crashes: VecDeque::new(), owed: 0 }
    }

    fn build(&mut self, context: &mut actix::Context<Self>) {
        let surroundings = Context::new(self.mailbox.clone());
        self.stats.begin();
        let built = catch_unwind(AssertUnwindSafe(|| (self.make)()));
        // In a step of its own: the drop of an actor that is half started may panic too, which must not happen while unwinding.
        let started = built.map_err(|panic| (panic, None)).and_then(|mut actor| {
            match catch_unwind(AssertUnwindSafe(|| actor.started(&surroundings))) {
                Ok(()) => Ok(actor),
                Err(panic) => Err((panic, Some(actor))),
            }
        });
        self.stats.finish();
        match started {
            Ok(actor) => {
                self.life = Life::Up(actor, surroundings);
                self.stats.set_state(ActorState::Running);
                if !self.crashes.is_empty() {
                    let count = self.stats.restarted();
                    self.tell(Event::Restarted { actor: self.stats.name(), count });
                }
            }
            Err((panic, spoilt)) => {
                bury((spoilt, surroundings));
                self.crashed(panic_text(panic.as_ref()), context);
            }
        }
    }

    /// Drops the spoilt actor and either waits to build a fresh one or gives up.
    fn crashed(&mut self, panic: String, context: &mut actix::Context<Self>) {
        bury(std::mem::replace(&mut self.life, Life::Down));
        self.stats.panicked();
        let now = Instant::now();
        self.crashes.retain(|crash| now.duration_since(*crash) <= self.policy.window);
        self.crashes.push_back(now);
        let crashes = u32::try_from(self.crashes.len()).unwrap_or(u32::MAX);
        self.tell(Event::Panicked { actor: self.stats.name(), panic });
        if crashes > self.policy.crashes {
            self.life = Life::GaveUp;
            self.stats.set_state(ActorState::Failed);
            self.tell(Event::GaveUp { actor: self.stats.name(), required: self.policy.required });
            self.lanes.refuse_all(&Fault::Failed { actor: self.stats.name() });
            return;
        }
        self.stats.set_state(ActorState::Restarting);
        context.notify_later(Rebuild, self.policy.backoff_after(crashes));
    }

    /// Handles the next letter, if there is one and it may be handled now. Says whether a letter was taken out of its lane.
    fn step(&mut self, context: &mut actix::Context<Self>) -> bool {
        let (actor, surroundings) = match &mut self.life {
            Life::Up(actor, surroundings) => (actor, surroundings),
            Life::Down => {
                self.owed += 1;
                return false;
            }
            Life::GaveUp => {
                self.lanes.refuse_all(&Fault::Failed { actor: self.stats.name() });
                return false;
            }
        };
        let letter = match self.lanes.take_control() {
            Some(letter) => letter,
            None if self.stats.is_full() => {
                self.owed += 1;
                return false;
            }
            None => match self.lanes.take_work() {
                Some(letter) => letter,
                None => return false,
            },
        };
        self.stats.begin();
        let opened = open(letter, actor, surroundings, &self.stats);
        self.stats.finish();
        match opened {
            Opened::Done => {}
            Opened::Detached(future) => {
                self.stats.detached();
                let flight = Flight { stats: Arc::clone(&self.stats), address: context.address() };
                actix_rt::spawn(async move {
                    let _flight = flight;
                    future.await;
                });
            }
            Opened::Panicked(panic) => self.crashed(panic, context),
        }
        true
    }

    /// Makes good for the wake-ups whose letter had to stay, as far as that may be now.
    fn catch_up(&mut self, context: &mut actix::Context<Self>) {
        while self.owed > 0 {
            self.owed -= 1;
            if !self.step(context) {
                return;
            }
        }
    }

    /// Whoever listens is not this actor's business, nor are their panics.
    fn tell(&self, event: Event) {
        let told = catch_unwind(AssertUnwindSafe(|| (self.report)(event)));
        if let Err(panic) = told {
            tracing::error!(
                actor = self.stats.name(),
                panic = panic_text(panic.as_ref()),
                "the report of an event crashed"
            );
        }
    }
}

/// Lets the actor handle a letter. The handler's panic is caught closer to it, where its asker can be told; what is caught here is a
/// destructor of the message or of an answer that nobody waited for.
fn open<A: Service>(letter: Box<dyn Letter<A>>, actor: &mut A, context: &Context<A>, stats: &Arc<Stats>) -> Opened {
    catch_unwind(AssertUnwindSafe(|| letter.open(actor, context, stats)))
        .unwrap_or_else(|panic| Opened::Panicked(panic_text(panic.as_ref())))
}

/// Drops what a panic has spoilt. A destructor may panic on the spoilt state too; that is the same crash.
fn bury<T>(spoilt: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(spoilt)));
}

/// Counts one detached future, however it ends.
struct Flight<A: Service> {
    stats: Arc<Stats>,
    address: actix::Addr<Guard<A>>,
}

impl<A: Service> Drop for Flight<A> {
    fn drop(&mut self) {
        self.stats.landed();
        if self.stats.depth() > 0 {
            self.address.do_send(Landed);
        }
    }
}

impl<A: Service> actix::Actor for Guard<A> {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.build(context);
    }
}

impl<A: Service> actix::Handler<Wake> for Guard<A> {
    type Result = ();

    fn handle(&mut self, _: Wake, context: &mut Self::Context) {
        self.step(context);
    }
}

impl<A: Service> actix::Handler<Landed> for Guard<A> {
    type Result = ();

    fn handle(&mut self, _: Landed, context: &mut Self::Context) {
        self.catch_up(context);
    }
}

impl<A: Service> actix::Handler<Rebuild> for Guard<A> {
    type Result = ();

    fn handle(&mut self, _: Rebuild, context: &mut Self::Context) {
        self.build(context);
        self.catch_up(context);
    }
}

impl<A: Service> actix::Handler<Stop> for Guard<A> {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        bury(std::mem::replace(&mut self.life, Life::Down));
        context.stop();
    }
}

impl<A: Service> Drop for Guard<A> {
    fn drop(&mut self) {
        // The thread ends with the actor still up. The lanes answer what waits, as they are dropped.
        bury(std::mem::replace(&mut self.life, Life::Down));
    }
}

/// Runs a future and turns a panic inside it into its text.
pub(crate) async fn contained<R>(future: impl Future<Output = R>) -> Result<R, String> {
    let mut future = Some(Box::pin(future));
    poll_fn(move |context| {
        let Some(running) = &mut future else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => {
                bury(future.take());
                Poll::Ready(Err(panic_text(panic.as_ref())))
            }
        }
    })
    .await
}

/// What a panic said, at most 300 characters of it.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    text.chars().take(300).collect()
}
