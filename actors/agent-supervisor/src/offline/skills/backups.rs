//! "Any failed backups?", "which guests have no backup?", "when was web-01 backed up?".

use super::{Planned, Skill, call, stops, tasks};
use crate::offline::facts::{Facts, answer, counted, problems, value};
use crate::offline::markdown::{inline, table};
use crate::offline::question::{Period, Question};
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// How far back failed runs are looked for where no time is named.
const WEEK: Period = Period::Last(7 * 86_400);
/// The most backups in a table.
const ROWS: usize = 15;
/// The most failed runs in a list.
const RUNS: usize = 10;
/// A backup that is older is told, in seconds.
const OLD_S: u64 = 7 * 86_400;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "failed_backups",
        example: Some("any failed backups?"),
        title: "Failed Backups",
        tag: "Backups",
        patterns: &[
            "failed|broken|failing|bad|unsuccessful backups|backup",
            "list|show|which|what|how|recent|last|latest failed|broken|failing backups|backup",
            "backup|backups failures|failure|errors|error|problems|problem|issues|issue|fails|warnings",
            "list|show|which|what|how|why|recent|last|latest backup|backups fail|failed|failures|failure|errors|error|problems|issues|failing",
            "backup|backups fail|failed|failing|broken",
            "did|has|have|was|were|is|are|do backup|backups run|ran|work|worked|working|succeed|succeeded|complete|completed|finish|finished|go|through|successful|running|successfully",
            "backup|backups job|jobs|run|runs|task|tasks fail|failed|failing",
            "list|show|which|what|why|did|failed backup|backups job|jobs|run|runs|task|tasks fail|failed|failing",
            "failed backup|backups job|jobs|run|runs|task|tasks",
            "errors|problems|failures|issues|trouble with|in|of backup|backups",
            "errors|problems|failures|issues|trouble with|in|of last|latest|recent backup|backups",
            "what went|wrong wrong|with backup|backups",
            "why backup|backups fail|failed|failing|broken",
            "backup|backups go|went|gone wrong",
            "which|what|did|has|have|was backup|backups go|went|gone wrong",
            "did|has|have|was backup|backups job|jobs|run|runs go|went|gone wrong",
            "backup|backups ok|okay|fine|good|well %",
            "log|logs of|from|for failed|last|latest backup|backups",
            "log|logs of|from|for last|latest failed backup|backups",
        ],
        plan: plan_failed,
        then: then_failed,
        render: failed,
        ..Skill::CLUSTER
    },
    Skill {
        name: "backup_coverage",
        example: Some("which guests have no backup?"),
        title: "Backup Coverage",
        tag: "Backups",
        patterns: &[
            "/backups",
            "backup|backups coverage|status|state|overview|report|health|ok|okay|fine|healthy|good|check|summary|schedule|plan",
            "is|are|how|check|show|what backup|backups ok|okay|fine|healthy|good|doing|well|status|state|coverage",
            "how|check|what backup|backups",
            "which|what|who|list|show|any guests|guest|vms|vm|containers|container|machines without|no|not|isnt|arent|dont|doesnt|havent|hasnt|missing|lack|never backup|backups|backed",
            "which|what|who|list|show|any without|no|not|isnt|arent|missing|never backup|backups|backed",
            "guests|guest|vms|vm|containers|container|machines|anything|everything|something|what|who without|no|not|isnt|arent|dont|doesnt|havent|hasnt|never backup|backups|backed",
            "guests|vms|containers|machines missing|lacking|need backup|backups",
            "missing|no|old|oldest|stale|outdated backups|backup",
            "list|show|which|what missing|old|oldest|stale|outdated backups|backup",
            "unprotected guests|vms|containers|machines",
            "is|are everything|all|every backed|protected|saved|covered",
            "is|are everything|all|every guests|vms|containers|machines|guest|vm|container backed|protected|saved|covered",
            "what|which|is|are backed",
            "what|which|who guests|vms|containers backed",
            "not backed",
            "backup|backups jobs|job|schedules",
            "list|show|what|which|when backup|backups jobs|job|schedule|schedules|run|scheduled|next",
            "when|what next backup",
        ],
        plan: |_| vec![call("backup_coverage", &json!({}))],
        render: coverage,
        ..Skill::CLUSTER
    },
    Skill {
        name: "backups",
        example: Some("when was web-01 last backed up?"),
        title: "Backups",
        tag: "Backups",
        patterns: &[
            "backups",
            "list|show|which|what|latest|last|recent|newest|all backups|backup",
            "list|show|what|when latest|last|recent|newest backups|backup",
            "when backups|backup run|ran|made|taken|done",
            "when last|latest backups|backup run|ran|made|taken|done",
            "guest|vm|container|ct backups",
            "backups|backup of|for|from @",
            "how old last|latest|newest backup|backups of|for @",
            "list|show|which|what|latest|last|recent|newest|any backups|backup of|for|from @",
            "list|show|what|when latest|last|recent|newest backups|backup of|for|from @",
            "when last|latest backups|backup of|for|from @",
            "when|was|is|has @ backed",
            "when|was|is|has @ last|ever backed",
            "when|does|has|how|did|what|show @ backup|backups",
            "when|does|has|how|did|what|show @ last|latest|recent|newest|good|many|old backup|backups",
            "@ backups|backup|backed",
            "how old|many backup|backups of|for @",
            "did|was|has backup|backups of|for @ work|run|fail|failed|succeed|successful|complete",
            "did|was|has last|latest backup|backups of|for @ work|run|fail|failed|succeed|successful|complete",
            "did|was|has @ backup|backups work|run|fail|failed|succeed|successful|complete",
            "when|was @ backed last",
            "when|was @ backed last time",
            "when back up @",
            "when last back up @",
            "how old|many @ backup|backups",
        ],
        plan: plan_list,
        render: list,
        ..Skill::CLUSTER
    },
];

fn plan_failed(question: &Question) -> Vec<Planned> {
    let hours = question.period().unwrap_or(WEEK).window(86_400).hours();
    vec![call("list_tasks", &json!({"kind": "vzdump", "since_hours": hours, "limit": 200}))]
}

/// The log of the newest run that failed.
fn then_failed(_: &Question, found: &[ToolResult]) -> Vec<Planned> {
    if found.len() != 1 {
        return Vec::new();
    }
    let Ok(value) = value(found, 0) else { return Vec::new() };
    let newest = Facts::new(&value).list("tasks").find(|task| task.is("failed"));
    let log = newest.and_then(|task| {
        let arguments = json!({"upid": task.text("upid")?, "lines": 12, "cluster": task.text("cluster")});
        Some(call("get_task_log", &arguments))
    });
    // What went wrong stands in the middle of a long log; the coverage has read it.
    log.into_iter()
        .chain(newest.map(|task| call("backup_coverage", &json!({"cluster": task.text("cluster")}))))
        .collect()
}

/// What went wrong in the newest failure, as its log says; empty where that is not known.
fn errors(coverage: Facts<'_>, newest: Facts<'_>) -> String {
    let upid = newest.text("upid");
    let mut told = coverage.list("clusters").flat_map(|cluster| cluster.at("failed_runs_7d").list("newest"));
    let Some(told) = told.find(|task| upid.is_some() && task.text("upid") == upid) else {
        return String::new();
    };
    stops::lines("What went wrong in the newest failure", told, "errors")
}

fn failed(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let runs = value(results, 0)?;
    let facts = Facts::new(&runs);
    let when = question.period().unwrap_or(WEEK).words();
    let total = facts.count("total").unwrap_or(0);
    let failed = facts.list("tasks").filter(|task| task.is("failed"));
    let running = facts.list("tasks").filter(|task| task.text("status") == Some("running")).count();
    let count = failed.clone().count();
    let mut body = match (count, total) {
        (0, 0) => {
            format!("**No backup ran {when}**, as far as HAIA can see. \"which guests have no backup?\" tells more.\n")
        }
        (0, total) => format!("**No backup failed {when}**: {}.\n", counted(total, "run")),
        (1, total) => format!("**One backup run failed {when}**, of {total}:\n\n"),
        (count, total) => format!("**{count} backup runs failed {when}**, of {total}:\n\n"),
    };
    for task in failed.clone().take(RUNS) {
        let _ = writeln!(body, "- {} on {}", tasks::line(task), task.shown("node"));
    }
    if count > RUNS {
        let _ = writeln!(body, "- and {} older ones", count - RUNS);
    }
    if running > 0 {
        let _ =
            writeln!(body, "\n{} now.", if running == 1 { "One runs".to_owned() } else { format!("{running} run") });
    }
    let coverage = value(results, 2).unwrap_or_default();
    let wrong = failed.clone().next().map(|newest| errors(Facts::new(&coverage), newest)).unwrap_or_default();
    body.push_str(&wrong);
    if let (Ok(newest), true) = (value(results, 1), wrong.is_empty()) {
        body.push_str(&stops::lines("The end of the newest failure's log", Facts::new(&newest), "lines"));
    }
    if let Some(note) = facts.text("note") {
        let _ = writeln!(body, "\nNote: {}.", inline(note));
    }
    Ok(answer(facts, &body))
}

fn coverage(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let several = facts.len("clusters") > 1;
    let mut body = String::new();
    for cluster in facts.list("clusters") {
        if several {
            let _ = writeln!(body, "### {}\n", cluster.shown("cluster"));
        }
        body.push_str(&covered(cluster));
    }
    Ok(answer(facts, &body))
}

/// One cluster's backups.
fn covered(cluster: Facts<'_>) -> String {
    let guests = cluster.count("guests").unwrap_or(0);
    let total = |member: &str| cluster.at(member).count("total");
    let mut body = match (total("without_backup"), total("without_job").unwrap_or(0)) {
        (Some(0), 0) => format!("**All {guests} guests have a backup and are in a backup job.**\n"),
        (Some(0), jobless) => {
            format!("**All {guests} guests have a backup**, but {} in no backup job.\n", are(jobless))
        }
        (Some(without), jobless) => {
            let have = if without == 1 { "has" } else { "have" };
            format!("**{without} of {guests} guests {have} no backup at all**; {} in no backup job.\n", are(jobless))
        }
        (None, jobless) => {
            format!("**{} in no backup job**, of {guests}. Which have a backup is not fully known.\n", are(jobless))
        }
    };
    for (title, member) in [("Without any backup", "without_backup"), ("In no backup job", "without_job")] {
        let names: Vec<String> = cluster.at(member).list("guests").map(Facts::guest).collect();
        let more = total(member).unwrap_or(0).saturating_sub(u64::try_from(names.len()).unwrap_or(0));
        if !names.is_empty() {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(body, "\n{title}: {}{more}.", names.join(", "));
        }
    }
    let is_old = |guest: &Facts<'_>| guest.at("newest_backup").count("ago_s").is_some_and(|ago_s| ago_s > OLD_S);
    let old: Vec<String> = cluster
        .list("oldest")
        .filter(is_old)
        .map(|guest| format!("{} ({})", guest.guest(), guest.ago("newest_backup")))
        .collect();
    if !old.is_empty() {
        let _ = writeln!(body, "\nNewest backup older than a week: {}.", old.join(", "));
    }
    let failed = cluster.at("failed_runs_7d");
    match failed.count("total") {
        Some(0) => body.push_str("\nNo run failed in the last 7 days.\n"),
        Some(count) => {
            let _ = writeln!(body, "\n**{} failed** in the last 7 days:\n", counted(count, "run"));
            for task in failed.list("newest").take(RUNS) {
                let _ = writeln!(body, "- {} on {}", tasks::line(task), task.shown("node"));
            }
        }
        None => {}
    }
    if cluster.len("running") > 0 {
        let _ = writeln!(
            body,
            "\nRunning now: {}.",
            counted(u64::try_from(cluster.len("running")).unwrap_or(0), "backup task")
        );
    }
    let jobs = cluster.list("jobs").map(|job| {
        let state = if job.is_not("enabled") { "**off**".to_owned() } else { "on".to_owned() };
        let guests = if job.has("guests") { job.shown("guests") } else { "–".to_owned() };
        [job.shown("id"), state, job.shown("schedule"), job.shown("storage"), guests, job.shown("next_run")]
    });
    if cluster.len("jobs") > 0 {
        let _ = write!(body, "\n{}", table(["job", "state", "schedule", "to", "guests", "next run"], jobs));
    } else {
        body.push_str("\nThere is no backup job.\n");
    }
    body.push_str(&problems(cluster));
    body.push('\n');
    body
}

fn are(count: u64) -> String {
    if count == 1 { "1 guest is".to_owned() } else { format!("{count} guests are") }
}

fn plan_list(question: &Question) -> Vec<Planned> {
    let guest = question.named().map(|named| named.name.as_str());
    vec![call("list_backups", &json!({"guest": guest, "limit": ROWS}))]
}

fn list(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let value = value(results, 0)?;
    let facts = Facts::new(&value);
    let total = facts.count("total").unwrap_or(0);
    let of = question.named().map(|named| format!(" of {}", inline(&named.name))).unwrap_or_default();
    let newest = facts.list("backups").next().map(|backup| backup.ago("created"));
    let mut body = match newest {
        None => format!("**There is no backup{of}.**\n"),
        Some(newest) => {
            format!(
                "**{}{of}**, {} in all; the newest was made **{newest}**.\n\n",
                counted(total, "backup"),
                facts.shown("total_size")
            )
        }
    };
    if facts.len("backups") > 0 {
        let row = |backup: Facts<'_>| {
            let place = backup.text("node").map(|node| format!(" ({})", inline(node))).unwrap_or_default();
            let mut notes = Vec::new();
            if backup.is("protected") {
                notes.push("protected".to_owned());
            }
            if backup.has("verification") {
                notes.push(format!("verified: {}", backup.shown("verification")));
            }
            let guest = if backup.has("guest") { backup.at("guest").guest() } else { backup.shown("volid") };
            [
                guest,
                backup.ago("created"),
                backup.shown("size"),
                format!("{}{place}", backup.shown("storage")),
                notes.join(", "),
            ]
        };
        body.push_str(&table(["guest", "made", "size", "storage", "notes"], facts.list("backups").map(row)));
    }
    let more = total.saturating_sub(u64::try_from(facts.len("backups")).unwrap_or(0));
    if more > 0 {
        let _ = writeln!(body, "\nand {more} older ones.");
    }
    body.push_str(&problems(facts));
    Ok(answer(facts, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::question::Named;

    #[test]
    fn failed_runs_are_told_with_the_newest_log() {
        let sample = include_str!("../../../tests/samples/list_tasks.json");
        let question = Question::new("any failed backups last night?");
        assert_eq!(plan_failed(&question)[0].arguments, r#"{"kind":"vzdump","limit":200,"since_hours":28.0}"#);
        let mut found = vec![ToolResult::ok(sample)];
        let planned = then_failed(&question, &found);
        assert_eq!(planned[0].arguments, r#"{"cluster":null,"lines":12,"upid":"UPID:pve2:2"}"#);
        found.push(ToolResult::ok(r#"{"lines":["ERROR: Backup of VM 103 failed","TASK ERROR: job errors"]}"#));
        assert_eq!((planned[1].tool, planned[1].arguments.as_str()), ("backup_coverage", r#"{"cluster":null}"#));
        assert!(then_failed(&question, &found).is_empty());
        let text = failed(&question, &found).expect("reads");
        assert!(
            text.starts_with(
                "**One backup run failed last night (20:00 to 08:00)**, of 4:\n\n\
                 - 7 h ago: vzdump of guest 103 by root@pam: **job errors** on pve2\n\n\
                 The end of the newest failure's log:\n\n    ERROR: Backup of VM 103 failed\n    TASK ERROR: job errors\n"
            ),
            "{text}"
        );
        let errors = r#"{"clusters":[{"failed_runs_7d":{"newest":[{"upid":"UPID:pve1:9","errors":["ERROR: another"]},
            {"upid":"UPID:pve2:2","errors":["ERROR: Backup of VM 103 failed - no space left"]}]}}]}"#;
        found.push(ToolResult::ok(errors));
        let text = failed(&question, &found).expect("reads");
        assert!(
            text.contains(
                "\n\nWhat went wrong in the newest failure:\n\n    ERROR: Backup of VM 103 failed - no space left\n"
            ),
            "{text}"
        );
        assert!(!text.contains("The end of") && !text.contains("another"), "{text}");
        let text =
            failed(&Question::new("failed backups"), &[ToolResult::ok(r#"{"total":12,"tasks":[]}"#)]).expect("reads");
        assert_eq!(text, "**No backup failed in the last 7 days**: 12 runs.\n");
        let text = failed(&Question::new("failed backups"), &[ToolResult::ok("{}")]).expect("reads");
        assert!(text.starts_with("**No backup ran in the last 7 days**"), "{text}");
    }

    #[test]
    fn coverage_names_who_has_none() {
        let sample = include_str!("../../../tests/samples/backup_coverage.json");
        let text = coverage(&Question::new("x"), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "**2 of 30 guests have no backup at all**; 1 guest is in no backup job.\n\n\
             Without any backup: db (104), guest 109.\n\nIn no backup job: db (104).\n\n\
             Newest backup older than a week: nas (110) (12 d ago).\n\n\
             **1 run failed** in the last 7 days:\n\n- 7 h ago: vzdump of guest 103 by root@pam: **job errors** on pve2\n\n\
             | job | state | schedule | to | guests | next run |\n| --- | --- | --- | --- | --- | --- |\n\
             | nightly | on | 02:00 | backup | all but 104 | 2026-03-02T01:00:00Z |\n| old | **off** | – | – | 101, 102 | – |\n\n\
             **Not everything could be read:**\n\n- storage pbs cannot be used now\n\n*Data: cluster lab, 4 seconds old.*\n"
        );
        let unknown = r#"{"clusters":[{"cluster":"a","guests":3,"without_job":{"total":1}},{"cluster":"b"}]}"#;
        let text = coverage(&Question::new("x"), &[ToolResult::ok(unknown)]).expect("reads");
        assert!(text.contains("### a\n") && text.contains("not fully known"), "{text}");
    }

    #[test]
    fn backups_of_a_guest_are_listed() {
        let named = Some(Named { name: "web-01".to_owned(), kind: None });
        let question = Question::new("x").about(named, true);
        assert_eq!(plan_list(&question)[0].arguments, r#"{"guest":"web-01","limit":15}"#);
        let found = r#"{"total":3,"total_size":"9.0 GiB","backups":[{"volid":"b:1","guest":{"vmid":101,"name":"web-01"},"storage":"backup",
            "node":"pve1","created":{"ago":"10 h"},"size":"3.0 GiB","protected":true,"verification":"ok"}]}"#;
        let text = list(&question, &[ToolResult::ok(found)]).expect("reads");
        assert_eq!(
            text,
            "**3 backups of web-01**, 9.0 GiB in all; the newest was made **10 h ago**.\n\n\
             | guest | made | size | storage | notes |\n| --- | --- | --- | --- | --- |\n\
             | web-01 (101) | 10 h ago | 3.0 GiB | backup (pve1) | protected, verified: ok |\n\nand 2 older ones.\n"
        );
        let text = list(&question, &[ToolResult::ok("{}")]).expect("reads");
        assert_eq!(text, "**There is no backup of web-01.**\n");
    }
}
