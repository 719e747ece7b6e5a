//! "What happened last night?": tasks, failures and changes of a time.

use super::stops::seconds;
use super::{Planned, Skill, call, tasks};
use crate::offline::facts::{Facts, answer, counted, value};
use crate::offline::markdown::inline;
use crate::offline::question::{Period, Question, Window};
use contract::tools::ToolResult;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is looked back to where no time is named.
const USUAL: Period = Period::Last(86_400);
/// The most items of a list.
const ITEMS: usize = 12;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "history",
    example: Some("what happened last night?"),
    title: "What Happened",
    patterns: &[
        "/history",
        "what happened|happen|happend|changed|new|up|on",
        "tell %",
        "anything|something weird|strange|interesting|unusual|special|new happen|happened",
        "did|has anything|something weird|strange|interesting|unusual|special|new happen|happened",
        "what went down %",
        "news",
        "any news",
        "what has|is|was|been happened|happening|changed|new|going|done",
        "what has|is|was|been going|been on|happening|changed|done",
        "anything|something|nothing happened|happen|changed|new|interesting|unusual|special|notable|strange|weird",
        "did|has|have anything|something|much happen|happened|change|changed|go",
        "what did i|we miss",
        "what went|going on|wrong",
        "recent|latest activity|events|history|changes|incidents|happenings",
        "show|list|any|which|what recent|latest activity|events|history|changes|incidents",
        "activity|events|history|incidents",
        "summary|summarise|summarize|report|overview|digest|recap|news %",
        "give|show|want summary|report|overview|digest|recap|news %",
        "anything|something %",
        "show|list|any|which|what activity|events|history|incidents|changes",
        "morning|daily|night|nightly report|summary|overview|digest|briefing",
        "give|show|summary|summarise|summarize|report summary|report|night|day|changes|events|activity",
        "summarise|summarize|recap",
        "how was|did night|day|evening|everything|go",
        "how did night|day|week go",
        "what cluster|proxmox do|done|doing",
    ],
    plan: |_| vec![call("get_time", &json!({"timezone": null}))],
    then,
    render,
    ..Skill::CLUSTER
}];

/// The period asked about, by HAIA's own clock.
fn window(question: &Question, found: &[ToolResult]) -> Result<Window, String> {
    let time = value(found, 0)?;
    let time = Facts::new(&time).text("time").and_then(second_of_day);
    let time = time.ok_or_else(|| "the time is missing".to_owned())?;
    Ok(question.period().unwrap_or(USUAL).window(time))
}

/// `13:05:00` in seconds.
fn second_of_day(time: &str) -> Option<u64> {
    let mut parts = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (hours < 24 && minutes < 60 && seconds < 61).then_some(hours * 3600 + minutes * 60 + seconds)
}

fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let (Ok(window), 1) = (window(question, found), found.len()) else { return Vec::new() };
    vec![
        call("list_tasks", &json!({"since_hours": window.hours(), "limit": 200})),
        call("list_vms", &json!({"status": "stopped", "limit": 200})),
        call("list_vms", &json!({"status": "trouble", "limit": 50})),
        call("list_nodes", &json!({})),
    ]
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let window = window(question, results)?;
    let (done, stopped, trouble, nodes) =
        (value(results, 1)?, value(results, 2)?, value(results, 3)?, value(results, 4)?);
    let facts = Facts::new(&done);
    let tasks: Vec<Facts<'_>> = facts
        .list("tasks")
        .filter(|task| task.at("started").count("ago_s").is_some_and(|ago_s| window.holds(ago_s)))
        .collect();
    let changes = changes(window, Facts::new(&stopped), Facts::new(&trouble), Facts::new(&nodes));
    let failed: Vec<&Facts<'_>> = tasks.iter().filter(|task| task.is("failed")).collect();
    let mut body = match (changes.is_empty(), failed.len()) {
        (true, 0) if tasks.is_empty() => "**Nothing happened**".to_owned(),
        (true, 0) => "**All went well**".to_owned(),
        (_, 0) => "**Something changed**".to_owned(),
        (_, 1) => "**One task failed**".to_owned(),
        (_, count) => format!("**{count} tasks failed**"),
    };
    let words = question.period().unwrap_or(USUAL).words();
    let _ = writeln!(body, " {words}. {} ran.", counted(u64::try_from(tasks.len()).unwrap_or(0), "task"));
    section(
        &mut body,
        "Failed",
        failed.iter().map(|task| format!("{} on {}", tasks::line(**task), task.shown("node"))),
    );
    section(&mut body, "Stopped or changed in that time, and still so", changes.into_iter());
    body.push_str(&backups(&tasks));
    let touched = tasks.iter().filter(|task| !task.is("failed") && is_of_people(task.text("kind").unwrap_or_default()));
    section(&mut body, "Guests started, stopped, moved or changed", touched.map(|task| tasks::line(*task)));
    body.push_str(&others(&tasks));
    let is_cut = facts.has("next_offset");
    if is_cut {
        let _ = writeln!(body, "\nOnly the latest {} tasks were looked at.", facts.len("tasks"));
    }
    if let Some(note) = facts.text("note") {
        let _ = writeln!(body, "\nNote: {}.", inline(note));
    }
    Ok(answer(facts, &body))
}

/// A list under a heading; nothing where there are no items.
fn section(body: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return;
    }
    let _ = writeln!(body, "\n**{title}**\n");
    for item in items.iter().take(ITEMS) {
        let _ = writeln!(body, "- {item}");
    }
    if items.len() > ITEMS {
        let _ = writeln!(body, "- and {} more", items.len() - ITEMS);
    }
}

/// Guests and nodes whose present state began in the time.
fn changes(window: Window, stopped: Facts<'_>, trouble: Facts<'_>, nodes: Facts<'_>) -> Vec<String> {
    let began = |one: &Facts<'_>| one.text("status_for").and_then(seconds).is_some_and(|ago_s| window.holds(ago_s));
    let mut changes = Vec::new();
    for node in nodes.list("nodes").filter(began) {
        changes.push(format!(
            "node **{}** has been {} for {}",
            node.shown("name"),
            node.shown("status"),
            node.shown("status_for")
        ));
    }
    for guest in trouble.list("guests").chain(stopped.list("guests")).filter(began) {
        changes.push(format!(
            "{} has been **{}** for {}",
            guest.guest(),
            guest.shown("status"),
            guest.shown("status_for")
        ));
    }
    changes
}

/// How the backups went, in a sentence.
fn backups(tasks: &[Facts<'_>]) -> String {
    let runs = || tasks.iter().filter(|task| task.text("kind") == Some("vzdump"));
    let failed = runs().filter(|task| task.is("failed")).count();
    match (runs().count(), failed) {
        (0, _) => String::new(),
        (all, 0) => format!("\n**Backups:** {}, none failed.\n", counted(u64::try_from(all).unwrap_or(0), "run")),
        (all, failed) => {
            format!("\n**Backups:** {}, **{failed} failed**.\n", counted(u64::try_from(all).unwrap_or(0), "run"))
        }
    }
}

/// Whether a task changes what runs or where.
fn is_of_people(kind: &str) -> bool {
    let is_guest = kind.starts_with("qm") || kind.starts_with("vz") || kind.starts_with("ha");
    is_guest && !matches!(kind, "vzdump" | "vncproxy" | "vzcreds" | "qmigrateall")
        || matches!(kind, "startall" | "stopall" | "migrateall")
}

/// The other tasks, counted by kind.
fn others(tasks: &[Facts<'_>]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.is("failed")) {
        let kind = task.text("kind").unwrap_or("unknown");
        if kind != "vzdump" && !is_of_people(kind) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return String::new();
    }
    let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{} ({count})", inline(kind))).collect();
    format!("\nOther tasks: {}.\n", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(time: &str) -> ToolResult {
        ToolResult::ok(format!(r#"{{"time":"{time}"}}"#))
    }

    #[test]
    fn asks_for_the_time_that_is_meant() {
        let planned = then(&Question::new("what happened last night?"), &[clock("09:00:00")]);
        assert_eq!((planned.len(), planned[0].arguments.as_str()), (4, r#"{"limit":200,"since_hours":13.0}"#));
        let planned = then(&Question::new("what happened?"), &[clock("09:00:00")]);
        assert_eq!(planned[0].arguments, r#"{"limit":200,"since_hours":24.0}"#);
        assert!(then(&Question::new("what happened?"), &[clock("25:00:00")]).is_empty());
    }

    #[test]
    fn tells_only_of_the_time_that_is_meant() {
        let found = [
            clock("12:00:00"),
            ToolResult::ok(include_str!("../../../tests/samples/list_tasks.json")),
            ToolResult::ok(
                r#"{"guests":[{"vmid":7,"name":"dns","status":"stopped","status_for":"8 h"},{"vmid":8,"status":"stopped","status_for":"5 min"}]}"#,
            ),
            ToolResult::ok("{}"),
            ToolResult::ok(r#"{"nodes":[{"name":"pve3","status":"offline","status_for":"9 h 2 min"}]}"#),
        ];
        let text = render(&Question::new("what happened last night?"), &found).expect("reads");
        assert_eq!(
            text,
            "**One task failed** last night (20:00 to 08:00). 2 tasks ran.\n\n\
             **Failed**\n\n- 7 h ago: vzdump of guest 103 by root@pam: **job errors** on pve2\n\n\
             **Stopped or changed in that time, and still so**\n\n- node **pve3** has been offline for 9 h 2 min\n\
             - dns (7) has been **stopped** for 8 h\n\n**Backups:** 2 runs, **1 failed**.\n\n\
             Only the latest 3 tasks were looked at.\n\nNote: without Sys.Audit only the token's own tasks can be seen.\n\n\
             *Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(&Question::new("what happened in the last hour"), &found).expect("reads");
        assert!(
            text.contains("qmshutdown of web-02 (105) by anna@pve: OK") && text.contains("guest 8 has been"),
            "{text}"
        );
        let quiet =
            [clock("12:00:00"), ToolResult::ok("{}"), ToolResult::ok("{}"), ToolResult::ok("{}"), ToolResult::ok("{}")];
        let text = render(&Question::new("anything new?"), &quiet).expect("reads");
        assert_eq!(text, "**Nothing happened** in the last 1 day. 0 tasks ran.\n");
    }
}
