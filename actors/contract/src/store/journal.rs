//! What AlertDesk, Notifier and Scheduler keep: alerts with their history, the outbox, runs of jobs, and small named states.
//!
//! Durable before visible: an alert's change and the outbox rows that tell it are one transaction.

use super::StoreError;
use crate::alerts::{AlertEvent, Severity};
use crate::jobs::{JobRun, RunState};
use crate::message::Msg;
use crate::notify::{DeliveryState, OutboxRow};
use jiff::Timestamp;
use std::sync::Arc;

/// An alert as its desk keeps it. The store looks into nothing but these columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRecord {
    /// The number of the occurrence.
    pub id: u64,
    /// `rule:object`.
    pub key: Arc<str>,
    /// Whether it is still of interest at the next start: open, or over but not yet told.
    pub is_live: bool,
    /// How bad it is.
    pub severity: Severity,
    /// When it fired.
    pub opened: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Everything else, as the desk packs it.
    pub data: String,
}

/// Stores a change of alerts with everything that belongs to it, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct CommitAlerts {
    /// Alerts, in place of what was kept under the same number.
    pub alerts: Vec<AlertRecord>,
    /// Lines of history.
    pub events: Vec<AlertEvent>,
    /// Rows of the outbox.
    pub outbox: Vec<OutboxRow>,
    /// Named states of the desk, in place of what was kept under the same name: silences, heartbeats, counters. `None` forgets one.
    pub states: Vec<(Arc<str>, Option<String>)>,
    /// Alerts that ended before this and lines of history from before it are forgotten.
    pub forget_before: Option<Timestamp>,
}

impl Msg for CommitAlerts {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "CommitAlerts";
}

/// Reads what the desk needs at its start.
#[derive(Clone, Debug)]
pub struct LoadAlerts;

impl Msg for LoadAlerts {
    type Reply = Result<KeptAlerts, StoreError>;
    const NAME: &'static str = "LoadAlerts";
}

/// What the desk kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptAlerts {
    /// Live alerts, by number.
    pub live: Vec<AlertRecord>,
    /// The highest number given so far.
    pub last_id: u64,
    /// The desk's named states.
    pub states: Vec<(Arc<str>, String)>,
}

/// Reads alerts that are over, newest first, or one by its number.
#[derive(Clone, Debug, Default)]
pub struct ReadAlerts {
    /// Only this one.
    pub id: Option<u64>,
    /// Not those that ended before this.
    pub since: Option<Timestamp>,
    /// The most alerts.
    pub limit: u32,
}

impl Msg for ReadAlerts {
    type Reply = Result<Vec<AlertRecord>, StoreError>;
    const NAME: &'static str = "ReadAlerts";
}

/// Reads lines of history: of one alert the oldest first, of all the newest first.
#[derive(Clone, Debug, Default)]
pub struct ReadAlertEvents {
    /// Only this alert's.
    pub alert: Option<u64>,
    /// Not before this.
    pub since: Option<Timestamp>,
    /// The most lines.
    pub limit: u32,
}

impl Msg for ReadAlertEvents {
    type Reply = Result<Vec<AlertEvent>, StoreError>;
    const NAME: &'static str = "ReadAlertEvents";
}

/// Adds rows to the outbox.
#[derive(Clone, Debug)]
pub struct AddToOutbox(pub Vec<OutboxRow>);

impl Msg for AddToOutbox {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "AddToOutbox";
}

/// Reads the rows that are not done (queued, or sending when HAIA ended), by channel and id.
#[derive(Clone, Debug)]
pub struct LoadOutbox;

impl Msg for LoadOutbox {
    type Reply = Result<Vec<OutboxRow>, StoreError>;
    const NAME: &'static str = "LoadOutbox";
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryNews {
    /// The row.
    pub id: Arc<str>,
    /// Where it stands now.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next attempt may be.
    pub next_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// What the receiver calls the message.
    pub remote_id: Option<Arc<str>>,
}

/// Keeps what became of rows, with the states of their channel that changed with them, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct KeepDeliveries {
    /// The rows.
    pub news: Vec<DeliveryNews>,
    /// Rows that are new: a digest in place of merged ones.
    pub rows: Vec<OutboxRow>,
    /// The notifier's named states (`telegram/offset`), in place of what was kept. `None` forgets one.
    pub states: Vec<(Arc<str>, Option<String>)>,
    /// Done rows from before this are forgotten.
    pub forget_before: Option<Timestamp>,
}

impl Msg for KeepDeliveries {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "KeepDeliveries";
}

/// Finds the messages of a thread that one channel has sent, the oldest first: to answer or to mark them.
#[derive(Clone, Debug)]
pub struct FindDelivered {
    /// The channel.
    pub channel: Arc<str>,
    /// The thread.
    pub thread: Arc<str>,
}

impl Msg for FindDelivered {
    type Reply = Result<Vec<OutboxRow>, StoreError>;
    const NAME: &'static str = "FindDelivered";
}

/// Reads rows that were given up, newest first.
#[derive(Clone, Debug)]
pub struct ReadDeadLetters {
    /// The most rows.
    pub limit: u32,
}

impl Msg for ReadDeadLetters {
    type Reply = Result<Vec<OutboxRow>, StoreError>;
    const NAME: &'static str = "ReadDeadLetters";
}

/// Keeps a run of a job: when it begins and again when it ends.
#[derive(Clone, Debug)]
pub struct KeepRun {
    /// The run, in place of what was kept under its id.
    pub run: JobRun,
    /// Runs of this job beyond so many are forgotten, the oldest first.
    pub keep: u32,
}

impl Msg for KeepRun {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "KeepRun";
}

/// Marks every run that is still running as interrupted: HAIA ended in its midst. Answers those.
#[derive(Clone, Debug)]
pub struct InterruptRuns {
    /// When HAIA started.
    pub at: Timestamp,
}

impl Msg for InterruptRuns {
    type Reply = Result<Vec<JobRun>, StoreError>;
    const NAME: &'static str = "InterruptRuns";
}

/// Reads runs, newest first.
#[derive(Clone, Debug, Default)]
pub struct ReadRuns {
    /// Only this job's.
    pub job: Option<Arc<str>>,
    /// Only those that ended so.
    pub state: Option<RunState>,
    /// The most runs of each job.
    pub limit: u32,
}

impl Msg for ReadRuns {
    type Reply = Result<Vec<JobRun>, StoreError>;
    const NAME: &'static str = "ReadRuns";
}

/// Keeps small named states of an actor, in place of what was kept under the same names. `None` forgets one.
#[derive(Clone, Debug)]
pub struct KeepStates {
    /// The actor.
    pub owner: &'static str,
    /// Names and what to keep. The store does not look into it.
    pub states: Vec<(Arc<str>, Option<String>)>,
}

impl Msg for KeepStates {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "KeepStates";
}

/// Reads an actor's named states.
#[derive(Clone, Debug)]
pub struct LoadStates {
    /// The actor.
    pub owner: &'static str,
}

impl Msg for LoadStates {
    type Reply = Result<Vec<(Arc<str>, String)>, StoreError>;
    const NAME: &'static str = "LoadStates";
}
