//! "Why did web-01 stop?", "did anything crash?": by whom or by what guests stopped.

use super::{Planned, Skill, call, tasks, thing};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::inline;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most guests whose stop is explained at once.
const EXPLAINED: usize = 6;
/// The latest tasks that are shown.
const TASKS: usize = 4;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "stop",
        example: Some("why did web-01 stop?"),
        title: "Why A Guest Stopped",
        patterns: &[
            "why|how|when|what @ stop|stopped|crash|crashed|die|died|halt|halted|exit|fail|failed|freeze|shutdown|restart|restarted|reboot|rebooted|vanish|dead",
            "why|when|how @ go|went|gone|shut|turn|turned|power|powered|switch|switched down|off|offline",
            "why is|isnt @ stopped|down|off|dead|offline|paused|crashed|unreachable|gone|halted|locked|stuck|hanging",
            "why @ not|isnt|wont|doesnt|didnt|cant run|running|up|online|start|started|starting|boot|booting|working|respond|responding|reachable|alive",
            "why was|has @ stopped|shut|rebooted|restarted|killed|paused|down",
            "did|has|have|was|is @ crash|crashed|stop|stopped|die|died|reboot|rebooted|restarted|restart|killed|shutdown|fail|failed",
            "who|what stopped|killed|rebooted|restarted|paused|crashed|shutdown|suspended @",
            "who|what shut|turned|powered|switched|took down|off|offline @",
            "who|what shut|turned|powered|switched|took @ down|off|offline",
            "what happened|wrong|happend|up to|with @",
            "what going with @",
            "why|when @ crash|crashed|stop|stopped|die|died|reboot|restart last time",
            "what made @ crash|stop|die|reboot|restart|fail",
            "why|how|when @ shut|turn|power|switch down|off",
            "what happened|wrong|up|going with @ not responding|working|start|starting|reachable|running|up",
            "when @ down|off|offline|stopped|dead|gone",
            "how @ off|down|offline|stopped|dead|gone",
            "did|has|have|was|were|who shut|turned|turn|powered|switched|took down|off @",
            "did|has|was|is @ shut|turned|powered|switched|taken down|off|offline",
            "did|has|was|is @ shut|turned|powered|switched|taken down|off|offline crash|crashed",
            "did|has|was|is @ crash|crashed shut|turned|powered|switched|taken down|off",
            "did|has|was|is @ crash|crashed stopped|stop|killed",
            "reason|cause for|of @ stop|crash|outage|shutdown|reboot|restart",
            "what|whats wrong|up|matter|problem|issue with @",
            "why @ run|running|up|online|start|started|starting|boot|booting|working|respond|responding|reachable|alive",
            "explain|tell why @ stop|stopped|crash|crashed|die|died|down|off|offline",
            "did stop|stopped|restart|reboot|kill|crash|shutdown @",
            "@ crashed|stopped|died|down|dead|offline|unreachable|gone|frozen|unresponsive",
            "@ crashed|stopped|died|down|dead|offline|unreachable why",
            "@ stopped working|responding",
            "what caused @ stop|crash|die|reboot|restart|shutdown|go|fail",
            "@ went down|offline|off",
            "@ offline|down|crashed|dead|stopped|gone what happened",
            "@ not|isnt|wont|doesnt|cant running|start|starting|responding|up|reachable|working|boot|online",
            "explain stop|crash|outage|shutdown of @",
            "explain @ stop|crash|outage|shutdown",
            "reason|cause stop|crash|outage|shutdown of|for @",
            "why @",
        ],
        plan: |question| thing::plan_for(question, "explain_guest_stop"),
        then: |question, found| thing::then_for(question, found, "explain_guest_stop"),
        render: one,
        ..Skill::CLUSTER
    },
    Skill {
        name: "stops",
        example: Some("did anything crash?"),
        title: "Stopped Guests",
        patterns: &[
            "did|has|have|was|any|anything|something|what|which|list|show crash|crashed|crashes|die|died|fail",
            "crashes|crashed",
            "what|who|anything|something went|gone down|off|offline",
            "what|who|anything|did stop",
            "did|has|have|any anything|something|guest|guests|vm|vms|container|containers|machine|machines crash|crashed|stop|stopped|die|died|fallen|shut|gone|go",
            "any|which|what guest|guests|vm|vms|container|containers|machine|machines crash|crashed|died|die|fell",
            "why stop|stopped|crash|crashed|die|died|down",
            "why did vm|guest|container|machine|server stop|stopped|crash|crashed|die|died|down",
            "any|recent|unexpected|show stops|crashes|shutdowns|outages",
            "any|recent|unexpected|show unexpected|recent stops|crashes|shutdowns|outages",
        ],
        plan: plan_all,
        then: then_all,
        render: all,
        bears_errors: true,
        ..Skill::CLUSTER
    },
];

fn one(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, results.len().saturating_sub(1))?;
    let facts = Facts::new(&value);
    if facts.has("node") {
        return Ok(node(facts));
    }
    let mut body = summary(facts);
    if !facts.is_not("certain") || facts.text("verdict") == Some("stopped_without_task") {
        body.push('\n');
    } else {
        body.push_str(" This is not certain.\n");
    }
    let mut lines = String::new();
    if facts.has("stopped") {
        let stopped = facts.at("stopped");
        let _ = writeln!(lines, "- Stopped: {} ({})", facts.ago("stopped"), stopped.shown("at"));
    }
    if facts.has("task") {
        let _ = writeln!(lines, "- Task: {}", tasks::line(facts.at("task")));
    }
    if facts.has("starts_with_node") {
        let _ = writeln!(lines, "- Starts with its node: {}", facts.shown("starts_with_node"));
    }
    if !lines.is_empty() {
        let _ = write!(body, "\n{lines}");
    }
    body.push_str(&log(facts, "log"));
    body.push_str(&tasks::latest(facts, TASKS));
    if let Some(note) = facts.text("note") {
        let _ = writeln!(body, "\nNote: {}.", inline(note));
    }
    Ok(answer(facts, &body))
}

/// The sentence that says why, else what is known.
fn summary(facts: Facts<'_>) -> String {
    match facts.text("summary") {
        Some(summary) => inline(summary),
        None => format!("{} is {}.", facts.at("guest").guest(), facts.at("guest").shown("status")),
    }
}

/// The last lines of a log, as they are; empty where there are none.
pub(super) fn log(facts: Facts<'_>, member: &str) -> String {
    lines("The end of its log", facts, member)
}

/// Lines of a log under a heading, as they are; empty where there are none.
pub(super) fn lines(heading: &str, facts: Facts<'_>, member: &str) -> String {
    let mut text = String::new();
    for line in facts.list(member).filter_map(Facts::as_text) {
        if text.is_empty() {
            let _ = write!(text, "\n{heading}:\n\n");
        }
        let _ = writeln!(text, "    {}", line.replace(|c: char| c.is_control(), " "));
    }
    text
}

/// A node does not leave a task when it goes down: what is known of it is the answer.
fn node(facts: Facts<'_>) -> String {
    let node = facts.at("node");
    let mut body = format!("**{}** is a node, and it is **{}**", node.shown("name"), node.shown("status"));
    if let Some(since) = node.text("uptime") {
        let _ = write!(body, ": it started {} ago", inline(since));
    } else if let Some(since) = node.text("status_for") {
        let _ = write!(body, ", seen for {}", inline(since));
    }
    body.push_str(
        ". Proxmox keeps no record of why a node went down: its own journal would tell (`journalctl -b -1`).\n",
    );
    body.push_str(&tasks::latest(facts, TASKS));
    answer(facts, &body)
}

fn plan_all(_: &Question) -> Vec<Planned> {
    vec![
        call("list_vms", &json!({"status": "stopped", "limit": 200})),
        call("list_vms", &json!({"status": "trouble", "limit": EXPLAINED})),
        call("list_nodes", &json!({})),
    ]
}

/// Explains the latest stops that HAIA saw.
fn then_all(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    if found.len() != 3 {
        return Vec::new();
    }
    let Ok(value) = value(found, 0) else { return Vec::new() };
    let longest = question.period().map_or(u64::MAX, |period| period.window(86_400).from_s);
    let mut stops: Vec<(u64, Facts<'_>)> = Facts::new(&value)
        .list("guests")
        .filter_map(|guest| Some((seconds(guest.text("status_for")?)?, guest)))
        .filter(|(ago_s, _)| *ago_s <= longest)
        .collect();
    stops.sort_by_key(|(ago_s, _)| *ago_s);
    let explain = |guest: &Facts<'_>| {
        let vmid = guest.count("vmid").map(|vmid| vmid.to_string());
        call("explain_guest_stop", &json!({"guest": vmid.unwrap_or_default(), "cluster": guest.text("cluster")}))
    };
    stops.iter().take(EXPLAINED).map(|(_, guest)| explain(guest)).collect()
}

fn all(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let (stopped, trouble, nodes) = (value(results, 0)?, value(results, 1)?, value(results, 2)?);
    let (stopped, trouble, nodes) = (Facts::new(&stopped), Facts::new(&trouble), Facts::new(&nodes));
    let mut lines = String::new();
    for node in nodes.list("nodes").filter(|node| node.text("status") == Some("offline")) {
        let since = node.text("status_for").map(|since| format!(" for {}", inline(since))).unwrap_or_default();
        let _ = writeln!(lines, "- Node **{}** is offline{since}.", node.shown("name"));
    }
    for guest in trouble.list("guests") {
        let _ = writeln!(
            lines,
            "- {} on {} is in the state **{}**.",
            guest.guest(),
            guest.shown("node"),
            guest.shown("status")
        );
    }
    for at in 3..results.len() {
        match value(results, at) {
            Ok(value) => {
                let _ = writeln!(lines, "- {}", summary(Facts::new(&value)));
            }
            Err(problem) => {
                let _ =
                    writeln!(lines, "- One stop could not be explained: {}.", inline(problem.trim_end_matches('.')));
            }
        }
    }
    let when = question.period().map(|period| format!(" {}", period.words())).unwrap_or_default();
    let mut body = if lines.is_empty() {
        format!("**Nothing has crashed or stopped{when}**, as far as HAIA has watched.\n")
    } else {
        format!("What stopped or is in trouble{when}, the latest stops first:\n\n{lines}")
    };
    let total = stopped.count("total").unwrap_or(0);
    let explained = u64::try_from(results.len().saturating_sub(3)).unwrap_or(0);
    let before = total.saturating_sub(explained);
    if before > 0 {
        let _ = writeln!(
            body,
            "\n{before} more stopped guests are not listed: most were off before HAIA began to watch. \"stopped guests\" lists them all."
        );
    }
    Ok(answer(stopped, &body))
}

/// The seconds of a span as tools write it: `3 d 4 h`, `12 min`.
pub(super) fn seconds(span: &str) -> Option<u64> {
    let words: Vec<&str> = span.split_whitespace().collect();
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs.iter().try_fold(0u64, |sum, [count, unit]| {
        let unit = match *unit {
            "d" => 86_400,
            "h" => 3600,
            "min" => 60,
            "s" => 1,
            _ => return None,
        };
        sum.checked_add(count.parse::<u64>().ok()?.checked_mul(unit)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_why_a_guest_stopped() {
        let sample = include_str!("../../../tests/samples/explain_guest_stop.json");
        let text = one(&Question::new("why did web-02 stop"), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "web-02 (105) was shut down by anna@pve 30 min ago (task qmshutdown). It did not crash.\n\n\
             - Stopped: 30 min ago (2026-03-01T11:30:08Z)\n- Task: 30 min ago: qmshutdown of web-02 (105) by anna@pve: OK\n\
             - Starts with its node: yes\n\nThe end of its log:\n\n    TASK OK\n\n\
             **Latest tasks**\n\n- 30 min ago: qmshutdown of web-02 (105) by anna@pve: OK\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let bare = r#"{"guest":{"vmid":7,"status":"stopped"},"certain":false}"#;
        let text = one(&Question::new("why"), &[ToolResult::ok(bare)]).expect("reads");
        assert_eq!(text, "guest 7 is stopped. This is not certain.\n");
    }

    #[test]
    fn a_node_is_told_from_a_guest() {
        let sample = include_str!("../../../tests/samples/get_node_status.json");
        let text =
            one(&Question::new("why is pve2 down"), &[ToolResult::ok("{}"), ToolResult::ok(sample)]).expect("reads");
        assert!(text.contains("**pve2** is a node, and it is **offline**, seen for 5 min."), "{text}");
    }

    #[test]
    fn explains_the_latest_stops() {
        let stopped = r#"{"total":4,"guests":[{"vmid":1},{"vmid":2,"status_for":"2 h"},{"vmid":3,"status_for":"5 min","cluster":"lab"},{"vmid":4,"status_for":"3 d"}]}"#;
        let trouble = r#"{"guests":[{"vmid":9,"name":"db","node":"pve1","status":"io-error"}]}"#;
        let nodes =
            r#"{"nodes":[{"name":"pve1","status":"online"},{"name":"pve2","status":"offline","status_for":"5 min"}]}"#;
        let mut found = vec![ToolResult::ok(stopped), ToolResult::ok(trouble), ToolResult::ok(nodes)];
        let question = Question::new("did anything crash in the last day?");
        let planned = then_all(&question, &found);
        let asked: Vec<&str> = planned.iter().map(|one| one.arguments.as_str()).collect();
        assert_eq!(asked, [r#"{"cluster":"lab","guest":"3"}"#, r#"{"cluster":null,"guest":"2"}"#]);
        found.push(ToolResult::ok(r#"{"summary":"x (3) stopped 5 min ago without a Proxmox task."}"#));
        found.push(ToolResult::error("it moved away"));
        assert!(then_all(&question, &found).is_empty());
        let text = all(&question, &found).expect("reads");
        assert!(
            text.contains("- Node **pve2** is offline for 5 min.\n- db (9) on pve1 is in the state **io-error**.\n- x (3) stopped 5 min ago without a Proxmox task.\n- One stop could not be explained: it moved away.\n"),
            "{text}"
        );
        assert!(text.contains("2 more stopped guests"), "{text}");
        let quiet = ["{}", "{}", "{}"].map(ToolResult::ok);
        assert!(all(&Question::new("crashes"), &quiet).expect("reads").starts_with("**Nothing has crashed"));
    }

    #[test]
    fn reads_spans() {
        for (span, expected) in [
            ("3 d 4 h", Some(273_600)),
            ("12 min", Some(720)),
            ("5 s", Some(5)),
            ("", None),
            ("3", None),
            ("x h", None),
            ("1 y", None),
        ] {
            assert_eq!(seconds(span), expected, "{span}");
        }
    }
}
