//! "What is silenced?": silences that have not ended.

use super::{Skill, call};
use crate::offline::clock::{Now, moment};
use crate::offline::facts::{Facts, counted, value};
use crate::offline::markdown::{span, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "silences",
    example: Some("what is silenced?"),
    title: "Silences",
    tag: "Monitoring",
    patterns: &[
        "/silences",
        "silence|silences|silenced|mutes|muted",
        "what|which|anything|is|are|any|show|list|how silence|silences|silenced|muted|mutes",
        "what|which|any|show|list|is|are alert|alerts|alarms silenced|muted",
        "silenced|muted alert|alerts|alarms",
        "any|show|list|what|which active|current|open silence|silences",
        "how long silenced|muted|silence",
    ],
    plan: |_| vec![call("list_silences", &json!({})), call("get_time", &json!({"timezone": null}))],
    render,
    ..Skill::PLAIN
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let (value, now) = (value(results, 0)?, Now::read(results, 1)?);
    let facts = Facts::new(&value);
    let total = facts.len("silences") as u64;
    if total == 0 {
        return Ok("**Nothing is silenced.**\n".to_owned());
    }
    let mut body = format!("**{}**:\n", counted(total, "silence"));
    let row = |silence: Facts<'_>| {
        let until = moment(silence, "until");
        let ends =
            until.map_or_else(|| "–".to_owned(), |at| format!("{} ({} left)", now.shown(at), span(now.in_s(at))));
        [silence.shown("silence"), silence.shown("fits"), ends, silence.shown("by"), silence.shown("reason")]
    };
    let _ = write!(body, "\n{}", table(["silence", "fits", "until", "by", "why"], facts.list("silences").map(row)));
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_until_when_and_why() {
        let now = ToolResult::ok(r#"{"utc":"2026-03-01T12:00:00Z","timezone":"UTC"}"#);
        let found = r#"{"total":1,"silences":[{"silence":3,"fits":["rule = guest_*","node = pve2"],"until":"2026-03-01T14:00:00Z","by":"anna","reason":"works"}]}"#;
        let said = |found: &str| render(&Question::new("x"), &[ToolResult::ok(found), now.clone()]).expect("reads");
        assert_eq!(
            said(found),
            "**1 silence**:\n\n| silence | fits | until | by | why |\n| --- | --- | --- | --- | --- |\n\
             | 3 | rule = guest\\_\\*, node = pve2 | 14:00 (2 hours left) | anna | works |\n"
        );
        assert_eq!(said(r#"{"total":0}"#), "**Nothing is silenced.**\n");
    }
}
