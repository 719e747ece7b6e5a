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
}

impl Default for Config {
    fn default() -> Self {
        Self { disabled: Vec::new(), max_arguments: Size(64 << 10) }
    }
}

impl Config {
    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (at, pattern) in self.disabled.iter().enumerate() {
            let name = pattern.strip_suffix('*').unwrap_or(pattern);
            if pattern.is_empty() || !name.bytes().all(crate::catalogue::is_name_byte) {
                problems.push((
                    format!("disabled[{at}]"),
                    format!("{pattern:?} can be no tool: write a tool's name, or the beginning of one and a \"*\""),
                ));
            }
        }
        if !(256..=16 << 20).contains(&self.max_arguments.0) {
            problems.push(("max_arguments".to_owned(), "must be between \"256B\" and \"16MiB\"".to_owned()));
        }
        problems
    }

    /// Whether a tool is switched off.
    pub(crate) fn disables(&self, name: &str) -> bool {
        self.disabled.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        })
    }
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
        };
        let keys: Vec<String> = config.validate().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["disabled[2]", "disabled[3]", "max_arguments"]);
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
