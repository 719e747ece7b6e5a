//! One proposal as the desk keeps it: its transitions, each of which can be taken once, and how it is packed for the store.

use super::policy::is_among;
use contract::approvals::{Approver, Decision, ProgressStep, ProposalState, ProposalView};
use contract::caller::{Caller, Scope};
use contract::ids::RequestId;
use contract::store::ProposalRecord;
use contract::tools::CallTool;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How many steps of an action are shown.
const STEPS: usize = 20;

/// A proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Proposal {
    /// What everybody may see.
    pub(super) view: ProposalView,
    /// What the proposer's key allows.
    pub(super) scope: Scope,
    /// Who could approve it when it was proposed; empty: everybody who may at all. A later configuration narrows that and never widens it.
    #[serde(default)]
    pub(super) approvers: Vec<String>,
    /// What people were told last; `None`: nothing yet.
    pub(super) told: Option<String>,
    /// When it changed last.
    pub(super) changed: Timestamp,
    /// Steps that went into the record.
    pub(super) recorded_steps: u32,
}

impl Proposal {
    /// What there is to tell people now; `None` while it only passes through.
    pub(super) fn mark(&self) -> Option<String> {
        match self.view.state {
            ProposalState::Approved => None,
            ProposalState::Proposed => Some(format!("proposed/{}", self.view.decisions.len())),
            state => Some(state.as_str().to_owned()),
        }
    }

    /// Whether people have been told where it stands.
    pub(super) fn is_told(&self) -> bool {
        self.mark().is_none_or(|mark| self.told.as_ref() == Some(&mark))
    }

    /// Whether nothing can become of it any more and everybody knows.
    pub(super) fn is_closed(&self) -> bool {
        !self.view.state.is_open() && self.is_told()
    }

    /// Notes a person's word.
    pub(super) fn decide(&mut self, now: Timestamp, approve: bool, by: &Approver) {
        let decision =
            Decision { approve, by: Arc::clone(&by.name), identity: by.identity(), channel: by.channel, at: now };
        self.view.decisions.push(decision);
        self.changed = now;
    }

    /// How many people have approved.
    pub(super) fn approvals(&self) -> usize {
        self.approvals_among(&[])
    }

    /// How many of these people have approved; of nobody means of everybody.
    pub(super) fn approvals_among(&self, approvers: &[String]) -> usize {
        let counts = |decision: &&Decision| decision.approve && is_among(approvers, &decision.identity);
        self.view.decisions.iter().filter(counts).count()
    }

    /// Who approved last.
    pub(super) fn approved_by(&self) -> Option<&Decision> {
        self.view.decisions.iter().rev().find(|decision| decision.approve)
    }

    /// Ends it, in whatever state.
    pub(super) fn end(&mut self, now: Timestamp, state: ProposalState, result: impl Into<String>) {
        self.view.state = state;
        self.view.ended = Some(now);
        self.view.result = Some(result.into());
        self.changed = now;
    }

    /// Notes a step of the running action.
    pub(super) fn step(&mut self, now: Timestamp, text: &str, reference: Option<Arc<str>>) {
        if self.view.progress.len() >= STEPS {
            self.view.progress.remove(0);
        }
        self.view.progress.push(ProgressStep { at: now, text: text.to_owned() });
        self.view.reference = reference.or(self.view.reference.take());
        self.changed = now;
    }

    /// The call by which its owner plans it again.
    pub(super) fn call(&self, timeout: Duration) -> CallTool {
        CallTool {
            request_id: RequestId::new(Arc::clone(&self.view.request_id)),
            caller: Caller { name: Arc::clone(&self.view.proposed_by), scope: self.scope, origin: self.view.origin },
            name: Arc::clone(&self.view.plan.tool),
            arguments: self.view.plan.arguments.clone(),
            timeout,
        }
    }

    /// The proposal as the store keeps it.
    pub(super) fn pack(&self) -> ProposalRecord {
        ProposalRecord {
            id: self.view.id,
            state: self.view.state,
            is_live: !self.is_closed(),
            changed: self.changed,
            // Only maps with other keys than texts cannot be written, and there are none.
            data: serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// The proposal of a record.
    ///
    /// # Errors
    /// What cannot be read in it, without its content.
    pub(super) fn unpack(record: &ProposalRecord) -> Result<Self, String> {
        let proposal: Self = serde_json::from_str(&record.data).map_err(|error| error.to_string())?;
        if proposal.view.id != record.id || proposal.view.state != record.state {
            return Err("its number or state is not the one it is kept under".to_owned());
        }
        Ok(proposal)
    }
}
