//! An event stream as a strict client reads it, and what a chat's stream must look like.

use super::http::Body;
use serde_json::Value;
use std::io;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A `data:` line with JSON.
    Data(Value),
    /// `data: [DONE]`.
    Done,
    /// A comment line.
    Comment(String),
}

/// An answer whose head was read. Dropping it closes the connection.
pub struct Stream {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub(super) body: Body,
    carry: Vec<u8>,
}

impl Stream {
    pub(super) fn new(status: u16, headers: Vec<(String, String)>, body: Body) -> Self {
        Self { status, headers, body, carry: Vec::new() }
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The next event; `None` at the proper end of the body.
    ///
    /// # Errors
    /// The connection broke before that.
    pub fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            if let Some(end) = self.carry.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.carry.drain(..end + 2).collect();
                return Ok(Some(parse(&event[..end])));
            }
            match self.body.piece()? {
                Some(piece) => self.carry.extend_from_slice(&piece),
                None => {
                    assert!(self.carry.is_empty(), "the stream ends inside an event: {:?}", lossy(&self.carry));
                    return Ok(None);
                }
            }
        }
    }

    /// Reads until `found` finds what it wants in an event.
    pub fn read_until(&mut self, what: &str, found: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.next() {
                Ok(Some(event)) => {
                    let is_it = found(&event);
                    events.push(event);
                    if is_it {
                        return events;
                    }
                }
                end => panic!("the stream ended before {what}: {end:?} after {events:?}"),
            }
        }
    }

    /// Reads until the first visible text.
    pub fn read_until_text(&mut self) -> Vec<Event> {
        self.read_until("its first text", |event| {
            matches!(event, Event::Data(data)
                if data["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty()))
        })
    }

    /// The next piece of a body that is no events; `None` at its proper end.
    ///
    /// # Errors
    /// The connection broke before that.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.body.piece()
    }

    /// Reads to the end and forgets what it reads.
    pub fn skip(&mut self) {
        while self.body.piece().expect("the body ends properly").is_some() {}
    }

    /// Reads to the end.
    pub fn finish(mut self) -> Streamed {
        let mut events = Vec::new();
        let broken = loop {
            match self.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        Streamed { status: self.status, events, broken }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parse(event: &[u8]) -> Event {
    let text = std::str::from_utf8(event).unwrap_or_else(|error| panic!("{error}: {}", lossy(event)));
    assert!(!text.contains(['\r', '\n']), "an event of one line, please: {text:?}");
    if let Some(comment) = text.strip_prefix(':') {
        return Event::Comment(comment.to_owned());
    }
    match text.strip_prefix("data: ") {
        Some("[DONE]") => Event::Done,
        Some(data) => Event::Data(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))),
        None => panic!("neither data nor a comment: {text:?}"),
    }
}

/// A stream that was read to its end.
#[derive(Debug)]
pub struct Streamed {
    /// The HTTP status.
    pub status: u16,
    /// Everything that came.
    pub events: Vec<Event>,
    /// How the connection broke, if it did.
    pub broken: Option<String>,
}

impl Streamed {
    /// The chunks, comments and the end mark left out.
    pub fn chunks(&self) -> Vec<&Value> {
        self.events.iter().filter_map(|event| if let Event::Data(data) = event { Some(data) } else { None }).collect()
    }

    fn deltas(&self, field: &str) -> String {
        self.chunks().iter().filter_map(|chunk| chunk["choices"][0]["delta"][field].as_str()).collect()
    }

    /// The visible text.
    pub fn text(&self) -> String {
        self.deltas("content")
    }

    /// The reasoning.
    pub fn thinking(&self) -> String {
        self.deltas("reasoning_content")
    }

    /// Every finish reason.
    pub fn finish_reasons(&self) -> Vec<&str> {
        self.chunks().iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect()
    }

    /// The usage, if a usage chunk came.
    pub fn usage(&self) -> Option<&Value> {
        self.chunks().into_iter().map(|chunk| &chunk["usage"]).find(|usage| usage.is_object())
    }

    /// The error event, if one came.
    pub fn error(&self) -> Option<&Value> {
        self.chunks().into_iter().map(|chunk| &chunk["error"]).find(|error| error.is_object())
    }

    /// What HAIA said it was doing.
    pub fn statuses(&self) -> Vec<String> {
        let status = |chunk: &&Value| chunk["event"]["data"]["description"].as_str().map(str::to_owned);
        self.chunks().iter().filter_map(status).collect()
    }

    /// The tool calls: id, name, arguments.
    pub fn tool_calls(&self) -> Vec<(String, String, String)> {
        let mut calls: Vec<(String, String, String)> = Vec::new();
        for chunk in self.chunks() {
            for delta in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let index = delta["index"].as_u64().unwrap_or_else(|| panic!("a call without index: {delta}")) as usize;
                if index == calls.len() {
                    let id = delta["id"].as_str().unwrap_or_else(|| panic!("the first of a call without id: {delta}"));
                    let name = delta["function"]["name"].as_str();
                    let name = name.unwrap_or_else(|| panic!("the first of a call without name: {delta}"));
                    calls.push((id.to_owned(), name.to_owned(), String::new()));
                }
                let pieces = delta["function"]["arguments"].as_str().unwrap_or_default();
                calls.get_mut(index).unwrap_or_else(|| panic!("calls out of order: {delta}")).2.push_str(pieces);
            }
        }
        calls
    }

    /// Asserts the form of a whole and good stream: role first, one id, model and time throughout, one finish reason, the end mark last.
    pub fn assert_whole(&self) {
        assert_eq!((self.status, &self.broken), (200, &None), "{self:?}");
        assert_eq!(self.error(), None);
        assert_eq!(self.finish_reasons().len(), 1, "one finish reason: {:?}", self.events);
        assert_eq!(self.events.last(), Some(&Event::Done));
        assert_eq!(self.events.iter().filter(|event| **event == Event::Done).count(), 1);
        let chunks = self.chunks();
        let with_choice: Vec<_> = chunks.iter().filter(|chunk| chunk["choices"].get(0).is_some()).collect();
        assert_eq!(with_choice[0]["choices"][0]["delta"]["role"], "assistant", "{:?}", chunks[0]);
        for field in ["id", "created", "model", "object"] {
            assert!(chunks.iter().all(|chunk| chunk[field] == chunks[0][field]), "one {field} throughout: {chunks:?}");
        }
        assert_eq!(chunks[0]["object"], "chat.completion.chunk");
        let after_finish = chunks.iter().skip_while(|chunk| chunk["choices"][0]["finish_reason"].is_null()).skip(1);
        let rest: Vec<_> = after_finish.collect();
        assert!(
            rest.iter()
                .all(|chunk| chunk["choices"].as_array().is_some_and(Vec::is_empty) && chunk["usage"].is_object()),
            "only usage comes after the finish reason: {rest:?}"
        );
        assert!(rest.len() <= 1, "usage once: {rest:?}");
    }

    /// Asserts that the stream failed as promised: an error event, and neither an end mark nor a finish reason.
    pub fn assert_failed(&self) -> &Value {
        assert_eq!(self.finish_reasons(), [""; 0], "{:?}", self.events);
        assert!(!self.events.contains(&Event::Done), "{:?}", self.events);
        let error = self.error().unwrap_or_else(|| panic!("no error event: {self:?}"));
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        assert!(error["type"].is_string() && error.get("code").is_some() && error.get("param").is_some(), "{error}");
        assert_eq!(
            self.events.last().and_then(|last| if let Event::Data(d) = last { Some(&d["error"]) } else { None }),
            Some(error)
        );
        error
    }
}
