//! "Is the cluster healthy?", "is everything healthy?": all that is wrong at a glance, and HAIA itself where everything is asked about.

use super::{NO_CLUSTER, Planned, Scope, Skill, alerts, call, is_no_cluster, status};
use crate::offline::facts::{Facts, answer, counted, sentence, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "health",
        example: Some("is the cluster healthy?"),
        title: "Cluster Health",
        tag: "Monitoring",
        patterns: &[
            "/cluster",
            "cluster|proxmox|pve|datacenter|homelab|lab",
            "how cluster|proxmox|pve|homelab|lab look|looking",
            "how|is|are|show|check|what cluster|clusters|proxmox|pve|datacenter|homelab|lab|infrastructure",
            "how|is|are|show|check|what cluster|clusters|proxmox|pve|datacenter|homelab|lab|infrastructure healthy|ok|okay|fine|well|good|up|down|running|working|status|state|health|doing|alive|broken|overview|stable|summary|happy|degraded|unhealthy|feeling|alright|online",
            "cluster|proxmox|pve|datacenter|homelab|lab|infrastructure healthy|ok|okay|status|state|health|overview|report|summary|problems|errors|issues|warnings|check|alerts|up",
            "health|status|state|overview|summary|problems|errors|issues|wrong|up of|in|on|with|for cluster|clusters|proxmox|pve|datacenter|homelab|lab|infrastructure",
            "any|what|show|list|check|give problems|errors|issues|wrong|health|status|overview|summary|warnings|trouble|failures|alerts of|in|on|with|for cluster|clusters|proxmox|pve|datacenter|homelab|lab|infrastructure",
            "any problems|errors|issues|trouble|warnings|failures cluster|clusters|proxmox|pve|datacenter|homelab|lab",
            "what|anything wrong|broken|failing with|in|on cluster|proxmox|pve|datacenter|homelab|lab",
            "are guests|vms|containers|machines|servers ok|okay|fine|healthy|well|good",
            "are all guests|vms|containers|machines|servers ok|okay|fine|healthy|well|good",
            "guests|vms|containers|machines in|with trouble|problems|errors|issues",
            "which|what|any|list|show guests|vms|containers|machines trouble|problems|errors|issues|unhealthy|sick|broken",
        ],
        plan: |_| vec![overview()],
        render: cluster,
        ..Skill::CLUSTER
    },
    Skill {
        name: "everything",
        example: Some("is everything healthy?"),
        title: "Health Of Everything",
        tag: "Monitoring",
        scope: Scope::Everything,
        patterns: &[
            "/status",
            "how is|are everything|things|systems",
            "how everything|things|systems doing|going|looking|look|running|today",
            "is|are everything|systems|all|things ok|okay|fine|well|healthy|good|up|working|running|alright|green|right|stable|normal|online",
            "everything|all|systems ok|okay|fine|well|healthy|good|green|alright|operational|nominal",
            "is|are everything|all good|right",
            "all good",
            "status|state|health|overview|summary|dashboard",
            "system|overall|general|current|full|quick status|state|health|report|overview|check|summary|checkup",
            "show|give|check|what status|health|overview|summary|dashboard|problems|errors|warnings|issues|failures|trouble|alerts",
            "status|health report|update|check|overview|summary",
            "any|recent|latest|new|current|open errors|problems|issues|trouble|failures|warnings|alerts|alarms",
            "any recent|latest|new|current|open errors|problems|issues|failures|warnings|alerts",
            "is|are there|any problem|problems|errors|issues|trouble|warnings|alerts|alarms",
            "errors|problems|warnings|issues|alerts|alarms|trouble",
            "what|anything|something|whats is|went|wrong|broken|failing wrong|broken|failing|unhealthy|down|red",
            "anything|something|what wrong|broken|failing|unhealthy|critical|urgent",
            "is|are everything|all|things up running",
            "everything|all|things running ok|okay|fine|well|smoothly",
            "are we good|ok|okay|fine|safe|healthy",
            "all systems go|green|up",
            "anything|something on fire",
            "anything|something burning",
            "anything should",
            "anything worry|worrying|urgent|alarming",
            "anything needs|need|require|requires attention|care",
            "any critical|urgent|serious problems|issues|errors|alerts|warnings",
            "what should i look at",
            "everything|all ok|okay|fine|well|good servers|systems|machines",
            "should i|we worry|worried",
            "what needs|need|requires attention",
            "is|are something|anything|any wrong|down|broken",
            "health check",
            "healthy",
            "all|everything ok",
        ],
        plan: |_| vec![overview(), call("get_haia_status", &json!({"detail": null}))],
        render: everything,
        bears_errors: true,
        ..Skill::CLUSTER
    },
];

fn overview() -> Planned {
    call("get_cluster_resources", &json!({}))
}

fn cluster(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    Ok(answer(facts, &overviews(facts)))
}

fn everything(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let mut body = match value(results, 0) {
        Ok(value) => {
            let facts = Facts::new(&value);
            answer(facts, &overviews(facts))
        }
        Err(problem) if is_no_cluster(&problem) => NO_CLUSTER.to_owned(),
        Err(problem) => format!("**The cluster cannot be judged:** {}\n", sentence(&inline(&problem))),
    };
    match results.get(1) {
        Some(result) if result.is_error => {
            let _ = writeln!(body, "\nHAIA itself cannot be judged: {}", sentence(&inline(&result.text)));
        }
        _ => {
            let open = alerts::brief(Facts::new(&super::super::facts::value(results, 1)?));
            let _ = write!(body, "\n{open}{}{}", if open.is_empty() { "" } else { "\n" }, status::brief(results, 1)?);
        }
    }
    Ok(body)
}

/// Each cluster: its problems first.
fn overviews(facts: Facts<'_>) -> String {
    let mut body = String::new();
    for cluster in facts.list("clusters") {
        body.push_str(&overview_of(cluster));
        body.push('\n');
    }
    if body.is_empty() { "Nothing is known of any cluster.\n".to_owned() } else { body }
}

fn overview_of(cluster: Facts<'_>) -> String {
    let name = cluster.shown("cluster");
    let known = cluster.count("problems_total").unwrap_or(u64::try_from(cluster.len("problems")).unwrap_or(0));
    let mut body = match known {
        0 if cluster.is_not("healthy") => format!("The cluster {name} is **not healthy**.\n"),
        0 => format!("The cluster {name} is **healthy**.\n"),
        1 => format!("The cluster {name} has **one problem**:\n\n"),
        count => format!("The cluster {name} has **{count} problems**:\n\n"),
    };
    for problem in cluster.list("problems") {
        let mark = if problem.text("severity") == Some("critical") { "**Critical:** " } else { "" };
        let text = problem.shown("text");
        let mut letters = text.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        let text = if mark.is_empty() { format!("{first}{}", letters.as_str()) } else { text.clone() };
        let _ = writeln!(body, "- {mark}{}", sentence(&text));
    }
    if known > u64::try_from(cluster.len("problems")).unwrap_or(0) {
        let _ = writeln!(body, "- and {} more", known - u64::try_from(cluster.len("problems")).unwrap_or(0));
    }
    if let Some(grant) = cluster.text("grant") {
        let _ = writeln!(
            body,
            "\nWhat the token lacks is granted on a node with:\n\n    {}",
            grant.replace(char::is_control, " ")
        );
    }
    let _ = writeln!(body, "\n{}", facts_line(cluster));
    if cluster.len("nodes") > 0 {
        let row = |node: Facts<'_>| {
            let status = if node.text("status") == Some("online") {
                "online".to_owned()
            } else {
                format!("**{}**", node.shown("status"))
            };
            [
                node.shown("name"),
                status,
                node.percent("cpu_percent"),
                node.percent("memory_percent"),
                node.shown("guests_running"),
            ]
        };
        let _ = write!(
            body,
            "\n{}",
            table(["node", "state", "CPU", "memory", "guests running"], cluster.list("nodes").map(row))
        );
    }
    body
}

/// The rest in a line.
fn facts_line(cluster: Facts<'_>) -> String {
    let mut parts = Vec::new();
    let guests: Vec<String> =
        cluster.counts("guests").iter().map(|(state, count)| format!("{count} {}", inline(state))).collect();
    if !guests.is_empty() {
        parts.push(format!("Guests: {}.", guests.join(", ")));
    }
    if cluster.has("quorate") {
        parts.push(if cluster.is("quorate") { "Quorum: yes.".to_owned() } else { "Quorum: **no**.".to_owned() });
    }
    if let Some(storage) = cluster.list("fullest_storages").next() {
        parts.push(format!("Fullest storage: {} with {}.", storage.shown("name"), storage.percent("used_percent")));
    }
    if cluster.at("ceph").has("health") {
        parts.push(format!("Ceph: {}.", cluster.at("ceph").shown("health")));
    }
    if let Some(resources) = cluster.at("ha").count("resources") {
        parts.push(format!("HA: {}.", counted(resources, "guest")));
    }
    let replication = cluster.at("replication");
    if let Some(jobs) = replication.count("jobs") {
        parts.push(format!(
            "Replication: {}, {} failing.",
            counted(jobs, "job"),
            replication.count("failing").unwrap_or(0)
        ));
    }
    if let Some(failed) = cluster.at("failed_tasks_24h").count("total") {
        parts.push(format!("Tasks failed in 24 hours: {failed}."));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../tests/samples/get_cluster_resources.json");
    const WELL: &str = r#"{"version":"1","uptime_s":5,"turns_active":1,"turns_queued":0,"streams_open":1,"actors_running":6,
        "actors_total":6,"actors":[],"providers":[],"store":{"ok":true}}"#;

    #[test]
    fn problems_come_first() {
        let text = cluster(&Question::new("x"), &[ToolResult::ok(SAMPLE)]).expect("reads");
        assert_eq!(
            text,
            "The cluster lab has **2 problems**:\n\n- **Critical:** node pve2 is offline (seen for 5 min).\n\
             - Storage backup is 90.1 % full.\n\n\
             Guests: 12 running, 17 stopped, 2 templates. Quorum: yes. Fullest storage: backup with 90.1 %. Ceph: HEALTH\\_OK. \
             HA: 3 guests. Replication: 4 jobs, 0 failing. Tasks failed in 24 hours: 1.\n\n\
             | node | state | CPU | memory | guests running |\n| --- | --- | --- | --- | --- |\n\
             | pve1 | online | 12.5 % | 62.5 % | 12 |\n| pve2 | **offline** | – | – | 0 |\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let well = r#"{"clusters":[{"cluster":"lab","healthy":true,"problems":[]}]}"#;
        let text = cluster(&Question::new("x"), &[ToolResult::ok(well)]).expect("reads");
        assert_eq!(text, "The cluster lab is **healthy**.\n");
    }

    #[test]
    fn everything_is_the_cluster_and_haia() {
        let text = everything(&Question::new("x"), &[ToolResult::ok(SAMPLE), ToolResult::ok(WELL)]).expect("reads");
        assert!(text.starts_with("The cluster lab has **2 problems**"), "{text}");
        assert!(text.ends_with("*Data: cluster lab, 4 seconds old.*\n\nHAIA itself is **well**.\n"), "{text}");
        let alerting = WELL.replace("\"version\"", r#""alerts_open":1,"alerts":[{"alert":5,"severity":"critical","state":"firing","what":"web-01 crashed"}],"version""#);
        let text = everything(&Question::new("x"), &[ToolResult::ok(SAMPLE), ToolResult::ok(alerting)]).expect("reads");
        assert!(
            text.ends_with(
                "old.*\n\n**One alert is open:**\n\n- #5, critical: web-01 crashed\n\nHAIA itself is **well**.\n"
            ),
            "{text}"
        );
        let unknown = ToolResult::error("nothing is known of the cluster lab: the login was refused");
        let text = everything(&Question::new("x"), &[unknown, ToolResult::ok(WELL)]).expect("reads");
        assert!(text.starts_with("**The cluster cannot be judged:** nothing is known of the cluster lab"), "{text}");
        let none = ToolResult::error("no Proxmox cluster is configured ([proxmox.<name>] in haia.toml)");
        let text = everything(&Question::new("x"), &[none, ToolResult::ok(WELL)]).expect("reads");
        assert!(text.starts_with(NO_CLUSTER) && text.ends_with("HAIA itself is **well**.\n"), "{text}");
    }

    #[test]
    fn a_missing_privilege_comes_with_its_command() {
        let found = r#"{"clusters":[{"cluster":"lab","healthy":false,"problems":[{"severity":"warning","text":"the token lacks Sys.Audit"}],"grant":"pveum acl modify /"}]}"#;
        let text = cluster(&Question::new("x"), &[ToolResult::ok(found)]).expect("reads");
        assert!(text.contains("- The token lacks Sys.Audit.\n\nWhat the token lacks is granted on a node with:\n\n    pveum acl modify /\n"), "{text}");
    }
}
