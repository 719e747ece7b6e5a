//! Server-sent events: cuts a stream of bytes into events, however the network cut it.
//!
//! Bears everything that servers were seen to send: `data:` without a space, CRLF, lone CR, a byte order mark,
//! comments, several data lines, id, retry and event lines, a last event without an empty line, and llama-box's field `error`. An
//! event that lies whole within one network piece is neither copied nor allocated for. It never interprets an event's data.

use super::MAX_EVENT;
use contract::failure::{Failure, FailureClass};
use memchr::memchr2;
use std::ops::Range;

/// One event.
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

impl Sse {
    /// A reader that refuses events beyond [`MAX_EVENT`].
    pub fn new() -> Self {
        Self::with_limit(MAX_EVENT)
    }

    fn with_limit(limit: usize) -> Self {
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
    /// Whatever `take` says, at once; or a failure if an event is larger than the limit.
    pub fn feed(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(Event<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
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

    /// The stream ended: hands over an event that no empty line closed.
    ///
    /// # Errors
    /// Whatever `take` says.
    pub fn end(&mut self, mut take: impl FnMut(Event<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.read_line(&line, &mut take)?;
        }
        self.dispatch(&mut take)
    }

    fn is_between_events(&self) -> bool {
        self.line.is_empty() && !self.has_data && self.name.is_empty()
    }

    fn check(&self, more: usize) -> Result<(), Failure> {
        if self.line.len() + self.data.len() + more > self.limit {
            let message = format!("the provider sent an event larger than {} MiB", self.limit >> 20);
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        Ok(())
    }

    fn read_line(
        &mut self,
        mut line: &[u8],
        take: &mut impl FnMut(Event<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
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

    fn add_data(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, take: &mut impl FnMut(Event<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
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

    fn read(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut sse = Sse::new();
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("whole characters");
        for piece in pieces {
            sse.feed(piece, |event| {
                if let Some(at) = event.verbatim {
                    assert_eq!(piece[at], [b"data: ", event.data, b"\n\n"].concat());
                }
                found.push((text(event.name), text(event.data)));
                Ok(())
            })
            .expect("small events");
        }
        sse.end(|event| {
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
        Sse::new()
            .feed(piece, |event| {
                found.push(event.verbatim);
                Ok(())
            })
            .expect("read");
        assert_eq!(found, [Some(5..14), Some(20..29), None]);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let refused = |pieces: &[&[u8]]| {
            let mut sse = Sse::with_limit(64);
            pieces.iter().find_map(|piece| sse.feed(piece, |_| Ok(())).err()).map(|failure| failure.class)
        };
        let endless = [b'x'; 40];
        assert_eq!(refused(&[&endless, &endless]), Some(FailureClass::Truncated), "a line");
        let lines: Vec<&[u8]> = vec![b"data: 0123456789\n"; 8];
        assert_eq!(refused(&lines), Some(FailureClass::Truncated), "many data lines");
        let events: Vec<&[u8]> = vec![b"data: 0123456789\n\n"; 8];
        assert_eq!(refused(&events), None, "many events");
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
