//! A message under way: what a lane holds, how it is handled, and how it is answered when nobody handles it.
//!
//! A letter is answered exactly once: by its handler, by the future the handler returned, or with a fault. None is dropped unanswered, also
//! not when its thread ends.

use crate::guard::{contained, panic_text};
use crate::service::{Context, Handle, Reply, Service};
use crate::stats::{ActorState, Stats};
use contract::message::{Fault, Msg};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
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
    Detached(Pin<Box<dyn Future<Output = ()>>>),
    /// Its handler panicked; the actor's state is spoilt.
    Panicked(String),
}

/// A typed message on its way.
pub(crate) struct Envelope<M: Msg> {
    pub(crate) message: M,
    pub(crate) reply: Option<oneshot::Sender<Result<M::Reply, Fault>>>,
    pub(crate) queued_at: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The build of the actor that it is meant for, if for one only.
    pub(crate) only_for: Option<Weak<()>>,
}

impl<M: Msg> Envelope<M> {
    /// An envelope for whoever handles it, whenever, without an answer.
    pub(crate) fn new(message: M) -> Self {
        Self { message, reply: None, queued_at: Instant::now(), deadline: None, only_for: None }
    }
}

impl<A: Handle<M>, M: Msg> Letter<A> for Envelope<M> {
    fn open(self: Box<Self>, actor: &mut A, context: &Context<A>, stats: &Arc<Stats>) -> Opened {
        let Envelope { message, reply, queued_at, deadline, only_for } = *self;
        let begun = Instant::now();
        stats.waited(begun - queued_at);
        if deadline.is_some_and(|deadline| begun >= deadline) {
            stats.dead_letter(M::NAME, "expired");
            if let Some(reply) = reply {
                let _ = reply.send(Err(Fault::Expired { actor: stats.name() }));
            }
            return Opened::Done;
        }
        if only_for.is_some_and(|build| build.strong_count() == 0) {
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
                        None => contained(future).await.map(|_| ()).map_err(|panic| (panic, None)),
                        Some(mut reply) => {
                            tokio::select! {
                                biased;
                                () = reply.closed() => Ok(()),
                                answer = contained(future) => match answer {
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
                Opened::Panicked(panic_text(panic.as_ref()))
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

/// The sending end of a lane.
pub(crate) type Queue<A> = mpsc::Sender<Box<dyn Letter<A>>>;

/// The receiving ends of the lanes, most urgent first. They live in the guard and outlast the actor; where they end, so does the mailbox:
/// what waits in them is answered with `Closed`.
pub(crate) struct Lanes<A: Service> {
    control: mpsc::Receiver<Box<dyn Letter<A>>>,
    interactive: mpsc::Receiver<Box<dyn Letter<A>>>,
    background: mpsc::Receiver<Box<dyn Letter<A>>>,
    stats: Arc<Stats>,
}

impl<A: Service> Lanes<A> {
    /// Three lanes of so many places, and their sending ends in the same order.
    pub(crate) fn new(places: [usize; 3], stats: Arc<Stats>) -> ([Queue<A>; 3], Self) {
        let [(to_control, control), (to_interactive, interactive), (to_background, background)] =
            places.map(|places| mpsc::channel(places.max(1)));
        ([to_control, to_interactive, to_background], Self { control, interactive, background, stats })
    }

    /// The next letter of the control lane.
    pub(crate) fn take_control(&mut self) -> Option<Box<dyn Letter<A>>> {
        let letter = self.control.try_recv().ok()?;
        self.stats.unqueued();
        Some(letter)
    }

    /// The next letter of the other lanes, the interactive one first.
    pub(crate) fn take_work(&mut self) -> Option<Box<dyn Letter<A>>> {
        let letter = self.interactive.try_recv().or_else(|_| self.background.try_recv()).ok()?;
        self.stats.unqueued();
        Some(letter)
    }

    /// Answers everything that waits with `fault`.
    pub(crate) fn refuse_all(&mut self, fault: &Fault) {
        while let Some(letter) = self.take_control().or_else(|| self.take_work()) {
            refuse(letter, fault.clone(), &self.stats);
        }
    }
}

impl<A: Service> Drop for Lanes<A> {
    fn drop(&mut self) {
        self.stats.set_state(ActorState::Stopped);
        self.control.close();
        self.interactive.close();
        self.background.close();
        self.refuse_all(&Fault::Closed { actor: self.stats.name() });
    }
}

/// Refuses a letter. Its content is dropped here, and a destructor that panics must not reach actix.
fn refuse<A: Service>(letter: Box<dyn Letter<A>>, fault: Fault, stats: &Stats) {
    let refused = catch_unwind(AssertUnwindSafe(|| letter.refuse(fault, stats)));
    if let Err(panic) = refused {
        stats.panicked();
        tracing::error!(actor = stats.name(), panic = panic_text(panic.as_ref()), "a refused message crashed");
    }
}
