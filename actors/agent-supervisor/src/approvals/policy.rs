//! What the configuration says to an action: whether it may be proposed or run now, and who may decide. Pure.

use super::config::{Config, Rule, SecondApproval, hours};
use contract::approvals::{ActionPlan, ApprovalChannel, Approver};
use contract::caller::{Origin, Scope};
use contract::tools::Risk;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::sync::LazyLock;

/// The stretch in which runs are counted.
pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A permission to propose or run an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    /// How many people must approve.
    pub(super) needed: u8,
    /// Who may, by their identities; empty: everybody who may at all.
    pub(super) approvers: Vec<String>,
}

/// Whether somebody is among these; nobody named means everybody.
pub(super) fn is_among(approvers: &[String], identity: &str) -> bool {
    approvers.is_empty() || approvers.iter().any(|name| name == identity)
}

/// What may be proposed where `allow` says nothing: whatever its owner takes at all. Guests of a cluster are left alone until its
/// `allow_actions` says otherwise, and nothing is ever run unapproved.
fn allowed(config: &Config) -> &[Rule] {
    static UNWRITTEN: LazyLock<[Rule; 1]> = LazyLock::new(|| [Rule::of_everything()]);
    if config.allow.is_empty() { &*UNWRITTEN } else { &config.allow }
}

/// Whether turns of this origin may propose.
pub(super) fn may_propose(config: &Config, origin: Origin) -> Result<(), String> {
    if origin.is_background() && !config.background {
        return Err(
            "a turn that no person waits for may not propose actions ([approvals] background = false)".to_owned()
        );
    }
    Ok(())
}

/// Whether the action may be run at this time. `begun` are the actions that were begun before.
///
/// # Errors
/// Why not, as a sentence for a person.
pub(super) fn may_run<'a>(
    config: &Config,
    zone: &TimeZone,
    now: Timestamp,
    plan: &ActionPlan,
    begun: impl Iterator<Item = (Timestamp, &'a ActionPlan)>,
) -> Result<Permit, String> {
    let class = plan.class.as_str();
    if config.deny.iter().any(|never| never.fits(plan)) {
        return Err(format!("the policy forbids {class} of {} ([[approvals.deny]])", plan.subject));
    }
    let mut fitting = allowed(config).iter().filter(|rule| rule.fits(plan)).peekable();
    if fitting.peek().is_none() {
        return Err(format!("the policy does not allow {class} of {} ([[approvals.allow]])", plan.subject));
    }
    let Some(rule) = fitting.find(|rule| is_open(rule, zone, now)) else {
        return Err(format!(
            "the policy does not allow {class} of {} at this hour ([[approvals.allow]] hours)",
            plan.subject
        ));
    };
    if rule.max_per_hour > 0 {
        let recent = |at: Timestamp| at.saturating_add(HOUR).is_ok_and(|end| end > now);
        let count = begun.filter(|(at, plan)| recent(*at) && rule.fits(plan)).count();
        if count >= rule.max_per_hour as usize {
            return Err(format!(
                "the policy allows {} actions of this kind within an hour, and that many were run ([[approvals.allow]] max_per_hour)",
                rule.max_per_hour
            ));
        }
    }
    let needs_second = match rule.second_approval {
        SecondApproval::Never => false,
        SecondApproval::Destructive => plan.risk == Risk::Destructive,
        SecondApproval::Always => true,
    };
    Ok(Permit { needed: if needs_second { 2 } else { 1 }, approvers: rule.approvers.clone() })
}

fn is_open(rule: &Rule, zone: &TimeZone, now: Timestamp) -> bool {
    // Hours that cannot be read are no permission; the check of the configuration has told.
    let Some(text) = rule.hours.as_deref() else { return true };
    let zone = match rule.timezone.as_deref() {
        Some(name) => TimeZone::get(name).ok(),
        None => Some(zone.clone()),
    };
    let Some(((from, to), zone)) = hours(text).zip(zone) else { return false };
    let time = now.to_zoned(zone).time();
    if from < to { from <= time && time < to } else { from <= time || time < to }
}

/// Whether this person may decide about the action. Saying no is for the same people.
///
/// # Errors
/// Why not, as a sentence for the person.
pub(super) fn may_decide(
    config: &Config,
    zone: &TimeZone,
    now: Timestamp,
    plan: &ActionPlan,
    by: &Approver,
) -> Result<(), String> {
    let fitting = || allowed(config).iter().filter(|rule| rule.fits(plan));
    let rule = fitting().find(|rule| is_open(rule, zone, now)).or_else(|| fitting().next());
    let named = rule.map_or(&[][..], |rule| &rule.approvers);
    let identity = by.identity();
    let is_named = named.iter().any(|name| **name == *identity);
    let may = match by.channel {
        ApprovalChannel::Telegram if named.is_empty() => by.is_named_telegram_user,
        ApprovalChannel::Telegram => is_named && by.telegram_user.is_some(),
        ApprovalChannel::Cli | ApprovalChannel::Api | ApprovalChannel::Chat => {
            by.scope == Scope::Admin && (named.is_empty() || is_named)
        }
    };
    if may {
        return Ok(());
    }
    Err(match by.channel {
        ApprovalChannel::Telegram => {
            format!("{} may not decide about this: the policy does not name this Telegram user", by.name)
        }
        _ if by.scope != Scope::Admin => "this needs a key with the scope \"admin\"".to_owned(),
        _ => format!(
            "{identity} may not decide about this: the policy names other people ([[approvals.allow]] approvers)"
        ),
    })
}
