//! Telegram's Bot API: HTML with three characters to escape, 4096 code points per message, buttons, and answers to earlier messages.
//!
//! Facts from the Bot API server's source: the length counts after entity parsing; an error carries `error_code`, `description` and
//! `parameters`; whatever is not understood in HTML is refused whole, so a refused form falls back to plain text.

use super::answer::seconds_of;
use super::{Answer, Channel, Check, Dispatch, Form, HttpRequest, Marking, Outcome, Pace, Piece, said};
use crate::config::TelegramConfig;
use crate::message::{Limits, Line, Part, Style};
use contract::alerts::{AlertCommand, Severity};
use contract::notify::{Notice, NoticeButton, NoticeKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Of 4096, some are kept free.
const BUDGET: usize = 4000;
const PARTS: usize = 12;
/// About one message a second and twenty a minute in a group are taken without complaint; a little less is asked for.
const GAP: Duration = Duration::from_millis(1050);
const GROUP_PER_MINUTE: usize = 18;

/// The beginning of a thread's name that stands for a message of a person: what is told in it answers that message.
pub const ASKED: &str = "telegram-message:";

/// A chat with a Telegram bot.
pub struct Telegram {
    config: TelegramConfig,
    base: String,
}

impl Telegram {
    /// The channel of a configuration.
    pub fn new(config: TelegramConfig) -> Self {
        let base = config.api_base.trim_end_matches('/').to_owned();
        Self { config, base }
    }

    /// A call of the Bot API.
    pub fn call(&self, method: &str, body: &Value) -> HttpRequest {
        HttpRequest::json(format!("{}/bot{}/{method}", self.base, self.config.bot_token.expose()), body)
    }

    /// The configuration.
    pub fn config(&self) -> &TelegramConfig {
        &self.config
    }

    /// Whether people may press buttons and write commands.
    pub fn listens(&self) -> bool {
        !self.config.allowed_users.is_empty()
    }

    fn is_group(&self) -> bool {
        self.config.chat_id.starts_with(['-', '@'])
    }

    fn keyboard(&self, notice: &Notice) -> Option<Value> {
        if !self.listens() || notice.buttons.is_empty() {
            return None;
        }
        let button = |button: &NoticeButton| json!({"text": button.label, "callback_data": code(button.command)});
        let rows: Vec<Vec<Value>> = notice.buttons.chunks(2).map(|row| row.iter().map(button).collect()).collect();
        Some(json!({"inline_keyboard": rows}))
    }
}

/// A button's command as at most 64 bytes.
pub fn code(command: AlertCommand) -> String {
    match command {
        AlertCommand::Acknowledge { alert } => format!("a:{alert}"),
        AlertCommand::Silence { alert, minutes } => format!("s:{alert}:{minutes}"),
        AlertCommand::Expect { alert } => format!("e:{alert}"),
        AlertCommand::Approve { proposal, tag } => format!("y:{proposal}:{:08x}", tag.unwrap_or_default()),
        AlertCommand::Deny { proposal, tag } => format!("n:{proposal}:{:08x}", tag.unwrap_or_default()),
    }
}

/// The command of a code; `None` when it is none of HAIA's.
pub fn command(code: &str) -> Option<AlertCommand> {
    let mut parts = code.split(':');
    let (kind, number) = (parts.next()?, parts.next()?.parse().ok()?);
    let command = match kind {
        "a" => AlertCommand::Acknowledge { alert: number },
        "s" => AlertCommand::Silence { alert: number, minutes: parts.next()?.parse().ok()? },
        "e" => AlertCommand::Expect { alert: number },
        "y" => AlertCommand::Approve { proposal: number, tag: Some(tag(parts.next()?)?) },
        "n" => AlertCommand::Deny { proposal: number, tag: Some(tag(parts.next()?)?) },
        _ => return None,
    };
    parts.next().is_none().then_some(command)
}

/// Eight hexadecimal digits.
fn tag(text: &str) -> Option<u32> {
    let is_hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

/// Whether an error is the Bot API's own, not that of a proxy in front of it.
pub fn speaks(body: &Value) -> bool {
    body["ok"] == false && body["error_code"].is_number()
}

/// Escapes what HTML gives a meaning.
fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}

fn wrapped(style: Style, text: &str, out: &mut String) {
    let tag = match style {
        Style::Plain => None,
        Style::Strong => Some("b"),
        Style::Quiet => Some("i"),
        Style::Code => Some("code"),
        Style::Struck => Some("s"),
    };
    if let Some(tag) = tag {
        out.push_str(&format!("<{tag}>"));
        escape_into(text, out);
        out.push_str(&format!("</{tag}>"));
    } else {
        escape_into(text, out);
    }
}

fn html(part: &Part, lines: &[Line], title: Style) -> String {
    let mut out = part.mark.prefix().to_owned();
    if !part.title.is_empty() {
        wrapped(title, &part.title, &mut out);
    }
    for line in lines {
        if !out.is_empty() {
            out.push('\n');
        }
        if line.is_item {
            out.push_str("• ");
        }
        for span in &line.spans {
            wrapped(span.style, &span.text, &mut out);
        }
    }
    out
}

impl Channel for Telegram {
    fn limits(&self, form: Form) -> Limits {
        Limits { budget: form.budget(BUDGET), parts: PARTS, weigh: |_| 1, markup: 0 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let lines = piece.lines();
        let mut body = json!({
            "chat_id": piece.moved_to.unwrap_or(&self.config.chat_id),
            "link_preview_options": {"is_disabled": true},
        });
        if let Some(thread) = self.config.thread_id {
            body["message_thread_id"] = json!(thread);
        }
        if piece.notice.severity == Severity::Info && piece.notice.kind == NoticeKind::Digest {
            body["disable_notification"] = json!(true);
        }
        if piece.form.is_plain {
            let text = match piece.part.title.is_empty() {
                true => piece.text(),
                false => format!("{}\n{}", piece.head(), piece.text()),
            };
            body["text"] = json!(text);
            return Ok(Dispatch::Http(self.call("sendMessage", &body)));
        }
        body["text"] = json!(html(piece.part, &lines, Style::Strong));
        body["parse_mode"] = json!("HTML");
        let asked = piece.notice.thread.strip_prefix(ASKED);
        if let Some(message) = asked.or(piece.answers).and_then(|id| id.parse::<i64>().ok()) {
            body["reply_parameters"] = json!({"message_id": message, "allow_sending_without_reply": true});
        }
        if let Some(keyboard) = self.keyboard(piece.notice).filter(|_| piece.is_last) {
            body["reply_markup"] = keyboard;
        }
        Ok(Dispatch::Http(self.call("sendMessage", &body)))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let body = answer.json().unwrap_or_default();
        let described = body["description"].as_str().unwrap_or_default();
        let lower = described.to_ascii_lowercase();
        match answer.status {
            200 if body["ok"] == true => match body["result"]["message_id"].as_i64() {
                Some(id) => Outcome::delivered(Some(Arc::from(id.to_string()))),
                None if body["result"] == true => Outcome::delivered(None),
                None => Outcome::of_status(answer, ""),
            },
            200 => Outcome::of_status(answer, described),
            429 => {
                let asked = body["parameters"]["retry_after"].as_f64().and_then(seconds_of);
                let wait = asked.max(answer.retry_after());
                Outcome::Limited { wait, why: format!("it wants a pause: {}", said(described)) }
            }
            400 => match body["parameters"]["migrate_to_chat_id"].as_i64() {
                Some(chat) => Outcome::Moved { chat: Arc::from(chat.to_string()) },
                None if lower.contains("too long") => Outcome::TooLong { why: said(described) },
                None if lower.contains("not modified") => Outcome::delivered(None),
                None if [
                    "chat not found",
                    "chat_id is empty",
                    "peer_id_invalid",
                    "chat was deactivated",
                    "thread not found",
                ]
                .iter()
                .any(|sign| lower.contains(sign)) =>
                {
                    Outcome::Stopped {
                        why: format!(
                            "Telegram says {:?}: check chat_id, and write to the bot once so that it may answer",
                            said(described)
                        ),
                    }
                }
                None => Outcome::of_status(answer, described),
            },
            401 | 403 | 404 if !speaks(&body) => Outcome::of_proxy(answer, "Telegram"),
            401 | 404 => Outcome::Stopped {
                why: format!("Telegram does not know the bot ({}): check bot_token and api_base", said(described)),
            },
            403 => Outcome::Stopped {
                why: format!("the bot may not write into the chat ({}): add or unblock it", said(described)),
            },
            409 => Outcome::Retry { why: said(described), wait: None },
            _ => Outcome::of_status(answer, described),
        }
    }

    fn checks(&self) -> Vec<Check> {
        let bot = self.call("getMe", &json!({}));
        let chat = self.call("getChat", &json!({"chat_id": self.config.chat_id}));
        vec![
            Check {
                dispatch: Dispatch::Http(bot),
                seen: |answer| {
                    Some(format!(
                        "bot @{}",
                        said(answer.json().filter(|_| answer.status == 200)?["result"]["username"].as_str()?)
                    ))
                },
            },
            Check {
                dispatch: Dispatch::Http(chat),
                seen: |answer| {
                    let body = answer.json().filter(|body| answer.status == 200 && body["result"].is_object())?;
                    let chat = &body["result"];
                    let name = ["title", "username", "first_name"].into_iter().find_map(|name| chat[name].as_str());
                    Some(format!("chat {}", said(name.unwrap_or("without a name"))))
                },
            },
        ]
    }

    fn pace(&self) -> Pace {
        Pace { gap: GAP, per_minute: if self.is_group() { GROUP_PER_MINUTE } else { 0 } }
    }

    fn knows_threads(&self) -> bool {
        true
    }

    fn chat(&self) -> Option<&str> {
        Some(&self.config.chat_id)
    }

    fn mark(&self, marking: &Marking<'_>) -> Option<Dispatch> {
        let message = marking.remote_id.parse::<i64>().ok()?;
        let style = if marking.is_over { Style::Struck } else { Style::Strong };
        let mut body = json!({
            "chat_id": marking.moved_to.unwrap_or(&self.config.chat_id),
            "message_id": message,
            "text": html(marking.part, &marking.part.lines, style),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        // An edit without a keyboard takes the buttons away, which is right for what is over only.
        if let Some(keyboard) = self.keyboard(marking.notice).filter(|_| !marking.is_over) {
            body["reply_markup"] = keyboard;
        }
        Some(Dispatch::Http(self.call("editMessageText", &body)))
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.config.bot_token.expose()]
    }
}
