//! What all receivers share: requests, answers, scripted faults and rate limits.

use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The method in capitals.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers beside the usual.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A misbehaviour. Those that say so take the message before.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An answer of this status with a page in it.
    Status(u16),
    /// An answer in full.
    Answer(Reply),
    /// Too many requests: not before so many seconds.
    Limited(f64),
    /// 200 with something that is no answer. Nothing is taken.
    Garbage,
    /// The connection is reset. Nothing is taken.
    Reset,
    /// No answer, ever. Nothing is taken.
    Hang,
    /// It is taken, and the connection ends before the answer.
    Lost,
    /// It is taken, and the answer ends in the middle.
    Cut,
}

/// How a connection breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// It is reset.
    Reset,
    /// Nothing ever comes.
    Hang,
    /// It ends.
    Close,
    /// Half of this comes.
    Cut(Reply),
}

/// What happens with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is answered.
    Answer(Reply),
    /// There is nothing to answer yet: ask again in a moment.
    Hold,
    /// The connection breaks.
    Break(Break),
}

/// A receiver.
pub trait Receiver: Send + 'static {
    /// Whether a request brings a message: only those meet faults and limits.
    fn is_message(&self, request: &Request) -> bool;
    /// Takes a request; `None`: there is nothing to answer yet.
    fn receive(&mut self, now: Duration, request: &Request) -> Option<Reply>;
    /// Its way to say that it is too much; `chat` is who is limited.
    fn limited(&self, seconds: f64) -> Reply;
    /// Who is limited by a request.
    fn chat(&self, request: &Request) -> String;
}

/// So many at once, and then so many a second.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// At once.
    pub burst: f64,
    /// Per second.
    pub rate: f64,
}

/// A receiver with faults, limits and a memory.
pub struct Sim<R> {
    /// The receiver.
    pub receiver: R,
    /// Faults of the next messages, one each.
    pub faults: VecDeque<Fault>,
    /// What befalls every message.
    pub outage: Option<Fault>,
    /// The limit of each chat.
    pub limit: Option<Limit>,
    /// Every request that brought a message, refused ones included, and when it came.
    pub attempts: Vec<(Duration, Request)>,
    /// What was done against the rules.
    pub violations: Vec<String>,
    /// Until when each chat is limited.
    limited: Vec<(String, Duration)>,
    buckets: Vec<(String, f64, Duration)>,
}

impl<R: Receiver> Sim<R> {
    /// A receiver that behaves.
    pub fn new(receiver: R) -> Self {
        Self {
            receiver,
            faults: VecDeque::new(),
            outage: None,
            limit: None,
            attempts: Vec::new(),
            violations: Vec::new(),
            limited: Vec::new(),
            buckets: Vec::new(),
        }
    }

    /// What happens with a request at this time.
    pub fn step(&mut self, now: Duration, request: &Request) -> Step {
        if !self.receiver.is_message(request) {
            return match self.receiver.receive(now, request) {
                Some(reply) => Step::Answer(reply),
                None => Step::Hold,
            };
        }
        let chat = self.receiver.chat(request);
        self.attempts.push((now, request.clone()));
        if let Some((_, until)) = self.limited.iter().find(|(known, until)| *known == chat && now < *until) {
            let early = (*until - now).as_secs_f64();
            self.violations.push(format!("{chat}: asked {early:.3} s before the wait was over"));
            return Step::Answer(self.receiver.limited(early.ceil()));
        }
        let fault = self.faults.pop_front().or_else(|| self.outage.clone());
        if let Some(fault) = fault {
            return self.misbehave(now, request, &chat, fault);
        }
        if let Some(wait) = self.over_limit(now, &chat) {
            return self.limit_for(now, chat, wait);
        }
        match self.receiver.receive(now, request) {
            Some(reply) => Step::Answer(reply),
            None => Step::Hold,
        }
    }

    fn limit_for(&mut self, now: Duration, chat: String, seconds: f64) -> Step {
        let until = now + Duration::from_secs_f64(seconds);
        self.limited.retain(|(known, _)| *known != chat);
        self.limited.push((chat, until));
        Step::Answer(self.receiver.limited(seconds))
    }

    fn over_limit(&mut self, now: Duration, chat: &str) -> Option<f64> {
        let limit = self.limit?;
        let at = match self.buckets.iter().position(|(known, ..)| known == chat) {
            Some(at) => at,
            None => {
                self.buckets.push((chat.to_owned(), limit.burst, now));
                self.buckets.len() - 1
            }
        };
        let (_, tokens, since) = &mut self.buckets[at];
        *tokens = (*tokens + (now - *since).as_secs_f64() * limit.rate).min(limit.burst);
        *since = now;
        if *tokens >= 1.0 {
            *tokens -= 1.0;
            return None;
        }
        Some(((1.0 - *tokens) / limit.rate).ceil().max(1.0))
    }

    fn misbehave(&mut self, now: Duration, request: &Request, chat: &str, fault: Fault) -> Step {
        let page = |status| Reply { status, headers: Vec::new(), body: "<html><h1>Bad Gateway</h1></html>".to_owned() };
        match fault {
            Fault::Status(status) => Step::Answer(page(status)),
            Fault::Answer(reply) => Step::Answer(reply),
            Fault::Limited(seconds) => self.limit_for(now, chat.to_owned(), seconds),
            Fault::Garbage => Step::Answer(page(200)),
            Fault::Reset => Step::Break(Break::Reset),
            Fault::Hang => Step::Break(Break::Hang),
            Fault::Lost => {
                self.receiver.receive(now, request);
                Step::Break(Break::Close)
            }
            Fault::Cut => match self.receiver.receive(now, request) {
                Some(reply) => Step::Break(Break::Cut(reply)),
                None => Step::Break(Break::Close),
            },
        }
    }
}
