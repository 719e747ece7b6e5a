//! Recorded exchanges of real providers, replayed byte for byte.

use super::answer::{Answer, Step};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// One recorded exchange.
#[derive(Clone)]
pub struct Fixture {
    /// Its name.
    pub id: String,
    /// What is known of it.
    pub meta: Value,
    /// What the answer means.
    pub expected: Value,
    /// The request in OpenAI's shape, without `model` and `stream`.
    pub client_request: Value,
    headers: Value,
    body: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers/exchanges")
}

/// Every recorded exchange, by name.
pub fn fixtures() -> Vec<Fixture> {
    let entries =
        fs::read_dir(folder()).map(|entries| entries.filter_map(Result::ok).collect()).unwrap_or_else(|_| Vec::new());
    let mut ids: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    ids.sort();
    ids.iter().filter_map(|id| Fixture::load(id)).collect()
}

impl Fixture {
    /// Reads an exchange; `None` when there is none of that name.
    pub fn load(id: &str) -> Option<Self> {
        let folder = folder().join(id);
        let json = |name: &str| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok() };
        Some(Self {
            id: id.to_owned(),
            meta: json("meta.json")?,
            expected: json("expected.json")?,
            client_request: json("client_request.json")?,
            headers: json("response.headers.json")?,
            body: fs::read(folder.join("response.body")).ok()?,
        })
    }

    /// The kinds of provider that must bear it: what OpenRouter sent is read as its own kind and as any compatible server.
    pub fn kinds(&self) -> Vec<&str> {
        let own = (self.meta["flavor"] == "openrouter").then_some("openrouter");
        self.meta["provider"].as_str().into_iter().chain(own).collect()
    }

    /// Whether the recorded answer is a stream.
    pub fn streamed(&self) -> bool {
        self.meta["streamed"] == Value::Bool(true)
    }

    /// The answer as it was recorded, in one piece.
    pub fn answer(&self) -> Answer {
        let status = self.meta["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        let headers = self.headers.as_object().into_iter().flatten();
        let framing = ["content-length", "transfer-encoding", "content-encoding", "connection", "date"];
        Answer {
            before_head: Vec::new(),
            status,
            headers: headers
                .filter(|(name, _)| !framing.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            body: vec![Step::Send(self.body.clone())],
            chunked: self.streamed(),
        }
    }
}
