//! A provider's answer passed on as it comes: sound, text, or a provider's own events.

use crate::access_log::{Access, Outcome};
use crate::openai::error::Refusal;
use crate::pulse::{Beat, Pulse};
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use contract::direct::Pieces;
use contract::status::GaugeGuard;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body. Dropping it cancels the provider's request.
pub(crate) struct DirectBody {
    pieces: Option<Pin<Box<dyn Pieces>>>,
    /// How a failure is told where the body has a place for it: events have, sound has none.
    events: Option<fn(&Refusal) -> Bytes>,
    pulse: Pulse,
    access: Rc<Access>,
    /// How the answer ended; a failure without a place in the body cuts the connection.
    ended: Option<Outcome>,
    _open: GaugeGuard,
}

impl DirectBody {
    /// A body of bytes: when it breaks off, so does the connection.
    pub(crate) fn of_bytes(pieces: Pin<Box<dyn Pieces>>, pulse: Pulse, access: Rc<Access>, open: GaugeGuard) -> Self {
        Self { pieces: Some(pieces), events: None, pulse, access, ended: None, _open: open }
    }

    /// A body of events: when it breaks off, `told` prints the last of them.
    pub(crate) fn of_events(self, told: fn(&Refusal) -> Bytes) -> Self {
        Self { events: Some(told), ..self }
    }

    fn fail(&mut self, refusal: &Refusal) -> Poll<Option<Result<Bytes, Cut>>> {
        tracing::warn!(
            request_id = self.access.request_id.as_str(),
            code = refusal.code.as_deref(),
            reason = %refusal.message,
            "an answer broke off"
        );
        self.pieces = None;
        self.ended = Some(Outcome::Failed);
        self.access.ended(Outcome::Failed);
        Poll::Ready(Some(match self.events {
            // Events come whole: an end in the middle of one would make it look like another.
            Some(told) => Ok(told(refusal)),
            None => Err(Cut),
        }))
    }
}

/// The answer broke off where only the end of the connection can say so.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer broke off")
    }
}

impl std::error::Error for Cut {}

impl MessageBody for DirectBody {
    type Error = Cut;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let body = self.get_mut();
        if body.ended.is_some() {
            return Poll::Ready(None);
        }
        let Some(pieces) = &mut body.pieces else { return Poll::Ready(None) };
        // A panic behind an answer is a failure of this one answer.
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| pieces.as_mut().poll_piece(context))) else {
            return body.fail(&Refusal::internal("HAIA crashed on this request"));
        };
        match polled {
            Poll::Ready(Some(Ok(bytes))) => {
                body.pulse.sent();
                body.access.sent(bytes.len());
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(failure))) => body.fail(&failure.into()),
            Poll::Ready(None) => {
                body.pieces = None;
                body.ended = Some(Outcome::Done);
                body.access.ended(Outcome::Done);
                Poll::Ready(None)
            }
            Poll::Pending => loop {
                match body.pulse.poll(context) {
                    Poll::Ready(Beat::Silent) if body.events.is_some() => {
                        return Poll::Ready(Some(Ok(Bytes::from_static(b": keep-alive\n\n"))));
                    }
                    Poll::Ready(Beat::Silent) => {}
                    Poll::Ready(Beat::Cut) => return body.fail(&Refusal::draining()),
                    Poll::Pending => return Poll::Pending,
                }
            },
        }
    }
}
