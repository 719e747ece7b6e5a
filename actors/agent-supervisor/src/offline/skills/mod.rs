//! What the offline responder can answer. A family of questions is one file here and one line in [`FAMILIES`].

mod models;
mod status;
mod talk;
mod time;

use super::question::Question;
use contract::tools::ToolResult;
use serde::de::DeserializeOwned;

/// Every family. Of two skills that fit equally well the earlier answers.
const FAMILIES: &[&[Skill]] = &[time::SKILLS, models::SKILLS, status::SKILLS, talk::SKILLS];

/// One kind of question.
pub(crate) struct Skill {
    /// Its name in tests.
    pub(crate) name: &'static str,
    /// How people may ask it, for `/help` and as a proposal; `None` is not shown.
    pub(crate) example: Option<&'static str>,
    /// A chat that begins with it is called this.
    pub(crate) title: &'static str,
    /// A chat about it is tagged this.
    pub(crate) tag: &'static str,
    /// How it is recognised (see [`Question::matches`]).
    pub(crate) patterns: &'static [&'static str],
    /// Words with a meaning that may be left over.
    pub(crate) slack: usize,
    /// The tools to call.
    pub(crate) plan: fn(&Question) -> Vec<Planned>,
    /// The answer in Markdown, from the results in the order of the plan; or why they cannot be read.
    pub(crate) render: fn(&Question, &[ToolResult]) -> Result<String, String>,
}

/// A tool to call.
pub(crate) struct Planned {
    pub(crate) tool: &'static str,
    pub(crate) arguments: String,
}

/// Every skill, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Skill> {
    FAMILIES.iter().copied().flatten()
}

/// The skill that fits best: most words found, then fewest left over.
pub(crate) fn recognise(question: &Question) -> Option<&'static Skill> {
    let fit = |skill: &'static Skill| {
        let fits = skill.patterns.iter().filter_map(|pattern| question.matches(pattern));
        let best =
            fits.filter(|one| one.left <= skill.slack).map(|one| (one.found, std::cmp::Reverse(one.left))).max()?;
        Some((best, skill))
    };
    // `max_by_key` would take the last of equals.
    all().filter_map(fit).reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, skill)| skill)
}

/// What is said when nothing fits.
pub(crate) fn cannot_answer() -> String {
    format!("I cannot answer that. Without a language model I know only these questions:\n\n{}", examples())
}

/// What can be asked, as a list.
fn examples() -> String {
    all().filter_map(|skill| skill.example).map(|example| format!("- {example}\n")).collect()
}

/// Reads the result at `at` of the plan.
fn read<T: DeserializeOwned>(results: &[ToolResult], at: usize) -> Result<T, String> {
    let result = results.get(at).ok_or_else(|| "there is no result".to_owned())?;
    serde_json::from_str(&result.text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_what_people_type() {
        let mut wrong = Vec::new();
        for (skill, texts) in [
            (
                "time",
                vec![
                    "what time is it?",
                    "What's the time",
                    "whats the time now",
                    "time",
                    "the time please",
                    "current time",
                    "what date is it",
                    "which day is today",
                    "what day is it today?",
                    "todays date",
                    "what is today's date",
                    "can you tell me the time?",
                    "waht tiem is it",
                    "do you know what time it is",
                    "Hi! What time is it?",
                    "date",
                    "what time is it in Tokyo?",
                    "time in new york",
                    "what is the local time in Europe/Paris right now",
                    "UTC time",
                    "which timezone are you in",
                    "/time",
                ],
            ),
            (
                "status",
                vec![
                    "how are you?",
                    "How are you doing",
                    "are you ok",
                    "are you alive?",
                    "status",
                    "/status",
                    "haia status",
                    "show status",
                    "your status please",
                    "status of haia",
                    "what is your status?",
                    "is haia healthy",
                    "any errors?",
                    "are there any problems",
                    "what is wrong",
                    "what's wrong?",
                    "uptime",
                    "how long have you been running",
                    "how long are you up",
                    "which version are you",
                    "version",
                    "health check",
                    "self test",
                    "show me the actors",
                    "has anything crashed?",
                    "did you restart",
                    "any recent errors",
                    "statsu",
                    "is your database ok",
                    "how is HAIA?",
                    "how many turns are running?",
                    "what went wrong",
                ],
            ),
            (
                "models",
                vec![
                    "which models are there?",
                    "what models do you have",
                    "list models",
                    "models",
                    "/models",
                    "available models",
                    "which providers",
                    "show me the providers",
                    "what llm are you",
                    "which model is this",
                    "is ollama up?",
                    "is anthropic reachable",
                    "provider status",
                    "which modles can i use",
                    "why is no model available",
                    "are the providers ok",
                ],
            ),
            (
                "help",
                vec![
                    "/help",
                    "help",
                    "help me",
                    "what can you do?",
                    "what can I ask",
                    "how does this work",
                    "commands",
                    "who are you?",
                    "what are you",
                    "what is HAIA?",
                    "hlep",
                    "help please",
                    "what do you know",
                ],
            ),
            ("greeting", vec!["hi", "Hello there", "hey haia!", "good morning", "Hallo", "hello again"]),
            ("thanks", vec!["thanks", "thank you very much!", "thx", "thanks a lot"]),
        ] {
            for text in texts {
                let found = recognise(&Question::new(text)).map(|skill| skill.name);
                if found != Some(skill) {
                    wrong.push((text, skill, found));
                }
            }
        }
        assert_eq!(wrong, []);
    }

    #[test]
    fn says_nothing_to_what_it_does_not_understand() {
        let mut wrong = Vec::new();
        for text in [
            "",
            "?",
            "why did web-01 stop?",
            "is the cluster healthy?",
            "how full is storage?",
            "any failed backups?",
            "what time did the backup of nas run?",
            "write me a poem about time",
            "any errors in the last backup?",
            "status of vm 101",
            "help me migrate vm 101 to pve2",
            "who is the president of France",
            "restart the database container",
            "delete all models",
            "what is the model of my router",
            "version of proxmox on pve1",
            "how are the disks in pve2",
            "hello world in rust",
        ] {
            if let Some(found) = recognise(&Question::new(text)) {
                wrong.push((text, found.name));
            }
        }
        assert_eq!(wrong, []);
    }

    #[test]
    fn help_lists_every_example_and_each_example_is_understood() {
        let listed = examples();
        for skill in all() {
            let Some(example) = skill.example else { continue };
            assert!(listed.contains(example));
            assert_eq!(recognise(&Question::new(example)).map(|skill| skill.name), Some(skill.name), "{example}");
        }
        assert!(cannot_answer().contains("what time is it?"));
    }
}
