//! "How are you?": HAIA's own state.

use super::{Planned, Skill, alerts, read};
use crate::offline::facts::{Facts, value};
use crate::offline::markdown::{inline, span, table};
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde::Deserialize;
use std::fmt::Write as _;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "status",
    example: Some("how are you?"),
    title: "HAIA Status",
    tag: "Monitoring",
    patterns: &[
        "/status",
        "how are|r|is you|haia|u|everything|things",
        "how you doing|feeling|going",
        "are|is you|haia|everything ok|okay|fine|well|healthy|alive|up|there|working|running|online|broken|awake|alright",
        "is|are your|haia|the|own database|store ok|okay|fine|well|healthy|working|broken|full",
        "status|stats|state|health",
        "haia|your|own|system status|state|health|report",
        "status|state|health of|for haia|you|yourself",
        "health|self check|test|diagnosis",
        "any|recent|latest errors|problems|issues|trouble|failures|warnings",
        "any recent|latest|new errors|problems|issues|failures|warnings",
        "show|list errors|problems|failures",
        "errors|problems",
        "what|anything|something is|went|wrong|broken|failing wrong|broken|failing",
        "anything|something|what wrong|broken|failing",
        "uptime",
        "how long you|haia been|running|up|online running|up|online",
        "how long up|running|online",
        "when did|were you start|started|restart|restarted",
        "what|which version",
        "version",
        "show|list|which|what actors",
        "actors",
        "how many actors|turns|streams running|active|open",
        "how many actors|turns|streams",
        "anything|something|what|anybody crashed|crash|restarted|failed",
        "did|have you|haia restart|restarted|crash|crashed",
        "diagnose yourself|haia",
    ],
    plan,
    render,
    ..Skill::PLAIN
}];

/// What answers questions about everything where there is no cluster.
pub(super) const WHOLE: &Skill = &SKILLS[0];

/// What `get_haia_status` answers, as far as it is shown.
#[derive(Deserialize)]
struct Status {
    version: String,
    uptime_s: u64,
    #[serde(default)]
    last_reload_refused: Option<String>,
    turns_active: i64,
    turns_queued: i64,
    streams_open: i64,
    actors_running: usize,
    actors_total: usize,
    actors: Vec<Actor>,
    providers: Vec<Provider>,
    store: Store,
}

#[derive(Deserialize)]
struct Actor {
    name: String,
    state: String,
    restarts: u64,
    dead_letters: u64,
}

#[derive(Deserialize)]
struct Provider {
    name: String,
    state: String,
    requests: u64,
    errors: u64,
    #[serde(default)]
    last_error: Option<String>,
    #[serde(default)]
    last_error_age_s: Option<u64>,
}

#[derive(Deserialize)]
struct Store {
    ok: bool,
    #[serde(default)]
    problem: Option<String>,
}

fn plan(_: &Question) -> Vec<Planned> {
    vec![Planned { tool: "get_haia_status", arguments: "{\"detail\":null}".to_owned() }]
}

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let status: Status = read(results, 0)?;
    let open = alerts::brief(Facts::new(&value(results, 0)?));
    let mut text = format!("{}{}{open}", verdict(&status), if open.is_empty() { "" } else { "\n" });
    let _ = write!(
        text,
        "\nVersion {}, up for {}. {} of {} actors run. Turns active: {}, waiting: {}. Streams open: {}.\n\n",
        inline(&status.version),
        span(status.uptime_s),
        status.actors_running,
        status.actors_total,
        status.turns_active,
        status.turns_queued,
        status.streams_open,
    );
    if status.providers.is_empty() {
        text.push_str("No provider of language models is configured.\n");
        return Ok(text);
    }
    let rows = status.providers.iter().map(|provider| {
        let last = match (&provider.last_error, provider.last_error_age_s) {
            (Some(error), Some(age)) => format!("{} ({} ago)", inline(error), span(age)),
            (Some(error), None) => inline(error),
            (None, _) => "none".to_owned(),
        };
        [
            inline(&provider.name),
            inline(&provider.state),
            provider.requests.to_string(),
            provider.errors.to_string(),
            last,
        ]
    });
    text.push_str(&table(["provider", "state", "calls", "errors", "last error"], rows));
    Ok(text)
}

/// Whether HAIA itself is well, without its figures, from the result at `at`.
pub(super) fn brief(results: &[ToolResult], at: usize) -> Result<String, String> {
    let status: Status = read(results, at)?;
    Ok(verdict(&status))
}

/// Whether HAIA itself is well, and what is not.
fn verdict(status: &Status) -> String {
    let problems = problems(status);
    let mut text = match problems.len() {
        0 => "HAIA itself is **well**.\n".to_owned(),
        1 => "HAIA itself has **one problem**:\n\n".to_owned(),
        count => format!("HAIA itself has **{count} problems**:\n\n"),
    };
    for problem in problems {
        let _ = writeln!(text, "- {problem}");
    }
    text
}

/// Each problem as a sentence.
fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    for actor in &status.actors {
        let name = inline(&actor.name);
        if actor.state != "running" {
            problems.push(format!("The actor **{name}** is {}.", inline(&actor.state)));
        }
        if actor.restarts > 0 {
            let times = if actor.restarts == 1 { "once".to_owned() } else { format!("{} times", actor.restarts) };
            problems.push(format!("The actor **{name}** crashed and was restarted {times}."));
        }
        if actor.dead_letters > 0 {
            problems.push(format!("The actor **{name}** could not handle {} messages.", actor.dead_letters));
        }
    }
    for provider in status.providers.iter().filter(|one| one.state == "failing" || one.state == "refused") {
        problems.push(format!("The provider **{}** is {}.", inline(&provider.name), inline(&provider.state)));
    }
    if !status.store.ok {
        let problem = status.store.problem.as_deref().unwrap_or("it does not work");
        problems.push(format!("The store: {}.", inline(problem)));
    }
    if let Some(reason) = &status.last_reload_refused {
        problems.push(format!("The last reload of the configuration was refused: {}.", inline(reason)));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let sample = include_str!("../../../../toolbox/tests/samples/get_haia_status.json");
        let text = render(&Question::new("status"), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "HAIA itself has **4 problems**:\n\n\
             - The actor **store** crashed and was restarted once.\n\
             - The actor **toolbox** is stuck.\n\
             - The provider **anthropic** is failing.\n\
             - The store: the disk is full.\n\
             \nVersion 0.1.0, up for 1 hour 1 minute. 2 of 3 actors run. Turns active: 0, waiting: 0. Streams open: 0.\n\n\
             | provider | state | calls | errors | last error |\n| --- | --- | --- | --- | --- |\n\
             | ollama | ready | 12 | 0 | none |\n\
             | anthropic | failing | 12 | 1 | unreachable: connection refused (1 minute 30 seconds ago) |\n"
        );
    }

    #[test]
    fn says_when_all_is_well() {
        let well = r#"{"version":"1","uptime_s":5,"turns_active":1,"turns_queued":0,"streams_open":1,"actors_running":6,
            "actors_total":6,"actors":[],"providers":[],"store":{"ok":true}}"#;
        let text = render(&Question::new("status"), &[ToolResult::ok(well)]).expect("reads");
        assert!(text.starts_with("HAIA itself is **well**.\n\nVersion 1, up for 5 seconds."), "{text}");
        assert!(text.ends_with("No provider of language models is configured.\n"), "{text}");
        let calm = well.replace("\"version\"", "\"alerts_open\":0,\"version\"");
        let text = render(&Question::new("status"), &[ToolResult::ok(calm)]).expect("reads");
        assert!(text.starts_with("HAIA itself is **well**.\n\nNo alert is open.\n\nVersion 1"), "{text}");
    }
}
