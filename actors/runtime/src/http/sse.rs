//! Server-sent events: cuts a stream of bytes into events, however the network cut it.
//!
//! Bears everything that servers were seen to send: `data:` without a space, CRLF, lone CR, a byte order mark,
//! comments, several data lines, id, retry and event lines, a last event without an empty line, and llama-box's field `error`. An
//! event that lies whole within one network piece is neither copied nor allocated for.
//!
//! It is the only reader of its kind: models' answers, MCP servers of the older transport and HAIA's own answers to its command line all come
//! through it. Ids, retry times and comments are passed over, for nobody reconnects to any of them. It never interprets an event's data, which
//! may be no UTF-8 at all.

use contract::failure::{Failure, FailureClass};
use memchr::memchr2;
use std::ops::Range;

/// One event that has data; the others mean nothing.
pub struct Event<'a> {
    /// The event's name: empty unless an `event` line gave one; `error` for llama-box's field of that name.
    pub name: &'a [u8],
    /// The data lines, joined by line feeds. Never empty.
    pub data: &'a [u8],
    /// Where the event lies within the piece that was fed, if it is exactly `data: ` + data + two line feeds there.
    pub verbatim: Option<Range<usize>>,
}

/// The reader's state between two pieces.
pub struct Sse {
    limit: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The data lines of the event so far.
    data: Vec<u8>,
    has_data: bool,
    name: Vec<u8>,
    /// The last byte was a CR that ended a line: a LF that follows belongs to it.
    after_cr: bool,
    /// No line was read yet: a byte order mark may come.
    at_start: bool,
}

/// What capacity a buffer may keep after a large event.
const KEEP: usize = 64 * 1024;

/// An event is larger than its reader allows. The reader is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an event larger than {} MiB", .limit >> 20)]
pub struct TooLarge {
    limit: usize,
}

impl From<TooLarge> for Failure {
    fn from(error: TooLarge) -> Self {
        Failure::new(FailureClass::Truncated, error.to_string())
    }
}

impl Sse {
    /// A reader that refuses events larger than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            name: Vec::new(),
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes the next piece and hands over the events that it completes.
    ///
    /// # Errors
    /// Whatever `take` says, at once; or [`TooLarge`].
    pub fn feed<E: From<TooLarge>>(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if piece.is_empty() {
            return Ok(());
        }
        let mut at = 0;
        if std::mem::take(&mut self.after_cr) && piece.first() == Some(&b'\n') {
            at = 1;
        }
        while at < piece.len() {
            let rest = &piece[at..];
            let end = memchr2(b'\n', b'\r', rest);
            // The common case: a whole event of one data line.
            if let Some(end) = end
                && rest[end..].starts_with(b"\n\n")
                && rest.starts_with(b"data: ")
                && end > 6
                && self.is_between_events()
            {
                self.at_start = false;
                take(Event { name: b"", data: &rest[6..end], verbatim: Some(at..at + end + 2) })?;
                at += end + 2;
                continue;
            }
            let Some(end) = end else {
                self.check(rest.len())?;
                self.line.extend_from_slice(rest);
                break;
            };
            self.check(end)?;
            at += end + 1;
            if rest[end] == b'\r' {
                match rest.get(end + 1) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if self.line.is_empty() {
                self.read_line(&rest[..end], &mut take)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&rest[..end]);
                self.read_line(&line, &mut take)?;
                line.clear();
                line.shrink_to(KEEP);
                self.line = line;
            }
        }
        Ok(())
    }

    /// The stream ended: hands over an event that no empty line closed. Who wants whole events only does not call it.
    ///
    /// # Errors
    /// Whatever `take` says.
    pub fn end<E>(&mut self, mut take: impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.read_line(&line, &mut take)?;
        }
        self.dispatch(&mut take)
    }

    #[inline]
    fn is_between_events(&self) -> bool {
        self.line.is_empty() && !self.has_data && self.name.is_empty()
    }

    #[inline]
    fn check(&self, more: usize) -> Result<(), TooLarge> {
        match self.line.len() + self.data.len() + more > self.limit {
            true => Err(TooLarge { limit: self.limit }),
            false => Ok(()),
        }
    }

    fn read_line<E>(&mut self, mut line: &[u8], take: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(take);
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.add_data(value),
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            b"error" => {
                self.name.clear();
                self.name.extend_from_slice(b"error");
                self.add_data(value);
            }
            // Comments (an empty field), id, retry, and fields that nobody defined.
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn add_data(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch<E>(&mut self, take: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        self.has_data = false;
        let taken = if self.data.is_empty() {
            Ok(())
        } else {
            take(Event { name: &self.name, data: &self.data, verbatim: None })
        };
        self.data.clear();
        self.data.shrink_to(KEEP);
        self.name.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 1 << 20;

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut sse = Sse::new(LIMIT);
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("whole characters");
        for piece in pieces {
            sse.feed::<TooLarge>(piece, |event| {
                if let Some(at) = event.verbatim {
                    assert_eq!(piece[at], [b"data: ", event.data, b"\n\n"].concat());
                }
                found.push((text(event.name), text(event.data)));
                Ok(())
            })
            .expect("small events");
        }
        sse.end::<TooLarge>(|event| {
            found.push((text(event.name), text(event.data)));
            Ok(())
        })
        .expect("small events");
        found
    }

    const FRAMINGS: &[(&str, &[(&str, &str)])] = &[
        ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
        ("data:a\n\ndata:b\n\n", &[("", "a"), ("", "b")]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
        ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
        ("\u{feff}data: a\n\n", &[("", "a")]),
        (": hello\n\n: OPENROUTER PROCESSING\n\ndata: a\n\n", &[("", "a")]),
        (":\ndata: a\n\n", &[("", "a")]),
        ("data: a\ndata: b\n\n", &[("", "a\nb")]),
        ("data: {\ndata:\ndata: }\n\n", &[("", "{\n\n}")]),
        ("id: 1\nretry: 5\nevent: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
        ("event: x\n\ndata: a\n\n", &[("", "a")]),
        ("data\n\ndata:\n\ndata: \n\n\n\n", &[]),
        ("data: a\n\ndata: b", &[("", "a"), ("", "b")]),
        ("data: a\n\ndata: b\n", &[("", "a"), ("", "b")]),
        ("error: {\"x\":1}\n\n", &[("error", "{\"x\":1}")]),
        ("data: été 👩‍💻\n\n", &[("", "été 👩‍💻")]),
        ("data:  two\n\n", &[("", " two")]),
        ("nonsense\n\ndata: a\n\n", &[("", "a")]),
        (
            "\u{feff}event: endpoint\r\ndata: /m?id=1\r\n\r\n: x\n\nevent: ä\rdata: ü\r\r",
            &[("endpoint", "/m?id=1"), ("ä", "ü")],
        ),
    ];

    #[test]
    fn every_framing_at_every_cut() {
        for (stream, events) in FRAMINGS {
            let expected: Vec<(String, String)> =
                events.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
            let bytes = stream.as_bytes();
            assert_eq!(read(&[bytes]), expected, "{stream:?} whole");
            for cut in 0..=bytes.len() {
                let pieces = [&bytes[..cut], b"", &bytes[cut..]];
                assert_eq!(read(&pieces), expected, "{stream:?} cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), expected, "{stream:?} byte by byte");
        }
    }

    #[test]
    fn an_event_within_a_piece_is_verbatim() {
        let piece = b": x\n\ndata: a\n\nid: 1\ndata: b\n\ndata:c\n\ndata: d\n";
        let mut found = Vec::new();
        Sse::new(LIMIT)
            .feed::<TooLarge>(piece, |event| {
                found.push(event.verbatim);
                Ok(())
            })
            .expect("read");
        assert_eq!(found, [Some(5..14), Some(20..29), None]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let refused = |pieces: &[&[u8]]| {
            let mut sse = Sse::new(64);
            pieces.iter().find_map(|piece| sse.feed::<TooLarge>(piece, |_| Ok(())).err())
        };
        let too_large = Some(TooLarge { limit: 64 });
        let endless = [b'x'; 40];
        assert_eq!(refused(&[&endless, &endless]), too_large, "a line");
        let lines: Vec<&[u8]> = vec![b"data: 0123456789\n"; 8];
        assert_eq!(refused(&lines), too_large, "many data lines");
        let events: Vec<&[u8]> = vec![b"data: 0123456789\n\n"; 8];
        assert_eq!(refused(&events), None, "many events");
        let failure = Failure::from(TooLarge { limit: 16 << 20 });
        assert_eq!(failure.class, FailureClass::Truncated);
        assert_eq!(failure.message, "the server sent an event larger than 16 MiB");
    }

    #[test]
    fn what_a_reader_says_ends_the_piece() {
        #[derive(Debug, PartialEq)]
        struct Enough(usize);
        impl From<TooLarge> for Enough {
            fn from(_: TooLarge) -> Self {
                Self(0)
            }
        }
        let mut seen = 0;
        let fed = Sse::new(LIMIT).feed(b"data: a\n\ndata: b\n\ndata: c\n\n", |_| {
            seen += 1;
            if seen == 2 { Err(Enough(seen)) } else { Ok(()) }
        });
        assert_eq!((fed, seen), (Err(Enough(2)), 2));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            lines in prop::collection::vec("(data: ?|event: |id: |: |error: |)[a-z{}é]{0,6}(\n|\r\n|\r|\n\n)", 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream = lines.concat();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }
    }
}
