//! Questions that people of a homelab ask often, as prompts: a client offers them as commands.

use super::error::RpcError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The longest value of an argument.
const VALUE_CHARACTERS: usize = 200;

struct Prompt {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// The one argument that some have: its name, and what it is. It must be told.
    argument: Option<(&'static str, &'static str)>,
    /// The question; `{}` stands for the argument.
    text: &'static str,
}

const PROMPTS: &[Prompt] = &[
    Prompt {
        name: "check_homelab",
        title: "Is everything healthy?",
        description: "Looks at clusters, guests, storages, backups and open alerts, and tells what needs attention",
        argument: None,
        text: "Is my homelab healthy? Look at the clusters, the guests, the storages, the last backups and the open alerts. Begin with what \
               needs attention now, then what to keep an eye on; one line for all that is well.",
    },
    Prompt {
        name: "why_did_it_stop",
        title: "Why did a guest stop?",
        description: "Finds out whether a guest crashed, was shut down, by whom and when",
        argument: Some(("guest", "The name or number of the virtual machine or container")),
        text: "Why did the guest {} stop? Say whether it crashed or was stopped on purpose, when, and by whom, and what the evidence is. If it \
               runs, say so and tell its last stop.",
    },
    Prompt {
        name: "storage_outlook",
        title: "How full is storage?",
        description: "How full each storage is, and when it will be full",
        argument: None,
        text: "How full are my storages, and when will they be full if it goes on like this? Name what takes the space where that can be seen.",
    },
    Prompt {
        name: "backup_report",
        title: "Are the backups good?",
        description: "Which backups failed or are missing, and which guests have none",
        argument: None,
        text: "Are my backups good? Tell which runs failed and why, which guests have no recent backup, and which have none at all.",
    },
    Prompt {
        name: "explain_alert",
        title: "Explain an alert",
        description: "What an alert means, what caused it and what to do",
        argument: Some(("alert", "The alert's number")),
        text: "Explain alert {}: what it means, what most probably caused it judging by what you can look up, and what I should do.",
    },
    Prompt {
        name: "last_night",
        title: "What happened last night?",
        description: "Incidents, failed tasks and backups of the last twelve hours",
        argument: None,
        text: "What happened in my homelab during the last twelve hours? Alerts that opened and closed, guests that stopped or restarted, tasks \
               and backups that failed. Keep it short.",
    },
];

/// Whether a prompt is HAIA's own.
pub(crate) fn is_own(name: &str) -> bool {
    PROMPTS.iter().any(|prompt| prompt.name == name)
}

/// The inside of the list of prompts.
pub(crate) fn listed() -> Value {
    let argument = |(name, what): (&str, &str)| json!([{ "name": name, "description": what, "required": true }]);
    PROMPTS
        .iter()
        .map(|prompt| {
            json!({
                "name": prompt.name,
                "title": prompt.title,
                "description": prompt.description,
                "arguments": prompt.argument.map_or_else(|| json!([]), argument),
            })
        })
        .collect()
}

/// The parameters of `prompts/get`.
#[derive(Deserialize)]
pub(crate) struct GetPrompt {
    name: String,
    #[serde(default)]
    arguments: Option<BTreeMap<String, String>>,
}

/// A prompt with its argument put in.
pub(crate) fn get(asked: &GetPrompt) -> Result<Value, RpcError> {
    let Some(prompt) = PROMPTS.iter().find(|prompt| prompt.name == asked.name) else {
        let names: Vec<&str> = PROMPTS.iter().map(|prompt| prompt.name).collect();
        return Err(RpcError::params(format!("there is no such prompt; there are {}", names.join(", "))));
    };
    let text = match prompt.argument {
        None => prompt.text.to_owned(),
        Some((name, _)) => {
            let value = asked.arguments.as_ref().and_then(|arguments| arguments.get(name)).map(|value| value.trim());
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Err(RpcError::params(format!("the prompt {} needs the argument {name:?}", prompt.name)));
            };
            let value: String = value.chars().filter(|c| !c.is_control()).take(VALUE_CHARACTERS).collect();
            prompt.text.replacen("{}", &value, 1)
        }
    };
    Ok(json!({
        "description": prompt.description,
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(params: &str) -> Result<String, String> {
        let got = get(&serde_json::from_str(params).expect(params)).map_err(|error| error.message.into_owned())?;
        Ok(got["messages"][0]["content"]["text"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn arguments_are_put_in_and_asked_for() {
        assert!(
            got(r#"{"name":"why_did_it_stop","arguments":{"guest":" web\n-01 "}}"#)
                .is_ok_and(|text| text.contains("guest web-01 stop"))
        );
        for wrong in [r#"{"name":"why_did_it_stop"}"#, r#"{"name":"why_did_it_stop","arguments":{"guest":" "}}"#] {
            assert!(got(wrong).is_err_and(|said| said.contains("\"guest\"")), "{wrong}");
        }
        assert!(got(r#"{"name":"nothing"}"#).is_err_and(|said| said.contains("check_homelab")));
    }

    #[test]
    fn every_prompt_can_be_had_as_it_is_listed() {
        for listed in listed().as_array().expect("a list") {
            let arguments: BTreeMap<String, String> = listed["arguments"]
                .as_array()
                .expect("arguments")
                .iter()
                .map(|argument| (argument["name"].as_str().unwrap_or_default().to_owned(), "x7".to_owned()))
                .collect();
            let named = !arguments.is_empty();
            let asked =
                GetPrompt { name: listed["name"].as_str().unwrap_or_default().to_owned(), arguments: Some(arguments) };
            let got = get(&asked).expect("it is there");
            let text = got["messages"][0]["content"]["text"].as_str().unwrap_or_default();
            assert_eq!((text.contains("x7"), text.contains("{}")), (named, false), "{listed}");
        }
    }
}
