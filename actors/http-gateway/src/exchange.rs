//! One answer from being asked for to its end: the call that opens it and the events it gives, as one stream.
//!
//! Dropping it, at whatever stage, cancels everything behind it. A panic anywhere behind it is a failure of this one answer.

use contract::LocalBoxFuture;
use contract::chat::{EventSink, EventStream};
use contract::failure::{Failure, FailureClass};
use contract::provider::Called;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// An answer.
pub(crate) enum Exchange {
    /// The agent admits a turn.
    Turn(LocalBoxFuture<'static, Result<Pin<Box<dyn EventStream>>, Failure>>),
    /// A model is being called.
    Call(LocalBoxFuture<'static, Result<Called, Failure>>),
    /// Its events come.
    Events(Pin<Box<dyn EventStream>>),
    /// It has ended.
    Ended,
}

/// What a panic said, for the log: at most 300 characters.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    // Some hand over the box that a panic comes in as if it were the panic.
    let panic = panic.downcast_ref::<Box<dyn Any + Send>>().map_or(panic, |inner| inner.as_ref());
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").chars().take(300).collect()
}

/// What became of an answer at one look.
#[derive(Debug)]
pub(crate) enum Step {
    /// The call was answered; what was changed to suit the model.
    Opened(Vec<String>),
    /// Events were handed to the sink.
    Events,
    /// The answer is complete.
    Complete,
    /// The answer has failed.
    Failed(Failure),
}

impl Exchange {
    /// Waits for the next step. After `Complete` or `Failed` everything behind the answer has been let go, and there is none.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<Step> {
        let step = match catch_unwind(AssertUnwindSafe(|| self.step(context, sink))) {
            Ok(step) => ready!(step),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "an answer crashed");
                Step::Failed(Failure::new(FailureClass::Internal, "HAIA crashed on this request"))
            }
        };
        if matches!(step, Step::Complete | Step::Failed(_)) {
            let ended = std::mem::replace(self, Exchange::Ended);
            // What a panic left behind may panic again when it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
        }
        Poll::Ready(step)
    }

    fn step(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<Step> {
        match self {
            Exchange::Turn(call) => match ready!(call.as_mut().poll(context)) {
                Ok(events) => {
                    *self = Exchange::Events(events);
                    Poll::Ready(Step::Opened(Vec::new()))
                }
                Err(failure) => Poll::Ready(Step::Failed(failure)),
            },
            Exchange::Call(call) => match ready!(call.as_mut().poll(context)) {
                Ok(Called::Stream(answer)) => {
                    *self = Exchange::Events(answer.events);
                    Poll::Ready(Step::Opened(answer.notices))
                }
                // Only routes lead to the responder, and routes are the agent's: a plain call has nobody else to answer.
                Ok(Called::Builtin { .. }) => Poll::Ready(Step::Failed(Failure::new(
                    FailureClass::Unreachable,
                    "no provider can answer this model id; the built-in responder is the model builtin/offline",
                ))),
                Err(failure) => Poll::Ready(Step::Failed(failure)),
            },
            Exchange::Events(events) => Poll::Ready(match ready!(events.as_mut().poll_events(context, sink)) {
                Some(Ok(())) => Step::Events,
                Some(Err(failure)) => Step::Failed(failure),
                None => Step::Complete,
            }),
            Exchange::Ended => Poll::Ready(Step::Complete),
        }
    }
}
