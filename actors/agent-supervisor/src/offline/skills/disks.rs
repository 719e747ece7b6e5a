//! "Are the disks healthy?": physical disks, ZFS pools and thin pools.

use super::{Planned, Skill, call};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::table;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "disks",
    example: Some("are the disks healthy?"),
    title: "Disks",
    tag: "Storage",
    patterns: &[
        "/disks",
        "disks|drives|disk|ssds|hdds|nvmes",
        "disks|drives|disk|drive|ssds|ssd|hdds|nvme|smart health|healthy|status|state|ok|okay|fine|failing|fail|failed|errors|problems|dying|wear|wearout|life|broken|good|bad|dead|worn",
        "list|show|which|what|how|are|is|any|check|physical|all disks|drives|disk|drive|ssds|ssd|hdds|nvmes",
        "list|show|which|what|how|are|is|any|check|physical|all|health|status disks|drives|disk|drive|ssds|ssd|hdds|nvme|smart health|healthy|status|state|ok|okay|fine|failing|fail|failed|errors|problems|die|dying|wear|wearout|life|broken|good|bad|doing|dead|worn",
        "health|status|state|wear|wearout|life of disks|drives|ssds|disk",
        "any|which|what|bad|failing|failed|dying|broken|worn bad|failing|failed|dying|broken|worn disks|drives|disk|ssds|drive",
        "failing|failed|dying|broken|worn|bad disks|drives|disk|ssds|drive",
        "smart",
        "smart status|values|data|errors|ok|health",
        "smart health|status|values|data|errors of|for|on disks|drives|disk|ssds",
        "zfs|zpool|zpools|raid|raidz",
        "zfs|zpool|raid pool|pools|status|state|health|healthy|ok|okay|degraded|errors|fine",
        "how|is|are|show|list|any|which|what|check zfs|zpool|zpools|raid",
        "how|is|are|show|list|any|which|what|check zfs|zpool|raid pool|pools|status|state|health|healthy|ok|okay|degraded|errors|fine",
        "how|is|are|show|list|any|which|what|check zfs|raid pool|pools status|state|health|healthy|ok|okay|degraded|errors|fine|online",
        "zfs pool|pools status|state|health|healthy|ok|degraded",
        "is|are|any degraded|broken pool|pools|raid",
        "pools degraded|ok|health|healthy|online",
        "is|are|any|which pool|pools degraded|ok|healthy|online",
        "thin pool|pools",
        "thin pool|pools metadata|status|full|ok",
        "how|is|are|show|list thin pool|pools",
        "disks|drives|disk|zfs|smart in|of|on|at @",
        "list|show|which|what|how|are|check disks|drives|zfs|smart in|of|on|at @",
        "disks|drives|disk health|status of|on|in @",
        "disk|drive|smart health|status|wear of|on|in @",
        "@ disks|drives|zfs",
    ],
    plan,
    render,
    ..Skill::CLUSTER
}];

fn plan(question: &Question) -> Vec<Planned> {
    let node = question.named().map(|named| named.name.as_str());
    vec![call("list_disks", &json!({"node": node}))]
}

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let bad = facts.texts("bad");
    let mut body = if bad.is_empty() {
        "**Nothing is wrong with disks and pools.**\n".to_owned()
    } else {
        let lines: String = bad.iter().map(|one| format!("- {one}\n")).collect();
        format!("**Not as it should be:**\n\n{lines}")
    };
    for node in facts.list("nodes") {
        let _ = writeln!(body, "\n**{}**", node.shown("node"));
        let mark = |one: Facts<'_>, member: &str| {
            if one.is("bad") { format!("**{}**", one.shown(member)) } else { one.shown(member) }
        };
        if node.len("disks") > 0 {
            let rows = node.list("disks").map(|one| {
                let life = one.percent("life_left_percent");
                [
                    one.shown("device"),
                    one.shown("kind"),
                    one.shown("size"),
                    one.shown("model"),
                    mark(one, "health"),
                    life,
                    one.shown("used_for"),
                ]
            });
            let headings = ["disk", "kind", "size", "model", "health", "life left", "used for"];
            let _ = write!(body, "\n{}", table(headings, rows));
        }
        if node.len("zfs") > 0 {
            let rows = node
                .list("zfs")
                .map(|one| [one.shown("name"), mark(one, "health"), one.shown("size"), one.percent("used_percent")]);
            let _ = write!(body, "\n{}", table(["ZFS pool", "health", "size", "used"], rows));
        }
        if node.len("thin") > 0 {
            let rows = node.list("thin").map(|one| {
                let metadata = one.percent("metadata_used_percent");
                let metadata = if one.is("bad") { format!("**{metadata}**") } else { metadata };
                [one.shown("name"), one.shown("size"), one.percent("used_percent"), metadata]
            });
            let _ = write!(body, "\n{}", table(["thin pool", "size", "used", "metadata used"], rows));
        }
        for problem in node.texts("problems") {
            let _ = writeln!(body, "\nNot read: {problem}.");
        }
    }
    Ok(answer(facts, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"nodes":[{"node":"pve1","disks":[
            {"device":"/dev/sda","kind":"ssd","size":"931 GiB","model":"X","health":"FAILED","life_left_percent":3.0,"used_for":"ZFS","bad":true}],
            "zfs":[{"name":"rpool","health":"ONLINE","size":"900 GiB","used_percent":40.0}],"thin":[{"name":"data","size":"1.0 TiB","used_percent":50.0,"metadata_used_percent":90.0,"bad":true}]},
            {"node":"pve2","disks":[],"problems":["it is offline"]}],"bad":["disk /dev/sda of node pve1: SMART says FAILED"]}"#;
        let text = render(&Question::new("disks"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**Not as it should be:**\n\n- disk /dev/sda of node pve1: SMART says FAILED\n\n**pve1**\n\n\
             | disk | kind | size | model | health | life left | used for |\n| --- | --- | --- | --- | --- | --- | --- |\n\
             | /dev/sda | ssd | 931 GiB | X | **FAILED** | 3 % | ZFS |\n\n\
             | ZFS pool | health | size | used |\n| --- | --- | --- | --- |\n| rpool | ONLINE | 900 GiB | 40 % |\n\n\
             | thin pool | size | used | metadata used |\n| --- | --- | --- | --- |\n| data | 1.0 TiB | 50 % | **90 %** |\n\n\
             **pve2**\n\nNot read: it is offline.\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        assert!(
            render(&Question::new("disks"), &[ToolResult::ok("{}")]).expect("reads").starts_with("**Nothing is wrong")
        );
    }
}
