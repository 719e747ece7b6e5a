//! Gotify: one message with its text as Markdown.

use super::{Answer, Channel, Check, Dispatch, Form, HttpRequest, Outcome, Piece, Verb, said};
use crate::config::GotifyConfig;
use crate::message::{Limits, Line, Style};
use contract::alerts::Severity;
use contract::notify::{Notice, NoticeKind};
use serde_json::json;
use std::sync::Arc;

/// Gotify names no limit; an app that opens a message should not have to scroll for ever.
const BUDGET: usize = 16_000;
const PARTS: usize = 8;

/// An application of a Gotify server.
pub struct Gotify {
    config: GotifyConfig,
}

impl Gotify {
    /// The channel of a configuration.
    pub fn new(config: GotifyConfig) -> Self {
        Self { config }
    }
}

/// 0 to 10: from 8 the app rings, from 4 it makes a sound.
fn priority(notice: &Notice) -> u8 {
    match (notice.kind, notice.severity) {
        (
            NoticeKind::Resolved | NoticeKind::Stable | NoticeKind::Explained | NoticeKind::Answer | NoticeKind::Test,
            _,
        ) => 4,
        (NoticeKind::Digest | NoticeKind::Baseline, Severity::Info) => 2,
        (_, Severity::Critical) => 8,
        (_, Severity::Warning) => 5,
        (_, Severity::Info) => 2,
    }
}

fn is_special(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '.' | ',' | ':' | ';' | '/' | '%' | '?' | '\'' | '"' | '=' | '@' | '$')
}

fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        if is_special(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Two spaces before a line break keep the break.
fn markdown(lines: &[Line]) -> String {
    let mut out = String::new();
    for line in lines {
        if !out.is_empty() {
            out.push_str("  \n");
        }
        if line.is_item {
            out.push_str("• ");
        }
        for span in &line.spans {
            let bare = span.text.trim();
            let mark = match span.style {
                Style::Strong if !bare.is_empty() => "**",
                Style::Quiet if !bare.is_empty() => "*",
                Style::Struck if !bare.is_empty() => "~~",
                _ => "",
            };
            let lead = span.text.len() - span.text.trim_start().len();
            out.push_str(&span.text[..lead]);
            out.push_str(mark);
            escape_into(bare, &mut out);
            out.push_str(mark);
            out.push_str(&span.text[lead + bare.len()..]);
        }
    }
    out
}

impl Channel for Gotify {
    fn limits(&self, form: Form) -> Limits {
        Limits { budget: form.budget(BUDGET), parts: PARTS, weigh: |c| 1 + usize::from(is_special(c)), markup: 4 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let (text, kind) = match piece.form.is_plain {
            true => (piece.text(), "text/plain"),
            false => (markdown(&piece.lines()), "text/markdown"),
        };
        let head = piece.head();
        let title = if head.trim().is_empty() { "HAIA" } else { head.trim() };
        // Gotify wants a text; the title alone is one.
        let message = if text.trim().is_empty() { title } else { &text };
        let body = json!({
            "title": title,
            "message": message,
            "priority": priority(piece.notice),
            "extras": {"client::display": {"contentType": kind}},
        });
        let mut request = HttpRequest::json(format!("{}/message", self.config.url.trim_end_matches('/')), &body);
        request.headers.push(("X-Gotify-Key", self.config.token.expose().to_owned()));
        Ok(Dispatch::Http(request))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let body = answer.json().unwrap_or_default();
        let told = body["errorDescription"].as_str().unwrap_or_default();
        match answer.status {
            200 => match body["id"].as_i64() {
                Some(id) => Outcome::delivered(Some(Arc::from(id.to_string()))),
                None => Outcome::of_status(answer, told),
            },
            401 | 403 | 404 if !body["errorCode"].is_number() => Outcome::of_proxy(answer, "Gotify"),
            401 | 403 => Outcome::Stopped {
                why: format!("Gotify refuses the token ({}): use the token of an application", said(told)),
            },
            404 => Outcome::Stopped { why: "there is no Gotify server at this address: check url".to_owned() },
            _ => Outcome::of_status(answer, told),
        }
    }

    fn checks(&self) -> Vec<Check> {
        let base = self.config.url.trim_end_matches('/');
        let version = HttpRequest::look(Verb::Get, format!("{base}/version"));
        // An application's token opens nothing but this: without a text it is refused after the token was looked at, and nobody gets anything.
        let mut empty = HttpRequest::json(format!("{base}/message"), &json!({}));
        empty.headers.push(("X-Gotify-Key", self.config.token.expose().to_owned()));
        vec![
            Check {
                dispatch: Dispatch::Http(version),
                seen: |answer| {
                    Some(format!(
                        "version {}",
                        said(answer.json().filter(|_| answer.status == 200)?["version"].as_str()?)
                    ))
                },
            },
            Check {
                dispatch: Dispatch::Http(empty),
                seen: |answer| (answer.status == 400).then(|| "the token is known".to_owned()),
            },
        ]
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.token.expose()]
    }
}
