//! `[prometheus]` and `[alertmanager]`: where the servers are. It is read and checked here; nothing is connected to.

use contract::secret::Secret;
use serde::Deserialize;

/// Both servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[prometheus]`.
    pub prometheus: Option<ServerConfig>,
    /// `[alertmanager]`.
    pub alertmanager: Option<AlertmanagerConfig>,
}

/// Alertmanager.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Its address, with the path it is served under, if any.
    pub url: String,
    /// A bearer token, where a proxy in front of it wants one.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Whether silences may be proposed; each is made only when a person has approved it.
    #[serde(default)]
    pub allow_actions: bool,
}

impl AlertmanagerConfig {
    /// Where it is.
    pub fn server(&self) -> ServerConfig {
        ServerConfig { url: self.url.clone(), token: self.token.clone() }
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Its address, with the path it is served under, if any.
    pub url: String,
    /// A bearer token, where a proxy in front of it wants one.
    #[serde(default)]
    pub token: Option<Secret>,
}

impl ServerConfig {
    /// What is wrong with it beyond types: the key within its section, and a sentence.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let wrong = |why: &str| format!("{:?} {why}; write for example \"http://prometheus.lan:9090\"", self.url);
        let plain = self.url.strip_prefix("http://").or_else(|| self.url.strip_prefix("https://"));
        match (plain, self.url.parse::<awc::http::Uri>()) {
            (None, _) => problems.push(("url", wrong("does not begin with http:// or https://"))),
            (_, Err(_)) => problems.push(("url", wrong("is not a usable address"))),
            (Some(rest), Ok(uri)) => {
                if uri.host().is_none_or(str::is_empty) {
                    problems.push(("url", wrong("names no host")));
                } else if rest.contains('@') {
                    problems.push(("url", wrong("holds a login, which is not sent: use token")));
                } else if uri.query().is_some() {
                    problems.push(("url", wrong("holds a query")));
                }
            }
        }
        if let Some(token) = &self.token
            && (token.expose().is_empty() || !token.expose().bytes().all(|byte| byte.is_ascii_graphic()))
        {
            problems.push(("token", "it is empty or holds characters that no token has".to_owned()));
        }
        problems
    }
}

impl Config {
    /// What is wrong beyond types: key and message.
    pub fn validate(&self) -> Vec<(String, String)> {
        let alertmanager = self.alertmanager.as_ref().map(AlertmanagerConfig::server);
        let servers = [("prometheus", self.prometheus.clone()), ("alertmanager", alertmanager)];
        servers
            .into_iter()
            .filter_map(|(name, server)| server.map(|server| (name, server)))
            .flat_map(|(name, server)| {
                server.problems().into_iter().map(move |(key, why)| (format!("{name}.{key}"), why))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named() {
        let problems = |url: &str, token: Option<&str>| {
            let server = ServerConfig { url: url.to_owned(), token: token.map(|token| Secret::new(token.to_owned())) };
            let config = Config { prometheus: Some(server), alertmanager: None };
            config.validate().into_iter().map(|(key, why)| format!("{key}: {why}")).collect::<Vec<_>>()
        };
        for sound in ["http://localhost:9090", "https://prom.lan/prometheus/", "http://[::1]:9090"] {
            assert_eq!(problems(sound, Some("abc")), [""; 0], "{sound}");
        }
        for (url, expected) in [
            ("localhost:9090", "prometheus.url: \"localhost:9090\" does not begin"),
            ("http://", "prometheus.url: \"http://\""),
            ("http://u:p@h", "prometheus.url: \"http://u:p@h\" holds a login"),
            ("http://h/?a=b", "prometheus.url: \"http://h/?a=b\" holds a query"),
        ] {
            let found = problems(url, None);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
        assert_eq!(problems("http://h", Some("a b")).len(), 1);
    }
}
