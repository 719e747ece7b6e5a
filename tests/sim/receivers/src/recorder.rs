//! A program that takes anything and remembers it: for webhooks, ntfy and Gotify.

use crate::sim::{Receiver, Reply, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// What was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: Duration,
    /// The request.
    pub request: Request,
}

/// A receiver that takes anything.
#[derive(Debug)]
pub struct Recorder {
    /// What was taken, in order, repeated ones included.
    pub records: Vec<Record>,
    /// What it answers.
    pub answer: Value,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { records: Vec::new(), answer: json!({"id": "1"}) }
    }
}

impl Recorder {
    /// The idempotency keys in order, each once.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for record in &self.records {
            let key = record.request.header("idempotency-key").unwrap_or_default().to_owned();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

impl Receiver for Recorder {
    fn is_message(&self, _: &Request) -> bool {
        true
    }

    fn receive(&mut self, now: Duration, request: &Request) -> Option<Reply> {
        self.records.push(Record { at: now, request: request.clone() });
        Some(Reply::json(200, &self.answer))
    }

    fn limited(&self, seconds: f64) -> Reply {
        Reply::json(429, &json!({"error": "limit reached"})).with("retry-after", seconds.ceil() as u64)
    }

    fn chat(&self, _: &Request) -> String {
        "recorder".to_owned()
    }
}
