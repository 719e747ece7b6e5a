//! What the policy says, case by case.

use super::{NOON, admin, caller, config, plan, telegram};
use crate::approvals::policy::{may_decide, may_propose, may_run};
use contract::approvals::{ActionClass, ApprovalChannel, Approver};
use contract::caller::{Origin, Scope};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

fn run_at(text: &str, class: ActionClass, now: Timestamp) -> Result<u8, String> {
    may_run(&config(text), &TimeZone::UTC, now, &plan(class, 101), std::iter::empty()).map(|permit| permit.needed)
}

#[test]
fn nothing_is_allowed_that_no_rule_names() {
    let start = "[[allow]]\nclasses = [\"start\"]\n";
    for (policy, class, allowed) in [
        // Without rules it is the owner's to say, by allow_actions.
        ("", ActionClass::Start, true),
        ("[[deny]]\nclasses = [\"start\"]", ActionClass::Start, false),
        (start, ActionClass::Start, true),
        (start, ActionClass::Stop, false),
        ("[[allow]]\nclasses = [\"stop\"]\nmatch = { tag = \"prod\" }", ActionClass::Stop, false),
        ("[[allow]]\nclasses = [\"stop\"]\nmatch = { vmid = 101, tag = \"l*\" }", ActionClass::Stop, true),
        ("[[allow]]\nclasses = [\"stop\"]\nmatch = { node = \"pve1\" }", ActionClass::Stop, false),
        ("[[allow]]\nclasses = [\"stop\"]\ntools = [\"start_*\"]", ActionClass::Stop, false),
        ("[[allow]]\nclasses = [\"stop\"]\ntools = [\"stop_*\"]", ActionClass::Stop, true),
        ("[[deny]]\nclasses = [\"stop\"]\n[[allow]]\nclasses = [\"stop\"]", ActionClass::Stop, false),
        ("[[deny]]\nmatch = { name = \"web-*\" }\n[[allow]]\nclasses = [\"stop\"]", ActionClass::Stop, false),
        ("[[deny]]\nclasses = [\"start\"]\n[[allow]]\nclasses = [\"stop\"]", ActionClass::Stop, true),
        ("[[deny]]\n[[allow]]\nclasses = [\"stop\"]", ActionClass::Stop, false),
    ] {
        assert_eq!(run_at(policy, class, NOON).is_ok(), allowed, "{policy}");
    }
}

#[test]
fn hours_hold_past_midnight_and_in_their_zone() {
    let at = |hours: i64| NOON + SignedDuration::from_hours(hours);
    let rule = |hours: &str, zone: &str| {
        format!("[[allow]]\nclasses = [\"start\"]\nhours = \"{hours}\"\ntimezone = \"{zone}\"")
    };
    for (policy, hour, allowed) in [
        (rule("08:00-22:00", "UTC"), 0, true),
        (rule("08:00-22:00", "UTC"), 10, false),
        (rule("22:00-06:00", "UTC"), 10, true),
        (rule("22:00-06:00", "UTC"), 17, true),
        (rule("22:00-06:00", "UTC"), 18, false),
        // 12:00 in UTC is 13:00 in Paris.
        (rule("13:00-14:00", "Europe/Paris"), 0, true),
        (rule("12:00-13:00", "Europe/Paris"), 0, false),
    ] {
        assert_eq!(run_at(&policy, ActionClass::Start, at(hour)).is_ok(), allowed, "{policy} {hour}");
    }
    let either =
        format!("{}\n{}", rule("01:00-02:00", "UTC"), "[[allow]]\nclasses = [\"start\"]\nsecond_approval = \"always\"");
    assert_eq!(run_at(&either, ActionClass::Start, NOON), Ok(2), "the next rule that fits applies");
}

#[test]
fn runs_within_an_hour_are_counted_by_rule() {
    let policy = config("[[allow]]\nclasses = [\"start\", \"stop\"]\nmax_per_hour = 2");
    let (start, stop, migrate) =
        (plan(ActionClass::Start, 1), plan(ActionClass::Stop, 2), plan(ActionClass::Migrate, 3));
    let ago = |minutes: i64| NOON - SignedDuration::from_mins(minutes);
    let may = |begun: &[(Timestamp, &contract::approvals::ActionPlan)]| {
        may_run(&policy, &TimeZone::UTC, NOON, &start, begun.iter().copied()).is_ok()
    };
    assert!(may(&[(ago(5), &start), (ago(70), &start), (ago(5), &migrate)]));
    assert!(!may(&[(ago(5), &start), (ago(59), &stop)]));
    assert!(may(&[(ago(5), &start), (ago(60), &stop)]));
}

#[test]
fn a_second_person_is_needed_where_the_rule_says_so() {
    let rule = |second: &str| format!("[[allow]]\nclasses = [\"start\", \"stop\"]\nsecond_approval = \"{second}\"");
    for (second, class, needed) in [
        ("never", ActionClass::Stop, 1),
        ("destructive", ActionClass::Start, 1),
        ("destructive", ActionClass::Stop, 2),
        ("always", ActionClass::Start, 2),
    ] {
        assert_eq!(run_at(&rule(second), class, NOON), Ok(needed), "{second}");
    }
}

#[test]
fn only_those_decide_who_are_named_or_have_the_admin_scope() {
    let anybody = "[[allow]]\nclasses = [\"start\"]";
    let named = "[[allow]]\nclasses = [\"start\"]\napprovers = [\"anna\", \"telegram:7\", \"cli\"]";
    let key = |name, scope, channel| Approver::caller(&caller(name, scope, Origin::Chat), channel);
    let cli = |scope| Approver::caller(&caller("socket", scope, Origin::Cli), ApprovalChannel::Cli);
    for (policy, by, may) in [
        (anybody, admin("bob"), true),
        (anybody, key("bob", Scope::Admin, ApprovalChannel::Chat), true),
        (anybody, key("bob", Scope::Control, ApprovalChannel::Chat), false),
        (anybody, key("loopback", Scope::Control, ApprovalChannel::Api), false),
        (anybody, cli(Scope::Admin), true),
        (anybody, telegram(8, true), true),
        (anybody, telegram(7, false), false),
        (named, admin("anna"), true),
        (named, admin("bob"), false),
        (named, key("anna", Scope::Control, ApprovalChannel::Api), false),
        (named, cli(Scope::Admin), true),
        (named, telegram(7, false), true),
        (named, telegram(8, true), false),
        // A name of a key or user gives nobody somebody else's right.
        (named, admin("telegram:7"), false),
        (named, admin("cli"), false),
        (named, Approver { name: "anna".into(), ..telegram(8, false) }, false),
        (named, Approver { telegram_user: None, name: "telegram:7".into(), ..telegram(8, false) }, false),
        // Where the policy no longer names the action, whoever has the admin scope may still say no.
        ("", admin("bob"), true),
        ("", telegram(7, false), false),
    ] {
        let said = may_decide(&config(policy), &TimeZone::UTC, NOON, &plan(ActionClass::Start, 101), &by);
        assert_eq!(said.is_ok(), may, "{policy} {by:?} {said:?}");
    }
}

#[test]
fn background_turns_propose_only_where_it_is_said() {
    for origin in [Origin::Job, Origin::Alert, Origin::Internal] {
        assert!(may_propose(&config(""), origin).is_err());
        assert!(may_propose(&config("background = true"), origin).is_ok());
    }
    assert!(may_propose(&config(""), Origin::Chat).is_ok());
}
