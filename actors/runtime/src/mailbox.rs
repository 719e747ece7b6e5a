//! The two ends of a mailbox that senders see: [`Mailbox`] knows its actor, [`Port`] knows only a message.
//!
//! Each lane is a bounded channel; actix carries one empty wake-up per queued message, so that its own mailbox, which bounds nothing
//! (any clone of an address brings a place of its own), never holds more than ours.

use crate::guard::{Guard, Stop, Wake};
use crate::service::{Context, Handle, Reply, Service};
use crate::stats::{ActorState, Stats};
use contract::BoxFuture;
use contract::message::{Fault, Lane, Msg};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A message in a lane, its type known only to whoever sent it.
pub(crate) trait Letter<A: Service>: Send {
    /// Lets the actor handle it.
    fn open(self: Box<Self>, actor: &mut A, context: &Context<A>, stats: &Arc<Stats>) -> Opened;
    /// Answers it without the actor.
    fn refuse(self: Box<Self>, fault: Fault, stats: &Stats);
}

/// What became of a letter.
pub(crate) enum Opened {
    /// It was answered, or nobody waited any more.
    Done,
    /// Its future runs detached; to be awaited by a task of the guard's.
    Detached(std::pin::Pin<Box<dyn Future<Output = ()>>>),
    /// Its handler panicked; the actor's state is spoilt.
    Panicked(String),
}

/// A typed message on its way.
pub(crate) struct Envelope<M: Msg> {
    message: M,
    reply: Option<oneshot::Sender<Result<M::Reply, Fault>>>,
    queued_at: Instant,
    deadline: Option<Instant>,
}

impl<A: Handle<M>, M: Msg> Letter<A> for Envelope<M> {
    fn open(self: Box<Self>, actor: &mut A, context: &Context<A>, stats: &Arc<Stats>) -> Opened {
        let Envelope { message, reply, queued_at, deadline } = *self;
        let begun = Instant::now();
        stats.waited(begun - queued_at);
        if deadline.is_some_and(|deadline| begun >= deadline) {
            stats.dead_letter(M::NAME, "expired");
            if let Some(reply) = reply {
                let _ = reply.send(Err(Fault::Expired { actor: stats.name() }));
            }
            return Opened::Done;
        }
        if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            stats.dead_letter(M::NAME, "abandoned");
            return Opened::Done;
        }
        let handled = catch_unwind(AssertUnwindSafe(|| actor.handle(message, context)));
        stats.took(begun.elapsed());
        match handled {
            Ok(Reply::Now(answer)) => {
                if let Some(reply) = reply {
                    let _ = reply.send(Ok(answer));
                }
                Opened::Done
            }
            Ok(Reply::Later(future)) => {
                let stats = Arc::clone(stats);
                Opened::Detached(Box::pin(async move {
                    let answer = match reply {
                        None => crate::guard::contained(future).await.map(|_| ()).map_err(|panic| (panic, None)),
                        Some(mut reply) => {
                            tokio::select! {
                                biased;
                                () = reply.closed() => Ok(()),
                                answer = crate::guard::contained(future) => match answer {
                                    Ok(answer) => {
                                        let _ = reply.send(Ok(answer));
                                        Ok(())
                                    }
                                    Err(panic) => Err((panic, Some(reply))),
                                },
                            }
                        }
                    };
                    if let Err((panic, reply)) = answer {
                        stats.panicked();
                        tracing::error!(actor = stats.name(), message = M::NAME, panic, "a request crashed");
                        if let Some(reply) = reply {
                            let _ = reply.send(Err(Fault::Panicked { actor: stats.name() }));
                        }
                    }
                }))
            }
            Err(panic) => {
                if let Some(reply) = reply {
                    let _ = reply.send(Err(Fault::Panicked { actor: stats.name() }));
                }
                Opened::Panicked(crate::guard::panic_text(panic.as_ref()))
            }
        }
    }

    fn refuse(self: Box<Self>, fault: Fault, stats: &Stats) {
        stats.dead_letter(M::NAME, fault.reason());
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(fault));
        }
    }
}

type Queue<A> = mpsc::Sender<Box<dyn Letter<A>>>;

/// The receiving ends of the lanes, most urgent first. They live in the guard and outlast the actor.
pub(crate) struct Lanes<A: Service> {
    pub(crate) control: mpsc::Receiver<Box<dyn Letter<A>>>,
    pub(crate) interactive: mpsc::Receiver<Box<dyn Letter<A>>>,
    pub(crate) background: mpsc::Receiver<Box<dyn Letter<A>>>,
}

/// The address of one supervised actor. It stays valid over restarts.
pub struct Mailbox<A: Service> {
    address: actix::Addr<Guard<A>>,
    control: Queue<A>,
    interactive: Queue<A>,
    background: Queue<A>,
    stats: Arc<Stats>,
}

impl<A: Service> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            control: self.control.clone(),
            interactive: self.interactive.clone(),
            background: self.background.clone(),
            stats: Arc::clone(&self.stats),
        }
    }
}

impl<A: Service> Mailbox<A> {
    pub(crate) fn new(
        address: actix::Addr<Guard<A>>,
        [control, interactive, background]: [Queue<A>; 3],
        stats: Arc<Stats>,
    ) -> Self {
        Self { address, control, interactive, background, stats }
    }

    /// A port for one kind of message, on one lane.
    pub fn port<M: Msg>(&self, lane: Lane) -> Port<M>
    where
        A: Handle<M>,
    {
        let queue = match lane {
            Lane::Control => &self.control,
            Lane::Interactive => &self.interactive,
            Lane::Background => &self.background,
        };
        Port {
            way: Arc::new(Way { address: self.address.clone(), queue: queue.clone(), stats: Arc::clone(&self.stats) }),
        }
    }

    /// The actor's figures.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    pub(crate) fn send_stop(&self, stop: Stop) {
        self.address.do_send(stop);
    }
}

/// How a message gets to an actor whose type the sender does not know.
trait Deliver<M: Msg>: Send + Sync {
    fn deliver(&self, envelope: Envelope<M>) -> Delivery;
    fn stats(&self) -> &Stats;
}

enum Delivery {
    Queued,
    /// The lane is full; the future waits for a place. Dropping it takes the message back.
    Full(BoxFuture<'static, Result<(), Fault>>),
    Refused(Fault),
}

struct Way<A: Service> {
    address: actix::Addr<Guard<A>>,
    queue: Queue<A>,
    stats: Arc<Stats>,
}

impl<A: Handle<M>, M: Msg> Deliver<M> for Way<A> {
    fn deliver(&self, envelope: Envelope<M>) -> Delivery {
        let actor = self.stats.name();
        match self.stats.state() {
            ActorState::Failed => return Delivery::Refused(Fault::Failed { actor }),
            ActorState::Stopped => return Delivery::Refused(Fault::Closed { actor }),
            ActorState::Starting | ActorState::Running | ActorState::Restarting => {}
        }
        // Counted before it can be taken out, so that the depth never goes below zero.
        self.stats.queued();
        match self.queue.try_send(Box::new(envelope)) {
            Ok(()) => {
                self.address.do_send(Wake);
                Delivery::Queued
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.stats.unqueued();
                Delivery::Refused(Fault::Closed { actor })
            }
            Err(mpsc::error::TrySendError::Full(letter)) => {
                self.stats.unqueued();
                let (queue, address, stats) = (self.queue.clone(), self.address.clone(), Arc::clone(&self.stats));
                Delivery::Full(Box::pin(async move {
                    let Ok(place) = queue.reserve().await else { return Err(Fault::Closed { actor }) };
                    stats.queued();
                    place.send(letter);
                    address.do_send(Wake);
                    Ok(())
                }))
            }
        }
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// A way to send one kind of message to whoever answers it.
pub struct Port<M: Msg> {
    way: Arc<dyn Deliver<M>>,
}

impl<M: Msg> Clone for Port<M> {
    fn clone(&self) -> Self {
        Self { way: Arc::clone(&self.way) }
    }
}

impl<M: Msg> Port<M> {
    /// Asks and waits, also for a place in the lane, at most `within` in all. Dropping the future takes the question back: unhandled, it is
    /// skipped; being worked on, its detached future is dropped.
    ///
    /// # Errors
    /// Every [`Fault`] but `Busy`.
    pub async fn ask(&self, message: M, within: Duration) -> Result<M::Reply, Fault> {
        self.request(message, within, true).await
    }

    /// Asks and waits at most `within`, but does not wait for a place in the lane.
    ///
    /// # Errors
    /// Every [`Fault`].
    pub async fn try_ask(&self, message: M, within: Duration) -> Result<M::Reply, Fault> {
        self.request(message, within, false).await
    }

    /// Sends without waiting for anything.
    ///
    /// # Errors
    /// `Busy`, `Failed` or `Closed`: the message was not queued.
    pub fn tell(&self, message: M) -> Result<(), Fault> {
        let envelope = Envelope { message, reply: None, queued_at: Instant::now(), deadline: None };
        let fault = match self.way.deliver(envelope) {
            Delivery::Queued => return Ok(()),
            Delivery::Full(_) => Fault::Busy { actor: self.way.stats().name() },
            Delivery::Refused(fault) => fault,
        };
        self.way.stats().refuse(M::NAME, &fault);
        Err(fault)
    }

    async fn request(&self, message: M, within: Duration, wait_for_place: bool) -> Result<M::Reply, Fault> {
        let actor = self.way.stats().name();
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let deadline = now.checked_add(within);
        let envelope = Envelope { message, reply: Some(reply), queued_at: now, deadline };
        let exchange = async {
            match self.way.deliver(envelope) {
                Delivery::Queued => {}
                Delivery::Full(place) if wait_for_place => place.await?,
                Delivery::Full(_) => return Err(Fault::Busy { actor }),
                Delivery::Refused(fault) => return Err(fault),
            }
            // A dropped sender means that the actor's thread ended with the message in it.
            answer.await.unwrap_or(Err(Fault::Closed { actor }))
        };
        let outcome = match deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline, exchange).await.unwrap_or(Err(Fault::Expired { actor }))
            }
            None => exchange.await,
        };
        if let Err(fault @ (Fault::Busy { .. } | Fault::Failed { .. } | Fault::Closed { .. })) = &outcome {
            self.way.stats().refuse(M::NAME, fault);
        }
        outcome
    }
}

#[cfg(feature = "world")]
impl<M: Msg> Port<M> {
    /// A port that `answer` answers at once: a neighbour in a test.
    pub fn scripted(name: &'static str, answer: impl Fn(M) -> M::Reply + Send + Sync + 'static) -> Self {
        Port { way: Arc::new(Scripted { answer, stats: Stats::new(name) }) }
    }
}

#[cfg(feature = "world")]
struct Scripted<F> {
    answer: F,
    stats: Stats,
}

#[cfg(feature = "world")]
impl<M: Msg, F: Fn(M) -> M::Reply + Send + Sync> Deliver<M> for Scripted<F> {
    fn deliver(&self, envelope: Envelope<M>) -> Delivery {
        let answer = (self.answer)(envelope.message);
        if let Some(reply) = envelope.reply {
            let _ = reply.send(Ok(answer));
        }
        Delivery::Queued
    }

    fn stats(&self) -> &Stats {
        &self.stats
    }
}
