//! `[mcp]` as far as it is about HAIA as a server: whether it serves, and how long a session lives.
//!
//! The host names of the same section are the gateway's in general; the servers that HAIA attaches are configured elsewhere.

use contract::units::Span;
use serde::Deserialize;
use std::time::Duration;

/// The settings of `/mcp`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct McpConfig {
    /// Whether HAIA's tools are served at `/mcp`. Default true.
    pub serve: bool,
    /// Whether the tools of attached servers are served there, too. Default true.
    pub serve_attached: bool,
    /// How long a session may rest before it is forgotten. Default 30m; from 1s to 1d.
    pub session_timeout: Span,
}

impl Default for McpConfig {
    fn default() -> Self {
        Self { serve: true, serve_attached: true, session_timeout: Span::seconds(30 * 60) }
    }
}

impl McpConfig {
    /// What is wrong with the values: the key, and a sentence that says what to do.
    pub(crate) fn validate(&self) -> Vec<(&'static str, &'static str)> {
        let most = Duration::from_secs(24 * 3600);
        if (Duration::from_secs(1)..=most).contains(&self.session_timeout.0) {
            return Vec::new();
        }
        vec![("session_timeout", "must be between \"1s\" and \"1d\"")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(McpConfig::default().validate(), []);
        for seconds in [0, 24 * 3600 + 1] {
            let config = McpConfig { session_timeout: Span::seconds(seconds), ..McpConfig::default() };
            assert_eq!(config.validate()[0].0, "session_timeout", "{seconds}");
        }
    }
}
