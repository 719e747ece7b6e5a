//! A Discord webhook: takes messages with their limits, lets them be changed.

use crate::sim::{Receiver, Reply, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// A message that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscordMessage {
    /// Its number.
    pub id: String,
    /// When it came.
    pub at: Duration,
    /// Content and embeds as they are now.
    pub body: Value,
    /// How often it was changed.
    pub edits: u32,
}

impl DiscordMessage {
    /// Everything that is written in it.
    pub fn text(&self) -> String {
        let embeds = self.body["embeds"].as_array().cloned().unwrap_or_default();
        let below: Vec<String> =
            embeds.iter().filter_map(|embed| embed["description"].as_str().map(str::to_owned)).collect();
        format!("{}\n{}", self.body["content"].as_str().unwrap_or_default(), below.join("\n"))
    }
}

/// A webhook.
#[derive(Debug, Default)]
pub struct Discord {
    /// Its path.
    pub path: String,
    /// Messages that arrived, in order.
    pub messages: Vec<DiscordMessage>,
    /// Whether it was deleted.
    pub is_gone: bool,
    /// Refuses embeds whatever they hold.
    pub refuses_embeds: bool,
}

impl Discord {
    /// A webhook at this path.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }
}

fn length(value: &Value) -> usize {
    value.as_str().unwrap_or_default().chars().map(char::len_utf16).sum()
}

/// What Discord has against a message.
fn problem(body: &Value) -> Option<String> {
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    if length(&body["content"]) > 2000 {
        return Some("content: Must be 2000 or fewer in length.".to_owned());
    }
    if body["content"].as_str().unwrap_or_default().trim().is_empty() && embeds.is_empty() {
        return Some("Cannot send an empty message".to_owned());
    }
    if embeds.len() > 10 {
        return Some("embeds: Must be 10 or fewer in length.".to_owned());
    }
    let mut whole = 0;
    for embed in &embeds {
        let fields = embed["fields"].as_array().cloned().unwrap_or_default();
        let parts = [("title", 256), ("description", 4096)].map(|(name, most)| (name, length(&embed[name]), most));
        whole += parts.iter().map(|(_, length, _)| length).sum::<usize>() + length(&embed["footer"]["text"]);
        if let Some((name, ..)) = parts.iter().find(|(_, length, most)| length > most) {
            return Some(format!("embeds: {name} is too long"));
        }
        if fields.len() > 25 || fields.iter().any(|field| !(1..=1024).contains(&length(&field["value"]))) {
            return Some("embeds: fields".to_owned());
        }
        if embed["description"].as_str().is_some_and(|text| text.trim().is_empty()) {
            return Some("embeds: description is empty".to_owned());
        }
    }
    (whole > 6000).then(|| "embeds: Embed size exceeds maximum size of 6000".to_owned())
}

impl Receiver for Discord {
    fn is_message(&self, request: &Request) -> bool {
        request.path.starts_with(&self.path)
    }

    fn receive(&mut self, now: Duration, request: &Request) -> Option<Reply> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let Some(rest) = path.strip_prefix(&self.path).filter(|_| !self.is_gone) else {
            return Some(Reply::json(404, &json!({"message": "Unknown Webhook", "code": 10_015})));
        };
        let body = request.json();
        let why = match () {
            () if !query.split('&').any(|pair| pair == "wait=true") => Some("this check wants wait=true".to_owned()),
            () if body["allowed_mentions"]["parse"] != json!([]) => Some("this check wants no mentions".to_owned()),
            () if self.refuses_embeds && body["embeds"].as_array().is_some_and(|embeds| !embeds.is_empty()) => {
                Some("embeds: 0".to_owned())
            }
            () => problem(&body),
        };
        if let Some(why) = why {
            return Some(Reply::json(400, &json!({"code": 50_035, "message": "Invalid Form Body", "errors": why})));
        }
        if let Some(id) = rest.strip_prefix("/messages/") {
            let Some(message) = self.messages.iter_mut().find(|message| message.id == id) else {
                return Some(Reply::json(404, &json!({"message": "Unknown Message", "code": 10_008})));
            };
            message.body = body;
            message.edits += 1;
            return Some(Reply::json(200, &json!({"id": id})));
        }
        let id = (900_000 + self.messages.len()).to_string();
        self.messages.push(DiscordMessage { id: id.clone(), at: now, body, edits: 0 });
        Some(Reply::json(200, &json!({"id": id})))
    }

    fn limited(&self, seconds: f64) -> Reply {
        let body = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": false});
        Reply::json(429, &body).with("retry-after", seconds.ceil() as u64).with("x-ratelimit-scope", "shared")
    }

    fn chat(&self, _: &Request) -> String {
        "webhook".to_owned()
    }
}
