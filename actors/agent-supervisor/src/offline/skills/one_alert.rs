//! "Explain alert 5", "alert 5": one alert, with the evidence around it. The explanation is also what people get on their phones when no
//! model answers, so it is a few sentences without tables.

use super::{Planned, Skill, call, tasks};
use crate::offline::facts::{Facts, counted, sentence, value};
use crate::offline::markdown::inline;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most neighbours that are named.
const NEIGHBOURS: usize = 3;
/// The most lines of history.
const LINES: usize = 8;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "explain_alert",
        example: Some("explain alert 5"),
        title: "An Alert Explained",
        tag: "Monitoring",
        patterns: &[
            "/explain #",
            "explain|investigate|analyse|analyze alert|alarm #",
            "why alert|alarm #",
            "why is|was|did alert|alarm #",
            "what|whats behind|cause|caused|causes alert|alarm #",
            "what happened|happening to|with|in|at|behind alert|alarm #",
            "what happened alert|alarm #",
            "what is|does|about alert|alarm # mean|about",
            "what caused|triggered|cause alert|alarm #",
        ],
        plan,
        then,
        render: explain,
        bears_errors: true,
        ..Skill::PLAIN
    },
    Skill {
        name: "alert",
        example: Some("show alert 5"),
        title: "One Alert",
        tag: "Monitoring",
        patterns: &[
            "/alert #",
            "alert|alarm #",
            "show|open|get|check|display|tell alert|alarm #",
            "details|status|state|history of|for|on|about alert|alarm #",
            "details|status|state|history alert|alarm #",
            "alert|alarm # details|status|state|history|open|over|firing|still",
            "is|was alert|alarm # open|over|acknowledged|resolved|still|ended|firing|silenced",
            "is|was alert|alarm # still open|firing|active",
            "who acknowledged|acked alert|alarm #",
            "what is|about alert|alarm #",
        ],
        plan,
        render: show,
        ..Skill::PLAIN
    },
];

fn plan(question: &Question) -> Vec<Planned> {
    let number =
        question.named().map(|named| named.name.trim_start_matches('#')).and_then(|name| name.parse::<u64>().ok());
    // A number that none can have is answered by the desk itself.
    vec![call("explain_alert", &json!({"alert": number.unwrap_or(0)}))]
}

/// After the alert: what was done just before, and where its storage is heading.
fn then(_: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let (Ok(value), 1) = (value(found, 0), found.len()) else { return Vec::new() };
    let facts = Facts::new(&value);
    let about = facts.at("about");
    let cluster = about.text("cluster");
    if let Some(storage) = about.text("storage") {
        return vec![call("list_storage", &json!({"name": storage, "cluster": cluster, "limit": 40}))];
    }
    if facts.at("found").has("before") || cluster.is_none() {
        return Vec::new();
    }
    let of = match (about.text("vmid"), about.text("node")) {
        (Some(vmid), _) => json!({"guest": vmid, "cluster": cluster, "limit": 1}),
        (None, Some(node)) => json!({"node": node, "cluster": cluster, "limit": 1}),
        (None, None) => return Vec::new(),
    };
    vec![call("list_tasks", &of)]
}

/// What, since when, what came before, what is wrong beside it, where it is heading.
fn explain(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let mut text = what(facts);
    let before = facts
        .at("found")
        .text("before")
        .map(|before| format!("Just before: {}.", inline(before).trim_end_matches('.')));
    let looked = super::super::facts::value(results, 1).ok();
    let looked = looked.as_ref().map(Facts::new);
    if let Some(said) = before.or_else(|| last_task(facts, looked?)) {
        let _ = write!(text, " {said}");
    }
    if let Some(said) = looked.and_then(|looked| trend(facts.at("about"), looked)) {
        let _ = write!(text, " {said}");
    }
    let affected = facts.at("found").texts("affected");
    if !affected.is_empty() {
        let named = affected[..affected.len().min(NEIGHBOURS)].join(", ");
        let more = affected.len().saturating_sub(NEIGHBOURS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = write!(text, " Affected: {named}{more}.");
    }
    let _ = write!(text, " {}", neighbours(facts));
    text.push('\n');
    Ok(text)
}

/// `**web-01 (101) crashed**, for 5 min; 93 % (limit 85 %).`
fn what(facts: Facts<'_>) -> String {
    let (alert, found) = (facts.at("alert"), facts.at("found"));
    let mut text = format!("**{}**", alert.shown("what"));
    let _ = match alert.text("state") {
        Some("resolved") => write!(text, "; it is over, and lasted {}", alert.shown("for")),
        _ => write!(text, ", for {} now", alert.shown("for")),
    };
    if let (Some(value), Some(limit)) = (found.text("value"), found.text("limit")) {
        let _ = write!(text, ": {}, the limit is {}", inline(value), inline(limit));
    }
    text.push('.');
    text
}

/// The last task of what it is about.
fn last_task(facts: Facts<'_>, looked: Facts<'_>) -> Option<String> {
    if !looked.has("tasks") {
        return None;
    }
    let of = if facts.at("about").has("vmid") { "the guest" } else { "the node" };
    Some(match looked.list("tasks").next() {
        Some(task) => format!("The last task of {of} was {}.", tasks::line(task).trim_end_matches('.')),
        None => format!("No recent task of {of} is known."),
    })
}

/// Where a storage is heading.
fn trend(about: Facts<'_>, looked: Facts<'_>) -> Option<String> {
    let is_it = |storage: &Facts<'_>| {
        storage.text("name") == about.text("storage")
            && (!storage.has("node") || storage.text("node") == about.text("node"))
    };
    let storage = looked.list("storages").find(is_it)?;
    let used = storage.text("used").map(|used| format!("{} are used. ", inline(used))).unwrap_or_default();
    Some(match (storage.number("grows_percent_per_day"), storage.text("full_in")) {
        (Some(growth), Some(full)) if growth > 0.0 => {
            format!("{used}At the pace of the last hours, {growth} % a day, it is full in {}.", inline(full))
        }
        (Some(growth), _) if growth > 0.0 => format!("{used}It grows by {growth} % a day."),
        (Some(growth), _) if growth < 0.0 => format!("{used}It shrinks by {} % a day.", -growth),
        _ => format!("{used}It has hardly grown in the last hours."),
    })
}

/// Other alerts at the same place.
fn neighbours(facts: Facts<'_>) -> String {
    let about = facts.at("about");
    let place = match (about.text("storage"), about.text("node")) {
        (Some(storage), _) => format!(" on {}", inline(storage)),
        (None, Some(node)) => format!(" on {}", inline(node)),
        (None, None) => " beside it".to_owned(),
    };
    let is_open = |alert: &Facts<'_>| alert.text("state") != Some("resolved");
    let open: Vec<Facts<'_>> = facts.list("neighbours").filter(is_open).collect();
    if open.is_empty() {
        return format!("No other alert is open{place}.");
    }
    let name = |alert: &Facts<'_>| match alert.count("alert") {
        Some(number) => format!("{} (#{number})", alert.shown("what")),
        None => format!("{} (about to open)", alert.shown("what")),
    };
    let names: Vec<String> = open.iter().take(NEIGHBOURS).map(name).collect();
    let rest = open.len().saturating_sub(NEIGHBOURS);
    let rest = if rest > 0 { format!("; and {rest} more") } else { String::new() };
    format!("Also wrong{place}: {}{rest}.", names.join("; "))
}

/// Everything the desk keeps.
fn show(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let (alert, found) = (facts.at("alert"), facts.at("found"));
    let mut body =
        format!("Alert {}, {}, {}: {}\n", alert.shown("alert"), alert.shown("severity"), state(alert), what(facts));
    let mut lines = String::new();
    for (name, member) in [("Just before", "before"), ("Probably", "meaning")] {
        if let Some(text) = found.text(member) {
            let _ = writeln!(lines, "- {name}: {}", sentence(&inline(text)));
        }
    }
    for fact in found.list("facts") {
        let _ = writeln!(lines, "- {}: {}", fact.shown("label"), fact.shown("text"));
    }
    let affected = found.texts("affected");
    if !affected.is_empty() {
        let count = counted(affected.len() as u64, "guest");
        let _ = writeln!(lines, "- Affected ({count}): {}", affected.join(", "));
    }
    for (name, holder, member) in [
        ("Explanation", facts, "explanation"),
        ("Acknowledged by", alert, "acknowledged_by"),
        ("Held by", alert, "held_by"),
        ("Told within", alert, "told_within"),
        ("Rule", alert, "rule"),
    ] {
        if let Some(text) = holder.text(member) {
            let _ = writeln!(lines, "- {name}: {}", inline(&text.replace("**", "")));
        }
    }
    let _ = write!(body, "\n{lines}");
    let history: Vec<Facts<'_>> = facts.list("history").collect();
    if !history.is_empty() {
        body.push_str("\n**History**\n\n");
        for line in history.iter().rev().take(LINES).rev() {
            let who = line.text("who").map(|who| format!(" by {}", inline(who))).unwrap_or_default();
            let _ = writeln!(body, "- {} {}{who}", line.shown("at"), line.shown("what"));
        }
    }
    Ok(body)
}

fn state(alert: Facts<'_>) -> String {
    match alert.text("state") {
        Some("firing") => "open".to_owned(),
        Some("resolved") => "over".to_owned(),
        _ => alert.shown("state"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    const CRASH: &str = r#"{"alert":{"alert":5,"state":"firing","severity":"critical","what":"web-01 (101) crashed","rule":"guest_crashed","for":"5 min"},
        "about":{"cluster":"lab","node":"pve1","vmid":"101"},"found":{"meaning":"No task stopped it"},
        "history":[{"at":"2026-03-01T11:55:00Z","what":"opened"},{"at":"2026-03-01T11:56:00Z","what":"acknowledged","who":"anna"}],
        "neighbours":[{"alert":6,"state":"firing","what":"pve1 is short of memory"},{"alert":2,"state":"resolved","what":"old"}]}"#;
    const FULL: &str = r#"{"alert":{"alert":7,"state":"resolved","what":"storage nas is 93 % full","for":"2 h"},
        "about":{"cluster":"lab","storage":"nas"},"found":{"value":"93 %","limit":"85 %","before":"backup by root@pam ended 2 min earlier"}}"#;

    fn explained(results: &[&str]) -> String {
        let results: Vec<ToolResult> = results.iter().map(|text| ToolResult::ok(*text)).collect();
        explain(&Question::new("x"), &results).expect("reads")
    }

    #[test]
    fn a_few_sentences_with_the_evidence() {
        let task = r#"{"tasks":[{"kind":"qmstart","user":"root@pam","status":"OK","guest":{"vmid":101,"name":"web-01"},"started":{"ago":"3 d"}}]}"#;
        assert_eq!(
            explained(&[CRASH, task]),
            "**web-01 (101) crashed**, for 5 min now. The last task of the guest was 3 d ago: qmstart of web-01 (101) by root@pam: OK. \
             Also wrong on pve1: pve1 is short of memory (#6).\n"
        );
        let storages = r#"{"storages":[{"name":"nas2","used":"1 of 2"},{"name":"nas","used":"7.4 TiB of 8.0 TiB","grows_percent_per_day":3.2,"full_in":"2 d 4 h"}]}"#;
        assert_eq!(
            explained(&[FULL, storages]),
            "**storage nas is 93 % full**; it is over, and lasted 2 h: 93 %, the limit is 85 %. Just before: backup by root@pam ended 2 min earlier. \
             7.4 TiB of 8.0 TiB are used. At the pace of the last hours, 3.2 % a day, it is full in 2 d 4 h. No other alert is open on nas.\n"
        );
    }

    #[test]
    fn what_cannot_be_looked_at_is_left_out() {
        let gone = [ToolResult::ok(CRASH), ToolResult::error("the cluster does not answer")];
        let text = explain(&Question::new("x"), &gone).expect("reads");
        assert!(text.starts_with("**web-01 (101) crashed**, for 5 min now. Also wrong on pve1"), "{text}");
        assert!(explain(&Question::new("x"), &[ToolResult::error("there is no alert 9")]).is_err());
    }

    #[test]
    fn looks_where_the_alert_points() {
        let asked = |found: &str| {
            then(&Question::new("x"), &[ToolResult::ok(found)]).into_iter().map(|one| (one.tool, one.arguments)).next()
        };
        assert_eq!(asked(CRASH), Some(("list_tasks", r#"{"cluster":"lab","guest":"101","limit":1}"#.to_owned())));
        assert_eq!(asked(FULL).map(|one| one.0), Some("list_storage"));
        assert_eq!(asked(r#"{"about":{"node":"pve1"}}"#), None, "an alert from elsewhere");
        let question = Question::new("x").about(Some(Named { name: "5".to_owned(), kind: None }), true);
        assert_eq!(plan(&question)[0].arguments, r#"{"alert":5}"#);
    }

    #[test]
    fn shows_what_the_desk_keeps() {
        let text = show(&Question::new("x"), &[ToolResult::ok(CRASH)]).expect("reads");
        assert_eq!(
            text,
            "Alert 5, critical, open: **web-01 (101) crashed**, for 5 min now.\n\n- Probably: No task stopped it.\n- Rule: guest\\_crashed\n\n\
             **History**\n\n- 2026-03-01T11:55:00Z opened\n- 2026-03-01T11:56:00Z acknowledged by anna\n"
        );
    }
}
