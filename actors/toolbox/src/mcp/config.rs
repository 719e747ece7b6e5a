//! `[mcp]`: where the servers are listed, and how all of them are bounded. Each entry may narrow or widen its own bounds under `haia`.

use super::environment::Environment;
use contract::units::{Size, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The settings of everything that speaks MCP.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// The file that lists the servers, in the format of other MCP hosts (`mcpServers`). It need not exist.
    pub config: PathBuf,
    /// Whether HAIA's own tools are served at `/mcp`.
    pub serve: bool,
    /// The host names by which `/mcp` may be called, beside those of the machine itself.
    pub allowed_hosts: Vec<String>,
    /// Programs that are started at once; further ones wait a moment.
    pub max_starting: usize,
    /// How long the start of a server may take.
    pub start_timeout: Span,
    /// How long a call may take without a sign of progress, if its caller waits as long.
    pub call_timeout: Span,
    /// How long a call with progress may take in all.
    pub max_call_timeout: Span,
    /// How long a server with `"start": "lazy"` may rest unused before it is ended.
    pub idle_stop: Span,
    /// The most bytes of a result that a model sees at once; the rest can be read with `read_result`.
    pub max_result: Size,
    /// The most tools that one server may have.
    pub max_tools: usize,
    /// Calls that one server gets at once; further ones wait.
    pub concurrent_calls: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            config: PathBuf::from("mcp_config.json"),
            serve: true,
            allowed_hosts: Vec::new(),
            max_starting: 6,
            start_timeout: Span::seconds(30),
            call_timeout: Span::seconds(60),
            max_call_timeout: Span::seconds(600),
            idle_stop: Span::seconds(600),
            max_result: Size(24 << 10),
            max_tools: 1000,
            concurrent_calls: 8,
        }
    }
}

impl Config {
    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, said: &str| problems.push((key.to_owned(), said.to_owned()));
        if self.config.as_os_str().is_empty() {
            wrong("config", "must be the path of a file");
        }
        if !(1..=64).contains(&self.max_starting) {
            wrong("max_starting", "must be between 1 and 64");
        }
        let spans = [("start_timeout", self.start_timeout), ("call_timeout", self.call_timeout)];
        for (key, span) in spans {
            if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&span.0) {
                wrong(key, "must be between \"100ms\" and \"10m\"");
            }
        }
        if self.max_call_timeout < self.call_timeout || self.max_call_timeout > Span(super::MAX_CALL) {
            wrong("max_call_timeout", "must be at least call_timeout, and at most \"1h\"");
        }
        if self.idle_stop < Span::seconds(1) {
            wrong("idle_stop", "must be \"1s\" or more");
        }
        if !(1 << 10..=1 << 20).contains(&self.max_result.0) {
            wrong("max_result", "must be between \"1KiB\" and \"1MiB\"");
        }
        if !(1..=10_000).contains(&self.max_tools) {
            wrong("max_tools", "must be between 1 and 10000");
        }
        if !(1..=256).contains(&self.concurrent_calls) {
            wrong("concurrent_calls", "must be between 1 and 256");
        }
        problems
    }
}

/// Everything that the host of the servers is configured with: the bounds, the file's text, and the environment that it refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `[mcp]`.
    pub config: Config,
    /// The text of the file that lists the servers; empty where there is none.
    pub servers: Arc<str>,
    /// What `${VAR}` in it refers to.
    pub environment: Environment,
}

impl Settings {
    /// The names in the file of servers; `None` where it cannot be read as a whole.
    pub fn names(&self) -> Option<BTreeSet<Arc<str>>> {
        super::file::read(&self.servers, &self.environment).ok().map(|servers| servers.into_keys().collect())
    }

    /// Why the file of servers cannot be read as a whole, with line and column; `None` if it can. Single bad entries are told in the
    /// servers' states instead.
    pub fn problem(&self) -> Option<String> {
        super::file::read(&self.servers, &self.environment).err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(Config::default().validate(), []);
        let config = Config {
            config: PathBuf::new(),
            max_starting: 0,
            start_timeout: Span::seconds(0),
            call_timeout: Span::seconds(3600),
            idle_stop: Span::seconds(0),
            max_result: Size(1),
            max_tools: 0,
            concurrent_calls: 0,
            ..Config::default()
        };
        let keys: Vec<String> = config.validate().into_iter().map(|(key, _)| key).collect();
        let all = [
            "config",
            "max_starting",
            "start_timeout",
            "call_timeout",
            "max_call_timeout",
            "idle_stop",
            "max_result",
            "max_tools",
            "concurrent_calls",
        ];
        assert_eq!(keys, all);
    }
}
