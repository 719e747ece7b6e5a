//! "What is running?": virtual machines and containers, all or by state, kind and node.

use super::{Planned, Skill, call};
use crate::offline::facts::{Facts, answer, counted, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most guests in a table.
const ROWS: usize = 60;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "guests",
    example: Some("what is running?"),
    title: "Guests Running",
    patterns: &[
        "/guests|/vms",
        "what|whats running|online|active",
        "what|which|list|show running|stopped|paused|offline|down|suspended|inactive",
        "what|which running|runs on|at @",
        "anything|something running|stopped|down|offline|paused",
        "what up running",
        "running|stopped|paused guests|vms|containers|cts|lxcs|machines on|at @",
        "list|show|which|what running|stopped|paused guests|vms|containers|cts|lxcs|machines on|at @",
        "anything|something turned|switched|powered|shut off|down",
        "guests|vms|vm|containers|container|cts|lxcs|lxc list|overview",
        "list|show everything running on|at @",
        "running|stopped|paused|offline|active guests|vms|vm|containers|container|cts|lxcs|machines|servers|instances|lxc|ct|machine|guest",
        "list|show|which|what|how|all running|stopped|paused|offline|active guests|vms|vm|containers|container|cts|lxcs|machines|servers|instances|lxc|ct",
        "running|stopped|paused|offline virtual machines|machine",
        "list|show|which|what|how|all guests|vms|containers|machines turned|switched|powered|shut off|down",
        "guests|vms|containers|machines turned|switched|powered|shut off|down",
        "lxc|ct|qemu|kvm containers|container|vms|guests|machines",
        "guests|vms|containers|cts|lxcs|machines|servers|instances|lxc",
        "guests|vms|vm|containers|container|cts|ct|lxcs|lxc|machines|servers|instances|virtual running|stopped|paused|offline|online|down|up|active|off|started|suspended",
        "guests|vms|vm|containers|container|cts|ct|lxcs|lxc|machines|servers|instances not|isnt|arent running|up|online|started",
        "what not|isnt running|up|online",
        "list|show|which|what|how|all guests|vms|vm|containers|container|cts|ct|lxcs|lxc|machines|servers|instances",
        "list|show|which|what|how|all guests|vms|vm|containers|container|cts|ct|lxcs|lxc|machines|servers|instances running|stopped|paused|offline|online|down|up|active|exist|off|available",
        "list|show|which|what|how|all virtual machines|machine",
        "list|show|which|what|how|all virtual machines|machine running|stopped|paused|offline|online|down|up|active|exist|off",
        "virtual machines|machine",
        "virtual machines|machine and containers",
        "vms|machines and containers|cts|lxcs",
        "guests|vms|vm|containers|container|cts|lxcs|lxc|machines|servers on|at|of @",
        "guests|vms|vm|containers|container|cts|lxcs|lxc|machines|servers running|runs|run|stopped on|at|of @",
        "list|show|which|what|how|all guests|vms|vm|containers|container|cts|lxcs|lxc|machines on|at|of @",
        "list|show|which|what|how|all guests|vms|vm|containers|container|cts|lxcs|lxc|machines running|runs|run|stopped on|at|of @",
        "how many running|stopped",
        "list|show everything running",
    ],
    plan,
    then,
    render,
    ..Skill::CLUSTER
}];

/// What the words narrow the list to.
#[derive(Clone, Copy)]
struct Filter {
    status: Option<&'static str>,
    kind: Option<&'static str>,
}

impl Filter {
    fn of(question: &Question) -> Self {
        let is_not = question.has("not|isnt|arent");
        let runs = question.has("running|runs|online|active|started|up");
        let stopped = question.has("stopped|offline|down|off|inactive");
        let status = match (runs, stopped) {
            // "Is everything running?" asks for those that are not.
            (true, _) if is_not || question.has("everything|all|every") => None,
            (true, false) => Some("running"),
            (false, true) => Some("stopped"),
            _ if question.has("paused|suspended") => Some("paused"),
            _ => None,
        };
        let status = if runs && is_not { Some("stopped") } else { status };
        let vms = question.has("vm|vms|virtual");
        let containers = question.has("ct|cts|container|containers|lxc|lxcs");
        let kind = match (vms, containers) {
            (true, false) => Some("vm"),
            (false, true) => Some("container"),
            _ => None,
        };
        Self { status, kind }
    }
}

fn plan(question: &Question) -> Vec<Planned> {
    match question.named() {
        Some(_) => vec![call("list_nodes", &json!({}))],
        None => calls(Filter::of(question), None, None),
    }
}

/// Where a place is named: the guests of that node or cluster.
fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let (Some(named), 1) = (question.named(), found.len()) else { return Vec::new() };
    let Ok(value) = value(found, 0) else { return Vec::new() };
    let clusters = Facts::new(&value);
    let is_cluster = clusters
        .list("data")
        .any(|one| one.text("cluster").is_some_and(|cluster| cluster.eq_ignore_ascii_case(&named.name)));
    let is_node =
        clusters.list("nodes").any(|node| node.text("name").is_some_and(|name| name.eq_ignore_ascii_case(&named.name)));
    let name = Some(named.name.as_str());
    match (is_node, is_cluster) {
        (true, _) => calls(Filter::of(question), name, None),
        (_, true) => calls(Filter::of(question), None, name),
        _ => Vec::new(),
    }
}

/// The list, and what else there is to count.
fn calls(filter: Filter, node: Option<&str>, cluster: Option<&str>) -> Vec<Planned> {
    let Filter { status, kind } = filter;
    let list = |status, limit| {
        call("list_vms", &json!({"status": status, "kind": kind, "node": node, "cluster": cluster, "limit": limit}))
    };
    vec![list(status, ROWS), list(None, 1)]
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let place = question.named().map(|named| named.name.as_str());
    if let (Some(place), 1) = (place, results.len()) {
        let value = value(results, 0)?;
        let facts = Facts::new(&value);
        let nodes: Vec<String> = facts.list("nodes").map(|node| node.shown("name")).collect();
        let body = format!("There is no node {}. The nodes are: {}.\n", inline(place), nodes.join(", "));
        return Ok(answer(facts, &body));
    }
    let first = results.len().saturating_sub(2);
    let (listed, all) = (value(results, first)?, value(results, first + 1)?);
    let (listed, all) = (Facts::new(&listed), Facts::new(&all));
    let filter = Filter::of(question);
    let total = listed.count("total").unwrap_or(0);
    let what = match filter.kind {
        Some("vm") => "virtual machine",
        Some(kind) => kind,
        None => "guest",
    };
    let on = place.map(|place| format!(" on {}", inline(place))).unwrap_or_default();
    let state = filter.status.map(|status| format!(" {status}")).unwrap_or_default();
    let mut body = match total {
        0 => format!(
            "**No {what} is{}{on}.**",
            filter.status.map_or_else(|| " known".to_owned(), |status| format!(" {status}"))
        ),
        1 => format!("**1 {what}**{}{on}", if state.is_empty() { String::new() } else { format!(" is{state}") }),
        total => {
            format!("**{total} {what}s**{}{on}", if state.is_empty() { String::new() } else { format!(" are{state}") })
        }
    };
    let counts: Vec<String> =
        all.counts("summary").iter().map(|(state, count)| format!("{count} {}", inline(state))).collect();
    let known = all.count("total").unwrap_or(0);
    let _ = match (counts.is_empty(), filter.status.is_some()) {
        (true, _) => writeln!(body, "{}", if total == 0 { "" } else { "." }),
        (_, true) => writeln!(
            body,
            "{} Of {} in all: {}.",
            if total == 0 { "" } else { "." },
            counted(known, what),
            counts.join(", ")
        ),
        (_, false) => writeln!(body, ": {}.", counts.join(", ")),
    };
    if total > 0 {
        body.push('\n');
        body.push_str(&rows(listed, filter.status.is_some()));
    }
    Ok(answer(listed, &body))
}

/// The table of guests, and how many were left out of it.
fn rows(listed: Facts<'_>, one_state: bool) -> String {
    let name = |guest: Facts<'_>| {
        let cluster = guest.text("cluster").map(|name| format!("{}/", inline(name))).unwrap_or_default();
        (guest.shown("name"), format!("{cluster}{}", guest.shown("node")))
    };
    let state = |guest: Facts<'_>| {
        let mut state = match guest.text("status") {
            Some("running" | "stopped") | None => guest.shown("status"),
            Some(other) => format!("**{}**", inline(other)),
        };
        if let Some(lock) = guest.text("lock") {
            let _ = write!(state, ", locked ({})", inline(lock));
        }
        if guest.has("figures_age_s") {
            state.push_str(", figures stale");
        }
        state
    };
    let rows = listed.list("guests").map(|guest| {
        let (name, node) = name(guest);
        let since = if guest.has("uptime") { guest.shown("uptime") } else { guest.shown("status_for") };
        [
            name,
            guest.shown("vmid"),
            guest.shown("kind"),
            node,
            state(guest),
            guest.percent("cpu_percent"),
            guest.percent("memory_percent"),
            since,
        ]
    });
    let since = if one_state { "for" } else { "in this state for" };
    let mut text = table(["name", "VMID", "kind", "node", "state", "CPU", "memory", since], rows);
    let shown = u64::try_from(listed.len("guests")).unwrap_or(0);
    let more = listed.count("total").unwrap_or(0).saturating_sub(shown);
    if more > 0 {
        let _ = writeln!(
            text,
            "\nand {more} more. Ask for fewer, for example \"stopped containers on {}\".",
            example_node(listed)
        );
    }
    text
}

fn example_node(listed: Facts<'_>) -> String {
    listed.list("guests").next().map_or_else(|| "pve1".to_owned(), |guest| guest.shown("node"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    const LIST: &str = r#"{"data":[{"cluster":"lab","age_s":4,"state":"fresh"}],"total":62,"summary":{"running":62},"guests":[
        {"vmid":101,"name":"web-01","kind":"vm","node":"pve1","status":"running","cpu_percent":3.1,"cpus":2,"memory":"1.0 GiB of 4.0 GiB","memory_percent":25.0,"uptime":"3 d 4 h"},
        {"vmid":102,"kind":"container","node":"pve2","status":"io-error","lock":"backup","figures_age_s":400}],"next_offset":2}"#;
    const ALL: &str = r#"{"data":[],"total":70,"summary":{"running":62,"stopped":8},"guests":[]}"#;

    #[test]
    fn renders_what_the_tool_answers() {
        let text =
            render(&Question::new("what is running?"), &[ToolResult::ok(LIST), ToolResult::ok(ALL)]).expect("reads");
        assert_eq!(
            text,
            "**62 guests** are running. Of 70 guests in all: 62 running, 8 stopped.\n\n\
             | name | VMID | kind | node | state | CPU | memory | for |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n\
             | web-01 | 101 | vm | pve1 | running | 3.1 % | 25 % | 3 d 4 h |\n\
             | – | 102 | container | pve2 | **io-error**, locked (backup), figures stale | – | – | – |\n\n\
             and 60 more. Ask for fewer, for example \"stopped containers on pve1\".\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let none = r#"{"total":0,"guests":[]}"#;
        let text =
            render(&Question::new("stopped containers"), &[ToolResult::ok(none), ToolResult::ok(ALL)]).expect("reads");
        assert_eq!(text, "**No container is stopped.** Of 70 containers in all: 62 running, 8 stopped.\n");
        let text = render(&Question::new("list vms"), &[ToolResult::ok("{}"), ToolResult::ok("{}")]).expect("reads");
        assert_eq!(text, "**No virtual machine is known.**\n");
    }

    #[test]
    fn asks_for_what_the_words_say() {
        for (text, status, kind) in [
            ("what is running", json!("running"), json!(null)),
            ("which vms are down", json!("stopped"), json!("vm")),
            ("what is not running?", json!("stopped"), json!(null)),
            ("is everything running?", json!(null), json!(null)),
            ("list all containers", json!(null), json!("container")),
            ("vms and containers", json!(null), json!(null)),
            ("paused guests", json!("paused"), json!(null)),
        ] {
            let planned = plan(&Question::new(text));
            let arguments: serde_json::Value = serde_json::from_str(&planned[0].arguments).expect("JSON");
            assert_eq!((&arguments["status"], &arguments["kind"]), (&status, &kind), "{text}");
        }
    }

    #[test]
    fn a_place_is_a_node_or_a_cluster_or_said_to_be_none() {
        let nodes = [ToolResult::ok(r#"{"data":[{"cluster":"lab"}],"nodes":[{"name":"pve1"},{"name":"pve2"}]}"#)];
        let on = |name: &str| {
            let named = Named { name: name.to_owned(), kind: None };
            Question::new("what is running on x").about(Some(named), true)
        };
        assert!(then(&on("PVE1"), &nodes)[0].arguments.contains(r#""node":"PVE1""#));
        assert!(then(&on("lab"), &nodes)[0].arguments.contains(r#""cluster":"lab""#));
        assert!(then(&on("pve9"), &nodes).is_empty());
        assert_eq!(render(&on("pve9"), &nodes).expect("reads"), "There is no node pve9. The nodes are: pve1, pve2.\n");
    }
}
