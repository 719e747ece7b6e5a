//! "Show me the log of the last failed task": what the newest task of some kind wrote.

use super::{Planned, Skill, call, stops, tasks, thing};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::inline;
use crate::offline::question::{Kind, Question};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The last lines of a log that are shown.
const LINES: usize = 20;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "task_log",
    example: Some("show me the log of the last failed task"),
    title: "A Task's Log",
    patterns: &[
        "log|logs|output of|from|for|in last|latest|newest|recent task|job",
        "log|logs|output of|from|for|in last|latest|newest|recent failed task|job|tasks",
        "log|logs|output of|from|for|in failed task|job|tasks",
        "last|latest|newest|recent task|job log|logs|output",
        "last|latest|newest|recent failed task|job|tasks log|logs|output",
        "failed task|tasks|job log|logs|output",
        "why last|latest|newest task|job fail|failed",
        "why task|job|tasks fail|failed",
        "what wrong with|in last|latest|newest task|job",
        "log|logs|output of|from|for|in last|latest|newest task|job of|for|on|from @",
        "log|logs|output of|from|for|in last|latest|newest failed task|job of|for|on|from @",
        "last|latest|newest|task log|logs of|for|from @",
        "last|latest|newest task log|logs of|for|from @",
    ],
    plan: |question| {
        let named = question.named();
        match named.map(|named| (named.kind, named.name.as_str())) {
            Some((Some(Kind::Guest), name)) => vec![newest(question, Some(("guest", name)))],
            Some((Some(Kind::Node), name)) => vec![newest(question, Some(("node", name)))],
            Some((None, _)) => thing::plan_for(question, "list_tasks"),
            None => vec![newest(question, None)],
        }
    },
    then,
    render,
    ..Skill::CLUSTER
}];

/// The call that finds the newest task that is meant.
fn newest(question: &Question, place: Option<(&str, &str)>) -> Planned {
    let mut arguments = json!({ "failed": asks_failed(question).then_some(true), "limit": 1 });
    if let Some((member, name)) = place {
        arguments[member] = json!(name);
    }
    call("list_tasks", &arguments)
}

fn asks_failed(question: &Question) -> bool {
    question.has("failed|failing|fail|wrong")
}

/// Where a name is known to be a guest's or a node's: its newest task; then that task's log.
fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    if let Some(tool) = thing::then_for(question, found, "list_tasks").pop() {
        let name = question.named().map_or("", |named| named.name.as_str());
        return vec![newest(question, Some((if tool.tool == "list_tasks" { "guest" } else { "node" }, name)))];
    }
    let Some(Ok(last)) = found.len().checked_sub(1).map(|at| value(found, at)) else { return Vec::new() };
    let task = Facts::new(&last).list("tasks").next();
    let Some((task, upid)) = task.and_then(|task| Some((task, task.text("upid")?))) else { return Vec::new() };
    vec![call("get_task_log", &json!({"upid": upid, "lines": LINES, "cluster": task.text("cluster")}))]
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let last = value(results, results.len().saturating_sub(1))?;
    let log = Facts::new(&last);
    let failed = if asks_failed(question) { "failed task" } else { "task" };
    let of = question.named().map(|named| format!(" of {}", inline(&named.name))).unwrap_or_default();
    if !log.has("upid") {
        return Ok(answer(log, &format!("**No {failed}{of}** is known.\n")));
    }
    let listed = value(results, results.len().saturating_sub(2))?;
    let task = Facts::new(&listed).list("tasks").next();
    let line = task.map(tasks::line).unwrap_or_default();
    let mut body = format!("The newest {failed}{of}, on **{}**:\n\n- {line}\n", log.shown("node"));
    let lines = stops::log(log, "lines");
    if lines.is_empty() {
        body.push_str("\nIts log is empty.\n");
    }
    body.push_str(&lines);
    let shown = u64::try_from(log.len("lines")).unwrap_or(0);
    if log.count("lines_total").unwrap_or(0) > shown {
        let _ = writeln!(body, "\nThese are the last {shown} of {} lines.", log.shown("lines_total"));
    }
    // In the log of a backup run the errors stand in the middle.
    if task.is_some_and(|task| task.is("failed") && task.text("kind") == Some("vzdump")) {
        body.push_str("\n\"any failed backups?\" shows what went wrong in it.\n");
    }
    Ok(answer(log, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    const LOG: &str = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"upid":"UPID:pve2:2","node":"pve2","lines_total":40,
        "lines":["INFO: starting","TASK ERROR: job errors"]}"#;

    #[test]
    fn the_newest_task_is_found_and_its_log_is_read() {
        let question = Question::new("show me the log of the last failed task");
        let planned = (SKILLS[0].plan)(&question);
        assert_eq!((planned[0].tool, planned[0].arguments.as_str()), ("list_tasks", r#"{"failed":true,"limit":1}"#));
        let tasks = r#"{"tasks":[{"upid":"UPID:pve2:2","kind":"vzdump","guest":{"vmid":103},"user":"root@pam","status":"job errors",
            "failed":true,"started":{"ago":"7 h"}}]}"#;
        let mut found = vec![ToolResult::ok(tasks)];
        let planned = then(&question, &found);
        assert_eq!(planned[0].arguments, r#"{"cluster":null,"lines":20,"upid":"UPID:pve2:2"}"#);
        found.push(ToolResult::ok(LOG));
        assert!(then(&question, &found).is_empty());
        assert_eq!(
            render(&question, &found).expect("reads"),
            "The newest failed task, on **pve2**:\n\n- 7 h ago: vzdump of guest 103 by root@pam: **job errors**\n\n\
             The end of its log:\n\n    INFO: starting\n    TASK ERROR: job errors\n\n\
             These are the last 2 of 40 lines.\n\n\"any failed backups?\" shows what went wrong in it.\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        assert_eq!(render(&question, &[ToolResult::ok("{}")]).expect("reads"), "**No failed task** is known.\n");
    }

    #[test]
    fn a_name_is_a_guest_or_a_node() {
        let named = |kind| Some(Named { name: "pve2".to_owned(), kind });
        let of = |kind| Question::new("log of the last task on pve2").about(named(kind), true);
        let nodes = [ToolResult::ok(r#"{"nodes":[{"name":"pve2"}]}"#)];
        assert_eq!(then(&of(None), &nodes)[0].arguments, r#"{"failed":null,"limit":1,"node":"pve2"}"#);
        let nodes = [ToolResult::ok(r#"{"nodes":[{"name":"pve1"}]}"#)];
        assert_eq!(then(&of(None), &nodes)[0].arguments, r#"{"failed":null,"guest":"pve2","limit":1}"#);
        for (kind, member) in [(Kind::Guest, "guest"), (Kind::Node, "node")] {
            let planned = (SKILLS[0].plan)(&of(Some(kind)));
            assert!(planned[0].arguments.contains(&format!("\"{member}\":\"pve2\"")), "{}", planned[0].arguments);
        }
    }
}
