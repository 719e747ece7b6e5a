//! "Which jobs are there?", "when does the morning report run?", "did the backup check run?": HAIA's own scheduled jobs.

use super::{Planned, Skill, call};
use crate::offline::clock::{Now, moment};
use crate::offline::facts::{Facts, counted, sentence, value};
use crate::offline::markdown::{inline, span, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde_json::json;
use std::fmt::Write as _;

/// The most runs in a list.
const RUNS: usize = 5;

pub(super) const SKILLS: &[Skill] = &[
    Skill {
        name: "jobs",
        example: Some("which jobs are there?"),
        patterns: &[
            "/jobs",
            "jobs",
            "what|which|show|list|any|how|are|your|haia jobs|job",
            "what|which|show|list|any|how|all scheduled|planned|paused|configured|your jobs|job|reports|checks",
            "what|which|show|list|any|how jobs there|scheduled|planned|paused|configured|run|have",
            "scheduled|planned jobs|reports|checks",
            "jobs status|state|overview|list|schedule",
            "job|jobs schedule|overview|list",
            "what|which|anything is scheduled|planned",
            "what will|do|does you|haia by clock|schedule",
        ],
        ..JOB
    },
    Skill {
        name: "job_runs",
        example: Some("did the backup check run?"),
        patterns: &[
            "when is|next|last|scheduled job|report|digest|check",
            "when is|next|last job|report|digest|check due|scheduled|planned|next|run|sent",
            "when does|did|will|is|was job|report|digest|check run|runs|ran|due|start|come|happen|sent|send",
            "when does|did|will|is|was job|report|digest|check next|last run|runs|ran|due|sent",
            "did|has|have job|report|digest|check run|ran|work|worked|succeed|fail|failed|finish|finished|happen|sent",
            "did|has|have backup|backups|storage|health|night|cluster job|report|digest|check run|ran|work|worked|succeed|fail|failed|happen|sent",
            "last|latest|next|previous run|runs of job|report|digest|check",
            "history|runs of job|report|digest|check",
            "result|output|answer of last|latest job|report|digest|check",
            "when does|did|will @ next|last run|runs|ran",
            "when does|did|will @ run|runs|ran next|last|again",
            "when does|did|will @ run|runs|ran",
            "did|has job|check|report @ run|ran|work|worked|fail|failed|finish|finished",
            "did|has @ job|check|report run|ran|work|worked|fail|failed|finish|finished",
            "did|has @ run|ran",
            "show|check|status|history|state|runs job @",
            "show|check|status|history|state|runs of job @",
            "job @",
        ],
        // Words of the job's own name.
        slack: 2,
        ..JOB
    },
];

/// What both have in common.
const JOB: Skill = Skill {
    title: "Scheduled Jobs",
    tag: "Jobs",
    plan: |_| vec![call("list_jobs", &json!({})), call("get_time", &json!({"timezone": null}))],
    then,
    render,
    ..Skill::PLAIN
};

/// The jobs that a question means: those with most words of their names in it; none where it names none.
fn meant<'a>(question: &Question, jobs: &[Facts<'a>]) -> Vec<Facts<'a>> {
    let named = question.named().map(|named| named.name.to_lowercase()).unwrap_or_default();
    let score = |job: &Facts<'_>| {
        let name = job.text("name").unwrap_or_default().to_lowercase();
        if name == named && !named.is_empty() {
            return usize::MAX;
        }
        let is_said = |word: &&str| word.len() > 2 && (question.has(word) || named.split(' ').any(|one| one == *word));
        name.split(['-', '_', '.', ' ']).filter(is_said).count()
    };
    let best = jobs.iter().map(score).max().unwrap_or(0);
    if best == 0 { Vec::new() } else { jobs.iter().filter(|job| score(job) == best).copied().collect() }
}

/// After the list: the runs of the one job that is meant.
fn then(question: &Question, found: &[ToolResult]) -> Vec<Planned> {
    let (Ok(value), 2) = (value(found, 0), found.len()) else { return Vec::new() };
    let jobs: Vec<Facts<'_>> = Facts::new(&value).list("jobs").collect();
    match meant(question, &jobs)[..] {
        [job] => job.text("name").map(|name| call("job_history", &json!({"name": name}))).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn render(question: &Question, results: &[ToolResult]) -> Result<String, String> {
    let (value, now) = (value(results, 0)?, Now::read(results, 1)?);
    let jobs: Vec<Facts<'_>> = Facts::new(&value).list("jobs").collect();
    if jobs.is_empty() {
        return Ok("**No job is configured.** `[jobs]` in `haia.toml` defines them: a question, a check or a digest by the clock.\n".to_owned());
    }
    let meant = meant(question, &jobs);
    if let ([job], Some(_)) = (&meant[..], results.get(2)) {
        let runs = super::super::facts::value(results, 2)?;
        return Ok(one(*job, Facts::new(&runs), &now));
    }
    let (shown, mut body) = match (meant.len(), question.named()) {
        (0, Some(named)) => (&jobs, format!("There is no job {}. ", inline(&named.name))),
        (0, None) => (&jobs, String::new()),
        _ => (&meant, String::new()),
    };
    let _ = writeln!(body, "**{}**:", counted(shown.len() as u64, "job"));
    let row = |job: &Facts<'_>| {
        let state =
            if job.text("state") == Some("scheduled") { String::new() } else { format!(" ({})", job.shown("state")) };
        [
            format!("{}{state}", job.shown("name")),
            job.shown("does"),
            job.shown("when"),
            next(*job, &now),
            last(*job, &now),
        ]
    };
    let _ = write!(body, "\n{}", table(["job", "does", "when", "next", "last run"], shown.iter().map(row)));
    Ok(body)
}

/// `in 7 hours 3 minutes (08:00)`.
fn next(job: Facts<'_>, now: &Now) -> String {
    moment(job, "next").map_or_else(|| "–".to_owned(), |at| format!("in {} ({})", span(now.in_s(at)), now.shown(at)))
}

/// `3 hours ago: ok`.
fn last(job: Facts<'_>, now: &Now) -> String {
    let run = job.at("last_run");
    let Some(began) = moment(run, "began") else { return "never".to_owned() };
    format!("{} ago: {}", span(now.ago_s(began)), ending(run))
}

fn ending(run: Facts<'_>) -> String {
    let error = run.text("error").map(|error| format!(" ({})", inline(error))).unwrap_or_default();
    match run.text("state") {
        Some("ok" | "running") => run.shown("state"),
        _ => format!("**{}**{error}", run.shown("state")),
    }
}

/// One job, with its runs.
fn one(job: Facts<'_>, runs: Facts<'_>, now: &Now) -> String {
    let mut body = format!("**{}** ({}, {})", job.shown("name"), job.shown("does"), job.shown("when"));
    let _ = match (job.text("state"), moment(job, "next")) {
        (Some("paused"), _) => write!(body, " is **paused**."),
        (Some("running"), _) => write!(body, " is running."),
        (_, Some(_)) => write!(body, " runs {}.", next(job, now)),
        (_, None) => write!(body, " will not run again."),
    };
    let _ = match job.has("last_run") {
        true => writeln!(body, " It last ran {}", sentence(&last(job, now))),
        false => writeln!(body, " It has not run yet."),
    };
    let list: Vec<Facts<'_>> = runs.list("runs").take(RUNS).collect();
    if list.len() > 1 {
        body.push_str("\n**Latest runs**\n\n");
        for run in &list {
            let began = moment(*run, "began").map_or_else(|| "–".to_owned(), |at| now.shown(at));
            let because = run.text("because").map(|because| format!(" ({})", inline(because))).unwrap_or_default();
            let _ = writeln!(body, "- {began}{because}: {}", ending(*run));
        }
    }
    if let Some(output) = list.first().and_then(|run| run.text("output")) {
        let _ = writeln!(body, "\nWhat the last run brought: {}", sentence(&inline(output)));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = r#"{"utc":"2026-03-01T12:00:00Z","timezone":"Europe/Paris"}"#;
    const JOBS: &str = r#"{"now":"2026-03-01T12:00:00Z","jobs":[
        {"name":"morning-report","state":"scheduled","does":"ask","when":"0 0 8 * * *","next":"2026-03-02T07:00:00Z",
         "last_run":{"began":"2026-03-01T07:00:00Z","state":"failed","error":"no model"}},
        {"name":"backup-check","state":"paused","does":"check","when":"every 6h","next":null,"last_run":null}]}"#;

    fn asked(question: &str) -> Vec<(&'static str, String)> {
        let found = [ToolResult::ok(JOBS), ToolResult::ok(NOW)];
        then(&understood(question), &found).into_iter().map(|one| (one.tool, one.arguments)).collect()
    }

    /// The question with the name that is found in it.
    fn understood(text: &str) -> Question {
        let question = Question::new(text);
        let named = super::super::recognise(&question, true).and_then(|(_, fit)| fit.named);
        question.about(named, true)
    }

    fn said(question: &str, more: &[&str]) -> String {
        let results: Vec<ToolResult> = [JOBS, NOW].iter().chain(more).map(|text| ToolResult::ok(*text)).collect();
        render(&Question::new(question), &results).expect("reads")
    }

    #[test]
    fn a_job_is_known_by_the_words_of_its_name() {
        for (question, name) in [
            ("when does the morning report run?", "morning-report"),
            ("when did morning-report last run", "morning-report"),
            ("did the backup check run?", "backup-check"),
        ] {
            assert_eq!(asked(question), [("job_history", format!(r#"{{"name":"{name}"}}"#))], "{question}");
        }
        assert!(asked("which jobs are there?").is_empty());
    }

    #[test]
    fn all_jobs_are_a_table() {
        assert_eq!(
            said("which jobs are there?", &[]),
            "**2 jobs**:\n\n| job | does | when | next | last run |\n| --- | --- | --- | --- | --- |\n\
             | morning-report | ask | 0 0 8 \\* \\* \\* | in 19 hours (2026-03-02 08:00) | 5 hours ago: **failed** (no model) |\n\
             | backup-check (paused) | check | every 6h | – | never |\n"
        );
        let none = [ToolResult::ok(r#"{"jobs":[]}"#), ToolResult::ok(NOW)];
        assert!(render(&Question::new("jobs"), &none).expect("reads").starts_with("**No job is configured.**"));
    }

    #[test]
    fn one_job_tells_its_runs() {
        let runs = r#"{"runs":[{"began":"2026-03-01T07:00:00Z","state":"failed","error":"no model","because":"schedule"},
            {"began":"2026-02-28T07:00:00Z","state":"ok","because":"schedule","output":"all quiet"}]}"#;
        assert_eq!(
            said("when does the morning report run?", &[runs]),
            "**morning-report** (ask, 0 0 8 \\* \\* \\*) runs in 19 hours (2026-03-02 08:00). It last ran 5 hours ago: **failed** (no model).\n\n\
             **Latest runs**\n\n- 08:00 (schedule): **failed** (no model)\n- 2026-02-28 08:00 (schedule): ok\n"
        );
        assert_eq!(
            said("did the backup check run?", &[r#"{"runs":[]}"#]),
            "**backup-check** (check, every 6h) is **paused**. It has not run yet.\n"
        );
    }
}
