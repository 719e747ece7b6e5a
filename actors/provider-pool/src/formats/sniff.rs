//! Servers that answer a request for a stream with a whole body: some cannot stream, many put errors under status 200 that way. And the
//! other way round: some can only stream.
//!
//! An event stream never begins with `{` or `[`, so the first byte tells. What is none of this goes to its own decoder untouched.

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

    fn is_at_work(&self) -> bool {
        self.stream.is_at_work()
    }
}

/// Whether a whole body is an event stream after all.
pub fn is_event_stream(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    [b"data:".as_slice(), b"event:", b"id:", b"retry:", b":"].iter().any(|line| body.starts_with(line))
}

/// Reads a whole body with the decoder of a stream.
///
/// # Errors
/// What the decoder says, as of any stream.
pub fn read_stream(mut decoder: Box<dyn Decoder>, body: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure> {
    let mut sink = Neutral(sink);
    decoder.feed(body, &mut sink)?;
    decoder.end(&mut sink)
}

/// A sink that waits for one of the two has no use for verbatim bytes of the other.
struct Neutral<'s>(&'s mut dyn EventSink);

impl EventSink for Neutral<'_> {
    fn event(&mut self, event: Event<'_>) {
        self.0.event(event);
    }
}
