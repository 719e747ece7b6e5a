//! Hands verbatim pieces and neutral events to the sink in their order, and joins verbatim pieces that lie side by side.
//!
//! It judges nothing: what may be relayed is `stream`'s business.

use bytes::Bytes;
use contract::chat::{Event, EventSink, Relayed};
use std::ops::Range;

/// The way out for the events of one network piece.
pub struct Out<'s> {
    piece: &'s Bytes,
    run: Range<usize>,
    holds: Relayed,
    sink: &'s mut dyn EventSink,
}

/// Verbatim bytes that wait for the end mark.
pub struct Held {
    bytes: Bytes,
    /// Where they lie within the piece that is being read.
    at: Option<Range<usize>>,
    holds: Relayed,
}

impl<'s> Out<'s> {
    /// For the events of `piece`.
    pub fn new(piece: &'s Bytes, sink: &'s mut dyn EventSink) -> Self {
        Self { piece, run: 0..0, holds: Relayed::default(), sink }
    }

    /// The sink, for questions.
    pub fn sink(&self) -> &dyn EventSink {
        self.sink
    }

    /// Hands on a neutral event, after what was relayed before it.
    pub fn event(&mut self, event: Event<'_>) {
        // Counts are for the books: they need not break a run of verbatim bytes.
        if !matches!(event, Event::Usage(_) | Event::Cost(_)) {
            self.flush();
        }
        self.sink.event(event);
    }

    /// Relays an event: where it lies in the piece, or a copy of it where it does not lie there in one.
    pub fn relay(&mut self, at: Option<Range<usize>>, data: &[u8], holds: Relayed) {
        match at {
            Some(at) => self.extend(at, holds),
            None => {
                self.flush();
                self.sink.relay(framed(data), holds);
            }
        }
    }

    /// Keeps an event back for [`Out::release`].
    pub fn hold(&self, at: Option<Range<usize>>, data: &[u8], holds: Relayed) -> Held {
        let bytes = at.clone().map_or_else(|| framed(data), |at| self.piece.slice(at));
        Held { bytes, at, holds }
    }

    /// Relays what was held back.
    pub fn release(&mut self, held: Held) {
        match held.at {
            Some(at) => self.extend(at, held.holds),
            None => {
                self.flush();
                self.sink.relay(held.bytes, held.holds);
            }
        }
    }

    /// Relays what has come together so far.
    pub fn flush(&mut self) {
        let run = std::mem::replace(&mut self.run, 0..0);
        let holds = std::mem::take(&mut self.holds);
        if !run.is_empty() {
            self.sink.relay(self.piece.slice(run), holds);
        }
    }

    fn extend(&mut self, at: Range<usize>, holds: Relayed) {
        if self.run.is_empty() || self.run.end != at.start {
            self.flush();
            self.run = at;
        } else {
            self.run.end = at.end;
        }
        self.holds = Relayed {
            role: self.holds.role | holds.role,
            content: self.holds.content | holds.content,
            finish: self.holds.finish | holds.finish,
            usage: self.holds.usage | holds.usage,
        };
    }
}

impl Held {
    /// The piece it lies in was read to its end.
    pub fn leave_piece(&mut self) {
        self.at = None;
    }
}

fn framed(data: &[u8]) -> Bytes {
    Bytes::from([b"data: ", data, b"\n\n"].concat())
}
