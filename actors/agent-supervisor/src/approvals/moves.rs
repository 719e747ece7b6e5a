//! The moves of the desk: what each input does to a proposal. Each looks at the state that it needs and does nothing in any other.

use super::desk::{Answer, Desk, Effect, Gate};
use super::policy::{self, HOUR};
use super::proposal::Proposal;
use super::words;
use contract::approvals::{
    ActionAuditEntry, ActionEnd, ActionOutcome, ActionPlan, ActionProgress, AuditWhat, DecideProposal, Decided,
    ProposalState, ProposalView, Propose, Proposed,
};
use contract::failure::{Failure, FailureClass};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most proposals that wait or run at once.
const MOST_OPEN: usize = 50;
/// The largest plan, in bytes of JSON.
const PLAN_BYTES: usize = 64 << 10;
/// The most steps of one action in the record.
const RECORDED_STEPS: u32 = 50;
/// The most proposals in memory that are over.
const REMEMBERED: usize = 500;

/// Who the rows of the desk's own doing name.
const OWN: &str = "haia";

fn forbidden(why: String) -> Failure {
    Failure::new(FailureClass::Permission, format!("{why}. Nothing was done."))
}

fn is_ending() -> Failure {
    Failure::new(FailureClass::ShuttingDown, "HAIA is shutting down")
}

/// A row about a proposal.
fn row(
    at: Timestamp,
    what: AuditWhat,
    view: &ProposalView,
    who: &str,
    via: &str,
    text: String,
    data: &Value,
) -> ActionAuditEntry {
    ActionAuditEntry {
        at,
        proposal: view.id,
        what,
        who: who.into(),
        via: via.into(),
        request_id: Arc::clone(&view.request_id),
        text,
        data: data.to_string(),
    }
}

impl Desk {
    /// What was begun so far, for the policy's count.
    fn begun(&self) -> impl Iterator<Item = (Timestamp, &ActionPlan)> {
        self.proposals.values().filter_map(|proposal| Some((proposal.view.began?, &proposal.view.plan)))
    }

    fn may_run(&self, now: Timestamp, plan: &ActionPlan) -> Result<policy::Permit, String> {
        policy::may_run(&self.config, &self.zone, now, plan, self.begun())
    }

    fn count_open(&self) -> usize {
        self.proposals.values().filter(|proposal| proposal.view.state.is_open()).count()
    }

    pub(super) fn propose(&mut self, now: Timestamp, ticket: u64, asked: Propose, effects: &mut Vec<Effect>) {
        let refusal = match self.admit(now, &asked) {
            Ok(Ok(proposal)) => {
                self.last_id += 1;
                let rows = vec![proposed_row(now, &proposal.view)];
                return self.commit(Gate::Propose { ticket, proposal: *proposal }, rows, effects);
            }
            Ok(Err(view)) => {
                let said = words::proposed(&view, false, &self.zone);
                effects.push(Effect::Answer {
                    ticket,
                    answer: Box::new(Answer::Proposed(Ok(Proposed { view: *view, said }))),
                });
                return;
            }
            Err(refusal) => refusal,
        };
        if refusal.class == FailureClass::Permission {
            self.record(ActionAuditEntry {
                at: now,
                proposal: 0,
                what: AuditWhat::Refused,
                who: Arc::clone(&asked.caller.name),
                via: words::origin(asked.caller.origin).into(),
                request_id: asked.request_id.shared(),
                text: format!("{}: {}", words::line(&asked.plan.action), refusal.message),
                data: json!({ "tool": asked.plan.tool, "arguments": words::line(&asked.plan.arguments) }).to_string(),
            });
        }
        effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Proposed(Err(refusal))) });
    }

    /// The proposal that it would be; or the open one that it is already.
    fn admit(&self, now: Timestamp, asked: &Propose) -> Result<Result<Box<Proposal>, Box<ProposalView>>, Failure> {
        if self.is_draining {
            return Err(is_ending());
        }
        policy::may_propose(&self.config, asked.caller.origin).map_err(forbidden)?;
        let permit = self.may_run(now, &asked.plan).map_err(forbidden)?;
        if !asked.plan.blockers.is_empty() {
            let why = words::hindrances(&asked.plan.blockers);
            return Err(Failure::new(
                FailureClass::InvalidRequest,
                format!("it cannot be done now: {why}. Nothing was proposed."),
            ));
        }
        let bytes = serde_json::to_string(&asked.plan).map_or(usize::MAX, |text| text.len());
        if bytes > PLAN_BYTES {
            return Err(Failure::new(
                FailureClass::TooLarge,
                "the plan of this action is too large to be shown to a person",
            ));
        }
        let same = |view: &&ProposalView| {
            view.state.is_open()
                && view.owner == asked.owner
                && view.plan.tool == asked.plan.tool
                && view.plan.arguments == asked.plan.arguments
        };
        match self.views().find(same) {
            Some(view)
                if view.state == ProposalState::Proposed && view.plan.state_digest == asked.plan.state_digest =>
            {
                return Ok(Err(Box::new(view.clone())));
            }
            Some(view) if view.state != ProposalState::Proposed => {
                let message = format!("proposal {} does exactly this now; wait for its end", view.id);
                return Err(Failure::new(FailureClass::InvalidRequest, message));
            }
            _ => {}
        }
        if self.count_open() >= MOST_OPEN {
            let message = format!("{MOST_OPEN} proposals wait for a person already; decide about some first");
            return Err(Failure::new(FailureClass::Busy, message));
        }
        let expiry = SignedDuration::try_from(self.config.expiry.0).unwrap_or(HOUR);
        let view = ProposalView {
            id: self.last_id + 1,
            state: ProposalState::Proposed,
            plan: asked.plan.clone(),
            owner: Arc::clone(&asked.owner),
            proposed_by: Arc::clone(&asked.caller.name),
            origin: asked.caller.origin,
            request_id: asked.request_id.shared(),
            proposed: now,
            expires: now.saturating_add(expiry).unwrap_or(Timestamp::MAX),
            approvals_needed: permit.needed,
            decisions: Vec::new(),
            began: None,
            ended: None,
            progress: Vec::new(),
            reference: None,
            result: None,
        };
        let (scope, approvers) = (asked.caller.scope, permit.approvers);
        Ok(Ok(Box::new(Proposal { view, scope, approvers, told: None, changed: now, recorded_steps: 0 })))
    }

    pub(super) fn decide(&mut self, now: Timestamp, ticket: u64, asked: &DecideProposal, effects: &mut Vec<Effect>) {
        let answer = match self.weigh(now, asked) {
            Ok(Ok((proposal, row))) => {
                let gate = Gate::Decide { ticket, proposal: *proposal, approve: asked.approve };
                return self.commit(gate, vec![row], effects);
            }
            Ok(Err(decided)) => Ok(*decided),
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &answer
            && refusal.class == FailureClass::Permission
        {
            let word = if asked.approve { "approve" } else { "deny" };
            self.record(ActionAuditEntry {
                at: now,
                proposal: asked.id,
                what: AuditWhat::Refused,
                who: Arc::clone(&asked.by.name),
                via: asked.by.channel.as_str().into(),
                request_id: asked.request_id.shared(),
                text: format!("{word} {}: {}", asked.id, refusal.message),
                data: json!({ "identity": asked.by.identity() }).to_string(),
            });
        }
        effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Decided(answer)) });
    }

    /// The proposal as the decision makes it, with its row; or why it does not count.
    #[expect(clippy::type_complexity, reason = "a decision that counts, one that does not, or a refusal")]
    fn weigh(
        &self,
        now: Timestamp,
        asked: &DecideProposal,
    ) -> Result<Result<(Box<Proposal>, ActionAuditEntry), Box<Decided>>, Failure> {
        let known = self.proposals.get(&asked.id).filter(|_| !self.is_unborn(asked.id));
        let proposal = known.ok_or_else(|| unknown(asked.id))?;
        if asked.tag.is_some_and(|tag| tag != proposal.view.tag()) {
            let message =
                format!("this button belongs to another proposal {}, of an earlier time. Nothing was done.", asked.id);
            return Err(Failure::new(FailureClass::InvalidRequest, message));
        }
        let plan = &proposal.view.plan;
        policy::may_decide(&self.config, &self.zone, now, plan, &asked.by).map_err(forbidden)?;
        let lost = |said: String| Ok(Err(Box::new(Decided { counted: false, said, proposal: proposal.view.clone() })));
        if proposal.view.state != ProposalState::Proposed {
            return lost(words::stands(&proposal.view, &self.zone));
        }
        if self.is_draining {
            return Err(is_ending());
        }
        let identity = asked.by.identity();
        let mut next = Box::new(proposal.clone());
        if asked.approve && !policy::is_among(&proposal.approvers, &identity) {
            return Err(forbidden(format!(
                "{identity} may not approve this: it was proposed when the policy named other people; propose it again"
            )));
        }
        let mut approvers = Vec::new();
        if asked.approve {
            let permit = self.may_run(now, plan).map_err(forbidden)?;
            approvers = permit.approvers;
            if proposal.view.decisions.iter().any(|decision| decision.approve && decision.identity == identity) {
                return lost(format!(
                    "You have approved proposal {} already; another person must approve it too.",
                    asked.id
                ));
            }
            next.view.approvals_needed = permit.needed.max(next.view.approvals_needed);
        }
        next.decide(now, asked.approve, &asked.by);
        if !asked.approve {
            next.end(now, ProposalState::Denied, "a person said no; nothing was done");
        } else if next.approvals_among(&approvers) >= usize::from(next.view.approvals_needed) {
            next.view.state = ProposalState::Approved;
        }
        let word = if asked.approve { "approved" } else { "denied" };
        let (approvals, needed) = (next.approvals(), next.view.approvals_needed);
        let text = format!("{word} ({approvals} of {needed}): {}", words::line(&plan.action));
        let data = json!({ "approve": asked.approve, "identity": identity, "approvals": approvals, "needed": needed, "state": next.view.state });
        let mut row = row(now, AuditWhat::Decided, &next.view, &asked.by.name, asked.by.channel.as_str(), text, &data);
        row.request_id = asked.request_id.shared();
        Ok(Ok((next, row)))
    }

    /// An approved action was planned again: it begins if it is still the same, and only once.
    pub(super) fn planned(
        &mut self,
        now: Timestamp,
        id: u64,
        plan: Result<Box<ActionPlan>, String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(proposal) = self.proposals.get(&id).filter(|proposal| proposal.view.state == ProposalState::Approved)
        else {
            return;
        };
        let plan = match plan {
            Ok(plan) => *plan,
            Err(why) => {
                let text = format!("it could not be planned again: {}", words::result(&why));
                return self.end(now, id, ProposalState::Stale, text);
            }
        };
        if !plan.blockers.is_empty() {
            let text = format!("it cannot be done now: {}", words::hindrances(&plan.blockers));
            return self.end(now, id, ProposalState::Stale, text);
        }
        let changes = words::changes(&proposal.view.plan, &plan);
        if !changes.is_empty() {
            let text = changes.join("; ");
            return self.ask_again(now, id, plan, &text);
        }
        match self.may_run(now, &plan) {
            Err(why) => return self.end(now, id, ProposalState::Stale, why),
            Ok(permit) if proposal.approvals_among(&permit.approvers) < usize::from(permit.needed) => {
                let text = "the policy has changed meanwhile and wants other approvals. Propose it again if it is still wanted";
                return self.end(now, id, ProposalState::Stale, text.to_owned());
            }
            Ok(_) => {}
        }
        if self.is_draining {
            return self.end(now, id, ProposalState::Failed, "it was not begun: HAIA is shutting down".to_owned());
        }
        let mut next = proposal.clone();
        next.view.plan = ActionPlan { reason: next.view.plan.reason.clone(), ..plan };
        next.view.state = ProposalState::Running;
        next.view.began = Some(now);
        next.changed = now;
        let view = &next.view;
        let data =
            json!({ "tool": view.plan.tool, "arguments": view.plan.arguments, "state_digest": view.plan.state_digest });
        let row = row(now, AuditWhat::Began, view, OWN, &view.owner, words::line(&view.plan.action), &data);
        self.commit(Gate::Begin { proposal: next }, vec![row], effects);
    }

    /// What it rested on has changed: it is over, and the same action is proposed as it would be now.
    fn ask_again(&mut self, now: Timestamp, id: u64, plan: ActionPlan, changes: &str) {
        let Some(old) = self.proposals.get(&id).cloned() else { return };
        let again = self.last_id + 1;
        let permit = self.may_run(now, &plan);
        let is_same = plan.tool == old.view.plan.tool && plan.class == old.view.plan.class;
        // The stale one makes room for the new one.
        let (Ok(permit), true, false) = (permit, is_same && self.count_open() <= MOST_OPEN, self.is_draining) else {
            return self.end(
                now,
                id,
                ProposalState::Stale,
                format!("{changes}. Propose it again if it is still wanted"),
            );
        };
        self.end(now, id, ProposalState::Stale, format!("{changes}. Proposal {again} asks again"));
        self.last_id = again;
        let lifetime = old.view.expires.duration_since(old.view.proposed);
        let view = ProposalView {
            id: again,
            state: ProposalState::Proposed,
            plan: ActionPlan { reason: old.view.plan.reason.clone(), ..plan },
            proposed: now,
            expires: now.saturating_add(lifetime).unwrap_or(Timestamp::MAX),
            approvals_needed: permit.needed,
            decisions: Vec::new(),
            result: None,
            ended: None,
            ..old.view
        };
        self.record(proposed_row(now, &view));
        self.facts.changed.insert(again);
        self.unborn.insert(again);
        let (scope, approvers) = (old.scope, permit.approvers);
        self.proposals.insert(again, Proposal { view, scope, approvers, told: None, changed: now, recorded_steps: 0 });
    }

    /// What could not be stored when it was proposed never was; the store, which may have it all the same, is told so.
    pub(super) fn withdraw(&mut self, now: Timestamp, proposal: Proposal) {
        let id = proposal.view.id;
        self.proposals.insert(id, proposal);
        self.end(
            now,
            id,
            ProposalState::Failed,
            "it was withdrawn: it could not be written down when it was proposed".to_owned(),
        );
        if let Some(proposal) = self.proposals.get_mut(&id) {
            // Nobody heard of it.
            proposal.told = proposal.mark();
        }
    }

    /// A person's no, as a fact.
    pub(super) fn deny(&mut self, now: Timestamp, proposal: Proposal) {
        let view = &proposal.view;
        if let Some(decision) = view.decisions.last() {
            let text = format!("denied: {}", words::line(&view.plan.action));
            let data = json!({ "approve": false, "identity": decision.identity, "state": view.state });
            let row = row(now, AuditWhat::Decided, view, &decision.by, decision.channel.as_str(), text, &data);
            self.record(row);
        }
        self.facts.changed.insert(view.id);
        self.proposals.insert(proposal.view.id, proposal);
    }

    pub(super) fn progress(&mut self, now: Timestamp, step: ActionProgress) {
        let Some(proposal) = self.running(step.proposal) else { return };
        let text = words::line(&step.text);
        proposal.step(now, &text, step.reference.map(|reference| words::line(&reference).into()));
        if proposal.recorded_steps < RECORDED_STEPS {
            proposal.recorded_steps += 1;
            let view = &proposal.view;
            let data = json!({ "reference": view.reference });
            let row = row(now, AuditWhat::Progress, view, OWN, &view.owner, text, &data);
            self.record(row);
        }
        self.facts.changed.insert(step.proposal);
    }

    pub(super) fn ended(&mut self, now: Timestamp, id: u64, outcome: ActionOutcome) {
        let Some(proposal) = self.running(id) else { return };
        if let Some(reference) = outcome.reference {
            proposal.view.reference = Some(words::line(&reference).into());
        }
        let state = match outcome.end {
            ActionEnd::Done => ProposalState::Done,
            ActionEnd::Failed => ProposalState::Failed,
            ActionEnd::Unknown => ProposalState::Unknown,
        };
        self.end(now, id, state, words::result(&outcome.text));
    }

    fn running(&mut self, id: u64) -> Option<&mut Proposal> {
        self.proposals.get_mut(&id).filter(|proposal| proposal.view.state == ProposalState::Running)
    }

    /// Ends a proposal as a fact.
    pub(super) fn end(&mut self, now: Timestamp, id: u64, state: ProposalState, text: String) {
        let Some(proposal) = self.proposals.get_mut(&id) else { return };
        proposal.end(now, state, text.clone());
        let view = &proposal.view;
        let via = if view.began.is_some() { Arc::clone(&view.owner) } else { OWN.into() };
        let data = json!({ "state": state, "reference": view.reference });
        let row = row(now, AuditWhat::Ended, view, OWN, &via, format!("{}: {text}", state.as_str()), &data);
        self.record(row);
        self.facts.changed.insert(id);
    }

    /// Ends whatever nobody decided about in time.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let is_over =
            |proposal: &&Proposal| proposal.view.state == ProposalState::Proposed && proposal.view.expires <= now;
        let over: Vec<u64> = self.proposals.values().filter(is_over).map(|proposal| proposal.view.id).collect();
        for id in over {
            self.end(now, id, ProposalState::Expired, "nobody decided in time; nothing was done".to_owned());
        }
    }

    /// After a start: what was approved or running before has an unknown result.
    pub(super) fn lose_what_was_under_way(&mut self, now: Timestamp) {
        let lost: Vec<(u64, ProposalState, Option<Arc<str>>)> = self
            .proposals
            .values()
            .filter(|proposal| matches!(proposal.view.state, ProposalState::Approved | ProposalState::Running))
            .map(|proposal| (proposal.view.id, proposal.view.state, proposal.view.reference.clone()))
            .collect();
        for (id, state, reference) in lost {
            let text = match (state, reference) {
                (ProposalState::Approved, _) => {
                    "HAIA ended after the approval, before it began; as far as the record shows nothing was done"
                        .to_owned()
                }
                (_, Some(reference)) => format!("HAIA ended while it ran; look up how {reference} ended"),
                (_, None) => "HAIA ended as it began; look whether it was done".to_owned(),
            };
            self.end(now, id, ProposalState::Unknown, text);
        }
    }

    /// Lets go of what is over, told, stored and no longer counted: the store has it.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let is_old = |proposal: &Proposal| proposal.changed.saturating_add(HOUR).is_ok_and(|end| end <= now);
        let closed: Vec<(u64, bool)> = self
            .proposals
            .iter()
            .filter(|(id, proposal)| proposal.is_closed() && !self.is_being_stored(**id))
            .map(|(id, proposal)| (*id, is_old(proposal)))
            .collect();
        let too_many = closed.len().saturating_sub(REMEMBERED);
        for (at, (id, is_old)) in closed.into_iter().enumerate() {
            if is_old || at < too_many {
                self.proposals.remove(&id);
            }
        }
    }
}

/// Nobody knows this number.
pub(super) fn unknown(id: u64) -> Failure {
    Failure::new(FailureClass::NotFound, format!("there is no proposal {id}"))
}

fn proposed_row(now: Timestamp, view: &ProposalView) -> ActionAuditEntry {
    let plan = serde_json::to_value(&view.plan).unwrap_or(Value::Null);
    let data = json!({ "plan": plan, "owner": view.owner, "expires": view.expires.to_string(), "needed": view.approvals_needed });
    let text = words::line(&view.plan.action);
    row(now, AuditWhat::Proposed, view, &view.proposed_by, words::origin(view.origin), text, &data)
}
