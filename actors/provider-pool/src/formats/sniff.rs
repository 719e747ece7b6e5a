//! Servers that answer a request for a stream with a whole body: some cannot stream, many put errors under status 200 that way.
//!
//! An event stream never begins with `{` or `[`, so the first byte tells. What is none of this goes to the stream's decoder untouched.

use super::{Decoder, MAX_EVENT, wire};
use bytes::Bytes;
use contract::chat::{Event, EventSink};
use contract::failure::{Failure, FailureClass};

/// A decoder that reads a whole body where one came instead of a stream.
pub struct Sniffing<S, W> {
    came: Came,
    stream: S,
    whole: W,
}

enum Came {
    Nothing,
    Stream,
    Whole(Vec<u8>),
}

impl<S, W> Sniffing<S, W>
where
    S: Decoder,
    W: Fn(&Bytes, &mut dyn EventSink) -> Result<(), Failure>,
{
    /// `stream` reads what is a stream, `whole` what is a body.
    pub fn new(stream: S, whole: W) -> Self {
        Self { came: Came::Nothing, stream, whole }
    }
}

impl<S, W> Decoder for Sniffing<S, W>
where
    S: Decoder,
    W: Fn(&Bytes, &mut dyn EventSink) -> Result<(), Failure>,
{
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if matches!(self.came, Came::Nothing) {
            // White space and a byte order mark tell nothing yet.
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xEF\xBB\xBF".contains(byte));
            self.came = match first {
                None => Came::Nothing,
                Some(b'{' | b'[') => Came::Whole(Vec::new()),
                Some(_) => Came::Stream,
            };
        }
        match &mut self.came {
            Came::Nothing | Came::Stream => self.stream.feed(bytes, sink),
            Came::Whole(body) if body.len() + bytes.len() > MAX_EVENT => {
                let message = format!("the provider sent an answer larger than {} MiB", MAX_EVENT >> 20);
                Err(Failure::new(FailureClass::Truncated, message))
            }
            Came::Whole(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure> {
        let Came::Whole(body) = &mut self.came else { return self.stream.end(sink) };
        let body = std::mem::take(body);
        let json = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body).trim_ascii();
        match (self.whole)(&Bytes::copy_from_slice(json), &mut Neutral(sink)) {
            Err(failure) if failure.class == FailureClass::Truncated => Err(wire::cut_off()),
            read => read,
        }
    }

    fn is_complete(&self) -> bool {
        self.stream.is_complete()
    }
}

/// A sink that waits for a stream has no use for a verbatim body.
struct Neutral<'s>(&'s mut dyn EventSink);

impl EventSink for Neutral<'_> {
    fn event(&mut self, event: Event<'_>) {
        self.0.event(event);
    }
}
