//! `[agent]`: which route answers, what the agent is told, and the limits of a turn.
//!
//! Paths are only named here; the composition root reads the files.

use contract::units::{Size, Span};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The longest that a turn may be allowed to take. A turn may wait as long for its place before.
pub(crate) const LONGEST_TURN: Duration = Duration::from_secs(3600);

/// The settings of the agent.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which of `[routes]` the model id `haia` uses.
    pub route: String,
    /// The system prompt, in place of the built-in one. What keeps tool results from being taken for instructions is always added.
    pub system_prompt: Option<String>,
    /// A file with the system prompt, in place of `system_prompt`.
    pub system_prompt_file: Option<PathBuf>,
    /// A file with facts about this homelab, added to the prompt: hosts, people, conventions, notes.
    pub profile: Option<PathBuf>,
    /// Rounds of tool calls before the model must answer. 0: HAIA's own tools are not offered.
    pub max_tool_rounds: u32,
    /// How long one tool may take.
    pub tool_timeout: Span,
    /// The most bytes of one tool's result that the model gets to see.
    pub tool_result_bytes: Size,
    /// How long a whole turn may take, tools and all.
    pub turn_timeout: Span,
    /// The newest messages kept of a longer history, system messages aside; cut at turns, never between a call and its result.
    pub context_messages: usize,
    /// A budget in tokens for history and tools, by estimate; 0: what the model is known to take.
    pub context_tokens: usize,
    /// Turns that run at once; background work gets at most half of these places.
    pub max_concurrent_turns: usize,
    /// Turns that wait for a place; beyond, 429 with Retry-After.
    pub max_queued_turns: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            route: "default".to_owned(),
            system_prompt: None,
            system_prompt_file: None,
            profile: None,
            max_tool_rounds: 8,
            tool_timeout: Span::seconds(30),
            tool_result_bytes: Size(32 << 10),
            turn_timeout: Span::seconds(600),
            context_messages: 100,
            context_tokens: 0,
            max_concurrent_turns: 32,
            max_queued_turns: 64,
        }
    }
}

impl Config {
    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: String| problems.push((key.to_owned(), message));
        if self.route.trim().is_empty() {
            wrong("route", "is empty: name one of [routes], such as \"default\"".to_owned());
        }
        if self.system_prompt.is_some() && self.system_prompt_file.is_some() {
            wrong("system_prompt_file", "and system_prompt are both set: keep one of them".to_owned());
        }
        if self.system_prompt.as_ref().is_some_and(|prompt| prompt.trim().is_empty()) {
            wrong("system_prompt", "is empty: leave it out for the built-in prompt".to_owned());
        }
        let second = Duration::from_secs(1);
        for (key, span, bounds) in [
            ("tool_timeout", self.tool_timeout, Duration::from_millis(100)..=LONGEST_TURN),
            ("turn_timeout", self.turn_timeout, second..=LONGEST_TURN),
        ] {
            if !bounds.contains(&span.0) {
                let (least, most) = (Span(*bounds.start()), Span(*bounds.end()));
                wrong(key, format!("is {span}: it must be between \"{least}\" and \"{most}\""));
            }
        }
        if self.tool_timeout > self.turn_timeout {
            wrong(
                "tool_timeout",
                format!("is {}, longer than turn_timeout ({})", self.tool_timeout, self.turn_timeout),
            );
        }
        let bytes = Size(256)..=Size(1 << 20);
        if !bytes.contains(&self.tool_result_bytes) {
            let (least, most) = (bytes.start(), bytes.end());
            let found = self.tool_result_bytes;
            wrong("tool_result_bytes", format!("is {found}: it must be between \"{least}\" and \"{most}\""));
        }
        let rounds = usize::try_from(self.max_tool_rounds).unwrap_or(usize::MAX);
        let counts: [(&str, usize, RangeInclusive<usize>); 4] = [
            ("max_tool_rounds", rounds, 0..=100),
            ("context_messages", self.context_messages, 1..=100_000),
            ("max_concurrent_turns", self.max_concurrent_turns, 1..=10_000),
            ("max_queued_turns", self.max_queued_turns, 0..=100_000),
        ];
        for (key, found, bounds) in counts {
            if !bounds.contains(&found) {
                wrong(key, format!("is {found}: it must be between {} and {}", bounds.start(), bounds.end()));
            }
        }
        if (1..1000).contains(&self.context_tokens) {
            let found = self.context_tokens;
            wrong("context_tokens", format!("is {found}: at least 1000, or 0 for what the model is known to take"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &Config) -> Vec<String> {
        config.validate().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(Config::default().validate(), []);
        let read: Config = toml::from_str("").expect("an empty section");
        assert_eq!(read, Config::default());
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let config = Config {
            route: " ".into(),
            system_prompt: Some(String::new()),
            system_prompt_file: Some("prompt.md".into()),
            max_tool_rounds: 101,
            tool_timeout: Span::seconds(7200),
            tool_result_bytes: Size(1),
            turn_timeout: Span::seconds(0),
            context_messages: 0,
            context_tokens: 5,
            max_concurrent_turns: 0,
            max_queued_turns: 100_001,
            profile: None,
        };
        let mut found = keys(&config);
        found.sort();
        found.dedup();
        assert_eq!(
            found,
            [
                "context_messages",
                "context_tokens",
                "max_concurrent_turns",
                "max_queued_turns",
                "max_tool_rounds",
                "route",
                "system_prompt",
                "system_prompt_file",
                "tool_result_bytes",
                "tool_timeout",
                "turn_timeout"
            ]
        );
        let longer = Config { tool_timeout: Span::seconds(700), ..Config::default() };
        assert_eq!(keys(&longer), ["tool_timeout"]);
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for text in ["max_rounds = 3", "tool_timeout = 30", "context_messages = -1", "profile = 5"] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
        let read: Config = toml::from_str("tool_timeout = \"5s\"\nprofile = \"haia_profile.toml\"").expect("reads");
        assert_eq!(read.tool_timeout, Span::seconds(5));
    }
}
