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
