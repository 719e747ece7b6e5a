//! "Which nodes are there?", "do we have quorum?": the members of the clusters.

use super::{Skill, call};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "nodes",
    example: Some("which nodes are there?"),
    title: "Cluster Nodes",
    patterns: &[
        "/nodes",
        "nodes|node|hosts|hypervisors|members",
        "list|show|which|what|how|all|every nodes|node|hosts|hypervisors|members",
        "nodes|node|hosts|hypervisors|members status|state|health|online|offline|up|down|ok|okay|healthy|overview|there|available|alive|missing|dead|exist",
        "list|show|which|what|how|all|is|are|any|every nodes|node|hosts|hypervisors|members status|state|health|online|offline|up|down|ok|okay|healthy|alive|missing|dead|exist|available|running|reachable",
        "offline|online|dead|down|missing nodes|node|hosts",
        "list|show|which|what|how offline|online|dead|down|missing nodes|node|hosts",
        "did|has|is|any host|hypervisor crash|crashed|down|reboot|rebooted|offline",
        "quorum|quorate|corosync",
        "have|lost|is|do|status|state|quorum|check quorum|quorate|corosync",
        "quorum|corosync status|state|ok|okay|lost|health|fine",
        "how|what quorum|corosync status|state|ok|lost",
        "how big|large cluster",
        "which|what servers|machines cluster",
    ],
    plan: |_| vec![call("list_nodes", &json!({}))],
    render,
    ..Skill::CLUSTER
}];

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let total = facts.len("nodes");
    let away: Vec<String> = facts
        .list("nodes")
        .filter(|node| node.text("status") != Some("online"))
        .map(|node| format!("{} ({})", node.shown("name"), node.shown("status")))
        .collect();
    let mut body = match (total, away.len()) {
        (0, _) => "**No node can be seen.**\n".to_owned(),
        (1, 0) => "**The one node is online.**\n".to_owned(),
        (total, 0) => format!("**All {total} nodes are online.**\n"),
        (total, count) => format!("**{count} of {total} nodes not online:** {}.\n", away.join(", ")),
    };
    body.push_str(&quorum(facts));
    if total > 0 {
        let row = |node: Facts<'_>| {
            let cluster = node.text("cluster").map(|name| format!("{}/", inline(name))).unwrap_or_default();
            let status = match node.text("status") {
                Some("online") => "online".to_owned(),
                _ => format!("**{}**", node.shown("status")),
            };
            let status = if node.has("figures_age_s") { format!("{status}, figures stale") } else { status };
            let since = if node.has("uptime") { node.shown("uptime") } else { node.shown("status_for") };
            let guests = format!("{} of {}", node.shown("guests_running"), node.shown("guests"));
            let name = format!("{cluster}{}", node.shown("name"));
            [
                name,
                status,
                node.percent("cpu_percent"),
                node.shown("memory"),
                node.percent("memory_percent"),
                node.percent("root_disk_percent"),
                guests,
                since,
            ]
        };
        let headings = ["node", "state", "CPU", "memory", "in %", "root disk", "guests running", "for"];
        let _ = write!(body, "\n{}", table(headings, facts.list("nodes").map(row)));
    }
    Ok(answer(facts, &body))
}

/// Whether each cluster can decide.
fn quorum(facts: Facts<'_>) -> String {
    let mut text = String::new();
    for one in facts.list("quorum") {
        let cluster = one.shown("cluster");
        let _ = if one.is("quorate") {
            writeln!(text, "\nThe cluster {cluster} has quorum ({} members).", one.shown("members"))
        } else {
            writeln!(
                text,
                "\n**The cluster {cluster} has no quorum** ({} members): nothing can be started, stopped or changed.",
                one.shown("members")
            )
        };
    }
    if text.is_empty() && facts.len("nodes") == 1 {
        text.push_str("\nA single node needs no quorum.\n");
    } else if text.is_empty() && facts.len("nodes") > 1 {
        text.push_str("\nWhether there is quorum cannot be seen: the token may lack the privilege Sys.Audit.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let found = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"nodes":[
            {"name":"pve1","status":"online","cpu_percent":12.5,"cpus":8,"memory":"20 GiB of 32 GiB","memory_percent":62.5,"root_disk_percent":31.0,"uptime":"40 d","guests_running":9,"guests":12},
            {"name":"pve2","status":"offline","guests_running":0,"guests":4,"status_for":"5 min","figures_age_s":310}],
            "quorum":[{"cluster":"lab","quorate":true,"members":3}]}"#;
        let text = render(&Question::new("nodes"), &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**1 of 2 nodes not online:** pve2 (offline).\n\nThe cluster lab has quorum (3 members).\n\n\
             | node | state | CPU | memory | in % | root disk | guests running | for |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n\
             | pve1 | online | 12.5 % | 20 GiB of 32 GiB | 62.5 % | 31 % | 9 of 12 | 40 d |\n\
             | pve2 | **offline**, figures stale | – | – | – | – | 0 of 4 | 5 min |\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        for (found, part) in [
            (
                r#"{"nodes":[{"name":"a","status":"online"}]}"#,
                "**The one node is online.**\n\nA single node needs no quorum.",
            ),
            (r#"{"nodes":[{"status":"online"},{"status":"online"}]}"#, "cannot be seen"),
            (r#"{"nodes":[],"quorum":[{"cluster":"lab","quorate":false}]}"#, "**The cluster lab has no quorum**"),
            ("{}", "**No node can be seen.**"),
        ] {
            let text = render(&Question::new("nodes"), &[ToolResult::ok(found)]).expect("reads");
            assert!(text.contains(part), "{text}");
        }
    }
}
