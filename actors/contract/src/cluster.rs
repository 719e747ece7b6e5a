//! What the poller of Proxmox clusters tells others: how each cluster does, and what a probe of its endpoints found.
//!
//! The guests, nodes and storages themselves are not here: they are read through the poller's tools.

use crate::approvals::ActionClass;
use crate::failure::Failure;
use crate::message::Msg;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// How well a cluster can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// No poll has ended yet.
    Starting,
    /// The last poll was good and complete.
    Ok,
    /// The last poll was good, but something cannot be seen: a privilege is missing, quorum is lost, a node is offline.
    Degraded,
    /// The last poll failed: what is known grows old.
    Blind,
}

impl ClusterState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            ClusterState::Starting => "starting",
            ClusterState::Ok => "ok",
            ClusterState::Degraded => "degraded",
            ClusterState::Blind => "blind",
        }
    }
}

/// A cluster as `/status` and `/metrics` show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// How well it can be seen.
    pub state: ClusterState,
    /// What is wrong and what to do; `None` when all is well.
    pub problem: Option<String>,
    /// The member that answered last.
    pub endpoint: Option<Arc<str>>,
    /// When a poll was last good, in HAIA's time.
    pub last_good_poll: Option<Timestamp>,
    /// Seconds since then.
    pub last_good_poll_age_s: Option<u64>,
    /// Milliseconds that the last good poll took, network included.
    pub poll_ms: Option<u64>,
    /// Polls since the start.
    pub polls: u64,
    /// Polls that failed since the start.
    pub errors: u64,
    /// Members of the cluster.
    pub nodes: u64,
    /// Members that are online.
    pub nodes_online: u64,
    /// Guests, templates aside.
    pub guests: u64,
    /// Guests that run.
    pub guests_running: u64,
    /// Whether the cluster is quorate; `None` where that cannot be seen.
    pub quorate: Option<bool>,
    /// Privileges that the token lacks.
    pub missing_privileges: Vec<String>,
}

/// Asks the poller how every cluster does.
#[derive(Clone, Debug)]
pub struct ListClusters;

impl Msg for ListClusters {
    type Reply = Vec<ClusterStatus>;
    const NAME: &'static str = "ListClusters";
}

/// Asks the poller to try every endpoint of a cluster now, with its token: for `haia check`.
#[derive(Clone, Debug)]
pub struct ProbeCluster {
    /// The name in the configuration.
    pub cluster: Arc<str>,
}

impl Msg for ProbeCluster {
    type Reply = Result<ClusterProbe, Failure>;
    const NAME: &'static str = "ProbeCluster";
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterProbe {
    /// Each endpoint, in the order of the configuration.
    pub endpoints: Vec<EndpointProbe>,
    /// Each privilege that HAIA's reading uses; empty when no endpoint let the token in.
    pub privileges: Vec<PrivilegeProbe>,
    /// The command that grants what is missing of these; `None` when nothing is.
    pub grant: Option<String>,
    /// Each class of actions on guests; empty where the cluster takes none, or no endpoint let the token in.
    pub actions: Vec<ActionProbe>,
}

/// Whether the token may do a class of actions somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionProbe {
    /// The class.
    pub class: ActionClass,
    /// The privileges that it needs and the token holds nowhere.
    pub missing: Vec<&'static str>,
}

/// Asks the poller to look now instead of at its own pace, and to judge what it finds: for jobs.
#[derive(Clone, Debug)]
pub struct RunCheck {
    /// A rule's name (`backup_stale`), a pattern of names (`guest_*`), or `all`.
    pub check: Arc<str>,
}

impl Msg for RunCheck {
    type Reply = Result<CheckOutcome, Failure>;
    const NAME: &'static str = "RunCheck";
}

/// What a check found, over all clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckOutcome {
    /// The rules that were judged.
    pub rules: Vec<Arc<str>>,
    /// What is raised now, a sentence each.
    pub findings: Vec<String>,
    /// What could not be looked at, and why.
    pub problems: Vec<String>,
}

/// One endpoint as it was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointProbe {
    /// Its address.
    pub address: Arc<str>,
    /// What is wrong and what to do; `None` when it answered and let the token in.
    pub problem: Option<String>,
    /// SHA-256 of the certificate it showed, in hex with colons; `None` when it showed none.
    pub fingerprint: Option<String>,
    /// The version of Proxmox VE there.
    pub version: Option<String>,
    /// Seconds that its clock is ahead of HAIA's; negative when behind.
    pub clock_difference_s: Option<i64>,
    /// Milliseconds until its answer.
    pub ms: Option<u64>,
}

/// A privilege that HAIA uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrivilegeProbe {
    /// The privilege (`Sys.Audit`).
    pub privilege: &'static str,
    /// Whether the token has it.
    pub granted: bool,
    /// What cannot be seen or done without it.
    pub lost_without: &'static str,
}
