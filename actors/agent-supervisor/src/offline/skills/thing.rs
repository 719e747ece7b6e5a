//! "Show vm 101", "how is pve2?": one guest or node.

use super::{Planned, Skill, call, tasks};
use crate::offline::facts::{Facts, answer, sentence, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::{Kind, Question};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The latest tasks that are shown.
const TASKS: usize = 5;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "thing",
    example: Some("show vm 101"),
    title: "One Guest Or Node",
    patterns: &[
        "#",
        "# status|state|details|info|information|health|uptime|load|memory|ram|cpu|usage|overview",
        "@ status|state|details|info|information|health|uptime|overview",
        "@ cpu|memory|ram|load|disk|network|ip usage|use|load",
        "show|display|check|describe|inspect|open|get @",
        "show|display|check|describe|inspect|get|what @ status|state|details|info|information|health|overview|uptime",
        "status|state|health|details|info|information|uptime|overview of|for|on|about @",
        "show|what|get|check status|state|health|details|info|information|uptime of|for|on|about @",
        "status|state|uptime|info|details @",
        "how is|are|does @",
        "does @ run|work|exist",
        "runs @",
        "how busy|loaded|full|slow @",
        "how much memory|ram|cpu|disk @",
        "@ up|online|running|alive|healthy|working",
        "what going @ cpu|memory|ram|load|disk",
        "which|what node|host @ live|run|running|hosted|sit",
        "how @ doing|feeling|going|performing|running",
        "is|are @ running|up|ok|okay|down|online|offline|healthy|alive|fine|stopped|working|reachable|started|active|dead|well|good|busy|slow|overloaded|full",
        "is|are @ still|already running|up|online|alive",
        "what|tell about @",
        "what is @ doing",
        "where is|does|runs @",
        "where @ run|running|live|hosted",
        "which node|host is|has|runs|hosts @",
        "on which|what node|host is @",
        "how long @ running|up|online|alive",
        "how long @",
        "how much free|available memory|ram|cpu @ has|have",
        "how much memory|ram|cpu|disk @ use|using|uses|have|has|need|needs",
        "memory|ram|cpu|load|disk|uptime of|on|for @",
        "how much memory|ram|cpu|load of|on|for @",
        "what|show memory|ram|cpu|load|disk|uptime|usage of|on|for @",
        "memory|ram|cpu|disk usage|use|load of|on|for @",
        "ip|address of|for @",
        "ip address of|for @",
        "what ip|address of|for|does|has @",
        "what ip address of|for|does|has @",
        "show|what memory|ram|cpu|disk usage|use|load of|on|for @",
        "why is @ slow|busy",
    ],
    plan,
    then,
    render,
    ..Skill::CLUSTER
}];

/// Which tool tells of a guest.
pub(super) fn plan_for(question: &Question, guest_tool: &'static str) -> Vec<Planned> {
    let Some(named) = question.named() else { return Vec::new() };
    match named.kind {
        Some(Kind::Guest) => vec![call(guest_tool, &json!({"guest": named.name}))],
        Some(Kind::Node) => vec![call("get_node_status", &json!({"node": named.name}))],
        // Only the list of nodes tells whether a node is meant.
        None => vec![call("list_nodes", &json!({}))],
    }
}

/// After the list of nodes: the tool for what the name is.
pub(super) fn then_for(question: &Question, found: &[ToolResult], guest_tool: &'static str) -> Vec<Planned> {
    let (Some(named), 1) = (question.named().filter(|named| named.kind.is_none()), found.len()) else {
        return Vec::new();
    };
    let Ok(value) = value(found, 0) else { return Vec::new() };
    let is_node = |node: Facts<'_>| node.text("name").is_some_and(|name| name.eq_ignore_ascii_case(&named.name));
    if Facts::new(&value).list("nodes").any(is_node) {
        vec![call("get_node_status", &json!({"node": named.name}))]
    } else {
        vec![call(guest_tool, &json!({"guest": named.name}))]
    }
}

fn plan(question: &Question) -> Vec<Planned> {
    plan_for(question, "get_vm_status")
}

fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    then_for(question, found, "get_vm_status")
}

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, results.len().saturating_sub(1))?;
    let facts = Facts::new(&value);
    Ok(if facts.has("node") { node(facts) } else { guest(facts) })
}

/// The table of a figure now and before; empty where nothing is known of any.
fn figures(rows: Vec<(&str, String, Facts<'_>)>) -> String {
    let known = rows.into_iter().filter(|(_, now, past)| now != "–" || past.has("day_average_percent"));
    let rows: Vec<[String; 5]> = known
        .map(|(name, now, past)| {
            let past = |member: &str| past.percent(member);
            [
                name.to_owned(),
                now,
                past("hour_average_percent"),
                past("day_average_percent"),
                past("day_highest_percent"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", table(["", "now", "last hour", "last day", "day's highest"], rows))
}

/// A figure with its share: `1.0 GiB of 4.0 GiB (25 %)`.
fn share(facts: Facts<'_>, amount: &str, percent: &str) -> String {
    match (facts.has(amount), facts.has(percent)) {
        (true, true) => format!("{} ({})", facts.shown(amount), facts.percent(percent)),
        (true, false) => facts.shown(amount),
        (false, _) => facts.percent(percent),
    }
}

/// A guest as its tool tells it.
fn guest(facts: Facts<'_>) -> String {
    let (guest, live, past) = (facts.at("guest"), facts.at("live"), facts.at("past"));
    let kind = if guest.text("kind") == Some("container") { "container" } else { "virtual machine" };
    let mut body =
        format!("**{}**, a {kind} on **{}**, is **{}**", guest.guest(), guest.shown("node"), guest.shown("status"));
    if let Some(since) = guest.text("uptime").or_else(|| guest.text("status_for")) {
        let _ = write!(body, " for {}", inline(since));
    }
    body.push_str(".\n");
    if guest.has("figures_age_s") {
        let _ =
            writeln!(body, "\n> **Stale figures:** the cluster has given none for {} s.", guest.shown("figures_age_s"));
    }
    let amount = if live.has("memory") { live } else { guest };
    let disk = if live.has("disk") { live.shown("disk") } else { guest.percent("disk_percent") };
    let cpus = guest.number("cpus").map(|cpus| format!(" of {cpus} CPUs")).unwrap_or_default();
    let cpu =
        if guest.has("cpu_percent") { format!("{}{cpus}", guest.percent("cpu_percent")) } else { "–".to_owned() };
    body.push_str(&figures(vec![
        ("CPU", cpu, past.at("cpu")),
        ("memory", share(amount, "memory", "memory_percent"), past.at("memory")),
        ("disk", disk, past.at("disk")),
    ]));
    let mut lines = String::new();
    for (name, holder, member) in [
        ("Tags", guest, "tags"),
        ("Lock", guest, "lock"),
        ("HA", guest, "ha"),
        ("QEMU says", live, "qemu_status"),
        ("System", live, "system"),
        ("Starts with its node", live, "starts_with_node"),
        ("Guest agent", live, "agent"),
        ("Received", live, "network_received"),
        ("Sent", live, "network_sent"),
        ("Notes", live, "notes"),
    ] {
        if holder.has(member) {
            let _ = writeln!(lines, "- {name}: {}", holder.shown(member));
        }
    }
    for (name, member) in [("Disk", "disks"), ("Network", "networks")] {
        for (slot, value) in live.at(member).members() {
            let _ = writeln!(lines, "- {name} {}: {}", inline(slot), inline(value));
        }
    }
    close(facts, body, &lines)
}

/// A node as its tool tells it.
fn node(facts: Facts<'_>) -> String {
    let (node, live, past) = (facts.at("node"), facts.at("live"), facts.at("past"));
    let mut body = format!("Node **{}** is **{}**", node.shown("name"), node.shown("status"));
    if let Some(since) = node.text("uptime") {
        let _ = write!(body, ", up for {}", inline(since));
    } else if let Some(since) = node.text("status_for") {
        let _ = write!(body, " for {}", inline(since));
    }
    let _ = writeln!(body, ". {} of {} guests run on it.", node.shown("guests_running"), node.shown("guests"));
    if node.has("figures_age_s") {
        let _ =
            writeln!(body, "\n> **Stale figures:** the cluster has given none for {} s.", node.shown("figures_age_s"));
    }
    let cpus = node.number("cpus").map(|cpus| format!(" of {cpus} CPUs")).unwrap_or_default();
    let cpu = if node.has("cpu_percent") { format!("{}{cpus}", node.percent("cpu_percent")) } else { "–".to_owned() };
    body.push_str(&figures(vec![
        ("CPU", cpu, past.at("cpu")),
        ("memory", share(node, "memory", "memory_percent"), past.at("memory")),
        ("root disk", share(node, "root_disk", "root_disk_percent"), past.at("root_disk")),
    ]));
    let mut lines = String::new();
    for (name, holder, member) in [
        ("Address", node, "ip"),
        ("Load (1, 5, 15 min)", live, "load"),
        ("Memory available", live, "memory_available"),
        ("Swap", live, "swap"),
        ("Version", live, "version"),
        ("Kernel", live, "kernel"),
        ("Processor", live, "processor"),
    ] {
        if holder.has(member) {
            let _ = writeln!(lines, "- {name}: {}", holder.shown(member));
        }
    }
    if live.has("io_wait_percent") {
        let _ = writeln!(lines, "- Waiting for disks: {}", live.percent("io_wait_percent"));
    }
    let busiest: Vec<String> = facts
        .list("guests")
        .take(TASKS)
        .map(|guest| format!("{} (CPU {})", guest.guest(), guest.percent("cpu_percent")))
        .collect();
    if !busiest.is_empty() {
        let _ = writeln!(lines, "- Busiest guests: {}", busiest.join(", "));
    }
    close(facts, body, &lines)
}

/// Details, what could not be asked, the latest tasks.
fn close(facts: Facts<'_>, mut body: String, lines: &str) -> String {
    if !lines.is_empty() {
        let _ = write!(body, "\n{lines}");
    }
    if let Some(problem) = facts.text("live_problem") {
        let _ = writeln!(body, "\nIt could not be asked itself: {}", sentence(&inline(problem)));
    }
    body.push_str(&tasks::latest(facts, TASKS));
    answer(facts, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    fn about(name: &str, kind: Option<Kind>) -> Question {
        Question::new("x").about(Some(Named { name: name.to_owned(), kind }), true)
    }

    #[test]
    fn finds_out_what_a_name_is() {
        let tool = |planned: &[Planned]| planned.first().map(|one| (one.tool, one.arguments.clone()));
        assert_eq!(
            tool(&plan(&about("101", Some(Kind::Guest)))),
            Some(("get_vm_status", r#"{"guest":"101"}"#.to_owned()))
        );
        assert_eq!(
            tool(&plan(&about("pve2", Some(Kind::Node)))),
            Some(("get_node_status", r#"{"node":"pve2"}"#.to_owned()))
        );
        assert_eq!(tool(&plan(&about("pve2", None))).map(|one| one.0), Some("list_nodes"));
        let nodes = [ToolResult::ok(r#"{"nodes":[{"name":"pve2"}]}"#)];
        assert_eq!(tool(&then(&about("PVE2", None), &nodes)).map(|one| one.0), Some("get_node_status"));
        assert_eq!(tool(&then(&about("web-01", None), &nodes)).map(|one| one.0), Some("get_vm_status"));
        assert!(then(&about("pve2", Some(Kind::Node)), &nodes).is_empty());
    }

    #[test]
    fn renders_a_guest() {
        let sample = include_str!("../../../tests/samples/get_vm_status.json");
        let text = render(&about("web-01", None), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "**web-01 (101)**, a virtual machine on **pve1**, is **running** for 3 d 4 h.\n\n\
             |  | now | last hour | last day | day's highest |\n| --- | --- | --- | --- | --- |\n\
             | CPU | 3.1 % of 2 CPUs | 4 % | 5.2 % | 61 % |\n\
             | memory | 1.1 GiB of 4.0 GiB (27.5 %) | – | – | – |\n\n\
             - Tags: prod, web\n- System: l26\n- Starts with its node: yes\n- Guest agent: no\n\
             - Disk scsi0: local-zfs:vm-101-disk-0,size=32G\n\n\
             **Latest tasks**\n\n- 3 d 4 h ago: qmstart of web-01 (101) by root@pam: OK\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
    }

    #[test]
    fn renders_a_node() {
        let sample = include_str!("../../../tests/samples/get_node_status.json");
        let text = render(&about("pve2", None), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "> **Stale data:** what is known of the cluster lab is 5 minutes old: no answer.\n\n\
             Node **pve2** is **offline** for 5 min. 0 of 4 guests run on it.\n\n\
             > **Stale figures:** the cluster has given none for 310 s.\n\n\
             |  | now | last hour | last day | day's highest |\n| --- | --- | --- | --- | --- |\n\
             | memory | 20.0 GiB of 32.0 GiB (62.5 %) | – | – | – |\n\n\
             - Address: 10.0.0.12\n\n\
             It could not be asked itself: the node is offline: these are the last figures that were known.\n\n\
             *Data: cluster lab, 5 minutes old, **stale**.*\n"
        );
    }

    #[test]
    fn members_may_be_missing() {
        let text = render(&about("x", None), &[ToolResult::ok("{}")]).expect("reads");
        assert_eq!(text, "**a guest**, a virtual machine on **–**, is **–**.\n");
        assert!(render(&about("x", None), &[]).is_err());
    }
}
