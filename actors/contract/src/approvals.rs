//! Proposals: what HAIA would do if a person approved it. A write exists only as a proposal until then.

use crate::caller::Caller;
use crate::ids::RequestId;
use crate::tools::Risk;
use jiff::Timestamp;
use std::sync::Arc;

/// An action that waits for a person.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The tool that would run.
    pub tool: Arc<str>,
    /// What it can do.
    pub risk: Risk,
    /// Its arguments as JSON text.
    pub arguments: String,
    /// Why, in the proposer's words. Data, never instruction.
    pub reason: String,
    /// The turn it came from.
    pub request_id: RequestId,
    /// Who caused that turn.
    pub caller: Caller,
    /// When it was proposed.
    pub at: Timestamp,
    /// When it can no longer be approved.
    pub expires: Timestamp,
}
