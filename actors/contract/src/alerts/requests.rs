//! What people and programs ask of the alert desk. Each change is answered once it is stored.

use super::alert::{AlertEvent, AlertView, DeskStatus, SilenceView};
use super::finding::Severity;
use super::labels::Matcher;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::message::Msg;
use bytes::Bytes;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Which alerts to list. Everything empty: all open ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Also pending ones.
    pub pending: bool,
    /// Also those that ended, newest first, up to `limit`.
    pub resolved: bool,
    /// At least as bad as this.
    pub severity: Option<Severity>,
    /// All of these must fit.
    pub matchers: Vec<Matcher>,
    /// The most alerts; 0: 200.
    pub limit: u32,
}

/// Lists alerts, the worst first.
#[derive(Clone, Debug, Default)]
pub struct ListAlerts(pub AlertFilter);

impl Msg for ListAlerts {
    type Reply = Result<Vec<AlertView>, Failure>;
    const NAME: &'static str = "ListAlerts";
}

/// Shows one alert by its number, with its history, the oldest first. A number nobody knows is `NotFound`.
#[derive(Clone, Debug)]
pub struct ShowAlert {
    /// The number.
    pub id: u64,
}

impl Msg for ShowAlert {
    type Reply = Result<(AlertView, Vec<AlertEvent>), Failure>;
    const NAME: &'static str = "ShowAlert";
}

/// Reads what happened to alerts, newest first.
#[derive(Clone, Debug, Default)]
pub struct ReadAlertHistory {
    /// Not before this.
    pub since: Option<Timestamp>,
    /// The most lines; 0: 200.
    pub limit: u32,
}

impl Msg for ReadAlertHistory {
    type Reply = Result<Vec<AlertEvent>, Failure>;
    const NAME: &'static str = "ReadAlertHistory";
}

/// A person takes notice of an alert: reminders and escalation stop, its end is still told.
#[derive(Clone, Debug)]
pub struct Acknowledge {
    /// The alert's number.
    pub id: u64,
    /// Who.
    pub by: Caller,
}

impl Msg for Acknowledge {
    type Reply = Result<AlertView, Failure>;
    const NAME: &'static str = "Acknowledge";
}

/// A person says that this was meant to happen: it is closed for now, and told again only when it ends and comes anew.
#[derive(Clone, Debug)]
pub struct ExpectAlert {
    /// The alert's number.
    pub id: u64,
    /// Who.
    pub by: Caller,
}

impl Msg for ExpectAlert {
    type Reply = Result<AlertView, Failure>;
    const NAME: &'static str = "ExpectAlert";
}

/// Silences whatever fits, for a time.
#[derive(Clone, Debug)]
pub struct AddSilence {
    /// An alert to silence, by its number: its rule and object become the matchers.
    pub alert: Option<u64>,
    /// Or matchers; all must fit.
    pub matchers: Vec<Matcher>,
    /// For how long, in HAIA's time.
    pub duration: Duration,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Caller,
}

impl Msg for AddSilence {
    type Reply = Result<SilenceView, Failure>;
    const NAME: &'static str = "AddSilence";
}

/// Ends a silence before its time.
#[derive(Clone, Debug)]
pub struct EndSilence {
    /// Its number.
    pub id: u64,
    /// Who.
    pub by: Caller,
}

impl Msg for EndSilence {
    type Reply = Result<SilenceView, Failure>;
    const NAME: &'static str = "EndSilence";
}

/// Lists silences that have not ended.
#[derive(Clone, Debug)]
pub struct ListSilences;

impl Msg for ListSilences {
    type Reply = Vec<SilenceView>;
    const NAME: &'static str = "ListSilences";
}

/// A sign of life from outside. Answered once it is stored; a name that is not configured is `NotFound`.
#[derive(Clone, Debug)]
pub struct Beat {
    /// The heartbeat's name in the configuration.
    pub name: Arc<str>,
    /// Who sent it.
    pub by: Caller,
}

impl Msg for Beat {
    type Reply = Result<(), Failure>;
    const NAME: &'static str = "Beat";
}

/// A payload of Alertmanager's webhook (version 4). Answered once what it changed is stored; what is no such payload is
/// `InvalidRequest`, a store that cannot take it now is `Overloaded`. The answer is how many alerts were in it.
#[derive(Clone, Debug)]
pub struct ReceiveAlertmanager {
    /// The body as it came.
    pub body: Bytes,
    /// Who sent it.
    pub by: Caller,
}

impl Msg for ReceiveAlertmanager {
    type Reply = Result<usize, Failure>;
    const NAME: &'static str = "ReceiveAlertmanager";
}

/// Makes a summary of what happened in a stretch of time; empty text when nothing did.
#[derive(Clone, Debug)]
pub struct MakeDigest {
    /// From when.
    pub since: Timestamp,
}

impl Msg for MakeDigest {
    type Reply = Result<String, Failure>;
    const NAME: &'static str = "MakeDigest";
}

/// Asks what the desk says of itself.
#[derive(Clone, Debug)]
pub struct ReadDeskStatus;

impl Msg for ReadDeskStatus {
    type Reply = DeskStatus;
    const NAME: &'static str = "ReadDeskStatus";
}

/// What a button of a message does. It travels to the channel and back as a short code; who pressed is checked when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertCommand {
    /// Acknowledge.
    Acknowledge {
        /// The alert's number.
        alert: u64,
    },
    /// Silence its rule and object for so many minutes.
    Silence {
        /// The alert's number.
        alert: u64,
        /// For how long, in minutes.
        minutes: u32,
    },
    /// It was meant to happen.
    Expect {
        /// The alert's number.
        alert: u64,
    },
    /// Approve a proposal.
    Approve {
        /// The proposal's number.
        proposal: u64,
        /// What tells it from another of this number: see [`ProposalView::tag`](crate::approvals::ProposalView::tag). Always there on a button.
        #[serde(default)]
        tag: Option<u32>,
    },
    /// Deny a proposal.
    Deny {
        /// The proposal's number.
        proposal: u64,
        /// What tells it from another of this number: see [`ProposalView::tag`](crate::approvals::ProposalView::tag). Always there on a button.
        #[serde(default)]
        tag: Option<u32>,
    },
}
