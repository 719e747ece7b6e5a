//! Notices: what people are told, channel by channel. AlertDesk and Scheduler make them, Notifier delivers them.
//!
//! A notice holds typed fields and no markup: each channel renders it in its own way.

use crate::alerts::{AlertCommand, Severity};
use crate::failure::Failure;
use crate::message::Msg;
use crate::store::StoreError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Alerts opened.
    Opened,
    /// An open alert became worse.
    Escalated,
    /// An alert is still open.
    Reminder,
    /// Alerts ended.
    Resolved,
    /// An alert opens and ends too often.
    Flapping,
    /// It has calmed down.
    Stable,
    /// An explanation of an alert that was told before.
    Explained,
    /// What happened in a stretch of time.
    Digest,
    /// What was found at the first sight of a cluster.
    Baseline,
    /// The answer of a job.
    Answer,
    /// An action waits for an approval, or what became of it.
    Approval,
    /// A test by a person.
    Test,
}

/// A message to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// One id over all channels and retries.
    pub id: Arc<str>,
    /// What kind of message it is.
    pub kind: NoticeKind,
    /// How bad it is; of something that ended: how bad it was.
    pub severity: Severity,
    /// Messages of one thread belong together: an end answers the message that told the beginning.
    pub thread: Arc<str>,
    /// One line that says all on a lock screen, without markup.
    pub title: String,
    /// The alerts it tells of, the root cause first.
    pub members: Vec<NoticeMember>,
    /// Members that found no place in the list.
    pub more: u32,
    /// Free text: an answer, a digest, an explanation. May hold light Markdown (`**bold**`, lists, `code`).
    pub text: Option<String>,
    /// What a person can do about it.
    pub buttons: Vec<NoticeButton>,
    /// When it was decided, in HAIA's time.
    pub at: Timestamp,
    /// The time zone for times in it, by its IANA name.
    pub timezone: Arc<str>,
    /// What caused it, for logs.
    pub request_id: Arc<str>,
}

/// One alert within a notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeMember {
    /// Its number.
    pub alert: u64,
    /// `rule:object`.
    pub name: Arc<str>,
    /// The rule.
    pub rule: Arc<str>,
    /// What it is about, for people.
    pub subject: String,
    /// What happened.
    pub summary: String,
    /// How bad.
    pub severity: Severity,
    /// When it began.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The value.
    pub value: Option<String>,
    /// The threshold.
    pub limit: Option<String>,
    /// What happened just before.
    pub before: Option<String>,
    /// What it probably means.
    pub meaning: Option<String>,
    /// What suffers from it, for people: guests of a dead node.
    pub affected: Vec<String>,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeButton {
    /// Its face.
    pub label: String,
    /// What it does.
    pub command: AlertCommand,
}

/// Where a row of the outbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits for its turn or its next attempt.
    Queued,
    /// An attempt is under way. Found so at the start: nobody knows whether it arrived.
    Sending,
    /// It arrived.
    Sent,
    /// It never will: the receiver refuses it for good, or its time is over.
    Dead,
    /// It was told inside another message instead (a digest after an outage).
    Merged,
}

impl DeliveryState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Queued => "queued",
            DeliveryState::Sending => "sending",
            DeliveryState::Sent => "sent",
            DeliveryState::Dead => "dead",
            DeliveryState::Merged => "merged",
        }
    }
}

/// A notice on its way to one channel: a row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Sorts by time: the order of delivery within a channel.
    pub id: Arc<str>,
    /// The channel's name in the configuration.
    pub channel: Arc<str>,
    /// What is told.
    pub notice: Arc<Notice>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued, in HAIA's time.
    pub queued_at: Timestamp,
    /// When the next attempt may be, in real time (Unix time): another program's wait is never accelerated.
    pub next_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the receiver calls the message: to answer or edit it later.
    pub remote_id: Option<Arc<str>>,
}

/// Tells the notifier of rows that are stored already and wait to be sent.
#[derive(Clone, Debug)]
pub struct RowsQueued(pub Vec<OutboxRow>);

impl Msg for RowsQueued {
    type Reply = ();
    const NAME: &'static str = "RowsQueued";
}

/// Delivers a notice: stores a row for each channel and sends them. Answered once it is stored.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// What is told.
    pub notice: Notice,
    /// To which channels; empty: to every channel.
    pub channels: Vec<Arc<str>>,
}

impl Msg for Deliver {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "Deliver";
}

/// Sends a test message through one channel now, and answers how that went.
#[derive(Clone, Debug)]
pub struct TestChannel {
    /// The channel's name.
    pub channel: Arc<str>,
}

impl Msg for TestChannel {
    type Reply = Result<String, Failure>;
    const NAME: &'static str = "TestChannel";
}

/// Asks how the channels do.
#[derive(Clone, Debug)]
pub struct ListChannels;

impl Msg for ListChannels {
    type Reply = Vec<ChannelStatus>;
    const NAME: &'static str = "ListChannels";
}

/// A channel as `/status` and `/metrics` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelStatus {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// `ok`, `retrying`, `limited`, `refused`, `failing` (it refuses one message after the other), `idle`.
    pub state: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// Rows that wait.
    pub queued: u64,
    /// Rows sent since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Rows that will never be sent, kept for a person to see.
    pub dead: u64,
    /// The last failure, without secrets.
    pub last_error: Option<String>,
    /// When something was sent last.
    pub last_sent: Option<Timestamp>,
    /// When the next attempt may be.
    pub next_at: Option<Timestamp>,
}

/// Lists rows that were given up, newest first.
#[derive(Clone, Debug, Default)]
pub struct ListDeadLetters {
    /// The most rows; 0: 100.
    pub limit: u32,
}

impl Msg for ListDeadLetters {
    type Reply = Result<Vec<OutboxRow>, StoreError>;
    const NAME: &'static str = "ListDeadLetters";
}
