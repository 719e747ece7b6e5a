//! E-mail: text and HTML of the same words. The HTML sets no colours of text and ground, so that it is as readable in the dark as the reader's
//! program makes it. Each delivery has its own Message-ID, so that a mailbox can drop a repeated one; an end refers to its beginning.

use super::{Answer, Channel, Check, Dispatch, Form, MailRequest, Outcome, Piece, REPEATED, said};
use crate::config::EmailConfig;
use crate::message::{Limits, Line, Mark, Style};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use std::time::{Duration, SystemTime};

/// The most characters of a mail.
const BUDGET: usize = 200_000;

/// A mailbox.
pub struct Email {
    config: EmailConfig,
}

impl Email {
    /// The channel of a configuration.
    pub fn new(config: EmailConfig) -> Self {
        Self { config }
    }

    /// The Message-ID of a delivery.
    fn message_id(&self, row: &str) -> String {
        let domain = self.config.from.rsplit('@').next().unwrap_or_default().trim_end_matches('>');
        let id: String = row.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
        format!("<haia-{id}@{domain}>")
    }
}

fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

fn edge(mark: Mark) -> &'static str {
    match mark {
        Mark::Critical => "#d93025",
        Mark::Warning => "#f28b1d",
        Mark::Info | Mark::None => "#3b82f6",
        Mark::Good => "#22a35a",
    }
}

fn html(head: &str, mark: Mark, lines: &[Line]) -> String {
    let mut out = String::from(
        "<!doctype html><html><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"supported-color-schemes\" content=\"light dark\"></head>\
         <body style=\"margin:0;padding:16px;font:16px/1.45 system-ui,-apple-system,'Segoe UI',sans-serif\">",
    );
    out.push_str(&format!("<div style=\"max-width:640px;border-left:4px solid {};padding:0 0 0 14px\">", edge(mark)));
    out.push_str("<p style=\"margin:0 0 10px;font-size:18px\"><strong>");
    escape_into(head, &mut out);
    out.push_str("</strong></p>");
    for line in lines {
        let style = if line.is_item { "margin:0 0 4px 14px;text-indent:-14px" } else { "margin:0 0 8px" };
        out.push_str(&format!("<p style=\"{style}\">"));
        if line.is_item {
            out.push_str("•&nbsp; ");
        }
        for span in &line.spans {
            let (open, close) = match span.style {
                Style::Plain => ("", ""),
                Style::Strong => ("<strong>", "</strong>"),
                Style::Quiet => ("<span style=\"opacity:.65;font-size:14px\">", "</span>"),
                Style::Code => ("<code>", "</code>"),
                Style::Struck => ("<s>", "</s>"),
            };
            out.push_str(open);
            escape_into(&span.text, &mut out);
            out.push_str(close);
        }
        out.push_str("</p>");
    }
    out.push_str("</div></body></html>\n");
    out
}

impl Channel for Email {
    fn limits(&self, form: Form) -> Limits {
        Limits { budget: form.budget(BUDGET), parts: 4, weigh: |_| 1, markup: 0 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("{text:?} is no address: {error}"));
        let head = piece.head();
        let head = if head.trim().is_empty() { "HAIA" } else { head.trim() };
        let subject = if piece.is_repeated { format!("{head} {REPEATED}") } else { head.to_owned() };
        let wall = Duration::try_from(piece.wall.as_duration()).unwrap_or_default();
        let mut message = lettre::Message::builder()
            .from(mailbox(&self.config.from)?)
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + wall)
            .message_id(Some(self.message_id(piece.row)));
        for to in &self.config.to {
            message = message.to(mailbox(to)?);
        }
        if let Some(first) = piece.answers {
            message = message.in_reply_to(first.to_owned()).references(first.to_owned());
        }
        let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(format!("{head}\n\n{}\n", piece.text()));
        let built = if piece.form.is_plain {
            message.singlepart(text)
        } else {
            let page = html(head, piece.part.mark, &piece.lines());
            let page = SinglePart::builder().header(ContentType::TEXT_HTML).body(page);
            message.multipart(MultiPart::alternative().singlepart(text).singlepart(page))
        };
        let built = built.map_err(|error| format!("the mail cannot be made: {error}"))?;
        Ok(Dispatch::Mail(MailRequest { envelope: built.envelope().clone(), message: built.formatted() }))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let told = said(&String::from_utf8_lossy(&answer.body));
        let why = format!("the mail server answered {}: {told}", answer.status);
        match answer.status {
            200..300 => Outcome::delivered(None),
            400..500 => Outcome::Retry { why, wait: None },
            530 | 534 | 535 | 538 => Outcome::Stopped { why: format!("{why}; check username and password") },
            // Of this mail: spam, too big a word, one receiver that is gone. The next one may be taken.
            550 | 551 | 553 => Outcome::Refused { why: format!("{why}; check from and to") },
            500..600 => Outcome::Refused { why },
            _ => Outcome::Unknown { why },
        }
    }

    fn knows_threads(&self) -> bool {
        true
    }

    fn remote_id(&self, row: &str) -> Option<String> {
        Some(self.message_id(row))
    }

    fn checks(&self) -> Vec<Check> {
        let seen = |answer: &Answer| (answer.status == 250).then(|| said(&String::from_utf8_lossy(&answer.body)));
        vec![Check { dispatch: Dispatch::Greeting, seen }]
    }

    fn secrets(&self) -> Vec<&str> {
        self.config.password.iter().map(|password| password.expose()).collect()
    }
}
