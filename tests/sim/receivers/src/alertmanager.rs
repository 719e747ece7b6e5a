//! An Alertmanager, as far as HAIA uses its API: alerts, silences, its version. It refuses what the real one refuses.

use crate::sim::{Receiver, Reply, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// An Alertmanager.
#[derive(Debug, Default)]
pub struct Alertmanager {
    /// The bearer token that it wants; empty: none.
    pub token: String,
    /// What fires: alerts as its API tells them.
    pub alerts: Vec<Value>,
    /// Its silences as its API tells them.
    pub silences: Vec<Value>,
    /// What was ever asked to be changed.
    pub orders: Vec<Value>,
}

impl Alertmanager {
    /// An alert fires.
    pub fn fire(&mut self, name: &str, instance: &str) {
        self.alerts.push(json!({
            "labels": { "alertname": name, "instance": instance }, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z",
            "status": { "state": "active", "silencedBy": [], "inhibitedBy": [] },
        }));
    }

    fn silence(&mut self, body: Value) -> Reply {
        self.orders.push(body.clone());
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let matchers = body["matchers"].as_array().cloned().unwrap_or_default();
        let is_sound = |matcher: &Value| {
            matcher["name"].is_string()
                && matcher["value"].is_string()
                && matcher["isRegex"].is_boolean()
                && matcher["isEqual"].is_boolean()
        };
        let matches_nothing_empty =
            |matcher: &Value| matcher["isEqual"] == true && !matcher["value"].as_str().unwrap_or_default().is_empty();
        let wrong = if matchers.is_empty() || !matchers.iter().all(is_sound) {
            Some("matchers in body is required")
        } else if !matchers.iter().any(matches_nothing_empty) {
            Some("invalid silence: at least one matcher must not match the empty string")
        } else if text("startsAt").len() < 20 || text("endsAt") <= text("startsAt") {
            Some("failed to create silence: start time must be before end time")
        } else if text("createdBy").is_empty() || text("comment").is_empty() {
            Some("createdBy and comment in body are required")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Reply::json(400, &json!(wrong));
        }
        let id = format!("00000000-0000-4000-8000-{:012}", self.silences.len() + 1);
        let mut kept = body;
        kept["id"] = json!(id);
        kept["status"] = json!({ "state": "active" });
        self.silences.push(kept);
        Reply::json(200, &json!({ "silenceID": id }))
    }

    /// The alerts that fit every `name="value"` of the query; other matchers fit all.
    fn fitting(&self, query: &str) -> Vec<Value> {
        let filters: Vec<String> =
            query.split('&').filter_map(|part| part.strip_prefix("filter=")).map(decoded).collect();
        let fits = |alert: &&Value| {
            filters.iter().all(|filter| match filter.split_once("=\"") {
                Some((name, value)) => alert["labels"][name] == value.trim_end_matches('"'),
                None => true,
            })
        };
        self.alerts.iter().filter(fits).cloned().collect()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Receiver for Alertmanager {
    fn is_message(&self, request: &Request) -> bool {
        request.method != "GET"
    }

    fn receive(&mut self, _: Duration, request: &Request) -> Option<Reply> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let wanted = format!("Bearer {}", self.token);
        if !self.token.is_empty() && request.header("authorization") != Some(wanted.as_str()) {
            return Some(Reply::json(401, &json!("unauthorized")));
        }
        Some(match (request.method.as_str(), path) {
            ("GET", "/api/v2/alerts") => Reply::json(200, &Value::Array(self.fitting(query))),
            ("GET", "/api/v2/silences") => Reply::json(200, &json!(self.silences)),
            ("GET", "/api/v2/status") => Reply::json(200, &json!({ "versionInfo": { "version": "0.28.1" } })),
            ("POST", "/api/v2/silences") => self.silence(request.json()),
            _ => Reply::json(404, &json!("not found")),
        })
    }

    fn limited(&self, _: f64) -> Reply {
        Reply::json(429, &json!("too many requests"))
    }

    fn chat(&self, _: &Request) -> String {
        "alertmanager".to_owned()
    }
}
