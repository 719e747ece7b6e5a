//! The two ends of a mailbox that senders see: [`Mailbox`] knows its actor, [`Port`] knows only a message.
//!
//! Each lane is a bounded channel; actix carries one empty wake-up per queued message, so that its own mailbox, which bounds nothing
//! (any clone of an address brings a place of its own), never holds more than ours.

use crate::guard::{Guard, Stop, Wake};
use crate::letter::{Envelope, Queue};
use crate::service::{Handle, Service};
use crate::stats::{ActorState, Stats};
use contract::BoxFuture;
use contract::message::{Fault, Lane, Msg};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

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
pub(crate) trait Deliver<M: Msg>: Send + Sync {
    fn deliver(&self, envelope: Envelope<M>) -> Delivery;
    fn stats(&self) -> &Stats;
}

pub(crate) enum Delivery {
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
    pub(crate) fn by(way: Arc<dyn Deliver<M>>) -> Self {
        Self { way }
    }

    pub(crate) fn deliver(&self, envelope: Envelope<M>) -> Delivery {
        self.way.deliver(envelope)
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.way.stats()
    }

    /// Asks and waits, also for a place in the lane, at most `within` in all. Dropping the future takes the question back: unhandled, it is
    /// skipped; being worked on, its detached future is dropped.
    ///
    /// # Errors
    /// Every [`Fault`] but `Busy`; `Expired` also when no place became free in time.
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
        let envelope = Envelope::new(message);
        let fault = match self.way.deliver(envelope) {
            Delivery::Queued => return Ok(()),
            Delivery::Full(_) => Fault::Busy { actor: self.way.stats().name() },
            Delivery::Refused(fault) => fault,
        };
        self.way.stats().refuse(M::NAME, &fault);
        Err(fault)
    }

    /// Sends what is meant for one build of the actor only, waiting for a place in the lane for as long as it takes: a timer's message must
    /// not be lost.
    pub(crate) async fn tell_for(&self, build: Weak<()>, message: M) -> Result<(), Fault> {
        let envelope = Envelope { only_for: Some(build), ..Envelope::new(message) };
        self.queue(envelope, true).await
    }

    async fn request(&self, message: M, within: Duration, wait_for_place: bool) -> Result<M::Reply, Fault> {
        let actor = self.way.stats().name();
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope::new(message);
        let deadline = envelope.queued_at.checked_add(within);
        let envelope = Envelope { reply: Some(reply), deadline, ..envelope };
        self.queue(envelope, wait_for_place).await?;
        // A dropped sender means that the actor's thread ended while the answer was being worked on.
        by(deadline, answer).await.unwrap_or(Ok(Err(Fault::Expired { actor }))).unwrap_or(Err(Fault::Closed { actor }))
    }

    /// Brings an envelope into its lane. Whatever was not queued is counted as refused.
    async fn queue(&self, envelope: Envelope<M>, wait_for_place: bool) -> Result<(), Fault> {
        let actor = self.way.stats().name();
        let deadline = envelope.deadline;
        let fault = match self.way.deliver(envelope) {
            Delivery::Queued => return Ok(()),
            Delivery::Full(place) if wait_for_place => match by(deadline, place).await {
                Some(Ok(())) => return Ok(()),
                Some(Err(fault)) => fault,
                None => Fault::Expired { actor },
            },
            Delivery::Full(_) => Fault::Busy { actor },
            Delivery::Refused(fault) => fault,
        };
        self.way.stats().refuse(M::NAME, &fault);
        Err(fault)
    }
}

/// Waits for `future` until `deadline`, if there is one.
async fn by<R>(deadline: Option<Instant>, future: impl Future<Output = R>) -> Option<R> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

#[cfg(feature = "world")]
impl<M: Msg> Port<M> {
    /// A port that `answer` answers at once: a neighbour in a test.
    pub fn scripted(name: &'static str, answer: impl Fn(M) -> M::Reply + Send + Sync + 'static) -> Self {
        Port { way: Arc::new(Scripted { answer, stats: Stats::new(name, usize::MAX) }) }
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
