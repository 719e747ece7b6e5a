//! Reads an HTTP/1.1 response piece by piece: status, chunked or counted body. Pure: bytes in, body out. Only for HAIA's own socket, so it
//! knows no compression and keeps no connection.

use std::fmt;

/// The longest head, or line of a chunked body, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Why a response cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the daemon's answer is not understood: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// The first lines of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The media type, without parameters, in small letters.
    pub content_type: String,
    /// The MCP session that was opened, if one was.
    pub session: Option<String>,
}

/// A response that is being read.
#[derive(Debug, Default)]
pub struct Response {
    waiting: Vec<u8>,
    state: State,
    head: Option<Head>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Counted(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Done,
}

impl Response {
    /// Takes bytes as they come and adds what belongs to the body to `body`.
    ///
    /// # Errors
    /// This is no HTTP/1.1 response.
    pub fn push(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<(), Malformed> {
        self.waiting.extend_from_slice(bytes);
        while self.step(body)? {}
        if matches!(self.state, State::Head | State::ChunkSize | State::Trailers) && self.waiting.len() > MAX_LINE {
            return Err(Malformed("a line is too long"));
        }
        Ok(())
    }

    /// The head, once it is there.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Whether the whole response is there.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// It ended too early.
    pub fn closed(&self) -> Result<(), Malformed> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            _ => Err(Malformed("the connection ended in the middle of it")),
        }
    }

    /// Does one thing; `false` if more bytes are needed, or none.
    fn step(&mut self, body: &mut Vec<u8>) -> Result<bool, Malformed> {
        match self.state {
            State::Head => {
                let Some(end) = find(&self.waiting, b"\r\n\r\n") else { return Ok(false) };
                let head: Vec<u8> = self.waiting.drain(..end + 4).collect();
                self.read_head(&head[..end])?;
            }
            State::Counted(left) => {
                let taken = self.take(left, body);
                self.state = if taken == left { State::Done } else { State::Counted(left - taken) };
                return Ok(self.state != State::Done && taken > 0);
            }
            State::ChunkSize => {
                let Some(line) = self.line() else { return Ok(false) };
                let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
                let size = std::str::from_utf8(size).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
                self.state = match size {
                    Some(0) => State::Trailers,
                    Some(size) => State::Chunk(size),
                    None => return Err(Malformed("a chunk has no size")),
                };
            }
            State::Chunk(left) => {
                let taken = self.take(left, body);
                self.state = if taken == left { State::ChunkEnd } else { State::Chunk(left - taken) };
                return Ok(taken > 0);
            }
            State::ChunkEnd => {
                let Some(line) = self.line() else { return Ok(false) };
                if !line.is_empty() {
                    return Err(Malformed("a chunk is longer than its size"));
                }
                self.state = State::ChunkSize;
            }
            State::Trailers => {
                let Some(line) = self.line() else { return Ok(false) };
                if line.is_empty() {
                    self.state = State::Done;
                }
            }
            State::UntilClose => {
                body.append(&mut self.waiting);
                return Ok(false);
            }
            State::Done => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self, most: u64, body: &mut Vec<u8>) -> u64 {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.waiting.len());
        body.extend(self.waiting.drain(..count));
        count as u64
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = find(&self.waiting, b"\r\n")?;
        let mut line: Vec<u8> = self.waiting.drain(..end + 2).collect();
        line.truncate(end);
        Some(line)
    }

    fn read_head(&mut self, head: &[u8]) -> Result<(), Malformed> {
        let text = std::str::from_utf8(head).map_err(|_| Malformed("its head is not text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ").or(line.strip_prefix("HTTP/1.0 ")));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|code| code.parse::<u16>().ok());
        let status =
            status.filter(|status| (100..600).contains(status)).ok_or(Malformed("it does not begin with a status"))?;
        if (100..200).contains(&status) {
            return Ok(());
        }
        let mut read = Head { status, content_type: String::new(), session: None };
        let (mut length, mut chunked) = (None, false);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Malformed("a header has no colon"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-type" => {
                    read.content_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
                }
                "content-length" => length = Some(value.parse().map_err(|_| Malformed("its length is no number"))?),
                "mcp-session-id" => read.session = Some(value.to_owned()),
                "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => chunked = true,
                "transfer-encoding" => return Err(Malformed("its transfer encoding is unknown")),
                _ => {}
            }
        }
        self.state = match (chunked, length) {
            _ if status == 204 || status == 304 => State::Done,
            (true, _) => State::ChunkSize,
            (false, Some(0)) => State::Done,
            (false, Some(length)) => State::Counted(length),
            (false, None) => State::UntilClose,
        };
        self.head = Some(read);
        Ok(())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHUNKED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\
                           transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n7;ext=1\r\n, w\u{f6}rl\r\n1\r\nd\r\n0\r\nTrailer: x\r\n\r\n";

    fn read(pieces: &[&[u8]]) -> Result<(Response, String), Malformed> {
        let (mut response, mut body) = (Response::default(), Vec::new());
        for piece in pieces {
            response.push(piece, &mut body)?;
        }
        Ok((response, String::from_utf8_lossy(&body).into_owned()))
    }

    #[test]
    fn a_counted_body_ends_where_it_says() {
        let text =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nContent-Length: 5\r\n\r\nhello";
        let (response, body) = read(&[text.as_bytes()]).expect("reads");
        let head = Head { status: 503, content_type: "application/json".to_owned(), session: None };
        assert_eq!((response.head(), response.is_done(), body.as_str()), (Some(&head), true, "hello"));
        let (response, _) = read(&[&text.as_bytes()[..text.len() - 1]]).expect("reads");
        assert!(!response.is_done() && response.closed().is_err());
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let (response, body) = read(&[b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"]).expect("reads");
        assert_eq!((response.is_done(), response.closed(), body.as_str()), (false, Ok(()), "hello"));
        let (response, _) = read(&[b"HTTP/1.1 204 No Content\r\n\r\n"]).expect("reads");
        assert!(response.is_done());
    }

    #[test]
    fn what_is_not_http_is_told() {
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(read(&[text.as_bytes()]).is_err(), "{text}");
        }
        assert!(read(&[&vec![b'x'; MAX_LINE + 1]]).is_err());
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same(cuts in proptest::collection::vec(0..CHUNKED.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, CHUNKED.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &CHUNKED.as_bytes()[pair[0]..pair[1]]).collect();
            let (response, body) = read(&pieces).expect("reads");
            prop_assert!(response.is_done());
            prop_assert_eq!(response.head().map(|head| head.content_type.as_str()), Some("text/event-stream"));
            prop_assert_eq!(body, "hello, w\u{f6}rld");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &bytes]);
            let _ = read(&[&bytes]);
        }
    }
}
