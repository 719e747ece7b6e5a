//! What a tool found, as JSON whose members may be missing: reading it never fails, what is not there is left out. Pure.

use super::markdown::{inline, span};
use contract::tools::ToolResult;
use serde_json::Value;
use std::fmt::Write as _;

/// What is shown where a figure is missing.
const MISSING: &str = "–";

/// A JSON object that a tool gave, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a>(&'a Value);

/// Reads the result at `at` of the plan.
///
/// # Errors
/// There is none, it is the tool's own error, or it is no JSON object.
pub(super) fn value(results: &[ToolResult], at: usize) -> Result<Value, String> {
    let result = results.get(at).ok_or_else(|| "there is no result".to_owned())?;
    if result.is_error {
        return Err(result.text.clone());
    }
    let value: Value = serde_json::from_str(&result.text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("it is no JSON object".to_owned()) }
}

impl<'a> Facts<'a> {
    /// The whole of it.
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// A member; without any members itself where it is missing.
    pub(super) fn at(self, name: &str) -> Facts<'a> {
        Facts(self.0.get(name).unwrap_or(&Value::Null))
    }

    /// Whether a member is there.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A member that is a text, as it came.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Itself, where it is a text.
    pub(super) fn as_text(self) -> Option<&'a str> {
        self.0.as_str()
    }

    /// A member that is a whole number.
    pub(super) fn count(self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// A member that is a number.
    pub(super) fn number(self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// A member that is true.
    pub(super) fn is(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A member that is false, and not only missing.
    pub(super) fn is_not(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(false)
    }

    /// The items of a member that is a list.
    pub(super) fn list(self, name: &str) -> impl DoubleEndedIterator<Item = Facts<'a>> + Clone {
        self.0.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter().map(Facts)
    }

    /// How many items a list has.
    pub(super) fn len(self, name: &str) -> usize {
        self.0.get(name).and_then(Value::as_array).map_or(0, Vec::len)
    }

    /// The items of a list of texts, for Markdown.
    pub(super) fn texts(self, name: &str) -> Vec<String> {
        self.list(name).map(|item| item.shown_self()).collect()
    }

    /// The members of a member that is an object of counts (`{"running": 12}`).
    pub(super) fn counts(self, name: &str) -> Vec<(&'a str, u64)> {
        let members = self.0.get(name).and_then(Value::as_object);
        members.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_u64()?))).collect()
    }

    /// The members of an object of texts.
    pub(super) fn members(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    /// A member for Markdown: a text or a number; a dash where it is missing.
    pub(super) fn shown(self, name: &str) -> String {
        self.at(name).shown_self()
    }

    /// A member in per cent for Markdown.
    pub(super) fn percent(self, name: &str) -> String {
        self.number(name).map_or_else(|| MISSING.to_owned(), |number| format!("{number} %"))
    }

    fn shown_self(self) -> String {
        match self.0 {
            Value::String(text) if !text.is_empty() => inline(text),
            Value::Number(number) => number.as_f64().map_or_else(|| MISSING.to_owned(), |number| number.to_string()),
            Value::Bool(is) => (if *is { "yes" } else { "no" }).to_owned(),
            Value::Array(items) if !items.is_empty() => {
                items.iter().map(|item| Facts(item).shown_self()).collect::<Vec<_>>().join(", ")
            }
            _ => MISSING.to_owned(),
        }
    }

    /// A guest: its name and number.
    pub(super) fn guest(self) -> String {
        match (self.text("name"), self.count("vmid")) {
            (Some(name), Some(vmid)) => format!("{} ({vmid})", inline(name)),
            (Some(name), None) => inline(name),
            (None, Some(vmid)) => format!("guest {vmid}"),
            (None, None) => "a guest".to_owned(),
        }
    }

    /// How long ago a member that is a moment was: `3 h 5 min ago`.
    pub(super) fn ago(self, name: &str) -> String {
        self.at(name).text("ago").map_or_else(|| MISSING.to_owned(), |ago| format!("{} ago", inline(ago)))
    }
}

/// What has to be said before data that is not fresh, for all clusters of a result; empty where all is fresh.
pub(super) fn warnings(facts: Facts<'_>) -> String {
    let mut text = String::new();
    for one in facts.list("data") {
        let cluster = one.shown("cluster");
        let problem = one.text("problem").map(inline);
        let _ = match one.text("state") {
            Some("stale") => {
                let age = one.count("age_s").map_or_else(|| "old".to_owned(), |age| format!("{} old", span(age)));
                let why = problem.map(|problem| format!(": {}", sentence(&problem))).unwrap_or_else(|| ".".to_owned());
                writeln!(text, "> **Stale data:** what is known of the cluster {cluster} is {age}{why}\n")
            }
            Some("none") => {
                let why = problem.unwrap_or_else(|| "it has not been looked at yet".to_owned());
                writeln!(text, "> **No data:** nothing is known of the cluster {cluster}: {}\n", sentence(&why))
            }
            _ => match problem {
                Some(problem) => writeln!(text, "> The cluster {cluster}: {}\n", sentence(&problem)),
                None => Ok(()),
            },
        };
    }
    text
}

/// The age of the data, as the last line of an answer.
pub(super) fn age(facts: Facts<'_>) -> String {
    let one = |one: Facts<'_>| {
        let age = one.count("age_s")?;
        let mark = if one.text("state") == Some("stale") { ", **stale**" } else { "" };
        Some(format!("cluster {}, {} old{mark}", one.shown("cluster"), span(age)))
    };
    let ages: Vec<String> = facts.list("data").filter_map(one).collect();
    if ages.is_empty() { String::new() } else { format!("\n*Data: {}.*\n", ages.join("; ")) }
}

/// A whole answer: warnings, what was found, the age of the data.
pub(super) fn answer(facts: Facts<'_>, body: &str) -> String {
    format!("{}{}\n{}", warnings(facts), body.trim_end(), age(facts))
}

/// Items with problems that kept a list from being whole; empty where there are none.
pub(super) fn problems(facts: Facts<'_>) -> String {
    let problems = facts.texts("problems");
    if problems.is_empty() {
        return String::new();
    }
    let lines: String = problems.iter().map(|problem| format!("- {problem}\n")).collect();
    format!("\n**Not everything could be read:**\n\n{lines}")
}

/// The text with a full stop, unless it ends like a sentence.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// `1 guest`, `3 guests`.
pub(super) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_a_dash() {
        let value = json!({"a": "x|y", "n": 1.5, "l": ["b", 2], "t": true, "g": {"vmid": 7}, "e": ""});
        let facts = Facts::new(&value);
        for (member, shown) in
            [("a", "x\\|y"), ("n", "1.5"), ("l", "b, 2"), ("t", "yes"), ("z", "–"), ("e", "–"), ("g", "–")]
        {
            assert_eq!(facts.shown(member), shown, "{member}");
        }
        assert_eq!((facts.percent("n"), facts.percent("z")), ("1.5 %".to_owned(), "–".to_owned()));
        assert_eq!(
            (facts.at("g").guest(), facts.at("z").at("y").guest()),
            ("guest 7".to_owned(), "a guest".to_owned())
        );
        assert_eq!((facts.len("l"), facts.len("a"), facts.ago("z")), (2, 0, "–".to_owned()));
        assert!(facts.is("t") && !facts.is_not("z") && !facts.has("z"));
    }

    #[test]
    fn stale_and_missing_data_is_said_first_and_the_age_last() {
        let value = json!({"data": [
            {"cluster": "lab", "age_s": 4, "state": "fresh"},
            {"cluster": "attic", "age_s": 600, "state": "stale", "problem": "no answer"},
            {"cluster": "moon", "state": "none"},
        ]});
        assert_eq!(
            answer(Facts::new(&value), "All is well.\n"),
            "> **Stale data:** what is known of the cluster attic is 10 minutes old: no answer.\n\n\
             > **No data:** nothing is known of the cluster moon: it has not been looked at yet.\n\n\
             All is well.\n\n*Data: cluster lab, 4 seconds old; cluster attic, 10 minutes old, **stale**.*\n"
        );
        assert_eq!(answer(Facts::new(&json!({})), "x"), "x\n");
    }

    #[test]
    fn only_good_objects_are_read() {
        assert!(value(&[], 0).is_err());
        assert!(value(&[ToolResult::ok("[1]")], 0).is_err());
        assert_eq!(value(&[ToolResult::error("no such guest")], 0), Err("no such guest".to_owned()));
        assert!(value(&[ToolResult::ok("{}")], 0).is_ok());
    }

    #[test]
    fn sentences_end_once() {
        assert_eq!(
            (sentence("a"), sentence("a?"), counted(1, "task"), counted(0, "task")),
            ("a.".into(), "a?".into(), "1 task".into(), "0 tasks".into())
        );
    }
}
