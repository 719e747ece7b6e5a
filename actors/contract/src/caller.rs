//! Who asks, from where, and what they may do.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a key allows. The order is the order of power: each scope holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Status, ready, metrics, models, and every GET under `/api`.
    Read,
    /// Also chat, WebSocket, MCP, acknowledge, silence, run a job, heartbeats, the Alertmanager webhook.
    Control,
    /// Also approvals, configuration, keys, audit.
    Admin,
}

impl Scope {
    /// The scope as the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Control => "control",
            Scope::Admin => "admin",
        }
    }
}

/// The identity behind a request, as the audit trail records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's name, `loopback` (no key configured), `socket` (the command line), or the job's or alert's name.
    pub name: Arc<str>,
    /// What the caller may do.
    pub scope: Scope,
    /// What kind of thing asked.
    pub origin: Origin,
}

impl Caller {
    /// Under which name its calls of models are summed and queued: a job `backup` is not the key `backup`, and alerts, of which there are ever
    /// new ones, are summed as one.
    pub fn account(&self) -> Arc<str> {
        match self.origin {
            Origin::Job => format!("job:{}", self.name).into(),
            Origin::Alert => "alerts".into(),
            Origin::Chat | Origin::Cli | Origin::Internal => Arc::clone(&self.name),
        }
    }

    /// Whether the limits of the key of its name hold: it came with that key.
    pub fn has_key_limits(&self) -> bool {
        self.origin == Origin::Chat
    }
}

/// What kind of thing caused a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A person or program over HTTP.
    Chat,
    /// The command line over the unix socket.
    Cli,
    /// A scheduled job: read-only tools.
    Job,
    /// The explanation of an alert: read-only tools.
    Alert,
    /// HAIA itself.
    Internal,
}

impl Origin {
    /// Whether nobody waits at a screen: background turns get read-only tools and the background lane.
    pub fn is_background(self) -> bool {
        matches!(self, Origin::Job | Origin::Alert | Origin::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_no_key_and_alerts_are_one() {
        let of = |name: &str, origin| Caller { name: name.into(), scope: Scope::Read, origin };
        for (name, origin, account, is_limited) in [
            ("backup", Origin::Chat, "backup", true),
            ("socket", Origin::Cli, "socket", false),
            ("backup", Origin::Job, "job:backup", false),
            ("alert 7", Origin::Alert, "alerts", false),
            ("alert 8", Origin::Alert, "alerts", false),
        ] {
            let caller = of(name, origin);
            assert_eq!((caller.account().as_ref(), caller.has_key_limits()), (account, is_limited));
        }
    }
}
