//! ntfy: JSON at the server's root. A message has 4096 bytes; what is longer would become an attachment, so it is split. The sign goes in as
//! a tag, which ntfy shows before the title.

use super::{Answer, Channel, Check, Dispatch, Form, HttpRequest, Outcome, Piece, Verb, said};
use crate::config::NtfyConfig;
use crate::message::{Limits, Mark};
use contract::alerts::Severity;
use contract::notify::{Notice, NoticeKind};
use serde_json::json;
use std::sync::Arc;

/// Of 4096 bytes.
const BUDGET: usize = 3900;
const PARTS: usize = 12;

/// A topic of an ntfy server.
pub struct Ntfy {
    config: NtfyConfig,
}

impl Ntfy {
    /// The channel of a configuration.
    pub fn new(config: NtfyConfig) -> Self {
        Self { config }
    }
}

/// 1 to 5: 5 rings through, 3 is usual, 2 makes no sound.
fn priority(notice: &Notice) -> u8 {
    match (notice.kind, notice.severity) {
        (
            NoticeKind::Resolved | NoticeKind::Stable | NoticeKind::Explained | NoticeKind::Answer | NoticeKind::Test,
            _,
        ) => 3,
        (NoticeKind::Digest | NoticeKind::Baseline, Severity::Info) => 2,
        (_, Severity::Critical) => 5,
        (_, Severity::Warning) => 4,
        (_, Severity::Info) => 3,
    }
}

fn tags(mark: Mark) -> &'static [&'static str] {
    match mark {
        Mark::Critical => &["red_circle"],
        Mark::Warning => &["orange_circle"],
        Mark::Info => &["large_blue_circle"],
        Mark::Good => &["white_check_mark"],
        Mark::None => &[],
    }
}

impl Channel for Ntfy {
    fn limits(&self, form: Form) -> Limits {
        Limits { budget: form.budget(BUDGET), parts: PARTS, weigh: char::len_utf8, markup: 0 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let text = piece.text();
        let message = if text.trim().is_empty() { &piece.part.title } else { &text };
        let mut body = json!({"topic": self.config.topic, "message": message});
        if !piece.part.title.is_empty() {
            body["title"] = json!(piece.part.title);
        }
        if !piece.form.is_plain {
            body["priority"] = json!(priority(piece.notice));
            body["tags"] = json!(tags(piece.part.mark));
        }
        let mut request = HttpRequest::json(self.config.url.trim_end_matches('/'), &body);
        if let Some(token) = &self.config.token {
            request.headers.push(("Authorization", format!("Bearer {}", token.expose())));
        }
        Ok(Dispatch::Http(request))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let body = answer.json().unwrap_or_default();
        let told = body["error"].as_str().unwrap_or_default();
        match answer.status {
            200 => match body["id"].as_str() {
                Some(id) => Outcome::delivered(Some(Arc::from(id))),
                None => Outcome::of_status(answer, told),
            },
            401 | 403 | 404 if !body["error"].is_string() => Outcome::of_proxy(answer, "ntfy"),
            401 | 403 => Outcome::Stopped {
                why: format!("ntfy does not let HAIA write to the topic ({}): check token and topic", said(told)),
            },
            404 => Outcome::Stopped { why: "there is no ntfy server at this address: check url".to_owned() },
            _ => Outcome::of_status(answer, told),
        }
    }

    fn checks(&self) -> Vec<Check> {
        // Every request with a token that the server does not know is refused, this one too.
        let mut request = HttpRequest::look(Verb::Get, format!("{}/v1/health", self.config.url.trim_end_matches('/')));
        if let Some(token) = &self.config.token {
            request.headers.push(("Authorization", format!("Bearer {}", token.expose())));
        }
        let seen = |answer: &Answer| {
            let is_healthy = answer.status == 200 && answer.json()?["healthy"] == true;
            is_healthy.then(|| "the server is healthy".to_owned())
        };
        vec![Check { dispatch: Dispatch::Http(request), seen }]
    }

    fn secrets(&self) -> Vec<&str> {
        self.config.token.iter().map(|token| token.expose()).collect()
    }
}
