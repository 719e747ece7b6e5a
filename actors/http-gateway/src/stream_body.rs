//! A streamed answer as an HTTP body that polls the answer itself: no task, no channel between a provider's word and the socket.

use crate::access_log::{Access, Outcome};
use crate::encoder::StreamEncoder;
use crate::exchange::{Exchange, Step};
use crate::openai::error::Refusal;
use crate::pulse::{Beat, Pulse};
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use contract::failure::Failure;
use contract::status::GaugeGuard;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body. Dropping it cancels the answer.
pub(crate) struct StreamBody<E> {
    exchange: Exchange,
    encoder: E,
    /// What was changed to suit the model, where the stream itself has no place for it.
    notices: Vec<String>,
    pulse: Pulse,
    access: Rc<Access>,
    /// How the answer ended; what is printed may still wait to be sent.
    ended: Option<Outcome>,
    _open: GaugeGuard,
}

impl<E: StreamEncoder> StreamBody<E> {
    pub(crate) fn new(exchange: Exchange, encoder: E, pulse: Pulse, access: Rc<Access>, open: GaugeGuard) -> Self {
        Self { exchange, encoder, notices: Vec::new(), pulse, access, ended: None, _open: open }
    }

    /// Waits until the head may go out: something of the answer is there, or ten seconds have passed.
    ///
    /// # Errors
    /// The answer failed before anything of it was sent: it becomes an HTTP status.
    pub(crate) async fn begun(&mut self) -> Result<(), Refusal> {
        poll_fn(|context| self.poll_begun(context)).await
    }

    /// What is still to be told in the head.
    pub(crate) fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        while !self.encoder.has_output() {
            match self.exchange.poll(context, &mut self.encoder) {
                Poll::Ready(Step::Failed(failure)) => return Poll::Ready(Err(failure.into())),
                Poll::Ready(step) => {
                    if let Err(failure) = self.advance(step) {
                        return Poll::Ready(Err(failure.into()));
                    }
                }
                Poll::Pending => match self.pulse.poll(context) {
                    Poll::Ready(Beat::Silent) => self.encoder.keep_alive(),
                    Poll::Ready(Beat::Cut) => return Poll::Ready(Err(Refusal::draining())),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Opened(notices) => self.notices = self.encoder.notices(notices),
            Step::Events => {}
            Step::Complete => {
                self.encoder.complete()?;
                self.end(Outcome::Done);
            }
            Step::Failed(failure) => return Err(failure),
        }
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = Some(outcome);
        self.exchange = Exchange::Ended;
    }

    fn fail(&mut self, refusal: &Refusal) {
        tracing::warn!(
            request_id = self.access.request_id.as_str(),
            code = refusal.code.as_deref(),
            reason = %refusal.message,
            "an answer broke off"
        );
        self.encoder.fail(refusal);
        self.end(Outcome::Failed);
    }
}

impl<E: StreamEncoder + Unpin> MessageBody for StreamBody<E> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let body = self.get_mut();
        loop {
            if let Some(bytes) = body.encoder.take() {
                body.pulse.sent();
                body.access.sent(bytes.len());
                return Poll::Ready(Some(Ok(bytes)));
            }
            if let Some(outcome) = body.ended {
                body.access.ended(outcome);
                return Poll::Ready(None);
            }
            match body.exchange.poll(context, &mut body.encoder) {
                Poll::Ready(step) => {
                    if let Err(failure) = body.advance(step) {
                        body.fail(&failure.into());
                    }
                }
                Poll::Pending => match body.pulse.poll(context) {
                    Poll::Ready(Beat::Silent) => body.encoder.keep_alive(),
                    Poll::Ready(Beat::Cut) => body.fail(&Refusal::draining()),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}
