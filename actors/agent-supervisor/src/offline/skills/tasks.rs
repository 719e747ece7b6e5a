//! "Which tasks failed?": what the cluster did and does.

use super::{Planned, Skill, call, thing};
use crate::offline::facts::{Facts, answer, counted, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::{Period, Question};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most tasks in a table.
const ROWS: usize = 30;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "tasks",
    example: Some("which tasks failed?"),
    title: "Cluster Tasks",
    patterns: &[
        "/tasks",
        "tasks|jobs",
        "what|anything|something failed|fail",
        "did|has anything|something failed|fail",
        "which|what failed tasks|jobs",
        "task log|list|history|queue",
        "list|show|which|what|how|all tasks",
        "recent|latest|last|running|active|current|failed|finished tasks|task|jobs",
        "list|show|which|what|how|all recent|latest|last|running|active|current|failed|finished tasks|task|jobs",
        "tasks|task|jobs running|active|failed|failing|fail|ran|run",
        "list|show|which|what|how|did tasks|task|jobs running|active|failed|failing|fail|ran|run",
        "recent|latest|last|newest failed|running|finished tasks|task|jobs|job",
        "list|show|which|what recent|latest|last|newest failed|running|finished tasks|task|jobs|job",
        "tasks|task of|for|on @",
        "list|show|which|what|recent|latest|last tasks|task of|for|on|from @",
        "failed|running|recent tasks|task of|for|on @",
        "what done|did to|with|on @",
        "who did what",
    ],
    plan,
    then,
    render,
    ..Skill::CLUSTER
}];

fn arguments(question: &Question, place: Option<(&str, &str)>) -> Vec<Planned> {
    let mut arguments = json!({
        "failed": question.has("failed|failing|fail").then_some(true),
        "running": question.has("running|active|current").then_some(true),
        "since_hours": question.period().map(hours),
        "limit": ROWS,
    });
    if let Some((member, name)) = place {
        arguments[member] = json!(name);
    }
    vec![call("list_tasks", &arguments)]
}

/// Hours back to the beginning of a period, at most: without a clock a day counts whole.
fn hours(period: Period) -> f64 {
    match period {
        Period::Last(_) => period.window(0).hours(),
        _ => period.window(86_400).hours(),
    }
}

fn plan(question: &Question) -> Vec<Planned> {
    if question.named().is_none() { arguments(question, None) } else { thing::plan_for(question, "list_tasks") }
}

fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let Some(tool) = thing::then_for(question, found, "list_tasks").pop() else { return Vec::new() };
    let name = question.named().map_or("", |named| named.name.as_str());
    arguments(question, Some((if tool.tool == "list_tasks" { "guest" } else { "node" }, name)))
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, results.len().saturating_sub(1))?;
    let facts = Facts::new(&value);
    if facts.has("node") && !facts.has("tasks") {
        return Ok(answer(facts, latest(facts, ROWS).trim_start()));
    }
    let total = facts.count("total").unwrap_or(0);
    let what = match (question.has("failed|failing|fail"), question.has("running|active|current")) {
        (true, _) => "failed task",
        (_, true) => "running task",
        _ => "task",
    };
    let of = question.named().map(|named| format!(" of {}", inline(&named.name))).unwrap_or_default();
    let when = question.period().map(|period| format!(" {}", period.words())).unwrap_or_default();
    let mut body = if total == 0 {
        format!("**No {what}**{of}{when}.\n")
    } else {
        format!("**{}**{of}{when}:\n\n{}", counted(total, what), rows(facts.list("tasks")))
    };
    let more = total.saturating_sub(u64::try_from(facts.len("tasks")).unwrap_or(0));
    if total > 0 && more > 0 {
        let _ = writeln!(body, "\nand {more} older ones.");
    }
    if let Some(note) = facts.text("note") {
        let _ = writeln!(body, "\nNote: {}.", inline(note));
    }
    Ok(answer(facts, &body))
}

/// What a task is about: a guest, or what it names.
pub(super) fn object(task: Facts<'_>) -> String {
    if task.has("guest") { task.at("guest").guest() } else { task.shown("about") }
}

/// Tasks as a table.
pub(super) fn rows<'a>(tasks: impl Iterator<Item = Facts<'a>>) -> String {
    let row = |task: Facts<'a>| {
        let status = task.shown("status");
        let status = if task.is("failed") { format!("**{status}**") } else { status };
        let cluster = task.text("cluster").map(|name| format!("{}/", inline(name))).unwrap_or_default();
        let node = format!("{cluster}{}", task.shown("node"));
        [task.ago("started"), task.shown("kind"), object(task), node, task.shown("user"), status, task.shown("took")]
    };
    table(["started", "task", "of", "node", "by", "result", "took"], tasks.map(row))
}

/// The latest tasks of one thing as a list; empty where there are none.
pub(super) fn latest(facts: Facts<'_>, most: usize) -> String {
    let mut text = String::new();
    for task in facts.list("recent_tasks").take(most) {
        if text.is_empty() {
            text.push_str("\n**Latest tasks**\n\n");
        }
        let _ = writeln!(text, "- {}", line(task));
    }
    text
}

/// A task as a line.
pub(super) fn line(task: Facts<'_>) -> String {
    let of = if task.has("guest") || task.has("about") { format!(" of {}", object(task)) } else { String::new() };
    let status = task.shown("status");
    let status = if task.is("failed") { format!("**{status}**") } else { status };
    format!("{}: {}{of} by {}: {status}", task.ago("started"), task.shown("kind"), task.shown("user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    #[test]
    fn renders_what_the_tool_answers() {
        let sample = include_str!("../../../tests/samples/list_tasks.json");
        let text = render(&Question::new("failed tasks today"), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "**4 failed tasks** today:\n\n\
             | started | task | of | node | by | result | took |\n| --- | --- | --- | --- | --- | --- | --- |\n\
             | 30 min ago | qmshutdown | web-02 (105) | pve1 | anna@pve | OK | 8 s |\n\
             | 7 h ago | vzdump | guest 103 | pve2 | root@pam | **job errors** | 14 min |\n\
             | 7 h 30 min ago | vzdump | – | pve1 | root@pam | OK | 20 min |\n\
             \nand 1 older ones.\n\nNote: without Sys.Audit only the token's own tasks can be seen.\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(&Question::new("running tasks"), &[ToolResult::ok(r#"{"total":0}"#)]).expect("reads");
        assert_eq!(text, "**No running task**.\n");
    }

    #[test]
    fn asks_for_what_the_words_say() {
        let ask = |text: &str| plan(&Question::new(text))[0].arguments.clone();
        assert_eq!(
            ask("failed tasks in the last 6 hours"),
            r#"{"failed":true,"limit":30,"running":null,"since_hours":6.0}"#
        );
        assert_eq!(ask("what tasks are running"), r#"{"failed":null,"limit":30,"running":true,"since_hours":null}"#);
        let named = Named { name: "web-01".to_owned(), kind: None };
        let question = Question::new("tasks of web-01").about(Some(named), true);
        let nodes = [ToolResult::ok(r#"{"nodes":[{"name":"pve1"}]}"#)];
        assert!(then(&question, &nodes)[0].arguments.contains(r#""guest":"web-01""#));
        let nodes = [ToolResult::ok(r#"{"nodes":[{"name":"web-01"}]}"#)];
        assert!(then(&question, &nodes)[0].arguments.contains(r#""node":"web-01""#));
    }
}
