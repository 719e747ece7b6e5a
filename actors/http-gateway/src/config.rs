//! The `[server]` section: where HAIA listens, whom it lets in, how much it takes.
//!
//! It never resolves secret references or reads files: the configuration's layers have done that before.

use crate::mcp::McpConfig;
use contract::caller::Scope;
use contract::secret::Secret;
use contract::units::Size;
use contract::usage::KeyLimits;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The `[server]` section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on, `host:port`; port 0 takes any free port and logs it. Beyond loopback a key is needed.
    /// Default `127.0.0.1:8000`. A change needs a restart.
    pub listen: String,
    /// The web origins whose pages may call HAIA from a browser, `scheme://host[:port]`; `*` lets any page call that has a key.
    /// Default `http://localhost:3000`, where Open WebUI's container is usually published.
    pub cors_origins: Vec<String>,
    /// The largest request body. Default 32MiB: room for pictures.
    pub max_body: Size,
    /// Worker threads; 0: one per core. Default 0. A change needs a restart.
    pub workers: usize,
    /// API keys by name; more can be made with `haia keys new`.
    pub keys: BTreeMap<String, KeyConfig>,
    /// How much the calls of keys that `haia keys new` made may take, by the key's name. A key of `keys` has its own limits there.
    pub limits: BTreeMap<String, KeyLimits>,
    /// Further host names that clients without a key may use in `Host`, with or without a port: taken over from `[mcp] allowed_hosts`.
    pub allowed_hosts: Vec<String>,
    /// HAIA as an MCP server: taken over from `[mcp]`.
    #[serde(skip)]
    pub mcp: McpConfig,
}

/// One key of `[server.keys.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The key itself, as `env:NAME`, `file:PATH` or `credential:NAME`.
    pub key: Secret,
    /// What it allows: `read`, `control` or `admin`. Default `control`.
    #[serde(default = "control")]
    pub scope: Scope,
    /// How much its calls of models may take. Default: as much as they like.
    #[serde(default)]
    pub limits: KeyLimits,
}

fn control() -> Scope {
    Scope::Control
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".to_owned(),
            cors_origins: vec!["http://localhost:3000".to_owned()],
            max_body: Size(32 << 20),
            workers: 0,
            keys: BTreeMap::new(),
            limits: BTreeMap::new(),
            allowed_hosts: Vec::new(),
            mcp: McpConfig::default(),
        }
    }
}

/// One thing that is wrong with the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, relative to the section (`keys.openwebui.key`).
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Which limits are none, and what to do.
fn wrong_limits(limits: &KeyLimits) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("tokens_per_day", limits.tokens_per_day.map(|most| most as f64)),
        ("tokens_per_month", limits.tokens_per_month.map(|most| most as f64)),
        ("usd_per_day", limits.usd_per_day),
        ("usd_per_month", limits.usd_per_month),
    ]
    .into_iter()
    .filter(|(_, most)| most.is_some_and(|most| !most.is_finite() || most <= 0.0))
    .map(|(limit, _)| {
        (limit, "a limit must be above 0; to keep a key from calling models, give it the scope \"read\"".into())
    })
}

/// The names that HAIA gives to callers who need no key; a key of that name would be taken for one of them in the audit trail and the
/// accounts.
pub(crate) const RESERVED_NAMES: [&str; 3] = ["loopback", "socket", "alerts"];

impl Config {
    /// Finds everything that is wrong with the section by itself.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: String, message: String| problems.push(Problem { key, message });
        match host_and_port(&self.listen) {
            None => wrong(
                "listen".into(),
                format!(
                    "{:?} is not an address: write for example \"127.0.0.1:8000\" or \"0.0.0.0:8000\"",
                    self.listen
                ),
            ),
            Some((host, _)) if self.keys.is_empty() && !is_loopback_host(host) => wrong(
                "listen".into(),
                format!(
                    "{:?} is reachable from other machines, but no key is configured: add [server.keys.NAME] or listen on 127.0.0.1",
                    self.listen
                ),
            ),
            Some(_) => {}
        }
        for (at, origin) in self.cors_origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                wrong(
                    format!("cors_origins[{at}]"),
                    format!(
                        "{origin:?} is not an origin: write \"http://host:port\" or \"https://host\", without a path"
                    ),
                );
            }
        }
        if self.max_body.0 < 1024 {
            wrong("max_body".into(), format!("{} is too small for a chat: 1KiB is the least", self.max_body));
        }
        if self.workers > 1024 {
            wrong("workers".into(), format!("{} threads are too many: 1024 is the most", self.workers));
        }
        for (name, entry) in &self.keys {
            if let Err(message) = check_key_name(name) {
                wrong(format!("keys.{name}"), message);
            }
            let key = entry.key.expose();
            if key.is_empty() {
                wrong(format!("keys.{name}.key"), "the key is empty (openssl rand -hex 32 makes a good one)".into());
            } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                wrong(
                    format!("keys.{name}.key"),
                    "the key holds blanks or characters that cannot stand in an HTTP header".into(),
                );
            }
            for (limit, message) in wrong_limits(&entry.limits) {
                wrong(format!("keys.{name}.limits.{limit}"), message);
            }
            let twin = self.keys.iter().find(|(other, twin)| *other < name && twin.key == entry.key);
            if let Some((twin, _)) = twin {
                wrong(
                    format!("keys.{name}.key"),
                    format!("the key is the same as that of {twin:?}: use one key per client"),
                );
            }
        }
        for (name, limits) in &self.limits {
            if let Err(message) = check_key_name(name) {
                wrong(format!("limits.{name}"), message);
            }
            if self.keys.contains_key(name) {
                wrong(
                    format!("limits.{name}"),
                    format!("{name:?} is a key of this file: its limits stand in [server.keys.{name}.limits]"),
                );
            }
            for (limit, message) in wrong_limits(limits) {
                wrong(format!("limits.{name}.{limit}"), message);
            }
        }
        for (key, message) in self.mcp.validate() {
            wrong(key.to_owned(), message.to_owned());
        }
        for (at, host) in self.allowed_hosts.iter().enumerate() {
            if host.is_empty() || host.bytes().any(|byte| byte.is_ascii_whitespace() || byte == b'/') {
                wrong(
                    format!("allowed_hosts[{at}]"),
                    format!("{host:?} is not a host name: write it as in the address bar, without http://"),
                );
            }
        }
        problems
    }

    /// Which keys differ from `newer` in a way that only a restart can take over.
    pub fn needs_restart(&self, newer: &Config) -> Vec<&'static str> {
        let mut keys = Vec::new();
        if self.listen != newer.listen {
            keys.push("listen");
        }
        if self.workers != newer.workers {
            keys.push("workers");
        }
        keys
    }
}

/// Whether a key may have this name.
pub(crate) fn check_key_name(name: &str) -> Result<(), String> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(sane) {
        return Err(format!("{name:?} is not a name for a key: 1 to 64 letters, digits, '-', '_' or '.'"));
    }
    if RESERVED_NAMES.contains(&name) {
        return Err(format!("{name:?} is the name of callers without a key: choose another"));
    }
    Ok(())
}

/// Splits `host:port`; an IPv6 address stands in brackets.
pub(crate) fn host_and_port(listen: &str) -> Option<(&str, u16)> {
    let (host, port) = listen.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().ok().map(|_| (address, port)),
        None if host.is_empty() || host.contains([':', '[', ']', '/']) => None,
        None => Some((host, port)),
    }
}

/// Whether a host is this machine alone.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let scheme_fits = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    scheme_fits && !authority.is_empty() && !authority.bytes().any(|b| b.is_ascii_whitespace() || b"/?#@".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Config {
        serde_json::from_str(json).expect(json)
    }

    fn problems(json: &str) -> Vec<String> {
        read(json).validate().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_defaults_are_fine() {
        assert_eq!(read("{}"), Config::default());
        assert!(Config::default().validate().is_empty());
    }

    #[test]
    fn a_key_allows_control_unless_told_otherwise() {
        let config = read(r#"{"keys":{"a":{"key":"12345678"},"b":{"key":"abcdefgh","scope":"admin"}}}"#);
        assert_eq!(config.keys["a"].scope, Scope::Control);
        assert_eq!(config.keys["b"].scope, Scope::Admin);
        assert!(!format!("{config:?}").contains("12345678"));
    }

    #[test]
    fn names_the_key_of_each_problem() {
        for (json, expected) in [
            (r#"{"listen":"8000"}"#, vec!["listen"]),
            (r#"{"listen":"::1:8000"}"#, vec!["listen"]),
            (r#"{"listen":"127.0.0.1:99999"}"#, vec!["listen"]),
            (r#"{"listen":"0.0.0.0:8000"}"#, vec!["listen"]),
            (r#"{"listen":"haia.lan:8000"}"#, vec!["listen"]),
            (r#"{"listen":"0.0.0.0:8000","keys":{"a":{"key":"12345678"}}}"#, vec![]),
            (r#"{"listen":"[::1]:0"}"#, vec![]),
            (r#"{"listen":"localhost:8000"}"#, vec![]),
            (
                r#"{"cors_origins":["*","http://a:1","a.lan","https://a/b"]}"#,
                vec!["cors_origins[2]", "cors_origins[3]"],
            ),
            (r#"{"max_body":"100B"}"#, vec!["max_body"]),
            (r#"{"workers":5000}"#, vec!["workers"]),
            (r#"{"keys":{"a b":{"key":"12345678"}}}"#, vec!["keys.a b"]),
            (r#"{"keys":{"socket":{"key":"12345678"}}}"#, vec!["keys.socket"]),
            (r#"{"keys":{"alerts":{"key":"12345678"}}}"#, vec!["keys.alerts"]),
            (r#"{"keys":{"a":{"key":""}}}"#, vec!["keys.a.key"]),
            (r#"{"keys":{"a":{"key":"with a blank"}}}"#, vec!["keys.a.key"]),
            (r#"{"keys":{"a":{"key":"12345678"},"b":{"key":"12345678"}}}"#, vec!["keys.b.key"]),
            (
                r#"{"keys":{"a":{"key":"12345678","limits":{"tokens_per_day":0,"usd_per_month":-1.0,"usd_per_day":0.5}}}}"#,
                vec!["keys.a.limits.tokens_per_day", "keys.a.limits.usd_per_month"],
            ),
            (r#"{"allowed_hosts":["haia.lan","http://x"]}"#, vec!["allowed_hosts[1]"]),
        ] {
            assert_eq!(problems(json), expected, "{json}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"listn":"x"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"keys":{"a":{"key":"12345678","scop":"read"}}}"#).is_err());
    }

    #[test]
    fn tells_what_needs_a_restart() {
        let old = Config::default();
        let newer = Config { listen: "127.0.0.1:9".into(), max_body: Size(4096), ..Config::default() };
        assert_eq!(old.needs_restart(&newer), ["listen"]);
        assert!(old.needs_restart(&Config { cors_origins: vec![], ..Config::default() }).is_empty());
    }
}
