//! Cuts a stream of server-sent events where its events end, however the network cut it: whoever passes such a stream on may have to say
//! something between two events, or after the last, and must not say it in the middle of one.
//!
//! Bears every end of a line. It reads no event: a piece that ends where an event ends is passed on without a copy.

use crate::formats::MAX_EVENT;
use bytes::Bytes;
use contract::failure::{Failure, FailureClass};
use memchr::memchr2;

/// What capacity the buffer may keep after a large event.
const KEEP: usize = 64 << 10;

/// The state between two pieces.
pub(super) struct WholeEvents {
    /// The beginning of an event whose end has not come.
    begun: Vec<u8>,
    /// Where the events end in what was given last.
    ends: Vec<usize>,
    /// Nothing of the line came yet: if it ends now it is empty, and an empty line ends an event.
    at_line_start: bool,
    /// The last byte was a CR that ended a line: a LF that follows belongs to it.
    after_cr: bool,
}

impl WholeEvents {
    pub(super) fn new() -> Self {
        Self { begun: Vec::new(), ends: Vec::new(), at_line_start: true, after_cr: false }
    }

    /// Takes the next piece and gives what is whole of it, with what was held back before; empty if no event has ended.
    ///
    /// # Errors
    /// An event is larger than [`MAX_EVENT`].
    pub(super) fn feed(&mut self, piece: Bytes) -> Result<Bytes, Failure> {
        self.scan(&piece);
        let whole = self.ends.last().copied().unwrap_or(0);
        if self.begun.len() + piece.len() - whole > MAX_EVENT {
            let message = format!("the provider sent an event larger than {} MiB", MAX_EVENT >> 20);
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        if whole == 0 {
            self.begun.extend_from_slice(&piece);
            return Ok(Bytes::new());
        }
        let events = if self.begun.is_empty() {
            piece.slice(..whole)
        } else {
            self.ends.iter_mut().for_each(|end| *end += self.begun.len());
            self.begun.extend_from_slice(&piece[..whole]);
            let events = Bytes::copy_from_slice(&self.begun);
            self.begun.clear();
            self.begun.shrink_to(KEEP);
            events
        };
        self.begun.extend_from_slice(&piece[whole..]);
        Ok(events)
    }

    /// Where the events end in what [`WholeEvents::feed`] gave last.
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// What is held back: the stream has ended, and no empty line closed its last event.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.begun).into()
    }

    /// Finds where events end within `piece`.
    fn scan(&mut self, piece: &[u8]) {
        self.ends.clear();
        if piece.is_empty() {
            return;
        }
        let mut at = usize::from(std::mem::take(&mut self.after_cr) && piece.first() == Some(&b'\n'));
        while let Some(end) = memchr2(b'\n', b'\r', &piece[at..]) {
            let is_empty = std::mem::replace(&mut self.at_line_start, true) && end == 0;
            at += end + 1;
            if piece[at - 1] == b'\r' {
                match piece.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if is_empty {
                self.ends.push(at);
            }
        }
        self.at_line_start &= at == piece.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is passed on of these pieces, piece by piece, and what is left at the end.
    fn passed(pieces: &[&[u8]]) -> (Vec<String>, String) {
        let mut events = WholeEvents::new();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        let passed = pieces.iter().map(|piece| text(events.feed(Bytes::copy_from_slice(piece)).expect("small")));
        let passed = passed.filter(|piece| !piece.is_empty()).collect();
        (passed, text(events.rest()))
    }

    #[test]
    fn an_event_is_passed_on_when_it_is_whole() {
        for (pieces, expected, rest) in [
            (vec!["data: a\n\n"], vec!["data: a\n\n"], ""),
            (vec!["data: a\n\ndata: b\n\n"], vec!["data: a\n\ndata: b\n\n"], ""),
            (vec!["data: a\n\nda", "ta: b\n\n"], vec!["data: a\n\n", "data: b\n\n"], ""),
            (vec!["event: x\n", "data: {\"a\"", ":1}", "\n", "\n"], vec!["event: x\ndata: {\"a\":1}\n\n"], ""),
            (vec!["data: a\r\n\r\ndata: b\r\n"], vec!["data: a\r\n\r\n"], "data: b\r\n"),
            (vec!["data: a\r\n\r", "\ndata: b\r\n\r\n"], vec!["data: a\r\n\r", "\ndata: b\r\n\r\n"], ""),
            (vec!["data: a\r", "\ndata: b"], vec![], "data: a\r\ndata: b"),
            (vec!["data: a\r\rdata: b\r"], vec!["data: a\r\r"], "data: b\r"),
            (vec!["data: a\n\r\nx"], vec!["data: a\n\r\n"], "x"),
            (vec!["data: a\r", "", "\n\r\n"], vec!["data: a\r\n\r\n"], ""),
            (vec!["", ": ping\n\n", ""], vec![": ping\n\n"], ""),
            (vec!["data: a"], vec![], "data: a"),
        ] {
            let pieces: Vec<&[u8]> = pieces.into_iter().map(str::as_bytes).collect();
            assert_eq!(passed(&pieces), (expected.into_iter().map(str::to_owned).collect(), rest.to_owned()));
        }
    }

    #[test]
    fn it_is_told_where_each_event_ends() {
        let mut events = WholeEvents::new();
        for (piece, passed, ends) in [
            ("data: a\n\ndata: b\r\n\r\nda", "data: a\n\ndata: b\r\n\r\n", vec![9, 20]),
            ("ta: c\n", "", vec![]),
            ("\n: d\n\ndata", "data: c\n\n: d\n\n", vec![9, 14]),
            (": e\n\n", "data: e\n\n", vec![9]),
            ("", "", vec![]),
        ] {
            assert_eq!(events.feed(Bytes::from_static(piece.as_bytes())).expect("small"), passed);
            assert_eq!(events.ends(), ends);
        }
    }

    #[test]
    fn whole_pieces_are_not_copied() {
        let piece = Bytes::from_static(b"event: x\ndata: a\n\n");
        let passed = WholeEvents::new().feed(piece.clone()).expect("small");
        assert_eq!((passed.as_ptr(), passed.len()), (piece.as_ptr(), piece.len()));
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = WholeEvents::new();
        let piece = Bytes::from(vec![b'x'; MAX_EVENT / 2]);
        assert_eq!(events.feed(piece.clone()).expect("small"), "");
        assert_eq!(events.feed(piece.clone()).expect("just fits"), "");
        assert_eq!(events.feed(piece).expect_err("too large").class, FailureClass::Truncated);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_piece_ends_where_an_event_ends(
            lines in prop::collection::vec("(data: ?|event: |: |)[a-zé]{0,4}(\n|\r\n|\n\n|\r\n\r\n)", 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let stream = lines.concat();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut events = WholeEvents::new();
            let mut all = Vec::new();
            for pair in cuts.windows(2) {
                let passed = events.feed(Bytes::copy_from_slice(&bytes[pair[0]..pair[1]])).expect("small");
                all.extend_from_slice(&passed);
                let lines = String::from_utf8(all.clone()).expect("ends are whole characters").replace("\r\n", "\n").replace('\r', "\n");
                prop_assert!(passed.is_empty() || lines == "\n" || lines.ends_with("\n\n"), "{lines:?}");
            }
            let (_, held) = passed(&[bytes]);
            let rest = events.rest();
            prop_assert!(rest == held.as_bytes() || rest == [b"\n", held.as_bytes()].concat(), "{rest:?} {held:?}");
            all.extend_from_slice(&rest);
            prop_assert_eq!(all, bytes);
        }
    }
}
