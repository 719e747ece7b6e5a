//! What the approvals desk keeps: proposals, and the chained record of actions.
//!
//! A change and the rows that tell of it are one transaction: no row, no change, and no effect of it.

use super::StoreError;
use crate::approvals::{ActionAuditEntry, ActionAuditRow, AuditReport, ProposalState};
use crate::message::Msg;
use jiff::Timestamp;

/// A proposal as its desk keeps it. The store looks into nothing but these columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRecord {
    /// Its number.
    pub id: u64,
    /// Where it is in its life.
    pub state: ProposalState,
    /// Whether it is still of interest at the next start: open, or over but not yet told.
    pub is_live: bool,
    /// When it changed last, in HAIA's time.
    pub changed: Timestamp,
    /// Everything else, as the desk packs it.
    pub data: String,
}

/// Stores a change of proposals with its rows of the record, all of it or nothing. It survives a power failure.
#[derive(Clone, Debug, Default)]
pub struct CommitProposals {
    /// Proposals, in place of what was kept under the same number.
    pub proposals: Vec<ProposalRecord>,
    /// Rows of the record, in order.
    pub audit: Vec<ActionAuditEntry>,
}

impl Msg for CommitProposals {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "CommitProposals";
}

/// Reads what the desk needs at its start.
#[derive(Clone, Debug)]
pub struct LoadProposals {
    /// Also those that are over and changed since.
    pub since: Timestamp,
}

impl Msg for LoadProposals {
    type Reply = Result<KeptProposals, StoreError>;
    const NAME: &'static str = "LoadProposals";
}

/// What the desk kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptProposals {
    /// Live and recent ones, by number.
    pub proposals: Vec<ProposalRecord>,
    /// The highest number given so far.
    pub last_id: u64,
}

/// Reads proposals, newest first, or one by its number.
#[derive(Clone, Debug, Default)]
pub struct ReadProposals {
    /// Only this one.
    pub id: Option<u64>,
    /// Only those in one of these states; empty: in any.
    pub states: Vec<ProposalState>,
    /// The most proposals.
    pub limit: u32,
}

impl Msg for ReadProposals {
    type Reply = Result<Vec<ProposalRecord>, StoreError>;
    const NAME: &'static str = "ReadProposals";
}

/// Reads rows of the record: of one proposal the oldest first, of all the newest first.
#[derive(Clone, Debug, Default)]
pub struct ReadActionAudit {
    /// Only this proposal's.
    pub proposal: Option<u64>,
    /// The most rows.
    pub limit: u32,
}

impl Msg for ReadActionAudit {
    type Reply = Result<Vec<ActionAuditRow>, StoreError>;
    const NAME: &'static str = "ReadActionAudit";
}

/// Walks along the whole chain of the record.
#[derive(Clone, Debug)]
pub struct VerifyActionAudit;

impl Msg for VerifyActionAudit {
    type Reply = Result<AuditReport, StoreError>;
    const NAME: &'static str = "VerifyActionAudit";
}
