//! A client's housekeeping without a model: title, tags, follow-ups, search queries, in the JSON that is asked for. Pure, and the same
//! answer every time.

use super::question::Question;
use super::skills::{Skill, recognise, suggestions};
use serde_json::json;

/// The most words of a title.
const TITLE_WORDS: usize = 4;
/// The most characters of a title.
const TITLE_LENGTH: usize = 60;

/// Answers the prompt of a housekeeping request. `has_cluster`: whether questions about one can be answered.
pub(super) fn answer(prompt: &str, has_cluster: bool) -> String {
    let history = history(prompt);
    let asked = first_said(history);
    let skill = recognise(&Question::new(asked), has_cluster).map(|(skill, _)| skill);
    match form(prompt) {
        Some("title") => json!({ "title": title(asked, skill) }).to_string(),
        Some("tags") => json!({ "tags": tags(skill) }).to_string(),
        Some("follow_ups") => json!({ "follow_ups": follow_ups(history, has_cluster) }).to_string(),
        Some("queries") => json!({ "queries": [] }).to_string(),
        Some("text") => json!({ "text": "" }).to_string(),
        _ => "The offline responder cannot do this task: it has no language model.".to_owned(),
    }
}

/// The member that the answer must have: the first known one named after `### Output:`, or anywhere.
fn form(prompt: &str) -> Option<&'static str> {
    let instructions = prompt.split("### Chat History:").next().unwrap_or(prompt);
    let wanted = instructions.split_once("### Output:").map_or(instructions, |(_, output)| output);
    ["title", "tags", "follow_ups", "queries", "text"]
        .into_iter()
        .filter_map(|name| wanted.find(&format!("\"{name}\"")).map(|at| (at, name)))
        .min()
        .map(|(_, name)| name)
}

/// The chat that the task is about.
fn history(prompt: &str) -> &str {
    let Some((_, after)) = prompt.rsplit_once("<chat_history>") else { return "" };
    after.split("</chat_history>").next().unwrap_or_default()
}

/// What the person said first.
fn first_said(history: &str) -> &str {
    said(history).next().unwrap_or_default()
}

/// Everything the person said, in order.
fn said(history: &str) -> impl Iterator<Item = &str> {
    history.lines().filter_map(|line| line.trim_start().strip_prefix("USER:")).map(str::trim)
}

fn title(asked: &str, skill: Option<&Skill>) -> String {
    if let Some(skill) = skill {
        return skill.title.to_owned();
    }
    let is_letter = |c: char| c.is_alphanumeric();
    let words = asked.split_whitespace().map(|word| word.trim_matches(|c: char| !is_letter(c)));
    let words = words.filter(|word| word.chars().any(is_letter)).take(TITLE_WORDS).map(capitalised);
    let title: String = words.collect::<Vec<_>>().join(" ").chars().take(TITLE_LENGTH).collect();
    if title.is_empty() { "New Chat".to_owned() } else { title }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn tags(skill: Option<&Skill>) -> Vec<&'static str> {
    match skill {
        Some(skill) if skill.tag != "General" => vec!["Homelab", skill.tag],
        _ => vec!["General"],
    }
}

/// Questions that can be answered and were not asked yet.
fn follow_ups(history: &str, has_cluster: bool) -> Vec<&'static str> {
    let asked: Vec<&str> = said(history)
        .filter_map(|said| recognise(&Question::new(said), has_cluster))
        .map(|(skill, _)| skill.name)
        .collect();
    suggestions(has_cluster)
        .filter(|skill| !asked.contains(&skill.name))
        .filter_map(|skill| skill.example)
        .take(3)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(form: &str, history: &str) -> String {
        format!(
            "### Task:\nDo it.\n### Output:\nJSON format: {{ {form} }}\n### Examples:\n- {{ \"title\": \"x\" }}\n### Chat History:\n\
             <chat_history>\n{history}\n</chat_history>"
        )
    }

    #[test]
    fn answers_in_the_form_that_is_asked_for() {
        let greeting = "USER: Hello there [[say Hello, operator.]]\nASSISTANT: Hello, operator.";
        for (form, history, expected) in [
            ("\"title\": \"your concise title here\"", greeting, r#"{"title":"Hello There Say Hello"}"#),
            ("\"title\": \"t\"", "USER: what time is it?\nASSISTANT: ", r#"{"title":"Current Time"}"#),
            ("\"title\": \"t\"", "USER: paint \"web-01\" in oil!", r#"{"title":"Paint Web-01 In Oil"}"#),
            ("\"title\": \"t\"", "USER: why did \"web-01\" stop?", r#"{"title":"Why A Guest Stopped"}"#),
            ("\"title\": \"t\"", "", r#"{"title":"New Chat"}"#),
            ("\"tags\": [\"tag1\"]", greeting, r#"{"tags":["General"]}"#),
            ("\"tags\": [\"tag1\"]", "USER: how are you?", r#"{"tags":["Homelab","Monitoring"]}"#),
            (
                "\"follow_ups\": [\"a\"]",
                "USER: how are you?\nASSISTANT: well\nUSER: /help",
                r#"{"follow_ups":["any alerts?","what is silenced?","which jobs are there?"]}"#,
            ),
            ("\"queries\": [\"q\"]", greeting, r#"{"queries":[]}"#),
            ("\"text\": \"<completion>\"", greeting, r#"{"text":""}"#),
        ] {
            assert_eq!(answer(&task(form, history), false), expected, "{form} {history}");
        }
        assert!(answer("### Task:\nPaint a picture", true).contains("cannot do this task"));
    }
}
