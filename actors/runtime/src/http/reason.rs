//! Keeps the reason phrase of a response's status line, which awc drops: Proxmox VE says there, and on old versions only there, what went
//! wrong (`500 Configuration file 'nodes/pve1/qemu-server/9.conf' does not exist`).
//!
//! It stands between awc and the connection: after each request it waits for the status line of the answer and puts a header line with the
//! phrase behind it. All other bytes pass as they are. It holds for HTTP/1 without pipelining, which is what awc speaks here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The header that carries the phrase. The bytes are the server's, control characters left out.
pub const REASON_HEADER: &str = "x-haia-reason-phrase";

/// The longest status line that is looked at; a longer one passes as it is.
const LONGEST: usize = 8 << 10;

/// What is done with the bytes that come in.
#[derive(Debug)]
enum State {
    /// An answer is expected; this much of its status line has come.
    Expecting(Vec<u8>),
    /// These bytes go out first.
    Delivering(Vec<u8>, usize),
    /// The rest of an answer: as it comes.
    Passing,
}

/// A connection whose answers carry [`REASON_HEADER`].
#[derive(Debug)]
pub(super) struct KeepReason<Io> {
    io: Io,
    state: State,
}

impl<Io> KeepReason<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self { io, state: State::Passing }
    }

    pub(super) fn inner(&self) -> &Io {
        &self.io
    }
}

/// The bytes to deliver instead of `collected`, once it is known what they are; `None` while more is needed.
fn with_reason(collected: &[u8], has_ended: bool) -> Option<Vec<u8>> {
    let Some(end) = collected.iter().position(|byte| *byte == b'\n') else {
        let is_head = collected.starts_with(b"HTTP/1.") || b"HTTP/1.".starts_with(collected);
        return (has_ended || !is_head || collected.len() > LONGEST).then(|| collected.to_vec());
    };
    let (line, rest) = collected.split_at(end + 1);
    if !line.starts_with(b"HTTP/1.") {
        return Some(collected.to_vec());
    }
    let phrase = line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
    let printable = |byte: &&u8| **byte >= b' ' && **byte != 0x7f;
    let mut out = Vec::with_capacity(collected.len() + phrase.len() + REASON_HEADER.len() + 4);
    out.extend_from_slice(line);
    out.extend_from_slice(REASON_HEADER.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(phrase.iter().filter(printable));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(rest);
    Some(out)
}

impl<Io: AsyncRead + Unpin> AsyncRead for KeepReason<Io> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Passing => return Pin::new(&mut this.io).poll_read(context, buffer),
                State::Delivering(bytes, at) => {
                    let left = bytes.get(*at..).unwrap_or_default();
                    let part = &left[..left.len().min(buffer.remaining())];
                    buffer.put_slice(part);
                    *at += part.len();
                    if *at >= bytes.len() {
                        this.state = State::Passing;
                    }
                    return Poll::Ready(Ok(()));
                }
                State::Expecting(collected) => {
                    let mut space = [0; 2048];
                    let mut read = ReadBuf::new(&mut space);
                    ready!(Pin::new(&mut this.io).poll_read(context, &mut read))?;
                    let has_ended = read.filled().is_empty();
                    collected.extend_from_slice(read.filled());
                    if has_ended && collected.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    if let Some(bytes) = with_reason(collected, has_ended) {
                        this.state = State::Delivering(bytes, 0);
                    }
                }
            }
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for KeepReason<Io> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(context, bytes))?;
        if written > 0 && matches!(this.state, State::Passing) {
            this.state = State::Expecting(Vec::new());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(line: &str) -> Option<String> {
        with_reason(line.as_bytes(), false).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn the_phrase_becomes_a_header() {
        for (line, mended_line) in [
            (
                "HTTP/1.1 500 no such VM\r\nA: b\r\n",
                Some("HTTP/1.1 500 no such VM\r\nx-haia-reason-phrase: no such VM\r\nA: b\r\n"),
            ),
            ("HTTP/1.1 200 \r\n", Some("HTTP/1.1 200 \r\nx-haia-reason-phrase: \r\n")),
            ("HTTP/1.0 200\n", Some("HTTP/1.0 200\nx-haia-reason-phrase: \r\n")),
            ("HTTP/1.1 500 a\x07b\r\n", Some("HTTP/1.1 500 a\x07b\r\nx-haia-reason-phrase: ab\r\n")),
            ("HTTP/1.1 500 not yet", None),
            ("HT", None),
            ("{\"data\":1}\n", Some("{\"data\":1}\n")),
            ("body", Some("body")),
        ] {
            assert_eq!(mended(line).as_deref(), mended_line, "{line:?}");
        }
        assert_eq!(with_reason(b"HTTP/1.1 5", true).as_deref(), Some(b"HTTP/1.1 5".as_slice()));
        assert!(with_reason(&[b"HTTP/1.1 500 ".as_slice(), &[b'x'; LONGEST]].concat(), false).is_some());
    }
}
