//! A new configuration while something waits: it narrows what may become of a proposal, and never widens it.

use super::{EVERYTHING, Story, admin, plan, telegram};
use ProposalState::{Proposed, Running, Stale};
use contract::approvals::{ActionClass, ProposalState};
use contract::failure::FailureClass;

const STOP: &str = "[[allow]]\nclasses = [\"stop\"]\nmax_per_hour = 0";

#[test]
fn whoever_could_not_approve_when_it_was_proposed_cannot_later() {
    let mut story = Story::new(&format!("{STOP}\napprovers = [\"anna\", \"cli\"]"));
    let id = story.propose(plan(ActionClass::Stop, 101));
    for wider in [EVERYTHING.to_owned(), String::new(), format!("{STOP}\napprovers = [\"bob\", \"telegram:7\"]")] {
        story.reload(&wider);
        for by in [admin("bob"), telegram(7, true)] {
            let refused = story.decide(id, true, by).unwrap_err();
            assert_eq!(refused.class, FailureClass::Permission, "{wider}");
        }
        // Also not after a restart, which has the newer configuration alone.
        story.restart();
        assert!(story.decide(id, true, admin("bob")).is_err(), "{wider}");
        assert_eq!((story.state(id), story.runs.len()), (Proposed, 0));
    }
    story.reload(EVERYTHING);
    assert!(story.decide(id, true, admin("anna")).unwrap().counted);
    story.plans(id, plan(ActionClass::Stop, 101));
    assert_eq!((story.state(id), story.runs.len()), (Running, 1));
}

#[test]
fn two_approvals_stay_two_and_one_may_become_two() {
    let mut story = Story::new(&format!("{STOP}\nsecond_approval = \"always\""));
    let id = story.propose(plan(ActionClass::Stop, 101));
    story.reload(STOP);
    story.decide(id, true, admin("anna")).unwrap();
    assert_eq!((story.state(id), story.view(id).approvals_needed), (Proposed, 2));

    let other = story.propose(plan(ActionClass::Stop, 102));
    story.reload(&format!("{STOP}\nsecond_approval = \"always\""));
    story.decide(other, true, admin("anna")).unwrap();
    assert_eq!(story.state(other), Proposed, "the second is wanted now");
}

#[test]
fn an_approval_by_somebody_who_is_named_no_more_counts_no_more() {
    let two = |approvers: &str| format!("{STOP}\nsecond_approval = \"always\"\napprovers = [{approvers}]");
    let mut story = Story::new(&two("\"anna\", \"bob\", \"carl\""));
    let id = story.propose(plan(ActionClass::Stop, 101));
    story.decide(id, true, admin("anna")).unwrap();
    story.reload(&two("\"bob\", \"carl\""));
    story.decide(id, true, admin("bob")).unwrap();
    assert_eq!(story.state(id), Proposed);
    story.decide(id, true, admin("carl")).unwrap();
    story.plans(id, plan(ActionClass::Stop, 101));
    assert_eq!((story.state(id), story.runs.len()), (Running, 1));
}

#[test]
fn what_is_narrowed_between_the_approval_and_the_beginning_is_not_run() {
    for narrower in [
        format!("{STOP}\nsecond_approval = \"destructive\""),
        format!("{STOP}\napprovers = [\"bob\"]"),
        format!("{STOP}\n[[deny]]\nclasses = [\"stop\"]"),
        "[[allow]]\nclasses = [\"start\"]".to_owned(),
    ] {
        let mut story = Story::new(STOP);
        let id = story.propose(plan(ActionClass::Stop, 101));
        story.decide(id, true, admin("anna")).unwrap();
        story.reload(&narrower);
        story.plans(id, plan(ActionClass::Stop, 101));
        assert_eq!((story.state(id), story.runs.len()), (Stale, 0), "{narrower}");
    }
}
