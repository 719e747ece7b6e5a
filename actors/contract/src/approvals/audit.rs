//! The record of actions: append-only, each row chained to the one before by a hash, so that a change of what was written shows.
//!
//! A row precedes its effect: what cannot be written down is not done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditWhat {
    /// An action was proposed.
    Proposed,
    /// A proposal or a decision was refused: by the policy, or because of who asked.
    Refused,
    /// A person decided.
    Decided,
    /// The action is about to begin.
    Began,
    /// How it is getting on.
    Progress,
    /// It is over, however: done, failed, unknown, stale, expired.
    Ended,
}

impl AuditWhat {
    /// Every kind.
    pub const ALL: [AuditWhat; 6] = [
        AuditWhat::Proposed,
        AuditWhat::Refused,
        AuditWhat::Decided,
        AuditWhat::Began,
        AuditWhat::Progress,
        AuditWhat::Ended,
    ];

    /// The kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditWhat::Proposed => "proposed",
            AuditWhat::Refused => "refused",
            AuditWhat::Decided => "decided",
            AuditWhat::Began => "began",
            AuditWhat::Progress => "progress",
            AuditWhat::Ended => "ended",
        }
    }
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionAuditEntry {
    /// When, in HAIA's time.
    pub at: Timestamp,
    /// The proposal's number; 0 for what became none.
    pub proposal: u64,
    /// What it tells.
    pub what: AuditWhat,
    /// Who: the caller, the person who decided, `haia`.
    pub who: Arc<str>,
    /// From where: `chat`, `cli`, `api`, `telegram`, `job`, `alert`, `internal`, the owner's name.
    pub via: Arc<str>,
    /// The request that caused it.
    pub request_id: Arc<str>,
    /// One line for people.
    pub text: String,
    /// The details as JSON: the plan and its evidence, the decision, the reference. `null` where there are none.
    pub data: String,
}

/// A row as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionAuditRow {
    /// Its place in the record, from 1, without gaps.
    pub id: u64,
    /// What was written.
    #[serde(flatten)]
    pub entry: ActionAuditEntry,
    /// SHA-256 in hex over the hash of the row before and this row.
    pub hash: String,
}

/// What a walk along the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Rows that were looked at.
    pub rows: u64,
    /// The first row that does not fit, and why; `None` when all do.
    pub broken: Option<String>,
    /// The hash of the last row: noted elsewhere, it shows later that no row was taken off the end.
    pub head: String,
}
