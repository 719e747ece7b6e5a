//! What became of an attempt, as a closed set: it decides what happens to the row and to its channel.

use super::Answer;
use std::sync::Arc;
use std::time::Duration;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered {
        /// What the receiver calls the message.
        remote_id: Option<Arc<str>>,
        /// How long the receiver wants no further request.
        pause: Option<Duration>,
    },
    /// It did not arrive, and may later.
    Retry {
        /// Why, for people.
        why: String,
        /// How long the receiver asked to wait.
        wait: Option<Duration>,
    },
    /// Nobody knows whether it arrived.
    Unknown {
        /// Why, for people.
        why: String,
    },
    /// Too much at once: nothing more to this receiver until the wait is over.
    Limited {
        /// How long; `None`: it did not say.
        wait: Option<Duration>,
        /// Why, for people.
        why: String,
    },
    /// The receiver cannot read this form.
    Plainer {
        /// Why, for people.
        why: String,
    },
    /// It is too long for one message.
    TooLong {
        /// Why, for people.
        why: String,
    },
    /// The chat has another number now.
    Moved {
        /// The number.
        chat: Arc<str>,
    },
    /// The receiver refuses this message for good.
    Refused {
        /// Why, for people.
        why: String,
    },
    /// The receiver refuses everything from here until somebody changes something: no further request.
    Stopped {
        /// Why, for people, with what to do.
        why: String,
    },
}

/// The longest text of a receiver that is passed on, in characters.
const LONGEST: usize = 200;

/// A receiver's text as one short line.
pub(crate) fn said(text: &str) -> String {
    crate::message::shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "), LONGEST)
}

impl Outcome {
    /// Why it did not arrive, for people; `None` where it did, or may with another address.
    pub fn why(&self) -> Option<&str> {
        match self {
            Outcome::Delivered { .. } | Outcome::Moved { .. } => None,
            Outcome::Retry { why, .. }
            | Outcome::Unknown { why }
            | Outcome::Limited { why, .. }
            | Outcome::Plainer { why }
            | Outcome::TooLong { why }
            | Outcome::Refused { why }
            | Outcome::Stopped { why } => Some(why),
        }
    }

    /// It arrived.
    pub fn delivered(remote_id: Option<Arc<str>>) -> Self {
        Outcome::Delivered { remote_id, pause: None }
    }

    /// A 401, 403 or 404 in which the receiver's own words are missing: a proxy in front of it answered, which passes.
    pub fn of_proxy(answer: &Answer, receiver: &str) -> Self {
        let why = format!(
            "it answered {} without a word of {receiver}: a proxy may be in the way, or the address is wrong",
            answer.status
        );
        Outcome::Retry { why, wait: answer.retry_after() }
    }

    /// What most statuses mean wherever they come from: the ones that a channel has no words of its own for.
    pub fn of_status(answer: &Answer, told: &str) -> Self {
        let status = answer.status;
        let why = match told {
            "" => format!("it answered {status}"),
            told => format!("it answered {status}: {}", said(told)),
        };
        match status {
            429 => Outcome::Limited { wait: answer.retry_after(), why },
            200..300 => Outcome::Unknown { why: format!("{why}, which is no answer of this kind of receiver") },
            300..400 => Outcome::Retry { why: format!("{why}: it redirects, is the address right?"), wait: None },
            408 | 425 | 500..504 | 505.. => Outcome::Retry { why, wait: answer.retry_after() },
            // A gateway that gave up waiting: what is behind it may have taken the message.
            504 => Outcome::Unknown { why },
            413 => Outcome::TooLong { why },
            _ => Outcome::Plainer { why },
        }
    }
}
