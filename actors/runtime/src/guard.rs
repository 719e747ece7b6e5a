//! The actix actor around a domain actor: it takes letters out of the lanes, contains panics, and builds the actor afresh.
//!
//! A panic must never reach actix, which would end the actor and drop its queue. The guard catches it, drops the spoilt actor, and lets
//! actix wait out the backoff: messages stay in their lanes, senders notice nothing but the time.

use crate::mailbox::{Lanes, Letter, Mailbox, Opened};
use crate::policy::Policy;
use crate::service::{Context, Service};
use crate::stats::{ActorState, Stats};
use crate::supervision::{Event, Report};
use actix::{ActorContext as _, ActorFutureExt as _, AsyncContext as _};
use contract::message::Fault;
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
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

pub(crate) type Factory<A> = Box<dyn Fn() -> A + Send>;

/// The guard of one actor.
pub(crate) struct Guard<A: Service> {
    actor: Option<(A, Context<A>)>,
    make: Factory<A>,
    lanes: Lanes<A>,
    mailbox: Option<Mailbox<A>>,
    policy: Policy,
    stats: Arc<Stats>,
    report: Report,
    /// Crashes of this window.
    crashes: u32,
    window_begun: Option<Instant>,
    /// Wake-ups whose letter stayed in its lane because too many futures were in flight.
    deferred: usize,
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
        Self {
            actor: None,
            make,
            lanes,
            mailbox: Some(mailbox),
            policy,
            stats,
            report,
            crashes: 0,
            window_begun: None,
            deferred: 0,
        }
    }

    fn build(&mut self, context: &mut actix::Context<Self>) {
        let Some(mailbox) = self.mailbox.clone() else { return };
        let surroundings = Context::new(mailbox);
        self.stats.begin();
        let built = catch_unwind(AssertUnwindSafe(|| {
            let mut actor = (self.make)();
            actor.started(&surroundings);
            actor
        }));
        self.stats.finish();
        match built {
            Ok(actor) => {
                self.actor = Some((actor, surroundings));
                self.stats.set_state(ActorState::Running);
                if self.crashes > 0 {
                    let count = self.stats.restarted();
                    (self.report)(Event::Restarted { actor: self.stats.name(), count });
                }
            }
            Err(panic) => self.crashed(panic_text(panic.as_ref()), context),
        }
    }

    /// Drops the spoilt actor and either waits to build a fresh one or gives up.
    fn crashed(&mut self, panic: String, context: &mut actix::Context<Self>) {
        let spoilt = self.actor.take();
        // A destructor may panic on the spoilt state too; that is the same crash.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(spoilt)));
        self.stats.panicked();
        let now = Instant::now();
        if self.window_begun.is_none_or(|begun| now.duration_since(begun) > self.policy.window) {
            self.window_begun = Some(now);
            self.crashes = 0;
        }
        self.crashes += 1;
        (self.report)(Event::Panicked { actor: self.stats.name(), panic });
        if self.crashes > self.policy.crashes {
            self.stats.set_state(ActorState::Failed);
            (self.report)(Event::GaveUp { actor: self.stats.name(), required: self.policy.required });
            while let Some(letter) = self.next() {
                letter.refuse(Fault::Failed { actor: self.stats.name() }, &self.stats);
            }
            return;
        }
        self.stats.set_state(ActorState::Restarting);
        let pause = tokio::time::sleep(self.policy.backoff_after(self.crashes));
        context.wait(actix::fut::wrap_future::<_, Self>(pause).map(|(), guard, context| guard.build(context)));
    }

    fn next(&mut self) -> Option<Box<dyn Letter<A>>> {
        let letter = self.lanes.control.try_recv().ok().or_else(|| {
            let may_detach = self.stats.in_flight() < self.policy.in_flight as u64;
            if !may_detach {
                self.deferred += 1;
                return None;
            }
            self.lanes.interactive.try_recv().or_else(|_| self.lanes.background.try_recv()).ok()
        });
        if letter.is_some() {
            self.stats.unqueued();
        }
        letter
    }

    fn step(&mut self, context: &mut actix::Context<Self>) {
        let Some(letter) = self.next() else { return };
        let Some((actor, surroundings)) = &mut self.actor else {
            letter.refuse(Fault::Failed { actor: self.stats.name() }, &self.stats);
            return;
        };
        self.stats.begin();
        let opened = letter.open(actor, surroundings, &self.stats);
        self.stats.finish();
        match opened {
            Opened::Done => {}
            Opened::Detached(future) => {
                let flight = Flight { stats: Arc::clone(&self.stats), address: context.address() };
                flight.stats.detached();
                actix_rt::spawn(async move {
                    let _flight = flight;
                    future.await;
                });
            }
            Opened::Panicked(panic) => self.crashed(panic, context),
        }
    }
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

    fn stopped(&mut self, _context: &mut Self::Context) {
        self.stats.set_state(ActorState::Stopped);
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
        if self.deferred > 0 {
            self.deferred -= 1;
            self.step(context);
        }
    }
}

/// The daemon asks the guard to end; letters in the lanes are answered with `Closed` by the drop of their senders.
pub(crate) struct Stop;

impl actix::Message for Stop {
    type Result = ();
}

impl<A: Service> actix::Handler<Stop> for Guard<A> {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        self.stats.set_state(ActorState::Stopped);
        self.actor = None;
        self.mailbox = None;
        context.stop();
    }
}

/// Runs a future and turns a panic inside it into its text.
pub(crate) async fn contained<R>(future: impl Future<Output = R>) -> Result<R, String> {
    let mut future = pin!(future);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(panic_text(panic.as_ref()))),
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
