//! The life of proposals, told as stories.

use super::{EVERYTHING, Story, Takes, admin, caller, fact, moved, plan, telegram};
use crate::approvals::desk::Input;
use ProposalState::{Denied, Done, Expired, Failed, Proposed, Running, Stale, Unknown};
use contract::alerts::AlertCommand;
use contract::approvals::{ActionClass, ActionEnd, ActionPlan, ProposalState};
use contract::caller::{Origin, Scope};
use contract::failure::FailureClass;

fn shutdown() -> ActionPlan {
    plan(ActionClass::Shutdown, 101)
}

#[test]
fn an_action_is_proposed_approved_run_once_and_told() {
    let mut story = Story::new(EVERYTHING);
    let proposed = story.propose_as(shutdown(), caller("web", Scope::Control, Origin::Chat)).unwrap();
    assert_eq!((proposed.view.id, proposed.view.state), (1, Proposed));
    for word in ["Proposal 1", "Nothing has been done", "approve 1", "haia approvals approve 1", "proxy (102)"] {
        assert!(proposed.said.contains(word), "{}", proposed.said);
    }
    let (_, _, notice) = &story.told[0];
    let commands: Vec<AlertCommand> = notice.buttons.iter().map(|button| button.command).collect();
    let tag = Some(proposed.view.tag());
    assert_eq!(commands, [AlertCommand::Approve { proposal: 1, tag }, AlertCommand::Deny { proposal: 1, tag }]);
    assert_eq!((&*notice.thread, notice.title.as_str()), ("approval/1", "Approve #1? shutdown web-101 (101) on pve1"));
    story.people_hear();

    let decided = story.decide(1, true, admin("anna")).unwrap();
    assert!(decided.counted && decided.said.contains("is approved"), "{}", decided.said);
    assert_eq!((story.to_plan.clone(), story.runs.len()), (vec![1], 0), "nothing runs before the second look");
    story.plans(1, shutdown());
    assert_eq!((story.runs.clone(), story.state(1)), (vec![1], Running));
    story.progresses(1, "the task runs", Some("UPID:pve1:1"));
    story.people_hear();
    story.ends(1, ActionEnd::Done, "web-101 is off");
    story.people_hear();
    assert_eq!((story.state(1), story.view(1).reference.as_deref()), (Done, Some("UPID:pve1:1")));
    assert_eq!(story.rows(), ["proposed", "decided", "began", "progress", "ended"]);
    assert_eq!(story.marks(), ["proposed/0", "running", "done"]);
    let text = story.told[2].2.text.clone().unwrap();
    assert!(text.contains("approved by anna through the API") && text.contains("web-101 is off"), "{text}");
    assert!(!story.kept[&1].is_live && story.desk.is_idle());
    story.wait(3601);
    assert!(story.desk.view(1).is_none(), "what is over does not stay in memory");
}

#[test]
fn the_first_word_counts_and_the_second_hears_whose_it_was() {
    let mut story = Story::new(EVERYTHING);
    let id = story.propose(shutdown());
    assert!(story.decide(id, false, telegram(7, true)).unwrap().counted);
    let late = story.decide(id, true, admin("anna")).unwrap();
    assert!(!late.counted);
    assert_eq!(late.said, "Proposal 1 was denied by user 7 in Telegram at 2026-03-01 12:00. Nothing was done.");
    assert_eq!((story.state(id), story.to_plan.len()), (Denied, 0));

    let id = story.propose(shutdown());
    assert!(story.decide(id, true, admin("anna")).unwrap().counted);
    let again = story.decide(id, true, admin("anna")).unwrap();
    assert!(!again.counted && again.said.contains("approved by anna"), "{}", again.said);
    story.plans(id, shutdown());
    story.plans(id, shutdown());
    assert_eq!(story.runs, [id]);
}

#[test]
fn nobody_runs_what_nobody_may_approve() {
    let mut story = Story::new(EVERYTHING);
    let id = story.propose(shutdown());
    let mut read_only = admin("web");
    read_only.scope = Scope::Control;
    for by in [read_only, telegram(7, false)] {
        assert_eq!(story.decide(id, true, by).unwrap_err().class, FailureClass::Permission);
    }
    assert_eq!(story.decide(99, true, admin("anna")).unwrap_err().class, FailureClass::NotFound);
    assert_eq!(story.rows(), ["proposed", "refused", "refused"]);
    assert_eq!((story.state(id), story.to_plan.len()), (Proposed, 0));
}

/// A policy that knows one kind of action.
const ONLY_STARTS: &str = "[[allow]]\nclasses = [\"start\"]";

#[test]
fn what_the_policy_does_not_allow_is_refused_and_on_record() {
    let mut story = Story::new(ONLY_STARTS);
    let refused = story.propose_as(shutdown(), caller("web", Scope::Admin, Origin::Chat)).unwrap_err();
    assert_eq!(refused.class, FailureClass::Permission);
    assert!(refused.message.contains("Nothing was done"), "{refused}");
    assert_eq!((story.rows(), story.kept.len()), (vec!["refused"], 0));
    let mut story = Story::new(EVERYTHING);
    assert!(story.propose_as(shutdown(), caller("report", Scope::Control, Origin::Job)).is_err());
    let blocked = ActionPlan { blockers: vec!["locked (backup)".to_owned()], ..shutdown() };
    let refused = story.propose_as(blocked, caller("web", Scope::Control, Origin::Chat)).unwrap_err();
    assert!(refused.message.contains("locked (backup)"), "{refused}");
}

#[test]
fn a_rule_that_is_gone_at_the_approval_forbids_it() {
    let mut story = Story::new(EVERYTHING);
    let id = story.propose(shutdown());
    story.desk.reconfigure(std::sync::Arc::new(super::config(ONLY_STARTS)));
    let refused = story.decide(id, true, admin("anna")).unwrap_err();
    assert_eq!(refused.class, FailureClass::Permission);
    assert_eq!(story.state(id), Proposed);
    assert!(story.decide(id, false, admin("anna")).unwrap().counted, "saying no is always possible");
}

#[test]
fn a_changed_state_is_stale_and_asked_again() {
    let mut story = Story::new(EVERYTHING);
    let id = story.propose(shutdown());
    story.decide(id, true, admin("anna")).unwrap();
    story.plans(id, moved(&shutdown()));
    assert_eq!((story.state(id), story.runs.len()), (Stale, 0));
    let result = story.view(id).result.clone().unwrap();
    assert_eq!(result, "node was pve1 and is pve2 now. Proposal 2 asks again");
    let again = story.view(2);
    assert_eq!((again.state, again.decisions.len(), again.plan.state_digest.as_str()), (Proposed, 0, "d2"));
    story.decide(2, true, admin("anna")).unwrap();
    story.plans(2, moved(&shutdown()));
    assert_eq!(story.runs, [2]);
    story.people_hear();
    assert!(story.marks().contains(&"stale"));
}

#[test]
fn what_cannot_be_done_at_the_approval_is_not_begun() {
    for (again, told) in [
        (Err("the guest is gone".to_owned()), "could not be planned again: the guest is gone"),
        (
            Ok(ActionPlan { blockers: vec!["locked (backup)".to_owned()], ..shutdown() }),
            "cannot be done now: locked (backup)",
        ),
        (Ok(ActionPlan { arguments: "{}".to_owned(), ..shutdown() }), "it would be"),
        (Ok(ActionPlan { class: ActionClass::Stop, ..shutdown() }), "it would be"),
        (Ok(ActionPlan { state_digest: "other".to_owned(), ..shutdown() }), "not the same any more"),
        (Ok(ActionPlan { state: vec![fact("status", "running")], ..shutdown() }), "is not known now"),
    ] {
        let mut story = Story::new(EVERYTHING);
        let id = story.propose(shutdown());
        story.decide(id, true, admin("anna")).unwrap();
        story.put(Input::Planned { id, plan: again.map(Box::new) });
        let result = story.view(id).result.clone().unwrap();
        assert_eq!((story.state(id), story.runs.len()), (Stale, 0), "{result}");
        assert!(result.contains(told), "{result}");
    }
}

#[test]
fn nobody_in_time_means_no() {
    let mut story = Story::new(EVERYTHING);
    let id = story.propose(shutdown());
    story.wait(3599);
    assert_eq!(story.state(id), Proposed);
    // Nobody ticks: the decision itself comes too late.
    story.now += jiff::SignedDuration::from_secs(1);
    let late = story.decide(id, true, admin("anna")).unwrap();
    assert!(!late.counted && late.said.contains("expired"), "{}", late.said);
    assert_eq!((story.state(id), story.rows()), (Expired, vec!["proposed", "ended"]));
}

#[test]
fn two_people_are_two_people() {
    let two = "[[allow]]\nclasses = [\"stop\"]\nsecond_approval = \"destructive\"";
    let mut story = Story::new(two);
    let stop = plan(ActionClass::Stop, 101);
    let id = story.propose(stop.clone());
    assert_eq!(story.view(id).approvals_needed, 2);
    let first = story.decide(id, true, admin("anna")).unwrap();
    assert!(first.counted && first.said.contains("1 of 2"), "{}", first.said);
    let mut in_chat = admin("anna");
    in_chat.channel = contract::approvals::ApprovalChannel::Chat;
    let same = story.decide(id, true, in_chat).unwrap();
    assert!(!same.counted && same.said.contains("another person"), "{}", same.said);
    assert_eq!(story.to_plan.len(), 0);
    story.restart();
    let second = story.decide(id, true, telegram(7, true)).unwrap();
    assert!(second.counted && story.to_plan == [id], "the first approval outlives a restart");
    story.plans(id, stop);
    assert_eq!(story.runs, [id]);
}

#[test]
fn a_restart_in_the_middle_is_told_and_nothing_is_tried_again() {
    let mut story = Story::new(EVERYTHING);
    let (waiting, approved, running) = (
        story.propose(shutdown()),
        story.propose(plan(ActionClass::Start, 102)),
        story.propose(plan(ActionClass::Stop, 103)),
    );
    story.people_hear();
    story.decide(approved, true, admin("anna")).unwrap();
    story.decide(running, true, admin("anna")).unwrap();
    story.plans(running, plan(ActionClass::Stop, 103));
    story.progresses(running, "the task runs", Some("UPID:pve1:3"));
    story.told.clear();
    story.restart();
    assert_eq!([waiting, approved, running].map(|id| story.state(id)), [Proposed, Unknown, Unknown]);
    assert!(story.view(approved).result.as_ref().unwrap().contains("before it began"));
    assert!(story.view(running).result.as_ref().unwrap().contains("look up how UPID:pve1:3 ended"));
    assert_eq!(story.marks(), ["unknown", "unknown"], "people are told, and of the waiting one not again");
    assert_eq!((story.to_plan.len(), story.runs.len()), (0, 1));
    // Whatever comes late changes nothing.
    story.plans(approved, plan(ActionClass::Start, 102));
    story.ends(running, ActionEnd::Done, "it was");
    assert_eq!((story.runs.len(), story.state(running)), (1, Unknown));
    assert!(!story.decide(approved, true, admin("anna")).unwrap().counted);
}

#[test]
fn without_a_store_there_is_no_action() {
    let mut story = Story::new(EVERYTHING);
    story.takes = Takes::No;
    let failed = story.propose_as(shutdown(), caller("web", Scope::Control, Origin::Chat)).unwrap_err();
    assert_eq!((failed.class, story.told.len()), (FailureClass::Overloaded, 0));
    story.takes = Takes::Yes;
    let id = story.propose(shutdown());
    story.takes = Takes::No;
    assert_eq!(story.decide(id, true, admin("anna")).unwrap_err().class, FailureClass::Overloaded);
    assert_eq!((story.state(id), story.to_plan.len()), (Proposed, 0));
    story.takes = Takes::Yes;
    story.put(Input::Again);
    assert!(story.decide(id, true, admin("anna")).unwrap().counted);
    for takes in [Takes::No, Takes::Lies] {
        story.takes = takes;
        let id = if takes == Takes::No { id } else { story.last_approved() };
        story.plans(id, shutdown());
        assert_eq!((story.state(id), story.runs.len()), (Failed, 0), "{takes:?}");
        story.takes = Takes::Yes;
        story.put(Input::Again);
        story.people_hear();
        assert_eq!(story.kept[&id].state, Failed, "what became of it is stored once the store takes it");
    }
}

impl Story {
    /// Proposes and approves with a store that works.
    fn last_approved(&mut self) -> u64 {
        let takes = std::mem::replace(&mut self.takes, Takes::Yes);
        let id = self.propose(shutdown());
        self.decide(id, true, admin("anna")).unwrap();
        self.takes = takes;
        id
    }
}

#[test]
fn a_result_is_kept_until_it_is_stored_and_told() {
    let mut story = Story::new(EVERYTHING);
    let id = story.last_approved();
    story.people_hear();
    story.plans(id, shutdown());
    story.people_hear();
    story.told.clear();
    story.takes = Takes::No;
    story.ends(id, ActionEnd::Done, "it is off");
    assert_eq!((story.state(id), story.kept[&id].state, story.told.len()), (Done, Running, 0));
    story.takes = Takes::Yes;
    story.put(Input::Again);
    assert_eq!((story.kept[&id].state, story.marks()), (Done, vec!["done"]));
    // The notifier fails: told again after the pause, and only then let go.
    let (told, mark) = story.to_tell.remove(0);
    story.put(Input::Told { id: told, mark, has_worked: false });
    assert_eq!(story.told.len(), 1);
    story.put(Input::Again);
    assert_eq!((story.told.len(), story.kept[&id].is_live), (2, true));
    story.people_hear();
    assert!(!story.kept[&id].is_live);
}

#[test]
fn the_same_proposal_is_one_and_the_limits_hold() {
    let mut story = Story::new(EVERYTHING);
    let first = story.propose(shutdown());
    let again = story.propose_as(shutdown(), caller("phone", Scope::Control, Origin::Chat)).unwrap();
    assert_eq!((again.view.id, story.kept.len()), (first, 1));
    assert!(again.said.contains("is open already"), "{}", again.said);
    for vmid in 200..249 {
        story.propose(plan(ActionClass::Start, vmid));
    }
    let full =
        story.propose_as(plan(ActionClass::Start, 300), caller("web", Scope::Control, Origin::Chat)).unwrap_err();
    assert_eq!(full.class, FailureClass::Busy);
    story.decide(first, true, admin("anna")).unwrap();
    let running = story.propose_as(shutdown(), caller("web", Scope::Control, Origin::Chat)).unwrap_err();
    assert!(running.message.contains("does exactly this now"), "{running}");
}

#[test]
fn the_end_of_haia_begins_nothing() {
    let mut story = Story::new(EVERYTHING);
    let id = story.last_approved();
    let waiting = story.propose(plan(ActionClass::Start, 102));
    story.put(Input::Drain);
    story.plans(id, shutdown());
    assert_eq!((story.state(id), story.runs.len()), (Failed, 0));
    assert_eq!(story.decide(waiting, true, admin("anna")).unwrap_err().class, FailureClass::ShuttingDown);
    assert!(story.propose_as(plan(ActionClass::Start, 103), caller("web", Scope::Control, Origin::Chat)).is_err());
}

#[test]
fn texts_that_ask_for_things_stay_texts() {
    let mut story = Story::new(EVERYTHING);
    let evil = "web\n**approve 1** \u{202e}`approve 2` ".repeat(20);
    let plan = ActionPlan {
        action: evil.clone(),
        effect: evil.clone(),
        reason: evil.clone(),
        warnings: vec![evil; 30],
        ..shutdown()
    };
    let id = story.propose(plan.clone());
    let (_, _, notice) = &story.told[0];
    assert!(
        notice.title.chars().count() < 400 && !notice.title.contains(['\n', '*', '`', '\u{202e}']),
        "{}",
        notice.title
    );
    let text = notice.text.as_ref().unwrap();
    assert!(text.len() < 8_000, "{}", text.len());
    assert_eq!((story.state(id), story.view(id).decisions.len()), (Proposed, 0));
    let huge = ActionPlan { effect: "x".repeat(70_000), ..self::plan(ActionClass::Start, 5) };
    assert_eq!(
        story.propose_as(huge, caller("web", Scope::Control, Origin::Chat)).unwrap_err().class,
        FailureClass::TooLarge
    );
}
