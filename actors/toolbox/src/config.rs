//! `[tools]`: which tools are offered, and how large a call may be.

use contract::units::Size;
use serde::{Deserialize, Serialize};

/// The settings of the toolbox.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names of tools that are not offered and cannot be called, whoever owns them. A `*` at the end stands for any rest: `"ha_*"`.
    pub disabled: Vec<String>,
    /// The most bytes that a call's arguments may have.
    pub max_arguments: Size,
    /// So many tools are listed to a model; where there are more, those of MCP servers give way to `tools_search`.
    pub max_listed: usize,
    /// The most bytes that the listed tools may have, names, descriptions and schemas together; beyond, as above.
    pub max_listed_bytes: Size,
    /// Tools of MCP servers that are listed all the same: names, or beginnings with a `*`.
    pub favourites: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            disabled: Vec::new(),
            max_arguments: Size(64 << 10),
            max_listed: 64,
            max_listed_bytes: Size(64 << 10),
            favourites: Vec::new(),
        }
    }
}

impl Config {
    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, patterns) in [("disabled", &self.disabled), ("favourites", &self.favourites)] {
            for (at, pattern) in patterns.iter().enumerate() {
                let name = pattern.strip_suffix('*').unwrap_or(pattern);
                if pattern.is_empty() || !name.bytes().all(crate::catalogue::is_name_byte) {
                    problems.push((
                        format!("{key}[{at}]"),
                        format!("{pattern:?} can be no tool: write a tool's name, or the beginning of one and a \"*\""),
                    ));
                }
            }
        }
        if !(8..=10_000).contains(&self.max_listed) {
            problems.push(("max_listed".to_owned(), "must be between 8 and 10000".to_owned()));
        }
        if !(4 << 10..=16 << 20).contains(&self.max_listed_bytes.0) {
            problems.push(("max_listed_bytes".to_owned(), "must be between \"4KiB\" and \"16MiB\"".to_owned()));
        }
        if !(256..=16 << 20).contains(&self.max_arguments.0) {
            problems.push(("max_arguments".to_owned(), "must be between \"256B\" and \"16MiB\"".to_owned()));
        }
        problems
    }

    /// Whether a tool is switched off.
    pub(crate) fn disables(&self, name: &str) -> bool {
        matches(&self.disabled, name)
    }

    /// Whether a tool is listed, however many there are.
    pub(crate) fn favours(&self, name: &str) -> bool {
        matches(&self.favourites, name)
    }
}

fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(Config::default().validate(), []);
        let config = Config {
            disabled: vec!["get_time".into(), "ha_*".into(), "no such".into(), String::new()],
            max_arguments: Size(1),
            max_listed: 1,
            max_listed_bytes: Size(1),
            favourites: vec!["*".into(), "a b".into()],
        };
        let keys: Vec<String> = config.validate().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            ["disabled[2]", "disabled[3]", "favourites[1]", "max_listed", "max_listed_bytes", "max_arguments"]
        );
    }

    #[test]
    fn disables_by_name_and_by_beginning() {
        let config = Config { disabled: vec!["get_time".into(), "ha_*".into()], ..Config::default() };
        for (name, disabled) in
            [("get_time", true), ("get_times", false), ("ha_", true), ("ha_lights", true), ("h", false)]
        {
            assert_eq!(config.disables(name), disabled, "{name}");
        }
    }
}
