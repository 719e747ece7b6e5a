//! What a domain actor is: a plain struct with synchronous handlers.

use crate::mailbox::Mailbox;
use contract::message::{Lane, Msg};
use serde::Serialize;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// A handler's answer.
pub enum Reply<R> {
    /// The answer itself.
    Now(R),
    /// The answer comes from this future. It owns what it needs, runs detached from the actor's state, and is dropped when nobody
    /// waits for the answer any more. What it learns goes back to the actor as a message.
    Later(Pin<Box<dyn Future<Output = R>>>),
}

impl<R> Reply<R> {
    /// Answers with what `future` gives.
    pub fn later(future: impl Future<Output = R> + 'static) -> Self {
        Reply::Later(Box::pin(future))
    }
}

/// A domain actor.
///
/// Its factory builds it afresh after a crash, so its state is what the factory and the messages make of it.
pub trait Service: Sized + Unpin + 'static {
    /// What it tells of itself in `/status`.
    type Observed: Serialize;

    /// Runs once after each build, before the first message: to set timers and to load what the store keeps.
    fn started(&mut self, context: &Context<Self>) {
        let _ = context;
    }

    /// What it tells of itself. Must be quick; a panic here is a crash of the actor.
    fn observe(&self) -> Self::Observed;
}

/// Handles one kind of message.
pub trait Handle<M: Msg>: Service {
    /// Changes the state and answers. It must not block and cannot await: slow work goes into [`Reply::Later`].
    fn handle(&mut self, message: M, context: &Context<Self>) -> Reply<M::Reply>;
}

/// What a handler may use of its surroundings.
pub struct Context<A: Service> {
    mailbox: Mailbox<A>,
    owned: RefCell<Vec<AbortHandle>>,
    /// Lives as long as this build of the actor.
    build: Arc<()>,
}

impl<A: Service> Context<A> {
    pub(crate) fn new(mailbox: Mailbox<A>) -> Self {
        Self { mailbox, owned: RefCell::default(), build: Arc::default() }
    }

    /// The actor's own mailbox, for futures that report back.
    pub fn mailbox(&self) -> &Mailbox<A> {
        &self.mailbox
    }

    /// Sends `message` to the actor itself after `delay` of real time, on `lane`; waits for a place if the lane is full then. Forgotten when
    /// the actor crashes, also if it is queued already: the fresh actor sets its own timers and would tick twice.
    pub fn tell_after<M: Msg>(&self, delay: Duration, lane: Lane, message: M)
    where
        A: Handle<M>,
    {
        let port = self.mailbox.port::<M>(lane);
        let build = Arc::downgrade(&self.build);
        self.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Err(fault) = port.tell_for(build, message).await {
                tracing::warn!(message = M::NAME, %fault, "a timer's message was refused");
            }
        });
    }

    /// Runs `work` beside the actor, on its thread. The actor owns it: it ends when the actor crashes. A panic in it is contained
    /// and counted, and does not touch the actor's state.
    pub fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        let stats = self.mailbox.stats().clone();
        let task = actix_rt::spawn(async move {
            if let Err(panic) = crate::guard::contained(work).await {
                stats.panicked();
                tracing::error!(actor = stats.name(), panic, "background work crashed");
            }
        });
        let mut owned = self.owned.borrow_mut();
        owned.retain(|task| !task.is_finished());
        owned.push(task.abort_handle());
    }
}

impl<A: Service> Drop for Context<A> {
    fn drop(&mut self) {
        for task in self.owned.borrow().iter() {
            task.abort();
        }
    }
}
