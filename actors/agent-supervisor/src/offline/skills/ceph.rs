//! "Is Ceph healthy?".

use super::{Skill, call};
use crate::offline::facts::{Facts, answer, sentence, value};
use crate::offline::markdown::{inline, span};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "ceph",
    example: Some("is ceph healthy?"),
    title: "Ceph",
    tag: "Storage",
    patterns: &[
        "/ceph",
        "ceph",
        "how|is|show|what|check|any|whats ceph",
        "ceph health|healthy|status|state|ok|okay|fine|full|doing|osds|osd|problems|errors|warnings|usage|use|space|report|degraded|down|working|pgs|free|wrong|up|happy|monitors",
        "how|is|show|what|which|why|check|any|are|health|status|state|wrong ceph health|healthy|status|state|ok|okay|fine|full|doing|osds|osd|problems|errors|warnings|warning|usage|use|space|degraded|down|working|free|wrong|up|happy",
        "health|status|state|problems|errors|wrong|matter of|with|in ceph",
        "what|any wrong|problems|errors|matter with|in ceph",
        "how|is full ceph",
        "osd|osds",
        "osd|osds down|up|status|state|in|out|ok|missing|failed|health",
        "how|which|what|any|is|are|show|list osd|osds",
        "how|which|what|any|is|are|show|list osd|osds down|up|status|state|in|out|ok|missing|failed",
        "any|which|what|are degraded|down|failed|missing|out osd|osds",
        "placement groups|group",
    ],
    plan: |_| vec![call("get_ceph_status", &json!({}))],
    render,
    ..Skill::CLUSTER
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let mut body = String::new();
    for cluster in facts.list("ceph") {
        let name = cluster.shown("cluster");
        let _ = match (cluster.text("health"), cluster.is_not("installed")) {
            (Some("HEALTH_OK"), _) => writeln!(body, "Ceph of {name} is **healthy** (HEALTH\\_OK)."),
            (Some(health), _) => writeln!(body, "Ceph of {name} is **not healthy**: **{}**.", inline(health)),
            (None, true) => writeln!(body, "The cluster {name} has no Ceph."),
            (None, false) => writeln!(body, "How Ceph of {name} is, is not known."),
        };
        if cluster.len("checks") > 0 {
            body.push('\n');
        }
        for check in cluster.list("checks") {
            let muted = if check.is("muted") { " (muted)" } else { "" };
            let _ = writeln!(body, "- **{}**: {}{muted}", check.shown("code"), check.shown("message"));
        }
        body.push_str(&figures(cluster));
        if let Some(problem) = cluster.text("problem") {
            let _ = writeln!(body, "\nIt could not be read: {}", sentence(&inline(problem)));
        }
        body.push('\n');
    }
    Ok(answer(facts, &body))
}

fn figures(cluster: Facts<'_>) -> String {
    let mut lines = String::new();
    let osds = cluster.at("osds");
    if osds.has("total") {
        let _ =
            writeln!(lines, "- OSDs: {} up and {} in, of {}", osds.shown("up"), osds.shown("in"), osds.shown("total"));
    }
    if cluster.has("used") {
        let _ = writeln!(lines, "- Used: {} ({})", cluster.shown("used"), cluster.percent("used_percent"));
    }
    let groups: Vec<String> =
        cluster.counts("placement_groups").iter().map(|(state, count)| format!("{count} {}", inline(state))).collect();
    if !groups.is_empty() {
        let _ = writeln!(lines, "- Placement groups: {}", groups.join(", "));
    }
    if cluster.len("monitors") > 0 {
        let _ = writeln!(lines, "- Monitors: {}", cluster.shown("monitors"));
    }
    if cluster.has("read_per_s") || cluster.has("write_per_s") {
        let _ = writeln!(lines, "- Reads {}/s, writes {}/s", cluster.shown("read_per_s"), cluster.shown("write_per_s"));
    }
    if let (Some(age_s), false) = (cluster.count("age_s"), lines.is_empty()) {
        let _ = writeln!(lines, "- Looked at {} ago", span(age_s));
    }
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"ceph":[{"cluster":"lab","installed":true,"age_s":22,"health":"HEALTH_WARN",
            "checks":[{"code":"OSD_DOWN","severity":"HEALTH_WARN","message":"1 osds down"}],"osds":{"total":6,"up":5,"in":6},"used":"1.0 TiB of 4.0 TiB",
            "used_percent":25.0,"placement_groups":{"active+clean":120,"active+undersized":8},"monitors":["pve1","pve2"],"read_per_s":"1.0 MiB"}]}"#;
        let text = render(&Question::new("ceph"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "Ceph of lab is **not healthy**: **HEALTH\\_WARN**.\n\n- **OSD\\_DOWN**: 1 osds down\n\n\
             - OSDs: 5 up and 6 in, of 6\n- Used: 1.0 TiB of 4.0 TiB (25 %)\n- Placement groups: 120 active+clean, 8 active+undersized\n\
             - Monitors: pve1, pve2\n- Reads 1.0 MiB/s, writes –/s\n- Looked at 22 seconds ago\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let text = render(
            &Question::new("ceph"),
            &[ToolResult::ok(r#"{"ceph":[{"cluster":"a","installed":false},{"cluster":"b","problem":"no answer"}]}"#)],
        );
        let text = text.expect("reads");
        assert!(
            text.contains("The cluster a has no Ceph.") && text.contains("It could not be read: no answer."),
            "{text}"
        );
    }
}
