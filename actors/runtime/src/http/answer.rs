//! An answer of an [`Origin`](super::Origin): its head, and its body as it comes.
//!
//! A body has no buffer of its own: what the connection gives is read into room that all streams of a thread share, and handed on in pieces of
//! just their size. A stream that waits for its model's next word holds nothing.

use super::framing::{Chunk, Framing};
use super::origin::{Idle, Pool};
use super::stream::Stream;
use actix_http::error::PayloadError;
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, ReadBuf};

/// What is read from a connection at once.
const ROOM: usize = 16 << 10;
/// The largest head, in bytes and in headers.
pub(super) const LARGEST_HEAD: usize = 128 << 10;
/// Room for them costs nothing where they do not come: nothing is written into it before. Some servers send well over a hundred.
const MOST_HEADERS: usize = 512;

thread_local! {
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; ROOM].into_boxed_slice());
}

/// Reads what is there, and lets `look` have it before the next reader needs the room: nothing at the connection's end.
pub(super) fn poll_read<R>(
    io: &mut Stream,
    context: &mut Context<'_>,
    look: impl FnOnce(&[u8]) -> R,
) -> Poll<io::Result<R>> {
    SHARED.with_borrow_mut(|room| {
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(io).poll_read(context, &mut room))?;
        Poll::Ready(Ok(look(room.filled())))
    })
}

/// The head of an answer.
pub struct Head {
    status: u16,
    /// The header lines as they came: they were checked when it was read.
    lines: Bytes,
}

impl Head {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers in order; names as the server writes them.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let name = std::str::from_utf8(line[..colon].trim_ascii()).ok()?;
            Some((name, line[colon + 1..].trim_ascii()))
        })
    }

    /// The first header of that name.
    pub fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.lines.split(|byte| *byte == b'\n').find_map(|line| {
            let rest =
                line.get(wanted.len()..).filter(|_| line[..wanted.len()].eq_ignore_ascii_case(wanted.as_bytes()))?;
            Some(rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii())
        })
    }
}

impl Head {
    /// How the body is coded, if it is: of several codings in the order in which they were applied the first. `identity` is none, and so are
    /// nothing at all and `none`, which some servers write.
    pub fn coding(&self) -> Option<&str> {
        let codings = self.header("content-encoding")?.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let is_none =
            |coding: &[u8]| [&b""[..], b"none", b"identity"].iter().any(|none| coding.eq_ignore_ascii_case(none));
        codings.filter(|coding| !is_none(coding)).map(|coding| std::str::from_utf8(coding).unwrap_or("unknown")).next()
    }
}

/// Whether a header's list of words holds this one.
fn lists(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|own| own.trim_ascii().eq_ignore_ascii_case(word))
}

/// Reads a head. `None` while it is not complete; else the head, how its body is framed, whether the connection may be kept, and where the body
/// begins.
///
/// # Errors
/// These are no head, or one that leaves open where its body ends.
pub(super) fn read_head(bytes: &[u8]) -> Result<Option<(Head, Framing, bool, usize)>, &'static str> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    // Some servers write `name : value`.
    config.allow_spaces_after_header_name_in_responses(true);
    let (end, status, version) = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers) {
        Ok(httparse::Status::Partial) if bytes.len() > LARGEST_HEAD => {
            return Err("the head of the answer is too large");
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(end)) => {
            (end, response.code.unwrap_or_default(), response.version.unwrap_or_default())
        }
        Err(_) => return Err("the head of the answer is not HTTP/1"),
    };
    let (mut length, mut is_chunked, mut closes, mut stays) = (None, false, false, false);
    for header in response.headers.iter() {
        let (name, value) = (header.name, header.value.trim_ascii());
        if name.eq_ignore_ascii_case("content-length") {
            let told = std::str::from_utf8(value).ok().filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            let told: u64 = told.and_then(|value| value.parse().ok()).ok_or("its content-length is not a number")?;
            if length.replace(told).is_some_and(|before| before != told) {
                return Err("it has two lengths");
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            is_chunked |= lists(value, b"chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            closes |= lists(value, b"close");
            stays |= lists(value, b"keep-alive");
        }
    }
    let framing = match (status, is_chunked, length) {
        (100..200 | 204 | 304, ..) => Framing::Length(0),
        (_, true, _) => Framing::Chunked(Chunk::START),
        (_, false, Some(length)) => Framing::Length(length),
        (_, false, None) => Framing::UntilEnd,
    };
    let is_open = if version == 0 { stays } else { !closes };
    // Whoever says both may mean either: what follows on such a connection is not to be trusted.
    let keeps = is_open && framing != Framing::UntilEnd && !(is_chunked && length.is_some()) && status >= 200;
    let lines = memchr::memchr(b'\n', bytes).map_or(end, |line| (line + 1).min(end));
    let head = Head { status, lines: Bytes::copy_from_slice(&bytes[lines..end]) };
    Ok(Some((head, framing, keeps, end)))
}

/// An answer whose head has come.
pub struct Answer {
    /// The head.
    pub head: Head,
    /// The body.
    pub body: Body,
}

/// The body of an answer. Dropping it before its end closes the connection, which is how a server learns that nobody wants the rest. Where the
/// connection ends before the body does, the body ends: whoever needs to know asks [`Body::is_whole`], or has a mark of its own to look for.
pub struct Body {
    pub(super) connection: Option<Idle>,
    pub(super) framing: Framing,
    /// Whether the connection may carry another request after this.
    pub(super) keeps: bool,
    /// What came and was not handed on yet.
    pub(super) come: Bytes,
    pub(super) pool: Rc<Pool>,
}

impl Body {
    /// The next part of what came.
    fn part(&mut self) -> io::Result<Option<Bytes>> {
        if self.come.is_empty() {
            return Ok(None);
        }
        let part = self.framing.next(&self.come)?;
        let content = self.come.slice(part.content);
        // Let go of as soon as it is done with: a waiting stream holds nothing.
        self.come = if part.taken < self.come.len() { self.come.slice(part.taken..) } else { Bytes::new() };
        if self.framing.is_complete() && !self.come.is_empty() {
            // Bytes that nobody asked for.
            self.keeps = false;
            self.come = Bytes::new();
        }
        self.settle();
        Ok((!content.is_empty()).then_some(content))
    }

    /// Gives the connection back once the body is complete.
    pub(super) fn settle(&mut self) {
        if self.framing.is_complete()
            && let Some(connection) = self.connection.take()
            && self.keeps
        {
            self.pool.keep(connection);
        }
    }
}

impl Body {
    /// Whether all of it came, where that can be told: a body that is framed by the connection's end is whole when it ends.
    pub fn is_whole(&self) -> bool {
        self.framing.is_complete() || self.framing == Framing::UntilEnd
    }

    fn broken(&mut self, error: io::Error) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.connection = None;
        self.come = Bytes::new();
        Poll::Ready(Some(Err(PayloadError::Io(error))))
    }
}

impl futures_util::Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        loop {
            match body.part() {
                Ok(Some(content)) => return Poll::Ready(Some(Ok(content))),
                // It may have been framing alone.
                Ok(None) if !body.come.is_empty() => continue,
                Ok(None) => {}
                Err(error) => return body.broken(error),
            }
            let Some(connection) = &mut body.connection else { return Poll::Ready(None) };
            match ready!(poll_read(&mut connection.io, context, Bytes::copy_from_slice)) {
                Ok(bytes) if bytes.is_empty() => body.connection = None,
                Ok(bytes) => body.come = bytes,
                // A secured connection that was closed without taking leave has ended as any other.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => body.connection = None,
                Err(error) => return body.broken(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Option<(u16, Framing, bool)> {
        read_head(head.as_bytes()).ok().flatten().map(|(head, framing, keeps, _)| (head.status, framing, keeps))
    }

    #[test]
    fn heads_say_where_their_bodies_end() {
        let chunked = Framing::Chunked(Chunk::START);
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, Framing::Length(5), true)),
            ("HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\n", (200, Framing::Length(5), true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n", (200, Framing::Length(5), true)),
            ("HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", (200, chunked, true)),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\nconnection: x, Close\r\n\r\n",
                (200, chunked, false),
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", (200, chunked, false)),
            ("HTTP/1.1 200 OK\r\n\r\n", (200, Framing::UntilEnd, false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", (200, Framing::Length(5), false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n", (200, Framing::Length(5), true)),
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, Framing::Length(0), true)),
            ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", (103, Framing::Length(0), false)),
        ] {
            assert_eq!(read(head), Some(expected), "{head:?}");
            for cut in 0..head.len() {
                assert!(matches!(read_head(&head.as_bytes()[..cut]), Ok(None)), "{head:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let large = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(LARGEST_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        for head in [
            "220 smtp.example ESMTP\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
            &large,
            &many,
        ] {
            assert!(read_head(head.as_bytes()).is_err(), "{:?}", &head[..head.len().min(60)]);
        }
    }

    #[test]
    fn an_answer_of_many_headers_is_read() {
        for count in [97, 256, MOST_HEADERS - 1] {
            let head = format!("HTTP/1.1 200 OK\r\n{}content-length: 5\r\n\r\n", "a: b\r\n".repeat(count));
            assert_eq!(read(&head), Some((200, Framing::Length(5), true)), "{count}");
        }
    }

    #[test]
    fn what_is_no_coding_is_told_from_one() {
        for (line, coding) in [
            ("a: b", None),
            ("content-encoding:", None),
            ("Content-Encoding: ", None),
            ("content-encoding: none", None),
            ("content-encoding: None", None),
            ("content-encoding: IDENTITY", None),
            ("content-encoding: identity, identity", None),
            ("content-encoding: gzip", Some("gzip")),
            ("content-encoding: identity, br", Some("br")),
            ("content-encoding: nonesuch", Some("nonesuch")),
        ] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            let (head, ..) = read_head(bytes.as_bytes()).expect("a head").expect("complete");
            assert_eq!(head.coding(), coding, "{line:?}");
        }
    }

    #[test]
    fn headers_are_found_however_they_are_written() {
        let bytes = b"HTTP/1.1 429 Too Many\r\nRetry-After:  7 \r\nX-A: b:c\r\n\r\nbody";
        let (head, _, _, end) = read_head(bytes).expect("a head").expect("complete");
        assert_eq!(head.header("retry-after"), Some(&b"7"[..]));
        assert_eq!(head.headers().collect::<Vec<_>>(), [("Retry-After", &b"7"[..]), ("X-A", &b"b:c"[..])]);
        assert_eq!(&bytes[end..], b"body");
    }
}
