//! Finding tools instead of listing them all: when there are more than a model should read through, it gets `tools_search`,
//! `tools_describe` and `tools_call`, and HAIA's own tools as ever. Pure.

use crate::arguments;
use crate::catalogue::near_names;
use contract::tools::{Catalogue, Risk, Tool};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Finds tools by words.
pub(crate) const SEARCH: &str = "tools_search";
/// Shows tools with their arguments.
pub(crate) const DESCRIBE: &str = "tools_describe";
/// Calls a tool that is not listed.
pub(crate) const CALL: &str = "tools_call";

/// The most tools that one search finds.
const FOUND: usize = 20;
/// The most tools that one description shows.
const DESCRIBED: usize = 8;
/// The most bytes of a description in a list of found tools.
const BRIEF: usize = 160;

/// The three tools, in the order of their names. `hidden` is how many there are to find.
pub(crate) fn offers(hidden: usize) -> [Tool; 3] {
    let tool = |name: &str, title: &str, description: String, schema: &str| Tool {
        name: name.into(),
        title: title.into(),
        description: description.into(),
        parameters: Arc::from(RawValue::from_string(schema.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())),
        risk: Risk::Read,
    };
    [
        tool(CALL, "Calling a tool", CALL_SAID.to_owned(), CALL_SCHEMA),
        tool(DESCRIBE, "Reading about tools", DESCRIBE_SAID.to_owned(), DESCRIBE_SCHEMA),
        tool(
            SEARCH,
            "Looking for a tool",
            format!(
                "Finds tools by words: {hidden} more tools exist than are listed here. Search before you say that something cannot be done; then read about the tool with {DESCRIBE} and call it with {CALL}."
            ),
            SEARCH_SCHEMA,
        ),
    ]
}

const SEARCH_SCHEMA: &str = r#"{"type":"object","properties":{"query":{"type":"string","description":"A few words: what the tool should do, or a part of its name."}},"required":["query"],"additionalProperties":false}"#;
const DESCRIBE_SAID: &str = "Shows what tools do and which arguments they take, by the names that tools_search found.";
const DESCRIBE_SCHEMA: &str = r#"{"type":"object","properties":{"names":{"type":"array","items":{"type":"string"},"description":"Up to 8 names."}},"required":["names"],"additionalProperties":false}"#;
const CALL_SAID: &str = "Calls a tool that tools_search found, with the arguments that tools_describe shows.";
const CALL_SCHEMA: &str = r#"{"type":"object","properties":{"name":{"type":"string","description":"The tool's name."},"arguments":{"type":"object","description":"Its arguments.","additionalProperties":true}},"required":["name","arguments"],"additionalProperties":false}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribeArguments {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallArguments {
    name: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

/// Takes a `tools_call` apart: the name and the arguments of the tool that is meant.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn unwrap_call(text: &str) -> Result<(Arc<str>, String), String> {
    let CallArguments { name, arguments } = arguments::read(text)?;
    let arguments = match arguments {
        None => String::new(),
        // Some models write the object as a text.
        Some(raw) if raw.get().starts_with('"') => {
            serde_json::from_str(raw.get()).map_err(|error| format!("\"arguments\" must be an object: {error}"))?
        }
        Some(raw) if raw.get() == "null" => String::new(),
        Some(raw) => raw.get().to_owned(),
    };
    if [SEARCH, DESCRIBE, CALL].contains(&name.as_str()) {
        return Err(format!("{name} is called directly"));
    }
    Ok((name.into(), arguments))
}

/// Answers `tools_search`.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn search(catalogue: &Catalogue, text: &str) -> Result<String, String> {
    #[derive(Serialize)]
    struct Found<'a> {
        name: &'a str,
        description: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        risk: Option<Risk>,
    }
    let SearchArguments { query } = arguments::read(text)?;
    let words = words(&query);
    if words.is_empty() {
        return Err("\"query\" needs at least one word".to_owned());
    }
    let mut ranked: Vec<(f64, &Tool)> =
        catalogue.tools.iter().map(|tool| (score(tool, &words), tool)).filter(|(score, _)| *score > 0.0).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.name.cmp(&b.1.name)));
    let rest = ranked.len().saturating_sub(FOUND);
    let found: Vec<Found<'_>> = ranked
        .iter()
        .take(FOUND)
        .map(|(_, tool)| Found {
            name: &tool.name,
            description: brief(&tool.description),
            risk: Some(tool.risk).filter(|risk| *risk != Risk::Read),
        })
        .collect();
    if found.is_empty() {
        return Ok(format!(
            "No tool fits these words; {} tools were searched. Try other words.",
            catalogue.tools.len()
        ));
    }
    let list = serde_json::to_string(&found).map_err(|error| error.to_string())?;
    Ok(if rest > 0 { format!("{list}\n{rest} more fit; use more exact words to see them.") } else { list })
}

/// Answers `tools_describe`.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn describe(catalogue: &Catalogue, text: &str) -> Result<String, String> {
    #[derive(Serialize)]
    struct Described<'a> {
        name: &'a str,
        description: &'a str,
        parameters: &'a RawValue,
        risk: Risk,
    }
    let DescribeArguments { names } = arguments::read(text)?;
    if names.is_empty() || names.len() > DESCRIBED {
        return Err(format!("\"names\" holds 1 to {DESCRIBED} names"));
    }
    let mut described = Vec::new();
    for name in &names {
        let Some(tool) = catalogue.get(name) else {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let near = near_names(&shown, catalogue.tools.iter().map(|tool| &*tool.name));
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
            return Err(format!("there is no tool named {shown:?}{hint}"));
        };
        described.push(Described {
            name: &tool.name,
            description: &tool.description,
            parameters: &tool.parameters,
            risk: tool.risk,
        });
    }
    serde_json::to_string(&described).map_err(|error| error.to_string())
}

fn brief(description: &str) -> String {
    let line: String = description.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().find(|(at, _)| *at >= BRIEF) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 1)
        .map(str::to_lowercase)
        .take(16)
        .collect();
    words.dedup();
    words
}

/// How well a tool fits: words in its name count most, then those in its description; a beginning counts less than the whole.
fn score(tool: &Tool, wanted: &[String]) -> f64 {
    let in_name = words(&tool.name.replace(['_', '-'], " "));
    let description: Vec<String> =
        tool.description.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).take(400).collect();
    let fit = |word: &str, among: &[String]| {
        among.iter().fold(0.0f64, |best, known| {
            let fit = match (known == word, known.len() > 2 && word.len() > 2) {
                (true, _) => 1.0,
                (false, true) if known.starts_with(word) || word.starts_with(known.as_str()) => 0.7,
                (false, true) if strsim::jaro_winkler(known, word) > 0.92 => 0.5,
                _ => 0.0,
            };
            best.max(fit)
        })
    };
    let whole = tool.name.eq_ignore_ascii_case(&wanted.join("_"));
    let sum: f64 = wanted.iter().map(|word| 3.0 * fit(word, &in_name) + fit(word, &description)).sum();
    sum + if whole { 10.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let tool = |name: &str, description: &str, risk| Tool {
            name: name.into(),
            description: description.into(),
            parameters: Arc::from(RawValue::from_string("{\"type\":\"object\"}".to_owned()).expect("JSON")),
            risk,
            title: "t".into(),
        };
        let mut tools = vec![
            tool("files__read_file", "Reads a file from the disk", Risk::Read),
            tool("files__write_file", "Writes a file to the disk", Risk::Write),
            tool("git__log", "Shows commits of a repository", Risk::Read),
            tool("time__convert_time", "Converts between time zones", Risk::Read),
        ];
        tools.extend((0..30).map(|at| tool(&format!("zz__many_{at:02}"), "A widget", Risk::Read)));
        Catalogue { tools }
    }

    #[test]
    fn finds_the_best_first() {
        for (query, first) in [
            ("read file", "files__read_file"),
            ("commit history", "git__log"),
            ("timezone conversion", "time__convert_time"),
            ("writing to disk", "files__write_file"),
            ("git__log", "git__log"),
        ] {
            let found = search(&catalogue(), &serde_json::json!({"query": query}).to_string()).expect("found");
            let list: Vec<serde_json::Value> = serde_json::from_str(&found).expect("JSON");
            assert_eq!(list[0]["name"], first, "{query}: {found}");
        }
        let many = search(&catalogue(), r#"{"query":"widget"}"#).expect("found");
        assert!(many.ends_with("10 more fit; use more exact words to see them."), "{many}");
        assert!(search(&catalogue(), r#"{"query":"qqqq"}"#).expect("an answer").starts_with("No tool fits"));
        assert!(search(&catalogue(), r#"{"query":" - "}"#).is_err());
        let risky = search(&catalogue(), r#"{"query":"write"}"#).expect("found");
        assert!(risky.contains(r#""risk":"write""#), "{risky}");
    }

    #[test]
    fn describes_by_name() {
        let described = describe(&catalogue(), r#"{"names":["git__log"]}"#).expect("described");
        assert_eq!(
            described,
            r#"[{"name":"git__log","description":"Shows commits of a repository","parameters":{"type":"object"},"risk":"read"}]"#
        );
        assert!(
            describe(&catalogue(), r#"{"names":["git__lag"]}"#)
                .is_err_and(|said| said.contains("did you mean git__log"))
        );
        assert!(describe(&catalogue(), r#"{"names":[]}"#).is_err());
    }

    #[test]
    fn takes_a_call_apart() {
        for (text, arguments) in [
            (r#"{"name":"x","arguments":{"a":1}}"#, r#"{"a":1}"#),
            (r#"{"name":"x","arguments":"{\"a\":1}"}"#, r#"{"a":1}"#),
            (r#"{"name":"x","arguments":null}"#, ""),
            (r#"{"name":"x"}"#, ""),
        ] {
            assert_eq!(unwrap_call(text), Ok(("x".into(), arguments.to_owned())), "{text}");
        }
        assert!(unwrap_call(r#"{"arguments":{}}"#).is_err());
        assert!(unwrap_call(r#"{"name":"tools_call","arguments":{}}"#).is_err());
    }
}
