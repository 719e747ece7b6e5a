//! `[proxmox.<name>]`: where a cluster is, the token for it, and how its certificate is checked.
//!
//! It is read and checked here; nothing is connected to.

use crate::actions::ActionTimeouts;
use contract::secret::Secret;
use contract::units::Span;
use runtime::http::parse_fingerprint;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The clusters by their names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Config {
    /// Each cluster, by name.
    pub clusters: BTreeMap<String, ClusterConfig>,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Members of the cluster, `https://host:8006`. Any of them answers for all; the first that does is used.
    pub endpoints: Vec<String>,
    /// The API token's name, `user@realm!token`.
    pub token_id: String,
    /// The token's secret.
    pub token_secret: Secret,
    /// How the members' certificates are checked.
    #[serde(default)]
    pub tls: TlsConfig,
    /// How often the cluster is looked at. Proxmox renews its figures every ten seconds.
    #[serde(default = "poll_interval")]
    pub poll_interval: Span,
    /// Whether actions on guests may be proposed, and run once approved.
    #[serde(default)]
    pub allow_actions: bool,
    /// How long HAIA waits for the end of an action, by class.
    #[serde(default)]
    pub action_timeouts: ActionTimeouts,
}

/// How certificates are checked: by one of these; by the system's authorities when none is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// SHA-256 fingerprints of the members' certificates.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// The cluster's own authority (`/etc/pve/pve-root-ca.pem` of a member).
    pub ca_file: Option<PathBuf>,
    /// Not at all.
    #[serde(default)]
    pub insecure: bool,
}

fn poll_interval() -> Span {
    Span::seconds(10)
}

/// The port of Proxmox VE's API.
pub const DEFAULT_PORT: u16 = 8006;

/// An endpoint taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`.
    pub authority: String,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Endpoint {
    /// Reads `https://host:8006`. `http` is taken for loopback addresses only: a token must not go over a network in the clear.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} {why}; write for example \"https://10.0.0.11:8006\"");
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(wrong("does not begin with https://")),
        };
        let authority = rest.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#']) {
            return Err(wrong("must be a host and a port without a path"));
        }
        if authority.contains('@') {
            return Err(wrong("holds a user: write the token as token_id and token_secret"));
        }
        let uri =
            format!("https://{authority}/").parse::<awc::http::Uri>().map_err(|_| wrong("is not a usable address"))?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let is_loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !tls && !is_loopback {
            return Err(wrong("would send the token unencrypted"));
        }
        let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
        Ok(Self { authority: format!("{host}:{port}"), tls })
    }
}

impl Config {
    /// What is wrong beyond types: key and message.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, cluster) in &self.clusters {
            let mut wrong = |key: &str, why: String| problems.push((format!("proxmox.{name}{key}"), why));
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
                wrong("", "a cluster's name has letters, digits, \"-\", \"_\" and \".\" only".to_owned());
            }
            if cluster.endpoints.is_empty() {
                wrong(".endpoints", "at least one member is needed, for example \"https://10.0.0.11:8006\"".to_owned());
            }
            for endpoint in &cluster.endpoints {
                if let Err(why) = Endpoint::parse(endpoint) {
                    wrong(".endpoints", why);
                }
            }
            if !is_token_id(&cluster.token_id) {
                let why = format!(
                    "{:?} is no token: write user@realm!name, for example \"haia@pve!monitor\"",
                    cluster.token_id
                );
                wrong(".token_id", why);
            }
            let secret = cluster.token_secret.expose();
            if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                wrong(".token_secret", "it is empty or holds characters that no token has".to_owned());
            }
            for fingerprint in &cluster.tls.fingerprints {
                if parse_fingerprint(fingerprint).is_none() {
                    let why =
                        format!("{fingerprint:?} is no SHA-256 fingerprint: 32 pairs of hexadecimal digits, AB:CD:…");
                    wrong(".tls.fingerprints", why);
                }
            }
            let ways = [!cluster.tls.fingerprints.is_empty(), cluster.tls.ca_file.is_some(), cluster.tls.insecure];
            if ways.iter().filter(|way| **way).count() > 1 {
                wrong(".tls", "set one of fingerprints, ca_file and insecure: which of them should decide?".to_owned());
            }
            for (class, why) in cluster.action_timeouts.validate() {
                wrong(&format!(".action_timeouts.{class}"), why);
            }
            if cluster.poll_interval.0 < Duration::from_secs(1) {
                wrong(".poll_interval", "it must be at least 1s; Proxmox renews its figures every 10s".to_owned());
            }
        }
        problems
    }
}

fn is_token_id(text: &str) -> bool {
    let plain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"!='\"".contains(&byte));
    let Some((user, token)) = text.split_once('!') else { return false };
    let Some((name, realm)) = user.rsplit_once('@') else { return false };
    plain(name) && plain(realm) && plain(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(json: &str) -> Result<ClusterConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn problems(json: &str) -> Vec<String> {
        let clusters = [("lab".to_owned(), cluster(json).unwrap())].into();
        Config { clusters }.validate().into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn a_sound_cluster_has_no_problems_and_its_defaults() {
        let json = r#"{"endpoints":["https://10.0.0.11:8006","https://pve2.lan"],"token_id":"haia@pve!monitor","token_secret":"a-b"}"#;
        assert_eq!(problems(json), [""; 0]);
        let cluster = cluster(json).unwrap();
        assert_eq!((cluster.poll_interval, cluster.allow_actions), (Span::seconds(10), false));
        assert_eq!(
            Endpoint::parse("https://pve2.lan").map(|endpoint| endpoint.authority).as_deref(),
            Ok("pve2.lan:8006")
        );
        assert_eq!(Endpoint::parse("https://[::1]:1/").map(|endpoint| endpoint.authority).as_deref(), Ok("[::1]:1"));
        assert!(!format!("{cluster:?}").contains("a-b"));
    }

    #[test]
    fn every_problem_is_named() {
        let json = r#"{"endpoints":["10.0.0.1","http://10.0.0.1:8006","https://u:p@h","https://h/api"],"token_id":"haia@pve","token_secret":"",
            "tls":{"fingerprints":["AB"],"insecure":true},"poll_interval":"100ms"}"#;
        for (found, expected) in problems(json).iter().zip([
            "proxmox.lab.endpoints: \"10.0.0.1\" does not begin with https://",
            "proxmox.lab.endpoints: \"http://10.0.0.1:8006\" would send the token unencrypted",
            "proxmox.lab.endpoints: \"https://u:p@h\" holds a user",
            "proxmox.lab.endpoints: \"https://h/api\" must be a host",
            "proxmox.lab.token_id: \"haia@pve\" is no token",
            "proxmox.lab.token_secret: it is empty",
            "proxmox.lab.tls.fingerprints: \"AB\"",
            "proxmox.lab.tls: set one",
            "proxmox.lab.poll_interval: it must",
        ]) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert_eq!(problems(json).len(), 9);
        assert_eq!(problems(r#"{"endpoints":[],"token_id":"a@b!c","token_secret":"x"}"#).len(), 1);
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = cluster(r#"{"endpoints":[],"token_id":"a","token_secret":"b","tls":{"finger":1}}"#).unwrap_err();
        assert!(error.contains("unknown field `finger`"), "{error}");
    }
}
