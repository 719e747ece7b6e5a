//! An answer on its way from a provider: network pieces in, events out, polled by whoever reads it.
//!
//! Dropping it closes the provider's connection. It never spawns: only the rest of a finished connection is handed to its thread to be read.

use super::account::Account;
use super::buffer::Buffer;
use crate::formats::Decoder;
use actix_http::Payload;
use contract::LocalBoxFuture;
use contract::chat::{EventSink, EventStream};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use futures_util::Stream;
use runtime::TaskSet;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A streamed answer.
pub struct ProviderStream {
    pub(super) buffer: Buffer,
    pub(super) body: Option<Payload>,
    pub(super) decoder: Box<dyn Decoder>,
    pub(super) account: Account,
    pub(super) idle: Idle,
    pub(super) begun: bool,
    pub(super) rests: Rc<TaskSet>,
    pub(super) provider: Arc<str>,
}

/// Notices a stream that fell silent. The timer is moved only when it fires, so a piece costs one look at the clock.
pub struct Idle {
    clock: SharedClock,
    limit: Duration,
    last: Duration,
    timer: LocalBoxFuture<'static, ()>,
}

impl Idle {
    /// Begins to count.
    pub fn new(clock: &SharedClock, limit: Duration) -> Self {
        Self { clock: Arc::clone(clock), limit, last: clock.monotonic(), timer: clock.patience(limit) }
    }

    pub(super) fn touch(&mut self) {
        self.last = self.clock.monotonic();
    }

    /// The longest silence.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The clock that it counts by.
    pub(super) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Ready when nothing came for the whole limit.
    pub(super) fn poll_silent(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let silent = self.clock.monotonic().saturating_sub(self.last);
            if silent >= self.limit {
                return Poll::Ready(());
            }
            self.timer = self.clock.patience(self.limit - silent);
        }
        Poll::Pending
    }
}

/// A provider whose answer began to come and came no further.
pub(super) fn silent(provider: &str, limit: Duration) -> Failure {
    let message = format!("{provider} fell silent for {} s in the middle of its answer", limit.as_secs_f64());
    Failure::new(FailureClass::Timeout, message)
}

impl ProviderStream {
    /// Reads on until something of substance came or the answer ended.
    fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let relays = self.buffer.relays();
        let mut buffer = std::mem::replace(&mut self.buffer, Buffer::new(relays, false));
        let outcome = loop {
            if buffer.has_substance() {
                break Poll::Ready(Ok(()));
            }
            match self.poll_piece(context, &mut buffer) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(failure))) => break Poll::Ready(Err(failure)),
            }
        };
        self.buffer = buffer;
        if matches!(outcome, Poll::Ready(Ok(()))) {
            self.begun = true;
            self.idle.touch();
        }
        outcome
    }

    /// Waits until something of substance came or the answer ended; `false` if it did not begin before the deadline. An answer that is at
    /// work has begun: from then on only silence is too long, though nothing of it can be shown yet and another may still be asked instead.
    pub(super) async fn begun_before(&mut self, deadline: &mut LocalBoxFuture<'static, ()>) -> Result<bool, Failure> {
        std::future::poll_fn(|context| match self.poll_begun(context) {
            Poll::Ready(begun) => Poll::Ready(begun.map(|()| true)),
            Poll::Pending if self.decoder.is_at_work() => Poll::Pending,
            Poll::Pending => deadline.as_mut().poll(context).map(|()| Ok(false)),
        })
        .await
    }

    fn poll_piece(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<Option<Result<(), Failure>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        match Pin::new(body).poll_next(context) {
            Poll::Pending if self.decoder.is_complete() => {
                self.leave_rest();
                self.account.complete();
                Poll::Ready(None)
            }
            // Until it begins, the deadline for the first token is its reader's alone, whether the head has come or not.
            Poll::Pending if !self.begun && !self.decoder.is_at_work() => Poll::Pending,
            Poll::Pending => match self.idle.poll_silent(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    let failure = silent(&self.provider, self.idle.limit);
                    self.fail(failure)
                }
            },
            Poll::Ready(Some(Ok(bytes))) => {
                self.idle.touch();
                self.account.received(bytes.len());
                let decoder = &mut self.decoder;
                match self.account.counting(sink, |sink| decoder.feed(&bytes, sink)) {
                    Ok(()) => Poll::Ready(Some(Ok(()))),
                    Err(failure) => self.fail(failure),
                }
            }
            Poll::Ready(Some(Err(error))) if !self.decoder.is_complete() => {
                tracing::debug!(provider = %self.provider, %error, "the connection broke");
                let message = format!("the connection to {} broke in the middle of its answer", self.provider);
                self.fail(Failure::new(FailureClass::Truncated, message))
            }
            Poll::Ready(None | Some(Err(_))) => {
                self.body = None;
                let decoder = &mut self.decoder;
                match self.account.counting(sink, |sink| decoder.end(sink)) {
                    Ok(()) => {
                        self.account.complete();
                        // What the end itself gave must reach the sink before the stream says that it is over.
                        Poll::Ready(Some(Ok(())))
                    }
                    Err(failure) => self.fail(failure),
                }
            }
        }
    }

    fn leave_rest(&mut self) {
        if let Some(body) = self.body.take() {
            read_rest(body, &self.idle.clock, &self.rests);
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<(), Failure>>> {
        self.body = None;
        let failure = failure.from_provider(Arc::clone(&self.provider));
        self.account.fail(&failure);
        Poll::Ready(Some(Err(failure)))
    }
}

impl EventStream for ProviderStream {
    fn poll_events(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>> {
        if !self.buffer.is_empty() {
            self.buffer.replay(sink);
            return Poll::Ready(Some(Ok(())));
        }
        self.poll_piece(context, sink)
    }
}

/// A whole answer that is already there.
pub struct WholeAnswer(pub Buffer);

impl EventStream for WholeAnswer {
    fn poll_events(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        self.0.replay(sink);
        Poll::Ready(Some(Ok(())))
    }
}

/// The end mark came, the connection's own end did not yet: reading it gives the connection back to the pool. The reader shall not wait
/// for that.
pub(super) fn read_rest(mut body: Payload, clock: &SharedClock, rests: &TaskSet) {
    let limit = clock.pause(Duration::from_secs(1));
    rests.spawn("rest of an answer", async move {
        let rest = async {
            while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {}
        };
        tokio::select! { () = rest => {}, () = limit => {} }
    });
}
