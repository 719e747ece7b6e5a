//! "Does replication work?".

use super::{Skill, call};
use crate::offline::facts::{Facts, answer, counted, problems, value};
use crate::offline::markdown::table;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most jobs in a table.
const ROWS: usize = 40;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "replication",
    example: Some("does replication work?"),
    title: "Replication",
    patterns: &[
        "/replication",
        "replication|replications|replicating|replicated|replicate|replicas",
        "replication|replications status|state|ok|okay|work|working|works|jobs|job|failed|failing|errors|problems|healthy|health|fine|fail|lag|behind|run|running|broken",
        "list|show|is|does|how|any|which|what|did|check|failed|are replication|replications|replicated|replicating",
        "list|show|is|does|how|any|which|what|did|check|failed|are replication|replications status|state|ok|okay|work|working|works|jobs|job|failed|failing|fail|errors|problems|healthy|health|fine|run|running|broken",
        "which|what|are guests|vms|containers replicated",
        "failed|failing replication jobs|job",
    ],
    plan: |_| vec![call("list_replication", &json!({}))],
    render,
    ..Skill::CLUSTER
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let total = facts.count("total").unwrap_or(0);
    let mut body = match (total, facts.count("failing").unwrap_or(0)) {
        (0, _) => "**There is no replication job.**\n".to_owned(),
        (total, 0) => format!("**Replication works:** none of {} fails.\n", counted(total, "job")),
        (total, failing) => format!("**{failing} of {} fail.**\n", counted(total, "replication job")),
    };
    if facts.len("jobs") > 0 {
        let row = |job: Facts<'_>| {
            let guest = if job.has("guest") { job.at("guest").guest() } else { job.shown("id") };
            let mut state = match job.text("state") {
                Some("ok" | "running") => job.shown("state"),
                _ => format!("**{}**", job.shown("state")),
            };
            if let Some(count) = job.count("fail_count") {
                let _ = write!(state, " ({count} times)");
            }
            if job.has("error") {
                let _ = write!(state, ": {}", job.shown("error"));
            }
            [guest, job.shown("source"), job.shown("target"), state, job.ago("last_sync"), job.shown("schedule")]
        };
        let rows = facts.list("jobs").take(ROWS).map(row);
        let _ = write!(body, "\n{}", table(["guest", "from", "to", "state", "last good", "schedule"], rows));
        let more = total.saturating_sub(u64::try_from(facts.len("jobs").min(ROWS)).unwrap_or(0));
        if more > 0 {
            let _ = writeln!(body, "\nand {more} more.");
        }
    }
    body.push_str(&problems(facts));
    Ok(answer(facts, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"total":3,"failing":1,"jobs":[
            {"id":"103-0","guest":{"vmid":103,"name":"nas"},"source":"pve1","target":"pve2","state":"failing","fail_count":4,"error":"no route","last_sync":{"ago":"2 h"}},
            {"id":"104-0","source":"pve1","target":"pve3","state":"ok","schedule":"*/15","last_sync":{"ago":"9 min"}}],"problems":["lab: old"]}"#;
        let text = render(&Question::new("replication"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**1 of 3 replication jobs fail.**\n\n| guest | from | to | state | last good | schedule |\n\
             | --- | --- | --- | --- | --- | --- |\n| nas (103) | pve1 | pve2 | **failing** (4 times): no route | 2 h ago | – |\n\
             | 104-0 | pve1 | pve3 | ok | 9 min ago | \\*/15 |\n\nand 1 more.\n\n**Not everything could be read:**\n\n- lab: old\n\n\
             *Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(&Question::new("replication"), &[ToolResult::ok("{}")]).expect("reads");
        assert_eq!(text, "**There is no replication job.**\n");
    }
}
