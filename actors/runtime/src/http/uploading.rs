//! A request whose body comes piece by piece: a piece is asked for once the connection has taken the one before, so that nothing piles up.
//!
//! Like every request it may be answered before it is whole. It holds one piece at a time, and never ends a body that broke off: the server
//! must not take a part for all of it.

use super::sending::Outgoing;
use super::stream::Stream;
use bytes::Bytes;
use futures_util::Stream as Pieces;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite as _;

/// Pieces up to this size are copied to stand with what goes before them: one packet instead of two.
const TOGETHER: usize = 16 << 10;

/// A request on its way.
pub(super) struct Uploading<B> {
    /// The head, or the line before a chunk, with what is sent together with it.
    before: Vec<u8>,
    piece: Bytes,
    /// How much of both is sent.
    sent: usize,
    /// How many bytes are still to be given; `None`: the body goes in chunks.
    left: Option<u64>,
    body: B,
    state: State,
}

enum State {
    /// The body was not asked for anything yet.
    New,
    Giving,
    /// The body has given all that it has.
    Given,
    Sent,
    /// The connection takes no more.
    Refused(io::Error),
    /// The body broke off.
    Spoilt(io::Error),
}

impl<B: Pieces<Item = io::Result<Bytes>> + Unpin> Uploading<B> {
    /// Sends `head`, which lacks only the lines of the body's framing, then `body`.
    pub(super) fn new(head: &[u8], length: Option<u64>, body: B) -> Self {
        let framing = match length {
            Some(length) => format!("content-length: {length}\r\n\r\n"),
            None => "transfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        let before = [head, framing.as_bytes()].concat();
        Self { before, piece: Bytes::new(), sent: 0, left: length, body, state: State::New }
    }

    /// What the body gives next, framed.
    fn poll_give(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let given = ready!(Pin::new(&mut self.body).poll_next(context)).transpose()?;
        self.state = State::Giving;
        match (given, &mut self.left) {
            (None, Some(0)) => self.state = State::Given,
            (None, Some(left)) => return Poll::Ready(Err(other(format!("{left} bytes of it are missing")))),
            (None, None) => {
                self.before.extend_from_slice(b"0\r\n\r\n");
                self.state = State::Given;
            }
            // An empty chunk would be the last.
            (Some(piece), _) if piece.is_empty() => {}
            (Some(piece), Some(left)) => {
                let more = || other("it is longer than it said".to_owned());
                *left = left.checked_sub(piece.len() as u64).ok_or_else(more)?;
                self.put(piece);
            }
            (Some(piece), None) => {
                write!(self.before, "{:x}\r\n", piece.len())?;
                // The line's end behind a chunk has to go with it: there may be nothing more for long.
                self.put([&piece[..], b"\r\n"].concat().into());
            }
        }
        Poll::Ready(Ok(()))
    }

    fn put(&mut self, piece: Bytes) {
        if piece.len() <= TOGETHER {
            self.before.extend_from_slice(&piece);
        } else {
            self.piece = piece;
        }
    }

    fn poll_write(&mut self, io: &mut Stream, context: &mut Context<'_>) -> Poll<State> {
        // What is there at once goes with the head.
        if matches!(self.state, State::New)
            && let Poll::Ready(Err(error)) = self.poll_give(context)
        {
            return Poll::Ready(State::Spoilt(error));
        }
        loop {
            let before = self.before.len();
            let left = if self.sent < before { &self.before[self.sent..] } else { &self.piece[self.sent - before..] };
            if !left.is_empty() {
                match ready!(Pin::new(&mut *io).poll_write(context, left)) {
                    Ok(0) => return Poll::Ready(State::Refused(io::ErrorKind::WriteZero.into())),
                    Ok(written) => self.sent += written,
                    Err(error) => return Poll::Ready(State::Refused(error)),
                }
                continue;
            }
            (self.before, self.piece, self.sent) = (Vec::new(), Bytes::new(), 0);
            if matches!(self.state, State::Given) {
                return Pin::new(io)
                    .poll_flush(context)
                    .map(|flushed| flushed.map_or_else(State::Refused, |()| State::Sent));
            }
            match self.poll_give(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(State::Spoilt(error)),
                // What a secured connection still holds goes out meanwhile.
                Poll::Pending => match Pin::new(&mut *io).poll_flush(context) {
                    Poll::Ready(Err(error)) => return Poll::Ready(State::Refused(error)),
                    _ => return Poll::Pending,
                },
            }
        }
    }
}

fn other(what: String) -> io::Error {
    io::Error::other(what)
}

impl<B: Pieces<Item = io::Result<Bytes>> + Unpin> Outgoing for Uploading<B> {
    fn poll(&mut self, io: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::New | State::Giving | State::Given) {
            self.state = ready!(self.poll_write(io, context));
            (self.before, self.piece) = (Vec::new(), Bytes::new());
        }
        Poll::Ready(())
    }

    fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent)
    }

    fn is_spoilt(&self) -> bool {
        matches!(self.state, State::Spoilt(_))
    }

    fn failure(self) -> Option<io::Error> {
        match self.state {
            State::Refused(error) | State::Spoilt(error) => Some(error),
            State::New | State::Giving | State::Given | State::Sent => None,
        }
    }
}
