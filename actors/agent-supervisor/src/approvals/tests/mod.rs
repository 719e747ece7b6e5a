//! The desk in a story: a store that takes, refuses or lies, people who decide, owners that plan and run, restarts.

mod life;
mod model;
mod policy;
mod reload;

use super::config::Config;
use super::desk::{Answer, Desk, Effect, Input};
use contract::alerts::{Fact, Labels};
use contract::approvals::{
    ActionAuditEntry, ActionClass, ActionEnd, ActionOutcome, ActionPlan, ActionProgress, ApprovalChannel, Approver,
    AuditWhat, DecideProposal, Decided, ProposalState, ProposalView, Propose, Proposed,
};
use contract::caller::{Caller, Origin, Scope};
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::notify::Notice;
use contract::store::{CommitProposals, KeptProposals, ProposalRecord, StoreError};
use contract::tools::Risk;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Noon.
const NOON: Timestamp = Timestamp::constant(1_772_366_400, 0);

fn config(text: &str) -> Config {
    let config: Config = toml::from_str(text).expect("TOML");
    assert_eq!(config.validate(), []);
    config
}

/// Everything on every guest, by whoever may.
const EVERYTHING: &str = "[[allow]]\nclasses = [\"start\", \"shutdown\", \"stop\", \"migrate\"]\nmax_per_hour = 0";

/// A plan for a guest that runs on pve1.
fn plan(class: ActionClass, vmid: u64) -> ActionPlan {
    let mut labels = Labels::default();
    labels.add("cluster", "lab");
    labels.add("vmid", vmid.to_string());
    labels.add("name", format!("web-{vmid}"));
    labels.add("tag", "lab");
    ActionPlan {
        tool: format!("{}_guest", class.as_str()).into(),
        class,
        risk: if class == ActionClass::Stop { Risk::Destructive } else { Risk::Write },
        arguments: format!("{{\"cluster\":\"lab\",\"vmid\":{vmid}}}"),
        action: format!("{} web-{vmid} ({vmid}) on pve1", class.as_str()),
        subject: format!("web-{vmid} ({vmid})"),
        labels,
        options: Vec::new(),
        reason: "the person asked for it".to_owned(),
        effect: "it ends".to_owned(),
        dependents: vec!["proxy (102)".to_owned()],
        warnings: Vec::new(),
        blockers: Vec::new(),
        state: vec![fact("status", "running"), fact("node", "pve1")],
        state_digest: "d1".to_owned(),
        evidence: Vec::new(),
        timeout_s: 60,
    }
}

fn fact(label: &str, text: &str) -> Fact {
    Fact { label: label.into(), text: text.to_owned() }
}

/// The same plan after the guest has moved.
fn moved(plan: &ActionPlan) -> ActionPlan {
    ActionPlan {
        state: vec![fact("status", "running"), fact("node", "pve2")],
        state_digest: "d2".to_owned(),
        ..plan.clone()
    }
}

fn caller(name: &str, scope: Scope, origin: Origin) -> Caller {
    Caller { name: name.into(), scope, origin }
}

/// Somebody with an admin key.
fn admin(name: &str) -> Approver {
    Approver::caller(&caller(name, Scope::Admin, Origin::Chat), ApprovalChannel::Api)
}

fn telegram(user: i64, is_named: bool) -> Approver {
    Approver {
        name: format!("user {user}").into(),
        channel: ApprovalChannel::Telegram,
        scope: Scope::Control,
        telegram_user: Some(user),
        is_named_telegram_user: is_named,
    }
}

/// What a store does with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Yes,
    /// Refuses, and has nothing.
    No,
    /// Has it, but the answer was lost.
    Lies,
}

/// A desk among scripted neighbours.
struct Story {
    desk: Desk,
    config: Arc<Config>,
    now: Timestamp,
    takes: Takes,
    kept: BTreeMap<u64, ProposalRecord>,
    record: Vec<ActionAuditEntry>,
    last_ticket: u64,
    answers: BTreeMap<u64, Answer>,
    /// What each owner was asked to plan, not answered yet.
    to_plan: Vec<u64>,
    /// Everything that was ever run, with the life in which it was.
    runs: Vec<u64>,
    running: Vec<u64>,
    told: Vec<(u64, String, Notice)>,
    to_tell: Vec<(u64, String)>,
    pauses: usize,
    /// The commit under way, where the story answers commits itself.
    by_hand: Option<Vec<CommitProposals>>,
}

impl Story {
    fn new(text: &str) -> Self {
        let config = Arc::new(config(text));
        Self {
            desk: Desk::new(Arc::clone(&config), TimeZone::UTC, KeptProposals::default(), NOON),
            config,
            now: NOON,
            takes: Takes::Yes,
            kept: BTreeMap::new(),
            record: Vec::new(),
            last_ticket: 0,
            answers: BTreeMap::new(),
            to_plan: Vec::new(),
            runs: Vec::new(),
            running: Vec::new(),
            told: Vec::new(),
            to_tell: Vec::new(),
            pauses: 0,
            by_hand: None,
        }
    }

    fn put(&mut self, input: Input) {
        let effects = self.desk.step(self.now, input);
        for effect in effects {
            self.take(effect);
        }
    }

    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Commit(change) => match &mut self.by_hand {
                Some(waiting) => {
                    assert!(waiting.is_empty(), "two commits at once");
                    waiting.push(change);
                }
                None => self.answer_commit(change),
            },
            Effect::Answer { ticket, answer } => {
                assert!(self.answers.insert(ticket, *answer).is_none(), "a question was answered twice");
            }
            Effect::Plan { id, .. } => self.to_plan.push(id),
            Effect::Run { id, run, .. } => {
                assert_eq!(run.proposal, id);
                self.check_permission(id);
                self.runs.push(id);
                self.running.push(id);
            }
            Effect::Tell { id, mark, notice } => {
                let kept: serde_json::Value = serde_json::from_str(&self.kept[&id].data).expect("JSON");
                let state = mark.split('/').next();
                assert_eq!(kept["view"]["state"].as_str(), state, "told before it was stored");
                self.told.push((id, mark.clone(), *notice));
                self.to_tell.push((id, mark));
            }
            Effect::Pause(_) => self.pauses += 1,
        }
    }

    /// What must be on record before an action begins.
    fn check_permission(&self, id: u64) {
        assert!(!self.runs.contains(&id), "{id} is run a second time");
        let rows: Vec<&ActionAuditEntry> = self.record.iter().filter(|row| row.proposal == id).collect();
        let count = |what| rows.iter().filter(|row| row.what == what).count();
        assert!(count(AuditWhat::Proposed) >= 1 && count(AuditWhat::Ended) == 0, "{rows:?}");
        assert!(count(AuditWhat::Began) >= 1, "the beginning is not on record");
        let yes: std::collections::BTreeSet<String> = rows
            .iter()
            .filter(|row| row.what == AuditWhat::Decided)
            .map(|row| serde_json::from_str::<serde_json::Value>(&row.data).expect("JSON"))
            .inspect(|data| assert_eq!(data["approve"], true, "somebody said no"))
            .map(|data| data["identity"].to_string())
            .collect();
        let kept = self.kept.get(&id).expect("stored");
        assert_eq!(kept.state, ProposalState::Running);
        let kept: serde_json::Value = serde_json::from_str(&kept.data).expect("JSON");
        let needed = kept["view"]["approvals_needed"].as_u64().expect("a number");
        assert!(yes.len() as u64 >= needed, "{} of {needed} approvals are on record", yes.len());
        // Whoever could not approve it when it was proposed does not count, whatever the configuration has become.
        let approvers: Vec<String> = serde_json::from_value(kept["approvers"].clone()).expect("names");
        let count = yes
            .iter()
            .filter(|identity| approvers.is_empty() || approvers.iter().any(|name| format!("{name:?}") == **identity));
        assert!(count.count() as u64 >= needed, "{yes:?} of {approvers:?}");
    }

    fn answer_commit(&mut self, change: CommitProposals) {
        if self.takes != Takes::No {
            for proposal in change.proposals {
                self.kept.insert(proposal.id, proposal);
            }
            self.record.extend(change.audit);
        }
        let outcome = if self.takes == Takes::Yes { Ok(()) } else { Err(StoreError("the disk is full".to_owned())) };
        self.put(Input::Committed(outcome));
    }

    /// HAIA ends here and starts again with what was stored.
    fn restart(&mut self) {
        let last_record = self.record.iter().map(|row| row.proposal).max().unwrap_or(0);
        let last_id = self.kept.keys().last().copied().unwrap_or(0).max(last_record);
        let proposals = self.kept.values().filter(|record| record.is_live).cloned().collect();
        let kept = KeptProposals { proposals, last_id };
        self.desk = Desk::new(Arc::clone(&self.config), TimeZone::UTC, kept, self.now);
        self.to_plan.clear();
        self.running.clear();
        self.to_tell.clear();
        if let Some(waiting) = &mut self.by_hand {
            waiting.clear();
        }
        self.put(Input::Tick);
    }

    /// Another configuration is taken over.
    fn reload(&mut self, text: &str) {
        self.config = Arc::new(config(text));
        self.desk.reconfigure(Arc::clone(&self.config));
    }

    fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.put(Input::Tick);
    }

    fn ask(&mut self, question: impl FnOnce(u64) -> Input) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.put(question(ticket));
        ticket
    }

    fn propose_as(&mut self, plan: ActionPlan, caller: Caller) -> Result<Proposed, Failure> {
        let asked = Propose { owner: "proxmox-poller".into(), plan, caller, request_id: RequestId::new("req-1") };
        let ticket = self.ask(|ticket| Input::Propose { ticket, asked: Box::new(asked) });
        match self.answers.get(&ticket) {
            Some(Answer::Proposed(answer)) => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Proposes, and gives the number.
    fn propose(&mut self, plan: ActionPlan) -> u64 {
        self.propose_as(plan, caller("web", Scope::Control, Origin::Chat)).expect("proposed").view.id
    }

    fn decide(&mut self, id: u64, approve: bool, by: Approver) -> Result<Decided, Failure> {
        let asked = DecideProposal { id, tag: None, approve, by, request_id: RequestId::new("req-2") };
        let ticket = self.ask(|ticket| Input::Decide { ticket, asked });
        match self.answers.get(&ticket) {
            Some(Answer::Decided(answer)) => answer.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The owner plans again.
    fn plans(&mut self, id: u64, plan: ActionPlan) {
        self.to_plan.retain(|waiting| *waiting != id);
        self.put(Input::Planned { id, plan: Ok(Box::new(plan)) });
    }

    fn progresses(&mut self, id: u64, text: &str, reference: Option<&str>) {
        self.put(Input::Progress(ActionProgress {
            proposal: id,
            text: text.to_owned(),
            reference: reference.map(Into::into),
        }));
    }

    fn ends(&mut self, id: u64, end: ActionEnd, text: &str) {
        self.running.retain(|running| *running != id);
        self.put(Input::Ended { id, outcome: ActionOutcome { end, text: text.to_owned(), reference: None } });
    }

    /// People were told of everything that they are being told.
    fn people_hear(&mut self) {
        for (id, mark) in std::mem::take(&mut self.to_tell) {
            self.put(Input::Told { id, mark, has_worked: true });
        }
    }

    fn view(&self, id: u64) -> &ProposalView {
        self.desk.view(id).unwrap_or_else(|| panic!("no proposal {id}"))
    }

    fn state(&self, id: u64) -> ProposalState {
        self.view(id).state
    }

    /// The kinds of rows on record, in order.
    fn rows(&self) -> Vec<&'static str> {
        self.record.iter().map(|row| row.what.as_str()).collect()
    }

    fn marks(&self) -> Vec<&str> {
        self.told.iter().map(|(_, mark, _)| mark.as_str()).collect()
    }
}
