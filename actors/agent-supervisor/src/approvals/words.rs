//! What is said of proposals: to the model, to whoever decides, to everybody. Pure. Texts of plans are data: cleaned, cut, never markup.

use contract::alerts::{AlertCommand, Fact, Severity};
use contract::approvals::{ActionPlan, ApprovalChannel, Decision, ProposalState, ProposalView};
use contract::caller::Origin;
use contract::notify::{Notice, NoticeButton, NoticeKind};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;
use std::sync::Arc;

/// The longest line that is taken over from a plan.
const LINE: usize = 300;
/// The longest result or hindrance: it may hold a command that mends it, and ends with what was done.
const RESULT: usize = 1_000;
/// The most entries of a list.
const ENTRIES: usize = 10;

/// A text of others on one line: no control characters, no marks that turn the writing direction, no Markdown, not long. Marks of Markdown become
/// others that look like them: whoever approves a pattern must see its star.
pub(super) fn line(text: &str) -> String {
    line_of(text, LINE)
}

/// How an action ended, or what stands in its way, on one line like any other.
pub(super) fn result(text: &str) -> String {
    line_of(text, RESULT)
}

fn line_of(text: &str, most: usize) -> String {
    let steers = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| match c {
        '*' => '\u{2217}',
        '`' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    let spaced: String = text.chars().filter(|c| !steers(*c)).map(plain).take(most * 4).collect();
    let mut whole = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = whole.char_indices().nth(most) {
        whole.truncate(end);
        whole.push('…');
    }
    whole
}

/// A time for people.
fn at(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn through(channel: ApprovalChannel) -> &'static str {
    match channel {
        ApprovalChannel::Telegram => "in Telegram",
        ApprovalChannel::Cli => "on the command line",
        ApprovalChannel::Api => "through the API",
        ApprovalChannel::Chat => "in a chat",
    }
}

fn who(decision: &Decision) -> String {
    match decision.channel {
        ApprovalChannel::Cli => "somebody on the command line".to_owned(),
        channel => format!("{} {}", line(&decision.by), through(channel)),
    }
}

fn facts(facts: &[Fact]) -> String {
    let shown: Vec<String> =
        facts.iter().take(ENTRIES).map(|fact| format!("{} {}", line(&fact.label), line(&fact.text))).collect();
    shown.join(", ")
}

/// A list of texts of others on one line.
fn listed(texts: &[String]) -> String {
    listed_as(texts, line)
}

/// What stands in the way, on one line.
pub(super) fn hindrances(texts: &[String]) -> String {
    listed_as(texts, result)
}

fn listed_as(texts: &[String], shown: fn(&str) -> String) -> String {
    let mut shown: Vec<String> = texts.iter().take(ENTRIES).map(|text| shown(text)).collect();
    if texts.len() > ENTRIES {
        shown.push(format!("and {} more", texts.len() - ENTRIES));
    }
    shown.join("; ")
}

/// What the model is told of a proposal that was just made, or that is open already.
pub(super) fn proposed(view: &ProposalView, is_new: bool, zone: &TimeZone) -> String {
    let (id, plan) = (view.id, &view.plan);
    let beginning = if is_new { "was made" } else { "is open already" };
    let mut text = format!(
        "Proposal {id} {beginning}: {}. Nothing has been done. It waits until {} for {} to approve it.\nExpected effect: {}",
        line(&plan.action),
        at(view.expires, zone),
        if view.approvals_needed > 1 { "two people" } else { "a person" },
        line(&plan.effect),
    );
    for (label, list) in [("Depends on it", &plan.dependents), ("Warnings", &plan.warnings)] {
        if !list.is_empty() {
            let _ = write!(text, "\n{label}: {}", listed(list));
        }
    }
    let _ = write!(
        text,
        "\nTell the person what is proposed, and that only a person can approve it: with the line \"approve {id}\" or \"deny {id}\" here \
         (a key with the scope admin), with the buttons in Telegram, or with \"haia approvals approve {id}\". Do not claim that it was done; \
         get_proposal tells what became of it."
    );
    text
}

/// Where a proposal stands, in a sentence: for somebody who decides too late, and for the end of lists.
pub(super) fn stands(view: &ProposalView, zone: &TimeZone) -> String {
    let id = view.id;
    let last = view.decisions.iter().rev().find(|decision| decision.approve != (view.state == ProposalState::Denied));
    let by =
        last.map_or_else(|| "nobody".to_owned(), |decision| format!("{} at {}", who(decision), at(decision.at, zone)));
    let result = view.result.as_deref().map(result).unwrap_or_default();
    match view.state {
        ProposalState::Proposed => format!("Proposal {id} waits for a decision until {}.", at(view.expires, zone)),
        ProposalState::Approved => format!("Proposal {id} was approved by {by}; it is about to begin."),
        ProposalState::Running => format!("Proposal {id} was approved by {by} and is running."),
        ProposalState::Denied => format!("Proposal {id} was denied by {by}. Nothing was done."),
        ProposalState::Expired => {
            format!("Proposal {id} expired at {}: nobody decided in time. Nothing was done.", at(view.expires, zone))
        }
        ProposalState::Stale => format!("Proposal {id} was approved by {by}, but not run: {result}"),
        ProposalState::Done => format!("Proposal {id} was approved by {by} and is done: {result}"),
        ProposalState::Failed => format!("Proposal {id} was approved by {by} and failed: {result}"),
        ProposalState::Unknown => {
            format!("Proposal {id} was approved by {by}; its result is unknown and it is not tried again: {result}")
        }
    }
}

/// What somebody is told whose decision counted.
pub(super) fn decided(view: &ProposalView, approve: bool, approvals: usize) -> String {
    let (id, action) = (view.id, line(&view.plan.action));
    match (approve, view.state) {
        (false, _) => format!("Proposal {id} is denied: {action}. Nothing is done."),
        (true, ProposalState::Proposed) => format!(
            "Your approval of proposal {id} counts ({approvals} of {}): {action}. Another person must approve it too.",
            view.approvals_needed
        ),
        (true, _) => {
            format!("Proposal {id} is approved: {action}. It is looked at once more and then run; the result is told.")
        }
    }
}

/// What has changed between two plans for the same call; empty when they are the same in kind.
pub(super) fn changes(old: &ActionPlan, new: &ActionPlan) -> Vec<String> {
    let mut changes = Vec::new();
    for fact in &new.state {
        match old.state.iter().find(|known| known.label == fact.label) {
            Some(known) if known.text != fact.text => {
                changes.push(format!(
                    "{} was {} and is {} now",
                    line(&fact.label),
                    line(&known.text),
                    line(&fact.text)
                ));
            }
            Some(_) => {}
            None => changes.push(format!("{} is {} now", line(&fact.label), line(&fact.text))),
        }
    }
    for fact in old.state.iter().filter(|fact| !new.state.iter().any(|known| known.label == fact.label)) {
        changes.push(format!("{} was {} and is not known now", line(&fact.label), line(&fact.text)));
    }
    let kind =
        |plan: &ActionPlan| (plan.tool.clone(), plan.class, plan.risk, plan.arguments.clone(), plan.subject.clone());
    if kind(old) != kind(new) {
        changes.push(format!("it would be \"{}\" now", line(&new.action)));
    } else if changes.is_empty() && old.state_digest != new.state_digest {
        changes.push("what it rests on is not the same any more".to_owned());
    }
    changes
}

/// Everything about a proposal, as lines of light Markdown.
fn details(view: &ProposalView, zone: &TimeZone) -> String {
    let plan = &view.plan;
    let mut lines = vec![format!("**{}**", line(&plan.action))];
    let mut add = |label: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("- {label}: {text}"));
        }
    };
    add("options", facts(&plan.options));
    add("why", line(&plan.reason));
    add("effect", line(&plan.effect));
    add("depends on it", listed(&plan.dependents));
    add("warnings", listed(&plan.warnings));
    add("now", facts(&plan.state));
    add("proposed by", format!("{} ({})", line(&view.proposed_by), origin(view.origin)));
    add("approved so far by", view.decisions.iter().map(who).collect::<Vec<_>>().join(", "));
    add("until", at(view.expires, zone));
    let needed = if view.approvals_needed > 1 { "Two people must approve. " } else { "" };
    lines.push(format!(
        "{needed}Also: `haia approvals approve {}`, or the line `approve {}` in a chat.",
        view.id, view.id
    ));
    lines.join("\n")
}

/// What kind of thing proposed it.
pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Chat => "chat",
        Origin::Cli => "cli",
        Origin::Job => "job",
        Origin::Alert => "alert",
        Origin::Internal => "internal",
    }
}

/// The message to people about where a proposal stands.
pub(super) fn notice(view: &ProposalView, mark: &str, now: Timestamp, zone: &TimeZone) -> Notice {
    let (id, action) = (view.id, line(&view.plan.action));
    let title = match view.state {
        ProposalState::Proposed if view.decisions.is_empty() => format!("Approve #{id}? {action}"),
        ProposalState::Proposed => format!("A second approval of #{id}? {action}"),
        ProposalState::Approved | ProposalState::Running => format!("#{id} runs: {action}"),
        ProposalState::Done => format!("#{id} is done: {action}"),
        ProposalState::Denied => format!("#{id} was denied: {action}"),
        ProposalState::Expired => format!("#{id} expired: {action}"),
        ProposalState::Stale => format!("#{id} was not run, the state has changed: {action}"),
        ProposalState::Failed => format!("#{id} failed: {action}"),
        ProposalState::Unknown => format!("#{id}: result unknown: {action}"),
    };
    let is_asked = view.state == ProposalState::Proposed;
    let severity = match view.state {
        ProposalState::Proposed | ProposalState::Stale | ProposalState::Failed | ProposalState::Unknown => {
            Severity::Warning
        }
        _ => Severity::Info,
    };
    let button = |label: &str, command| NoticeButton { label: label.to_owned(), command };
    Notice {
        id: format!("approval-{id}-{mark}").into(),
        kind: NoticeKind::Approval,
        severity,
        thread: format!("approval/{id}").into(),
        title,
        members: Vec::new(),
        more: 0,
        text: Some(if is_asked { details(view, zone) } else { stands(view, zone) }),
        buttons: if is_asked {
            vec![
                button("Approve", AlertCommand::Approve { proposal: id, tag: Some(view.tag()) }),
                button("Deny", AlertCommand::Deny { proposal: id, tag: Some(view.tag()) }),
            ]
        } else {
            Vec::new()
        },
        at: now,
        timezone: zone.iana_name().unwrap_or("UTC").into(),
        request_id: Arc::clone(&view.request_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_steer_nothing() {
        assert_eq!(line("**web**\n`x`\u{1b}[2J\u{202e}y"), "∗∗web∗∗ 'x' [2Jy");
        assert_eq!(line(&"ä".repeat(1000)).chars().count(), LINE + 1);
    }
}
