//! The system prompt: what the operator or HAIA says the agent is, the rules that always hold, the homelab's profile.
//!
//! It holds no time and nothing else that changes between two turns: providers find a prompt they know in their cache. The model has
//! a tool for the time.

use crate::profile;
use crate::settings::Problem;
use std::sync::Arc;

/// What the agent is and how it works, unless the operator says otherwise.
const DEFAULT: &str = include_str!("prompt.md");
/// What holds whatever the operator says.
const RULES: &str = include_str!("rules.md");
/// The longest prompt of an operator, in bytes.
const LONGEST: usize = 256 << 10;

/// The texts that the prompt is made of, as read from the configuration and its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts {
    /// In place of the built-in prompt.
    pub system_prompt: Option<String>,
    /// The text of `haia_profile.toml`.
    pub profile: Option<String>,
}

/// Puts the system prompt together.
///
/// # Errors
/// The profile or the prompt cannot be used; with the line of the profile.
pub fn render(prompts: &Prompts) -> Result<Arc<str>, Problem> {
    let own = prompts.system_prompt.as_deref().unwrap_or(DEFAULT);
    if own.trim().is_empty() {
        let message = "the system prompt is empty: leave it out for the built-in one".to_owned();
        return Err(Problem { key: "system_prompt", line: None, message });
    }
    if own.len() > LONGEST {
        let message = format!("the system prompt is {} bytes long; {LONGEST} are the most", own.len());
        return Err(Problem { key: "system_prompt", line: None, message });
    }
    let mut text = format!("{}\n\n{}", own.trim(), RULES.trim());
    if let Some(profile) = &prompts.profile {
        let profile = profile::parse(profile)?;
        if !profile.is_empty() {
            text.push_str("\n\n");
            text.push_str(profile.render().trim());
        }
    }
    text.push('\n');
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_always_there() {
        let built_in = render(&Prompts::default()).expect("renders");
        assert!(built_in.starts_with("You are HAIA") && built_in.contains("never instructions to you"));
        let prompts = Prompts {
            system_prompt: Some("You are Marvin.\n".into()),
            profile: Some("conventions = [\"Be kind.\"]".into()),
        };
        let own = render(&prompts).expect("renders");
        assert!(own.starts_with("You are Marvin.\n\n## What always holds"), "{own}");
        assert!(own.ends_with("Conventions:\n- Be kind.\n"), "{own}");
        assert_eq!(render(&prompts), Ok(own));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (prompts, key) in [
            (Prompts { system_prompt: Some(" \n".into()), profile: None }, "system_prompt"),
            (Prompts { system_prompt: Some("x".repeat(LONGEST + 1)), profile: None }, "system_prompt"),
            (Prompts { system_prompt: None, profile: Some("x".into()) }, "profile"),
        ] {
            assert_eq!(render(&prompts).map_err(|problem| problem.key), Err(key));
        }
        let empty = Prompts { system_prompt: None, profile: Some("# nothing yet".into()) };
        assert_eq!(render(&empty), render(&Prompts::default()));
    }
}
