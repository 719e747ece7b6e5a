//! A request on its way out: its head, and its body unless that went into the same bytes.
//!
//! A connection that takes no more is no error yet: whether the server has answered all the same is seen by who reads. It reads nothing, and
//! holds no bytes once they are sent.

use super::stream::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite as _;

/// What is on its way out.
pub(super) trait Outgoing {
    /// Sends on. Ready once there is nothing left to do, because all was sent or nothing more can be.
    fn poll(&mut self, io: &mut Stream, context: &mut Context<'_>) -> Poll<()>;

    /// Whether the server has got all of it.
    fn is_sent(&self) -> bool;

    /// Whether it can never be whole, whatever the server does.
    fn is_spoilt(&self) -> bool;

    /// Why it was not sent.
    fn failure(self) -> Option<io::Error>;
}

/// A request that may not be sent yet.
pub(super) struct Sending<'a> {
    head: Vec<u8>,
    body: &'a [u8],
    /// How much of both is sent.
    sent: usize,
    state: State,
}

enum State {
    Writing,
    Sent,
    Failed(io::Error),
}

impl<'a> Sending<'a> {
    /// Sends `head`, then `body`.
    pub(super) fn new(head: Vec<u8>, body: &'a [u8]) -> Self {
        Self { head, body, sent: 0, state: State::Writing }
    }

    fn poll_write(&mut self, io: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let head = self.head.len();
        loop {
            let left = if self.sent < head { &self.head[self.sent..] } else { &self.body[self.sent - head..] };
            if left.is_empty() {
                return Pin::new(io).poll_flush(context);
            }
            match ready!(Pin::new(&mut *io).poll_write(context, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
    }
}

impl Outgoing for Sending<'_> {
    fn poll(&mut self, io: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::Writing) {
            self.state = match ready!(self.poll_write(io, context)) {
                Ok(()) => State::Sent,
                Err(error) => State::Failed(error),
            };
            (self.head, self.body) = (Vec::new(), &[]);
        }
        Poll::Ready(())
    }

    fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent)
    }

    fn is_spoilt(&self) -> bool {
        false
    }

    fn failure(self) -> Option<io::Error> {
        match self.state {
            State::Failed(error) => Some(error),
            State::Writing | State::Sent => None,
        }
    }
}
