//! Any sequence of messages, duplicates, restarts, failures of the store and jumps of the clock: no action is run twice, none unapproved, none
//! without its rows, and nobody waits for an answer for ever.
//!
//! What must be on record when an action begins is asserted by the story itself, at every run.

use super::{Story, Takes, admin, caller, moved, plan, telegram};
use crate::approvals::desk::{Answer, Input};
use contract::approvals::{
    ActionClass, ActionEnd, ActionOutcome, ActionProgress, Approver, AuditWhat, DecideProposal, ProposalState, Propose,
};
use contract::caller::{Origin, Scope};
use contract::ids::RequestId;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What the configuration may say, one after the other. Stopping a guest always needs two.
const POLICIES: [&str; 4] = [
    "[[allow]]\nclasses = [\"start\"]\nmax_per_hour = 2\n[[allow]]\nclasses = [\"stop\"]\nsecond_approval = \"destructive\"",
    "[[allow]]\nclasses = [\"start\", \"stop\"]\napprovers = [\"anna\", \"telegram:7\"]\nsecond_approval = \"destructive\"",
    "[[allow]]\nclasses = [\"start\", \"stop\"]\napprovers = [\"bob\", \"anna\"]\nsecond_approval = \"always\"",
    "[[allow]]\nclasses = [\"stop\"]\nsecond_approval = \"destructive\"\n[[deny]]\nclasses = [\"start\"]",
];

fn policy(which: usize) -> String {
    format!("expiry = \"10m\"\n{}", POLICIES[which])
}

#[derive(Clone, Debug)]
enum Step {
    /// Proposes to start or stop one of three guests.
    Propose {
        is_stop: bool,
        vmid: u64,
        origin: Origin,
    },
    Decide {
        id: u64,
        approve: bool,
        who: usize,
    },
    /// The owner plans: as before, as after a move, or not at all; asked for or not.
    Plan {
        id: u64,
        how: u8,
    },
    Progress {
        id: u64,
    },
    End {
        id: u64,
        end: ActionEnd,
    },
    Told {
        has_worked: bool,
    },
    /// The store answers the commit under way.
    Store(Takes),
    /// The clock moves, also backwards.
    Clock(i64),
    Again,
    Restart,
    /// Another configuration.
    Reload(usize),
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || 1..6_u64;
    let origin = prop_oneof![9 => Just(Origin::Chat), 1 => Just(Origin::Job)];
    let end = prop_oneof![Just(ActionEnd::Done), Just(ActionEnd::Failed), Just(ActionEnd::Unknown)];
    let takes = prop_oneof![8 => Just(Takes::Yes), 1 => Just(Takes::No), 1 => Just(Takes::Lies)];
    let step = prop_oneof![
        8 => (any::<bool>(), 100..103_u64, origin).prop_map(|(is_stop, vmid, origin)| Step::Propose { is_stop, vmid, origin }),
        12 => (id(), proptest::bool::weighted(0.85), 0..6_usize).prop_map(|(id, approve, who)| Step::Decide { id, approve, who }),
        8 => (id(), 0..4_u8).prop_map(|(id, how)| Step::Plan { id, how }),
        3 => id().prop_map(|id| Step::Progress { id }),
        5 => (id(), end).prop_map(|(id, end)| Step::End { id, end }),
        5 => proptest::bool::weighted(0.8).prop_map(|has_worked| Step::Told { has_worked }),
        25 => takes.prop_map(Step::Store),
        3 => prop_oneof![-7200..7200_i64, Just(600), Just(-600)].prop_map(Step::Clock),
        4 => Just(Step::Again),
        2 => Just(Step::Restart),
        3 => (0..POLICIES.len()).prop_map(Step::Reload),
        1 => Just(Step::Drain),
    ];
    proptest::collection::vec(step, 1..120)
}

/// People and others: two with admin keys, one on the command line's key, one with too little, two in Telegram.
fn people(who: usize) -> Approver {
    let weak = Approver { scope: Scope::Control, ..admin("web") };
    [admin("anna"), admin("bob"), weak, telegram(7, true), telegram(8, false), admin("anna")][who].clone()
}

fn take(story: &mut Story, step: Step) {
    match step {
        Step::Propose { is_stop, vmid, origin } => {
            let plan = plan(if is_stop { ActionClass::Stop } else { ActionClass::Start }, vmid);
            let caller = caller("web", Scope::Control, origin);
            let asked = Propose { owner: "owner".into(), plan, caller, request_id: RequestId::new("r") };
            story.ask(|ticket| Input::Propose { ticket, asked: Box::new(asked) });
        }
        Step::Decide { id, approve, who } => {
            let asked = DecideProposal { id, tag: None, approve, by: people(who), request_id: RequestId::new("r") };
            story.ask(|ticket| Input::Decide { ticket, asked });
        }
        Step::Plan { id, how } => {
            let known = story.desk.view(id).map(|view| view.plan.clone());
            let Some(known) = known else { return };
            let plan = match how {
                0 | 1 => Ok(Box::new(known)),
                2 => Ok(Box::new(moved(&known))),
                _ => Err("gone".to_owned()),
            };
            story.put(Input::Planned { id, plan });
        }
        Step::Progress { id } => {
            story.put(Input::Progress(ActionProgress { proposal: id, text: "on".to_owned(), reference: None }));
        }
        Step::End { id, end } => {
            story.put(Input::Ended { id, outcome: ActionOutcome { end, text: "so".to_owned(), reference: None } });
        }
        Step::Told { has_worked } => {
            if let Some((id, mark)) = story.to_tell.pop() {
                story.put(Input::Told { id, mark, has_worked });
            }
        }
        Step::Store(takes) => answer_store(story, takes),
        Step::Clock(seconds) => story.wait(seconds),
        Step::Again => story.put(Input::Again),
        Step::Restart => story.restart(),
        Step::Reload(which) => story.reload(&policy(which)),
        Step::Drain => story.put(Input::Drain),
    }
}

/// Answers the commit under way, if there is one.
fn answer_store(story: &mut Story, takes: Takes) {
    story.takes = takes;
    if let Some(change) = story.by_hand.as_mut().and_then(Vec::pop) {
        story.answer_commit(change);
    }
}

fn check(story: &Story) -> Result<(), TestCaseError> {
    let once: BTreeSet<u64> = story.runs.iter().copied().collect();
    prop_assert_eq!(once.len(), story.runs.len(), "something was run twice: {:?}", story.runs);
    for view in story.desk.views() {
        let is_run = matches!(view.state, ProposalState::Running | ProposalState::Done);
        prop_assert!(!is_run || once.contains(&view.id), "{} is {:?} without having been run", view.id, view.state);
        let yes: BTreeSet<&str> =
            view.decisions.iter().filter(|decision| decision.approve).map(|decision| &*decision.identity).collect();
        let needs = usize::from(view.approvals_needed);
        let is_past = matches!(view.state, ProposalState::Approved | ProposalState::Running | ProposalState::Done);
        prop_assert!(!is_past || yes.len() >= needs, "{view:?}");
        prop_assert!(!yes.contains("web") && !yes.contains("telegram:8"), "somebody decided who may not");
        prop_assert!(view.plan.class != ActionClass::Stop || needs == 2);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_runs_an_action_twice_or_unapproved(steps in steps()) {
        let mut story = Story::new(&policy(0));
        story.by_hand = Some(Vec::new());
        let mut asked_in_this_life = 0;
        for step in steps {
            let is_restart = matches!(step, Step::Restart);
            take(&mut story, step);
            if is_restart {
                asked_in_this_life = story.last_ticket;
            }
            check(&story)?;
        }
        // All is well from now on: every question gets its answer, and everything comes to an end that is stored and told.
        for _ in 0..200 {
            answer_store(&mut story, Takes::Yes);
            story.put(Input::Again);
            for id in std::mem::take(&mut story.to_plan) {
                story.put(Input::Planned { id, plan: Err("gone".to_owned()) });
            }
            for id in std::mem::take(&mut story.running) {
                story.put(Input::Ended { id, outcome: ActionOutcome { end: ActionEnd::Done, text: "so".to_owned(), reference: None } });
            }
            story.people_hear();
            story.wait(10_000);
            check(&story)?;
        }
        for ticket in asked_in_this_life + 1..=story.last_ticket {
            prop_assert!(story.answers.contains_key(&ticket), "question {ticket} was never answered");
        }
        prop_assert!(story.desk.is_idle());
        prop_assert!(story.kept.values().all(|record| !record.is_live), "{:?}", story.kept);
        for (id, record) in &story.kept {
            prop_assert!(!record.state.is_open(), "{id} is {:?} for ever", record.state);
            let ended = |row: &&contract::approvals::ActionAuditEntry| row.proposal == *id && row.what == AuditWhat::Ended;
            let is_denied = record.state == ProposalState::Denied;
            prop_assert_eq!(story.record.iter().any(|row| ended(&row)), !is_denied, "{} {:?}", id, record.state);
        }
        for answer in story.answers.values() {
            if let Answer::Proposed(Ok(proposed)) = answer {
                prop_assert!(story.kept.contains_key(&proposed.view.id), "somebody heard of a proposal that is not stored");
            }
        }
    }
}
