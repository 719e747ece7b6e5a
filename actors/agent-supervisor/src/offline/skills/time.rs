//! "What time is it?", here or elsewhere.

use super::{Planned, Skill, read};
use crate::offline::markdown::inline;
use crate::offline::question::Question;
use contract::tools::ToolResult;
use serde::Deserialize;

pub(super) const SKILLS: &[Skill] = &[Skill {
    name: "time",
    example: Some("what time is it?"),
    title: "Current Time",
    tag: "Time",
    patterns: &[
        "/time",
        "time|date|clock",
        "what|which time|date|day|weekday|timezone",
        "what|which time zone",
        "time is it",
        "current|local|utc time|date",
        "todays date",
        "what today date",
        IN_A_PLACE,
        "local|current time|date|day in *",
    ],
    plan,
    render,
    ..Skill::PLAIN
}];

const IN_A_PLACE: &str = "time|date|day in *";

/// What `get_time` answers.
#[derive(Deserialize)]
struct Time {
    timezone: String,
    date: String,
    time: String,
    weekday: String,
    utc_offset: String,
    utc: String,
}

fn plan(question: &Question) -> Vec<Planned> {
    let place = question.matches(IN_A_PLACE).map(|found| found.rest.join(" "));
    let arguments = match place {
        Some(place) => serde_json::json!({ "timezone": place }).to_string(),
        None => "{\"timezone\":null}".to_owned(),
    };
    vec![Planned { tool: "get_time", arguments }]
}

fn render(_: &Question, results: &[ToolResult]) -> Result<String, String> {
    let time: Time = read(results, 0)?;
    Ok(format!(
        "It is **{}** on **{}, {}** ({}, UTC{}).\n\nIn UTC: {}\n",
        inline(&time.time),
        inline(&time.weekday),
        inline(&time.date),
        inline(&time.timezone),
        inline(&time.utc_offset),
        inline(&time.utc),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_the_tool_answers() {
        let sample = include_str!("../../../../toolbox/tests/samples/get_time.json");
        let text = render(&Question::new("time"), &[ToolResult::ok(sample)]).expect("reads");
        assert_eq!(
            text,
            "It is **13:00:00** on **Sunday, 2026-03-01** (Europe/Paris, UTC+01:00).\n\nIn UTC: 2026-03-01T12:00:00Z\n"
        );
    }

    #[test]
    fn asks_for_the_place() {
        for (text, arguments) in [
            ("what time is it", r#"{"timezone":null}"#),
            ("what time is it in Tokyo right now?", r#"{"timezone":"tokyo"}"#),
            ("time in new york", r#"{"timezone":"new york"}"#),
        ] {
            assert_eq!(plan(&Question::new(text))[0].arguments, arguments, "{text}");
        }
    }
}
