//! The approvals desk as a state machine: inputs lead to effects, nothing else happens. Pure.
//!
//! Three rules keep it honest, whatever comes in whatever order:
//!
//! - **One thing at a time.** While a change is being stored, every input waits. No two decisions meet.
//! - **A gate opens only when it is stored**: proposing, deciding, beginning. A store that refuses, or does not say, leaves the gate shut, and the
//!   action is not run.
//! - **What happened is a fact**: expired, stale, how it ended. It is true at once, stored as soon as the store can, and told only then.
//!
//! A store that took a change but did not say so gets the truth again as soon as it answers, so a row of the record may come twice.
//!
//! After a restart whatever was approved or running has an unknown result: it is told, never tried again.

use super::config::Config;
use super::grant::approved;
use super::proposal::Proposal;
use super::words;
use contract::approvals::{
    ActionAuditEntry, ActionOutcome, ActionPlan, ActionProgress, AuditWhat, DecideProposal, Decided, ProposalState,
    ProposalView, Propose, Proposed, RunAction,
};
use contract::failure::{Failure, FailureClass};
use contract::notify::Notice;
use contract::store::{CommitProposals, KeptProposals, StoreError};
use contract::tools::CallTool;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long an owner may take to plan.
pub(super) const PLAN_WITHIN: Duration = Duration::from_secs(20);
/// What an owner may take beyond the time that its plan asks for.
const SLACK: Duration = Duration::from_secs(15);
/// Questions that wait while something is being stored.
const WAITING: usize = 256;
/// Steps of actions that wait.
const WAITING_STEPS: usize = 1024;
/// The waits before the store or the notifier is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What comes in.
#[derive(Debug)]
pub(super) enum Input {
    /// Somebody proposes. The ticket names the answer.
    Propose { ticket: u64, asked: Box<Propose> },
    /// Somebody decides.
    Decide { ticket: u64, asked: DecideProposal },
    /// The store has answered the last commit.
    Committed(Result<(), StoreError>),
    /// The owner has planned an approved action again, or says why it cannot.
    Planned { id: u64, plan: Result<Box<ActionPlan>, String> },
    /// A running action tells how it is getting on.
    Progress(ActionProgress),
    /// A running action has ended.
    Ended { id: u64, outcome: ActionOutcome },
    /// People were told, or could not be.
    Told { id: u64, mark: String, has_worked: bool },
    /// A pause is over.
    Again,
    /// Time has passed.
    Tick,
    /// HAIA is about to end: nothing new is begun.
    Drain,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Effect {
    /// Store this, and say how that went.
    Commit(CommitProposals),
    /// Answer somebody.
    Answer { ticket: u64, answer: Box<Answer> },
    /// Ask the owner to plan again.
    Plan { id: u64, owner: Arc<str>, call: Box<CallTool> },
    /// Let the owner run it.
    Run { id: u64, owner: Arc<str>, run: Box<RunAction>, within: Duration },
    /// Tell people.
    Tell { id: u64, mark: String, notice: Box<Notice> },
    /// Wait, then say [`Input::Again`].
    Pause(Duration),
}

/// An answer to whoever asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Proposed(Result<Proposed, Failure>),
    Decided(Result<Decided, Failure>),
}

/// What may only happen once it is stored.
pub(super) enum Gate {
    /// Nothing: facts alone are stored.
    Facts,
    Propose {
        ticket: u64,
        proposal: Proposal,
    },
    Decide {
        ticket: u64,
        proposal: Proposal,
        approve: bool,
    },
    Begin {
        proposal: Proposal,
    },
}

/// What is true already and has to be stored.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) changed: BTreeSet<u64>,
    pub(super) rows: Vec<ActionAuditEntry>,
}

/// The desk.
pub(crate) struct Desk {
    pub(super) config: Arc<Config>,
    pub(super) zone: TimeZone,
    pub(super) proposals: BTreeMap<u64, Proposal>,
    pub(super) last_id: u64,
    pub(super) facts: Facts,
    /// Asked again, and not stored yet: nobody can know of them.
    pub(super) unborn: BTreeSet<u64>,
    /// The commit under way: its gate, and the facts in it.
    in_flight: Option<(Gate, Facts)>,
    queue: VecDeque<Input>,
    /// Being told.
    telling: BTreeSet<u64>,
    /// Could not be told; tried again after the pause.
    untold: BTreeSet<u64>,
    is_pausing: bool,
    failures: u32,
    pub(super) is_draining: bool,
    problem: Option<String>,
}

impl Desk {
    /// The desk with what the store kept. Call [`Self::step`] with [`Input::Tick`] next.
    pub(super) fn new(config: Arc<Config>, zone: TimeZone, kept: KeptProposals, now: Timestamp) -> Self {
        let mut desk = Self {
            config,
            zone,
            proposals: BTreeMap::new(),
            last_id: kept.last_id,
            facts: Facts::default(),
            unborn: BTreeSet::new(),
            in_flight: None,
            queue: VecDeque::new(),
            telling: BTreeSet::new(),
            untold: BTreeSet::new(),
            is_pausing: false,
            failures: 0,
            is_draining: false,
            problem: None,
        };
        for record in &kept.proposals {
            desk.last_id = desk.last_id.max(record.id);
            match Proposal::unpack(record) {
                Ok(proposal) => {
                    desk.proposals.insert(record.id, proposal);
                }
                // It stays in the store as it is, and is never run: only what is in memory can be.
                Err(error) => {
                    tracing::error!(proposal = record.id, error, "a proposal cannot be read and is left aside")
                }
            }
        }
        desk.lose_what_was_under_way(now);
        desk
    }

    /// Takes an input.
    pub(super) fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Committed(outcome) => self.committed(now, outcome, &mut effects),
            input => self.enqueue(input, &mut effects),
        }
        while self.in_flight.is_none() {
            self.expire(now);
            let Some(input) = self.queue.pop_front() else { break };
            self.take(now, input, &mut effects);
        }
        if self.in_flight.is_none()
            && !self.is_pausing
            && !(self.facts.changed.is_empty() && self.facts.rows.is_empty())
        {
            self.commit(Gate::Facts, Vec::new(), &mut effects);
        }
        self.tell(now, &mut effects);
        self.forget(now);
        effects
    }

    fn enqueue(&mut self, input: Input, effects: &mut Vec<Effect>) {
        let is_full = self.queue.len() >= WAITING;
        let busy = || Failure::new(FailureClass::Busy, "the approvals desk is busy; try again in a moment");
        match input {
            Input::Propose { ticket, .. } if is_full => {
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Proposed(Err(busy()))) });
            }
            Input::Decide { ticket, .. } if is_full => {
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Decided(Err(busy()))) });
            }
            Input::Progress(step) if self.queue.len() >= WAITING_STEPS => {
                tracing::warn!(proposal = step.proposal, "a step of an action is left out: too many wait");
            }
            input => self.queue.push_back(input),
        }
    }

    fn take(&mut self, now: Timestamp, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Propose { ticket, asked } => self.propose(now, ticket, *asked, effects),
            Input::Decide { ticket, asked } => self.decide(now, ticket, &asked, effects),
            Input::Planned { id, plan } => self.planned(now, id, plan, effects),
            Input::Progress(step) => self.progress(now, step),
            Input::Ended { id, outcome } => self.ended(now, id, outcome),
            Input::Told { id, mark, has_worked } => self.told(id, mark, has_worked, effects),
            Input::Again => {
                self.is_pausing = false;
                self.untold.clear();
            }
            Input::Drain => self.is_draining = true,
            Input::Tick | Input::Committed(_) => {}
        }
    }

    /// Sends a change to the store, with every fact that waits.
    pub(super) fn commit(&mut self, gate: Gate, rows: Vec<ActionAuditEntry>, effects: &mut Vec<Effect>) {
        let facts = std::mem::take(&mut self.facts);
        let candidate = match &gate {
            Gate::Facts => None,
            Gate::Propose { proposal, .. } | Gate::Decide { proposal, .. } | Gate::Begin { proposal } => Some(proposal),
        };
        let changed = facts.changed.iter().filter(|id| candidate.is_none_or(|proposal| proposal.view.id != **id));
        let changed = changed.filter_map(|id| self.proposals.get(id)).map(Proposal::pack);
        let proposals = changed.chain(candidate.map(Proposal::pack)).collect();
        let audit = facts.rows.iter().cloned().chain(rows).collect();
        self.in_flight = Some((gate, facts));
        effects.push(Effect::Commit(CommitProposals { proposals, audit }));
    }

    fn committed(&mut self, now: Timestamp, outcome: Result<(), StoreError>, effects: &mut Vec<Effect>) {
        let Some((gate, facts)) = self.in_flight.take() else {
            tracing::error!("the store answered a commit that nobody waits for");
            return;
        };
        match outcome {
            Ok(()) => {
                self.failures = 0;
                self.problem = None;
                self.unborn.retain(|id| !facts.changed.contains(id));
                self.open(gate, effects);
            }
            Err(error) => {
                tracing::error!(%error, "a change of proposals was not stored");
                self.problem = Some(error.0.clone());
                // Facts came before whatever is noted from here on.
                self.facts = facts;
                self.shut(now, gate, &error, effects);
                self.pause(effects);
            }
        }
    }

    /// The gate is stored: what it stands for happens.
    fn open(&mut self, gate: Gate, effects: &mut Vec<Effect>) {
        match gate {
            Gate::Facts => {}
            Gate::Propose { ticket, proposal } => {
                let said = words::proposed(&proposal.view, true, &self.zone);
                let answer = Box::new(Answer::Proposed(Ok(Proposed { view: proposal.view.clone(), said })));
                self.proposals.insert(proposal.view.id, proposal);
                effects.push(Effect::Answer { ticket, answer });
            }
            Gate::Decide { ticket, proposal, approve } => {
                let said = words::decided(&proposal.view, approve, proposal.approvals());
                let decided = Decided { counted: true, said, proposal: proposal.view.clone() };
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Decided(Ok(decided))) });
                if proposal.view.state == ProposalState::Approved {
                    let owner = Arc::clone(&proposal.view.owner);
                    effects.push(Effect::Plan {
                        id: proposal.view.id,
                        owner,
                        call: Box::new(proposal.call(PLAN_WITHIN)),
                    });
                }
                self.proposals.insert(proposal.view.id, proposal);
            }
            Gate::Begin { proposal } => {
                let view = &proposal.view;
                let within = Duration::from_secs(view.plan.timeout_s).saturating_add(SLACK);
                let run = RunAction {
                    approved: approved(view.plan.clone()),
                    proposal: view.id,
                    request_id: Arc::clone(&view.request_id),
                    approved_by: proposal.approved_by().map_or_else(|| "?".into(), |decision| Arc::clone(&decision.by)),
                };
                let owner = Arc::clone(&view.owner);
                effects.push(Effect::Run { id: view.id, owner, run: Box::new(run), within });
                self.proposals.insert(proposal.view.id, proposal);
            }
        }
    }

    /// The gate is not stored: what it stands for does not happen.
    fn shut(&mut self, now: Timestamp, gate: Gate, error: &StoreError, effects: &mut Vec<Effect>) {
        let failed = |what: &str| {
            Failure::new(
                FailureClass::Overloaded,
                format!("it could not be written down, so nothing was {what}: {error}"),
            )
        };
        match gate {
            Gate::Facts => {}
            Gate::Propose { ticket, proposal } => {
                self.withdraw(now, proposal);
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Proposed(Err(failed("proposed")))) });
            }
            Gate::Decide { ticket, proposal, approve: true } => {
                // The store may have it all the same: it gets again what is true.
                self.facts.changed.insert(proposal.view.id);
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Decided(Err(failed("decided")))) });
            }
            Gate::Decide { ticket, proposal, approve: false } => {
                // A no needs no store.
                let said = words::decided(&proposal.view, false, 0);
                let said = format!("{said} (It could not be written down yet.)");
                let decided = Decided { counted: true, said, proposal: proposal.view.clone() };
                self.deny(now, proposal);
                effects.push(Effect::Answer { ticket, answer: Box::new(Answer::Decided(Ok(decided))) });
            }
            Gate::Begin { proposal } => {
                let text =
                    "it was not begun: the beginning could not be written down, and nothing is done without that";
                self.end(now, proposal.view.id, ProposalState::Failed, text.to_owned());
            }
        }
    }

    fn pause(&mut self, effects: &mut Vec<Effect>) {
        if self.is_pausing {
            return;
        }
        self.is_pausing = true;
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        effects.push(Effect::Pause(FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)));
    }

    /// Tells people whatever is stored and not told yet.
    fn tell(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        for (id, proposal) in &self.proposals {
            let Some(mark) = proposal.mark().filter(|mark| proposal.told.as_ref() != Some(mark)) else { continue };
            if self.telling.contains(id) || self.untold.contains(id) || self.is_being_stored(*id) {
                continue;
            }
            let notice = words::notice(&proposal.view, &mark, now, &self.zone);
            self.telling.insert(*id);
            effects.push(Effect::Tell { id: *id, mark, notice: Box::new(notice) });
        }
    }

    /// Whether the store does not have the newest of a proposal yet.
    pub(super) fn is_being_stored(&self, id: u64) -> bool {
        let in_flight = self.in_flight.as_ref().is_some_and(|(gate, facts)| {
            let candidate = match gate {
                Gate::Facts => None,
                Gate::Propose { proposal, .. } | Gate::Decide { proposal, .. } | Gate::Begin { proposal } => {
                    Some(proposal.view.id)
                }
            };
            facts.changed.contains(&id) || candidate == Some(id)
        });
        in_flight || self.facts.changed.contains(&id)
    }

    fn told(&mut self, id: u64, mark: String, has_worked: bool, effects: &mut Vec<Effect>) {
        self.telling.remove(&id);
        if !has_worked {
            self.untold.insert(id);
            self.pause(effects);
        } else if let Some(proposal) = self.proposals.get_mut(&id) {
            proposal.told = Some(mark);
            self.facts.changed.insert(id);
        }
    }

    /// Notes a row of the record.
    pub(super) fn record(&mut self, row: ActionAuditEntry) {
        /// Refusals beyond so many that wait for the store are left out: whoever causes them could fill the memory.
        const MOST: usize = 1_000;
        if row.what == AuditWhat::Refused && self.facts.rows.len() >= MOST {
            tracing::warn!(proposal = row.proposal, "a refusal is not recorded: the store takes nothing");
            return;
        }
        self.facts.rows.push(row);
    }

    /// What everybody may see of a proposal that is in memory. One that is not stored yet is nobody's.
    pub(super) fn view(&self, id: u64) -> Option<&ProposalView> {
        self.proposals.get(&id).filter(|_| !self.is_unborn(id)).map(|proposal| &proposal.view)
    }

    /// Whether nobody can know of it: it was never stored.
    pub(super) fn is_unborn(&self, id: u64) -> bool {
        self.unborn.contains(&id)
    }

    /// Every proposal in memory that may be seen.
    pub(super) fn views(&self) -> impl Iterator<Item = &ProposalView> {
        self.proposals.keys().filter_map(|id| self.view(*id))
    }

    /// When to look again at the latest.
    pub(super) fn wake(&self) -> Timestamp {
        let waiting = self.proposals.values().filter(|proposal| proposal.view.state == ProposalState::Proposed);
        waiting.map(|proposal| proposal.view.expires).min().unwrap_or(Timestamp::MAX)
    }

    /// Whether nothing is under way: no action, no change that waits for the store.
    pub(super) fn is_idle(&self) -> bool {
        let is_busy =
            |proposal: &Proposal| matches!(proposal.view.state, ProposalState::Approved | ProposalState::Running);
        self.in_flight.is_none() && self.facts.changed.is_empty() && !self.proposals.values().any(is_busy)
    }

    /// Takes over a new configuration. Open proposals are judged by it when somebody decides.
    pub(super) fn reconfigure(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// Why changes cannot be stored now.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}
