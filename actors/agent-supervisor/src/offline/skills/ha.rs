//! "How is HA?": what high availability does.

use super::{Skill, call};
use crate::offline::facts::{Facts, answer, sentence, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "ha",
    example: Some("how is high availability?"),
    title: "High Availability",
    patterns: &[
        "/ha",
        "ha",
        "ha status|state|ok|okay|health|healthy|resources|errors|problems|manager|working|guests|groups|fine|services|fencing|fence",
        "high availability",
        "high availability status|state|ok|okay|health|healthy|resources|errors|working|fine",
        "how|is|show|which|what|any|list|check ha",
        "how|is|show|which|what|any|list|check ha status|state|ok|okay|health|healthy|resources|errors|problems|manager|working|guests|managed|fine",
        "how|is|show|check high availability",
        "which|what|list|show guests|vms|containers ha",
        "which|what|list|show guests|vms|containers managed|protected by ha",
        "which|what managed|protected by ha",
        "is @ ha|managed",
        "is @ managed|protected ha",
        "fencing|fenced|lrm|crm",
        "which|what|is|show|any fencing|fenced|lrm|crm",
        "maintenance mode",
        "which|is|what|any maintenance mode",
        "is|are|which|any|what nodes|node|hosts in maintenance",
        "is|are|which|any|what nodes|node|hosts in maintenance mode",
    ],
    plan: |_| vec![call("get_ha_status", &json!({}))],
    render,
    ..Skill::CLUSTER
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let mut body = String::new();
    for cluster in facts.list("ha") {
        let name = cluster.shown("cluster");
        let bad = |one: &Facts<'_>| !matches!(one.text("state"), Some("started" | "stopped" | "ignored"));
        let troubled = cluster.list("resources").filter(bad).count();
        let total = cluster.count("resources_total").unwrap_or(u64::try_from(cluster.len("resources")).unwrap_or(0));
        let _ = match (cluster.has("used"), cluster.is("used"), troubled) {
            (false, ..) => writeln!(body, "**{name}:** what HA does is not known."),
            (_, false, _) => writeln!(body, "**{name}:** HA manages no guest."),
            (_, _, 0) => writeln!(body, "**{name}:** HA is **well**; it manages {total} guests."),
            (_, _, count) => {
                writeln!(body, "**{name}:** **{count} of {total}** guests that HA manages are not as they should be.")
            }
        };
        if cluster.len("managers") > 0 {
            body.push('\n');
        }
        for manager in cluster.list("managers") {
            let status = manager.shown("status");
            let status = if status.contains("dead?") || status.contains("maintenance") {
                format!("**{status}**")
            } else {
                status
            };
            let _ = writeln!(body, "- {}: {status}", manager.shown("kind"));
        }
        if cluster.len("resources") > 0 {
            let row = |one: Facts<'_>| {
                let guest = if one.has("guest") { one.at("guest").guest() } else { one.shown("id") };
                let state = if bad(&one) { format!("**{}**", one.shown("state")) } else { one.shown("state") };
                [guest, one.shown("node"), state, one.shown("wanted")]
            };
            let _ =
                write!(body, "\n{}", table(["guest", "node", "state", "wanted"], cluster.list("resources").map(row)));
        }
        if let Some(problem) = cluster.text("problem") {
            let _ = writeln!(body, "\nIt could not be read: {}", sentence(&inline(problem)));
        }
        body.push('\n');
    }
    Ok(answer(facts, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"ha":[{"cluster":"lab","used":true,"age_s":12,
            "managers":[{"kind":"lrm","node":"pve2","status":"pve2 (maintenance mode, now)"}],"resources_total":2,
            "resources":[{"id":"vm:101","guest":{"vmid":101,"name":"web-01"},"node":"pve1","state":"error","wanted":"started"},{"id":"ct:102","state":"started"}]}]}"#;
        let text = render(&Question::new("ha"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**lab:** **1 of 2** guests that HA manages are not as they should be.\n\n- lrm: **pve2 (maintenance mode, now)**\n\n\
             | guest | node | state | wanted |\n| --- | --- | --- | --- |\n| web-01 (101) | pve1 | **error** | started |\n\
             | ct:102 | – | started | – |\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(
            &Question::new("ha"),
            &[ToolResult::ok(r#"{"ha":[{"cluster":"a","used":false},{"cluster":"b","problem":"not yet"}]}"#)],
        );
        let text = text.expect("reads");
        assert!(
            text.contains("**a:** HA manages no guest.") && text.contains("It could not be read: not yet."),
            "{text}"
        );
    }
}
