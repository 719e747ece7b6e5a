//! An answer that is passed on as it comes: sound, text, or a provider's own events. Those come whole, however the network cut them.
//!
//! With a decoder it is also understood: what breaks off is told as broken off. It changes no byte of what it passes on.

use super::account::Account;
use super::stream::{Idle, read_rest, silent};
use super::whole_events::WholeEvents;
use crate::formats::Decoder;
use actix_http::Payload;
use bytes::Bytes;
use contract::BoxFuture;
use contract::chat::{Event, EventSink};
use contract::direct::Pieces;
use contract::failure::{Failure, FailureClass};
use futures_util::Stream;
use runtime::TaskSet;
use runtime::http::Body;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The answer.
pub(super) struct Passing {
    pub(super) body: Option<Body>,
    /// What came before something of substance did.
    pub(super) held: VecDeque<Bytes>,
    /// For an answer of events, and whatever has a decoder: keeps back the one that is not whole yet.
    pub(super) events: Option<WholeEvents>,
    /// `None` for what is passed on without being understood.
    pub(super) decoder: Option<Box<dyn Decoder>>,
    pub(super) idle: Idle,
    pub(super) account: Account,
    pub(super) rests: Rc<TaskSet>,
    pub(super) provider: Arc<str>,
    /// Whether something of substance came, or the model was seen at work. Before, the deadline for the first token counts; after it,
    /// silence does.
    pub(super) begun: bool,
    pub(super) deadline: BoxFuture<'static, ()>,
    /// The time that `deadline` leaves, to be told.
    pub(super) limit: Duration,
    /// Whether its reader has it: until then a failure may still be an HTTP status, or have another try.
    pub(super) given_out: bool,
    /// The failure that is told after what came before it.
    pub(super) failed: Option<Failure>,
    /// When whoever waits for the answer is told that there will be one, whatever has come of it.
    pub(super) patience: BoxFuture<'static, ()>,
}

/// Takes events that only the account wants.
pub(super) struct Ignored;

impl EventSink for Ignored {
    fn event(&mut self, _: Event<'_>) {}
}

/// Notices when something of substance came: until then a failure is still an HTTP status.
#[derive(Default)]
struct Substance(bool);

impl EventSink for Substance {
    fn event(&mut self, event: Event<'_>) {
        self.0 |= !matches!(event, Event::Head(_) | Event::Usage(_) | Event::KeepAlive);
    }
}

/// The failure of an answer that did not begin in time.
pub(super) fn late(provider: &str, limit: Duration) -> Failure {
    Failure::new(FailureClass::Timeout, format!("{provider} did not answer within {} s", limit.as_secs_f64()))
}

/// The failure of a connection that broke.
pub(super) fn broke(provider: &str) -> Failure {
    let message = format!("the connection to {provider} broke in the middle of its answer");
    Failure::new(FailureClass::Truncated, message)
}

impl Passing {
    /// Reads on until the answer has begun; what is not understood has begun with its first byte. What came so far is given out, begun or not,
    /// when the patience is over: from then on a failure can only be told in the stream.
    pub(super) fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.begun {
            match self.poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => self.held.push_back(piece),
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Err(failure)),
                Poll::Ready(None) => break,
                Poll::Pending if self.held.is_empty() => return Poll::Pending,
                Poll::Pending => return self.patience.as_mut().poll(context).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if self.begun {
            return self.poll_body(context, &mut Ignored);
        }
        let mut substance = Substance(self.decoder.is_none());
        let polled = self.poll_body(context, &mut substance);
        let is_at_work = self.decoder.as_ref().is_some_and(|decoder| decoder.is_at_work());
        match &polled {
            Poll::Pending => {
                if self.deadline.as_mut().poll(context).is_ready() {
                    return self.fail(late(&self.provider, self.limit));
                }
            }
            Poll::Ready(Some(Ok(_))) if !(substance.0 || is_at_work) => {}
            Poll::Ready(Some(Err(_))) => {}
            Poll::Ready(_) => {
                self.begun = true;
                self.idle.touch();
                self.account.answered();
            }
        }
        polled
    }

    fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(failure) = self.failed.take() {
            return self.fail(failure);
        }
        loop {
            let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
            let complete = self.decoder.as_ref().is_some_and(|decoder| decoder.is_complete());
            let piece = match Pin::new(&mut *body).poll_next(context) {
                Poll::Pending if complete => {
                    if let Some(body) = self.body.take() {
                        read_rest(Payload::Stream { payload: Box::pin(body) }, self.idle.clock(), &self.rests);
                    }
                    self.account.complete();
                    return Poll::Ready(None);
                }
                Poll::Pending if !self.begun => return Poll::Pending,
                Poll::Pending => match self.idle.poll_silent(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => {
                        let failure = silent(&self.provider, self.idle.limit());
                        return self.fail(failure);
                    }
                },
                Poll::Ready(Some(Ok(bytes))) => {
                    self.idle.touch();
                    self.account.received(bytes.len());
                    bytes
                }
                // Also where the connection ended before the body did.
                Poll::Ready(end) if !complete && (end.is_some() || !body.is_whole()) => {
                    return self.fail(broke(&self.provider));
                }
                Poll::Ready(_) => return self.end(sink),
            };
            match self.read(piece, sink) {
                // Not a whole event yet.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Poll::Ready(Some(Ok(piece))),
                Err(failure) => return self.fail(failure),
            }
        }
    }

    /// What of a piece may be passed on now: all whole events, but for those from the one on that tells a failure.
    fn read(&mut self, piece: Bytes, sink: &mut dyn EventSink) -> Result<Bytes, Failure> {
        let Some(events) = &mut self.events else { return Ok(piece) };
        let piece = events.feed(piece)?;
        let Some(decoder) = &mut self.decoder else { return Ok(piece) };
        let mut good = 0;
        for end in events.ends() {
            let event = piece.slice(good..*end);
            if let Err(failure) = self.account.counting(sink, |sink| decoder.feed(&event, sink)) {
                if good == 0 || !self.given_out {
                    return Err(failure);
                }
                self.failed = Some(failure);
                return Ok(piece.slice(..good));
            }
            good = *end;
        }
        Ok(piece)
    }

    fn understand(&mut self, piece: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        match &mut self.decoder {
            Some(decoder) => self.account.counting(sink, |sink| decoder.feed(piece, sink)),
            None => Ok(()),
        }
    }

    /// The connection has ended. A last event that no empty line closed is passed on if it makes the answer whole.
    fn end(&mut self, sink: &mut dyn EventSink) -> Poll<Option<Result<Bytes, Failure>>> {
        self.body = None;
        let rest = self.events.as_mut().map(WholeEvents::rest).unwrap_or_default();
        let ended = self.understand(&rest, sink).and_then(|()| match &mut self.decoder {
            Some(decoder) => self.account.counting(sink, |sink| decoder.end(sink)),
            None => Ok(()),
        });
        match ended {
            Ok(()) => {
                self.account.complete();
                Poll::Ready(Some(rest).filter(|rest| !rest.is_empty()).map(Ok))
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Bytes, Failure>>> {
        self.body = None;
        let failure = failure.from_provider(Arc::clone(&self.provider));
        self.account.fail(&failure);
        Poll::Ready(Some(Err(failure)))
    }
}

impl Pieces for Passing {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.given_out = true;
        if let Some(piece) = self.held.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        self.poll_next(context)
    }
}
