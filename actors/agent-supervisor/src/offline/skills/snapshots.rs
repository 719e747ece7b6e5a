//! "Any old snapshots?": snapshots of all guests or one.

use super::{Planned, Skill, call};
use crate::offline::facts::{Facts, answer, counted, problems, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most snapshots in a table.
const ROWS: usize = 30;
/// What people call old, in days.
const OLD_DAYS: u32 = 30;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "snapshots",
    example: Some("any old snapshots?"),
    title: "Snapshots",
    patterns: &[
        "/snapshots",
        "snapshots|snapshot",
        "list|show|which|what|how|any|all|is|are|check|find snapshots|snapshot",
        "old|oldest|forgotten|stale|ancient|outdated|leftover snapshots|snapshot",
        "list|show|which|what|how|any|find old|oldest|forgotten|stale|ancient|outdated|leftover snapshots|snapshot",
        "which|what guests|vms|containers|guest|vm have snapshots|snapshot",
        "which|what guests|vms|containers|guest|vm have old|oldest|forgotten snapshots|snapshot",
        "snapshots|snapshot exist|old|older|there",
        "snapshots|snapshot of|for|on @",
        "which|what|how|any snapshots|snapshot @",
        "list|show|which|what|how|any|old snapshots|snapshot of|for|on @",
        "does|has|what|which|show|list @ snapshots|snapshot",
        "@ snapshots|snapshot",
    ],
    plan,
    render,
    ..Skill::CLUSTER
}];

fn is_about_old(question: &Question) -> bool {
    question.has("old|forgotten|stale|ancient|outdated|leftover")
}

fn plan(question: &Question) -> Vec<Planned> {
    let guest = question.named().map(|named| named.name.as_str());
    let days = is_about_old(question).then_some(OLD_DAYS);
    vec![call("list_snapshots", &json!({"guest": guest, "older_than_days": days, "limit": ROWS}))]
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let total = facts.count("total").unwrap_or(0);
    let of = question.named().map(|named| format!(" of {}", inline(&named.name))).unwrap_or_default();
    let old = if is_about_old(question) { format!(" older than {OLD_DAYS} days") } else { String::new() };
    let asked = facts.count("guests_asked").filter(|_| of.is_empty());
    let asked = asked.map(|count| format!(" ({} asked)", counted(count, "guest"))).unwrap_or_default();
    let mut body = if total == 0 {
        format!("**There is no snapshot{of}{old}**{asked}.\n")
    } else {
        let row = |one: Facts<'_>| {
            let memory = if one.is("holds_memory") { "with memory".to_owned() } else { String::new() };
            [one.at("guest").guest(), one.shown("name"), one.ago("created"), memory, one.shown("description")]
        };
        let rows = table(["guest", "snapshot", "made", "", "description"], facts.list("snapshots").map(row));
        format!("**{}{of}{old}**{asked}, the oldest first:\n\n{rows}", counted(total, "snapshot"))
    };
    let more = total.saturating_sub(u64::try_from(facts.len("snapshots")).unwrap_or(0));
    if total > 0 && more > 0 {
        let _ = writeln!(body, "\nand {more} newer ones.");
    }
    body.push_str(&problems(facts));
    Ok(answer(facts, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"total":2,"guests_asked":30,"snapshots":[{"guest":{"vmid":101,"name":"web-01"},"name":"before_update","created":{"ago":"90 d"},
            "holds_memory":true,"description":"x"}]}"#;
        let text = render(&Question::new("any old snapshots"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**2 snapshots older than 30 days** (30 guests asked), the oldest first:\n\n| guest | snapshot | made |  | description |\n\
             | --- | --- | --- | --- | --- |\n| web-01 (101) | before\\_update | 90 d ago | with memory | x |\n\nand 1 newer ones.\n"
        );
        let named = Some(Named { name: "nas".to_owned(), kind: None });
        let question = Question::new("snapshots of nas").about(named, true);
        assert_eq!(plan(&question)[0].arguments, r#"{"guest":"nas","limit":30,"older_than_days":null}"#);
        let text = render(&question, &[ToolResult::ok(r#"{"total":0,"guests_asked":1}"#)]).expect("reads");
        assert_eq!(text, "**There is no snapshot of nas**.\n");
    }
}
