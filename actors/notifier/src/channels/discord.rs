//! Discord webhooks: a line of content, which is what a phone shows, and an embed with a coloured edge for the rest.
//!
//! Limits from Discord's documentation: content 2000, an embed's description 4096, its footer 2048, all embeds together 6000. Lengths are
//! counted in UTF-16 here, the stricter reading. Always `wait=true`: without it a message that was not saved is no error. A webhook that
//! answers 401 or 404 must not be used again, or the whole address gets banned.

use super::answer::seconds_of;
use super::{Answer, Channel, Check, Dispatch, Form, HttpRequest, Marking, Outcome, Piece, REPEATED, Verb, said};
use crate::config::DiscordConfig;
use crate::message::{Limits, Line, Mark, Part, Style};
use serde_json::{Value, json};
use std::sync::Arc;

/// Of 4096, some are kept free for the title, which goes into the content.
const EMBED: usize = 4000;
/// Of 2000.
const CONTENT: usize = 1900;
const PARTS: usize = 12;

/// A Discord channel.
pub struct Discord {
    config: DiscordConfig,
}

impl Discord {
    /// The channel of a configuration.
    pub fn new(config: DiscordConfig) -> Self {
        Self { config }
    }

    /// The webhook's address, `path` behind its path, with `wait=true` and whatever it had itself.
    fn url(&self, path: &str) -> String {
        let (address, query) =
            self.config.webhook_url.expose().split_once('?').unwrap_or((self.config.webhook_url.expose(), ""));
        let query: Vec<&str> = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("wait="))
            .chain(["wait=true"])
            .collect();
        format!("{}{path}?{}", address.trim_end_matches('/'), query.join("&"))
    }
}

/// Characters that Discord's Markdown gives a meaning.
fn is_special(c: char) -> bool {
    matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '#')
}

fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        if is_special(c) {
            out.push('\\');
        }
        out.push(c);
    }
}

fn wrapped(style: Style, text: &str, out: &mut String) {
    // Markdown sees no end mark behind a space.
    let bare = text.trim();
    let mark = match style {
        Style::Plain | Style::Quiet => "",
        Style::Strong => "**",
        Style::Code => "`",
        Style::Struck => "~~",
    };
    if mark.is_empty() || bare.is_empty() || (style == Style::Code && bare.contains('`')) {
        return escape_into(text, out);
    }
    let lead = text.len() - text.trim_start().len();
    out.push_str(&text[..lead]);
    out.push_str(mark);
    match style {
        Style::Code => out.push_str(bare),
        _ => escape_into(bare, out),
    }
    out.push_str(mark);
    out.push_str(&text[lead + bare.len()..]);
}

fn markdown(lines: &[Line]) -> String {
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if line.is_item {
            out.push_str("• ");
        } else if !line.is_blank() && line.spans.iter().all(|span| span.style == Style::Quiet) {
            out.push_str("-# ");
        }
        for span in &line.spans {
            wrapped(span.style, &span.text, &mut out);
        }
    }
    out
}

fn head(part: &Part, style: Style) -> String {
    let mut out = part.mark.prefix().to_owned();
    wrapped(style, &part.title, &mut out);
    out
}

/// Colours that stand out on light and dark.
fn colour(mark: Mark) -> u32 {
    match mark {
        Mark::Critical => 0x00D9_3025,
        Mark::Warning => 0x00F2_8B1D,
        Mark::Info | Mark::None => 0x003B_82F6,
        Mark::Good => 0x0022_A35A,
    }
}

fn body(part: &Part, lines: &[Line], style: Style, remark: Option<&str>) -> Value {
    let mut content = head(part, style);
    if let Some(remark) = remark {
        content = format!("{content} {remark}").trim_start().to_owned();
    }
    let below = markdown(lines);
    let mut body = json!({"content": content, "allowed_mentions": {"parse": []}, "embeds": []});
    if !below.trim().is_empty() {
        body["embeds"] = json!([{"description": below, "color": colour(part.mark)}]);
    }
    if content.trim().is_empty() && below.trim().is_empty() {
        body["content"] = json!("…");
    }
    body
}

impl Channel for Discord {
    fn limits(&self, form: Form) -> Limits {
        let weigh = |c: char| c.len_utf16() + usize::from(is_special(c));
        let whole = if form.is_plain { CONTENT } else { EMBED };
        // `**` on both sides; a whole line read aside has three characters before it.
        Limits { budget: form.budget(whole), parts: PARTS, weigh, markup: 4 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let request = if piece.form.is_plain {
            let text = format!("{}\n{}", head(piece.part, Style::Strong), markdown(&piece.lines()));
            let content = if text.trim().is_empty() { "…" } else { text.trim() };
            json!({"content": content, "allowed_mentions": {"parse": []}})
        } else {
            let remark = piece.is_repeated.then_some(REPEATED);
            body(piece.part, &piece.part.lines, Style::Strong, remark)
        };
        Ok(Dispatch::Http(HttpRequest::json(self.url(""), &request)))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let body = answer.json().unwrap_or_default();
        let told = body["message"].as_str().unwrap_or_default();
        let is_gone = matches!(body["code"].as_i64(), Some(10_015 | 50_027));
        match answer.status {
            200 => match body["id"].as_str() {
                Some(id) => Outcome::Delivered { remote_id: Some(Arc::from(id)), pause: used_up(answer) },
                None => Outcome::of_status(answer, told),
            },
            204 => Outcome::Delivered { remote_id: None, pause: used_up(answer) },
            429 => {
                let asked = body["retry_after"].as_f64().and_then(seconds_of);
                let reset =
                    answer.header("x-ratelimit-reset-after").and_then(|text| text.parse().ok()).and_then(seconds_of);
                let wait = asked.max(answer.retry_after()).or(reset);
                Outcome::Limited { wait, why: format!("it wants a pause: {}", said(told)) }
            }
            401 | 403 | 404 => stopped(told),
            400..500 if is_gone => stopped(told),
            _ => Outcome::of_status(answer, told),
        }
    }

    fn knows_threads(&self) -> bool {
        true
    }

    fn mark(&self, marking: &Marking<'_>) -> Option<Dispatch> {
        if marking.remote_id.is_empty() || !marking.remote_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let style = if marking.is_over { Style::Struck } else { Style::Strong };
        let body = body(marking.part, &marking.part.lines, style, None);
        let request = HttpRequest::json(self.url(&format!("/messages/{}", marking.remote_id)), &body);
        Some(Dispatch::Http(HttpRequest { verb: Verb::Patch, ..request }))
    }

    fn checks(&self) -> Vec<Check> {
        let seen = |answer: &Answer| {
            let body = answer.json().filter(|body| answer.status == 200 && body["id"].is_string())?;
            Some(format!("webhook {}", said(body["name"].as_str().unwrap_or("without a name"))))
        };
        let url = self.config.webhook_url.expose();
        vec![Check { dispatch: Dispatch::Http(HttpRequest::look(Verb::Get, url)), seen }]
    }

    fn secrets(&self) -> Vec<&str> {
        let url = self.config.webhook_url.expose();
        let path = url.split('?').next().unwrap_or(url).trim_end_matches('/');
        let token = path.rsplit('/').next().unwrap_or_default();
        vec![url, path, token]
    }
}

fn stopped(told: &str) -> Outcome {
    Outcome::Stopped {
        why: format!("Discord does not know the webhook any more ({}): make a new one and set webhook_url", said(told)),
    }
}

/// How long the bucket stays empty, where this request took the last of it.
fn used_up(answer: &Answer) -> Option<std::time::Duration> {
    let is_empty = answer.header("x-ratelimit-remaining")?.trim() == "0";
    let reset = answer.header("x-ratelimit-reset-after")?.trim().parse().ok().and_then(seconds_of)?;
    is_empty.then_some(reset)
}
