//! "What uses the most memory?": the guests that take the most, and how loaded the nodes are.

use super::{Planned, Skill, call};
use crate::offline::facts::{Facts, answer, value};
use crate::offline::markdown::table;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// How many guests are shown.
const ROWS: usize = 10;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "load",
    example: Some("what uses the most memory?"),
    title: "Load",
    patterns: &[
        "/top",
        "top|biggest memory|cpu|ram consumers|users|hogs|usage|guests|vms|containers",
        "top|busiest guests|vms|containers|machines|consumers|processes|guest|vm",
        "list|show|which|what top|busiest guests|vms|containers|machines|guest|vm|container|machine",
        "what|which|who uses|using|use|eats|eating|takes|hogs|hogging|needs|consumes|consuming cpu|memory|ram|resources|load",
        "which|what guest|vm|container|guests|vms|containers|machine uses|using|use|eats|eating|takes|taking|hogs|hogging|needs|consumes|consuming cpu|memory|ram|resources|load",
        "cpu|memory|ram|resource|resources hog|hogs|usage|use|utilization|utilisation|load|free|left|overview|consumption|pressure",
        "how much cpu|memory|ram",
        "how much cpu|memory|ram used|free|left|available|use|usage|using",
        "how much free|available|unused cpu|memory|ram",
        "show|what|how|check|list|current|high|highest cpu|memory|ram|load|resources|resource",
        "show|what|how|check|current|high|highest cpu|memory|ram|resource|cluster|system usage|use|utilization|utilisation|load",
        "cpu|memory|ram|load",
        "cluster|system load|utilization|utilisation|resources|capacity",
        "how|is busy|loaded cluster|nodes|everything|we",
        "resources|capacity|utilization",
        "why slow",
        "top cpu|memory|ram",
        "is|are cluster|nodes|everything load|pressure|stress",
        "what|who slowing everything|cluster|things|nodes",
        "what|who slowing everything|cluster|things|nodes down",
        "what|who slows|slowing down everything|cluster|things|nodes",
        "why everything|cluster|nodes slow",
        "enough|running out|of cpu|memory|ram",
        "running|low out|on memory|ram",
        "enough cpu|memory|ram",
    ],
    plan,
    render,
    ..Skill::CLUSTER
}];

fn plan(_: &Question) -> Vec<Planned> {
    vec![call("list_nodes", &json!({})), call("list_vms", &json!({"status": "running", "limit": 200}))]
}

/// What the guests are ranked by.
fn weight(guest: Facts<'_>, by_memory: bool) -> f64 {
    if by_memory {
        guest.text("memory").and_then(bytes).unwrap_or(0.0)
    } else {
        guest.number("cpu_percent").unwrap_or(0.0) * guest.number("cpus").unwrap_or(1.0)
    }
}

/// The first size in a text such as `1.0 GiB of 4.0 GiB`, in bytes.
fn bytes(text: &str) -> Option<f64> {
    let mut words = text.split(' ');
    let count: f64 = words.next()?.parse().ok()?;
    let unit = words.next()?;
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|one| *one == unit)?;
    Some(count * 1024f64.powi(i32::try_from(power).ok()?))
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let (nodes, guests) = (value(results, 0)?, value(results, 1)?);
    let (nodes, guests) = (Facts::new(&nodes), Facts::new(&guests));
    let by_memory = question.has("memory|ram");
    let mut body = String::new();
    let row = |node: Facts<'_>| {
        let cpus = node.number("cpus").map(|cpus| format!(" of {cpus} CPUs")).unwrap_or_default();
        let cpu =
            if node.has("cpu_percent") { format!("{}{cpus}", node.percent("cpu_percent")) } else { "–".to_owned() };
        [node.shown("name"), node.shown("status"), cpu, node.shown("memory"), node.percent("memory_percent")]
    };
    body.push_str(&table(["node", "state", "CPU", "memory", "in %"], nodes.list("nodes").map(row)));
    let mut ranked: Vec<Facts<'_>> = guests.list("guests").collect();
    ranked.sort_by(|a, b| weight(*b, by_memory).total_cmp(&weight(*a, by_memory)));
    if ranked.is_empty() {
        body.push_str("\nNo guest runs.\n");
        return Ok(answer(guests, &body));
    }
    let what = if by_memory { "memory" } else { "CPU" };
    let _ = writeln!(body, "\n**The guests that use the most {what}**\n");
    let row = |guest: &Facts<'_>| {
        let cpus = guest.number("cpus").map(|cpus| format!(" of {cpus} CPUs")).unwrap_or_default();
        let cpu =
            if guest.has("cpu_percent") { format!("{}{cpus}", guest.percent("cpu_percent")) } else { "–".to_owned() };
        [guest.guest(), guest.shown("node"), cpu, guest.shown("memory"), guest.percent("memory_percent")]
    };
    body.push_str(&table(["guest", "node", "CPU", "memory", "in %"], ranked.iter().take(ROWS).map(row)));
    if guests.has("next_offset") {
        let _ = writeln!(
            body,
            "\nOnly {} of {} running guests were compared.",
            guests.len("guests"),
            guests.shown("total")
        );
    }
    if by_memory {
        body.push_str("\nGuests whose use the cluster does not know (no balloon driver) are not ranked.\n");
    }
    Ok(answer(guests, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_by_what_is_asked() {
        let nodes = ToolResult::ok(
            r#"{"nodes":[{"name":"pve1","status":"online","cpu_percent":12.5,"cpus":8,"memory":"20 GiB of 32 GiB","memory_percent":62.5}]}"#,
        );
        let guests = ToolResult::ok(
            r#"{"data":[],"guests":[{"vmid":1,"node":"pve1","cpu_percent":50.0,"cpus":1,"memory":"900 MiB of 1.0 GiB"},
            {"vmid":2,"node":"pve1","cpu_percent":20.0,"cpus":4,"memory":"1.0 GiB of 8.0 GiB"},{"vmid":3,"node":"pve1"}]}"#,
        );
        let found = [nodes, guests];
        let order = |question: &str| {
            let text = render(&Question::new(question), &found).expect("reads");
            let at = |name: &str| text.find(name).expect("listed");
            (at("guest 2") < at("guest 1"), at("guest 1") < at("guest 3"))
        };
        assert_eq!(order("what uses most cpu"), (true, true));
        assert_eq!(order("what uses most memory"), (true, true));
        let text = render(&Question::new("cpu usage"), &found).expect("reads");
        assert!(text.starts_with("| node | state | CPU | memory | in % |\n| --- | --- | --- | --- | --- |\n| pve1 | online | 12.5 % of 8 CPUs |"), "{text}");
        let none = ["{}", "{}"].map(ToolResult::ok);
        assert!(render(&Question::new("load"), &none).expect("reads").contains("No guest runs."));
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(bytes("1.5 KiB of 2 KiB"), Some(1536.0));
        assert_eq!((bytes("use unknown, 4.0 GiB in all"), bytes("")), (None, None));
    }
}
