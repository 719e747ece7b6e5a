//! What a channel is: it marks up parts of a message as a request, and says what an answer means. Both are pure; the shell sends.
//!
//! A new channel is one file here, a variant of `ChannelConfig` and a line in [`channel`].

mod answer;
mod discord;
mod email;
mod gotify;
mod ntfy;
mod outcome;
pub mod telegram;
mod webhook;

pub use answer::{Answer, Check, Dispatch, HttpRequest, MailRequest, Verb};
pub use outcome::Outcome;
pub(crate) use outcome::said;

use crate::config::ChannelConfig;
use crate::message::{Limits, Line, Part};
use contract::notify::Notice;
use jiff::Timestamp;
use std::rc::Rc;
use std::time::Duration;

/// What is added where nobody knows whether the message arrived before.
pub const REPEATED: &str = "(possibly repeated)";

/// How plain and how small a message is made, after a receiver refused a richer or larger form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Form {
    /// Without markup, buttons and references.
    pub is_plain: bool,
    /// How often the budget of a part was halved.
    pub halvings: u8,
}

impl Form {
    /// The budget of a part.
    pub fn budget(self, whole: usize) -> usize {
        whole >> self.halvings.min(6)
    }
}

/// One part of one message, ready to be marked up.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// The outbox row.
    pub row: &'a str,
    /// What is told.
    pub notice: &'a Notice,
    /// The part.
    pub part: &'a Part,
    /// Whether it is the last one: buttons go there.
    pub is_last: bool,
    /// How plain.
    pub form: Form,
    /// The message that it answers, as the receiver calls it.
    pub answers: Option<&'a str>,
    /// Whether it may have arrived before.
    pub is_repeated: bool,
    /// Where the chat has moved to.
    pub moved_to: Option<&'a str>,
    /// The moment, in the world's time.
    pub wall: Timestamp,
}

impl Piece<'_> {
    /// The lines to show, with the remark where it may have arrived before.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.part.lines.clone();
        if self.is_repeated {
            lines.push(Line::quiet(REPEATED));
        }
        lines
    }

    /// Sign and title on one line, without markup.
    pub fn head(&self) -> String {
        format!("{}{}", self.part.mark.prefix(), self.part.title)
    }

    /// The lines without markup.
    pub fn text(&self) -> String {
        self.lines().iter().map(Line::text).collect::<Vec<_>>().join("\n")
    }
}

/// A change of a message that was sent before: it is over.
#[derive(Clone, Copy)]
pub struct Marking<'a> {
    /// The message, as the receiver calls it.
    pub remote_id: &'a str,
    /// What it should say now.
    pub part: &'a Part,
    /// Whether everything in it is over.
    pub is_over: bool,
    /// What was told.
    pub notice: &'a Notice,
    /// Where the chat has moved to.
    pub moved_to: Option<&'a str>,
}

/// How fast a channel may be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The least time between two requests.
    pub gap: Duration,
    /// The most requests in a minute; 0: any number.
    pub per_minute: usize,
}

/// A way to people.
pub trait Channel {
    /// What it can take in one piece.
    fn limits(&self, form: Form) -> Limits;

    /// Marks up a piece.
    ///
    /// # Errors
    /// It cannot be made, for people; it will not be tried again.
    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String>;

    /// Says what an answer means.
    fn classify(&self, answer: &Answer) -> Outcome;

    /// What to ask to know whether it works, in order. Nobody gets a message by it.
    fn checks(&self) -> Vec<Check>;

    /// How fast it may be written to.
    fn pace(&self) -> Pace {
        Pace::default()
    }

    /// Whether messages can refer to earlier ones or change them.
    fn knows_threads(&self) -> bool {
        false
    }

    /// The chat as it is configured, where chats can move.
    fn chat(&self) -> Option<&str> {
        None
    }

    /// A request that marks an earlier message as over, where the receiver can change messages.
    fn mark(&self, marking: &Marking<'_>) -> Option<Dispatch> {
        let _ = marking;
        None
    }

    /// Whether it gets every event by itself: nothing is put together.
    fn wants_every_event(&self) -> bool {
        false
    }

    /// What a delivery is called where HAIA names it itself.
    fn remote_id(&self, row: &str) -> Option<String> {
        let _ = row;
        None
    }

    /// Texts that must not appear in errors.
    fn secrets(&self) -> Vec<&str>;

    /// Takes the channel's secrets out of a text.
    fn scrubbed(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in self.secrets().into_iter().filter(|secret| secret.len() > 3) {
            out = out.replace(secret, "***");
        }
        out
    }
}

/// The channel of a configuration.
pub fn channel(config: &ChannelConfig) -> Rc<dyn Channel> {
    match config {
        ChannelConfig::Telegram(config) => Rc::new(telegram::Telegram::new(config.clone())),
        ChannelConfig::Discord(config) => Rc::new(discord::Discord::new(config.clone())),
        ChannelConfig::Ntfy(config) => Rc::new(ntfy::Ntfy::new(config.clone())),
        ChannelConfig::Gotify(config) => Rc::new(gotify::Gotify::new(config.clone())),
        ChannelConfig::Email(config) => Rc::new(email::Email::new(config.clone())),
        ChannelConfig::Webhook(config) => Rc::new(webhook::Webhook::new(config.clone())),
    }
}

#[cfg(test)]
mod tests;
