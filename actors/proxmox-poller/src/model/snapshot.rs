//! The whole of what is known of a cluster at one moment.

use super::{
    BackupJob, CephStatus, Guest, HaStatus, MissingPrivilege, Node, OwnAction, Part, ReplicationJob, Slow, Storage,
    Task,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether the cluster can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Whether enough members see each other.
    pub is_quorate: bool,
    /// Members there should be.
    pub members: u32,
}

/// One cluster at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The name in HAIA's configuration.
    pub cluster: Arc<str>,
    /// The name that the cluster gives itself; `None` for a single node.
    pub own_name: Option<Arc<str>>,
    /// When the poll behind it ended, in HAIA's time: the age of everything that has none of its own.
    pub taken_at: Timestamp,
    /// The server's clock then, seconds since 1970: what tasks and backups are dated by.
    pub server_time_s: Option<i64>,
    /// The member that answered.
    pub endpoint: Arc<str>,
    /// Milliseconds that the poll took.
    pub poll_ms: u64,
    /// Members, by name.
    pub nodes: Vec<Node>,
    /// Guests, by VMID; templates among them.
    pub guests: Vec<Guest>,
    /// Storages, by label.
    pub storages: Vec<Storage>,
    /// Recent tasks of all nodes, newest first.
    pub tasks: Vec<Task>,
    /// Quorum; `None` where it cannot be seen, or on a single node.
    pub quorum: Option<Quorum>,
    /// Ceph, on its own beat.
    pub ceph: Part<CephStatus>,
    /// HA, on its own beat.
    pub ha: Part<HaStatus>,
    /// Replication, on its own beat.
    pub replication: Part<Vec<ReplicationJob>>,
    /// Backup jobs, on their own beat.
    pub backup_jobs: Part<Vec<BackupJob>>,
    /// Everything else that is fetched at its own pace.
    pub slow: Arc<Slow>,
    /// Rows of kinds that have no model here, counted by kind (`pool`, `sdn`, `network`).
    pub other_rows: BTreeMap<Arc<str>, u32>,
    /// What the token lacks.
    pub missing_privileges: Vec<MissingPrivilege>,
    /// What HAIA did itself lately, the newest last.
    pub actions: Arc<[OwnAction]>,
}

/// Whole seconds from `earlier` to `later`; 0 if it is not later.
pub(crate) fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.as_second().saturating_sub(earlier.as_second())).unwrap_or(0)
}

/// Who did something, for people.
pub(crate) fn doer(user: &str, approved_by: Option<&str>) -> String {
    match approved_by {
        Some(approver) => format!("HAIA (approved by {approver})"),
        None => user.to_owned(),
    }
}

impl Snapshot {
    /// The guest of that number.
    pub fn guest(&self, vmid: u32) -> Option<&Guest> {
        self.guests.binary_search_by_key(&vmid, |guest| guest.vmid).ok().map(|at| &self.guests[at])
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.binary_search_by(|node| node.name.as_ref().cmp(name)).ok().map(|at| &self.nodes[at])
    }

    /// Who approved the action of HAIA that a task is; `None` for the tasks of others.
    pub fn approver(&self, task: &Task) -> Option<&Arc<str>> {
        self.actions.iter().rev().find(|action| action.did(task)).map(|action| &action.approved_by)
    }

    /// Who began a task, for people: `root@pam`, `HAIA (approved by anna)`.
    pub fn doer(&self, task: &Task) -> String {
        doer(&task.user, self.approver(task).map(|approver| &**approver))
    }

    /// Seconds since the poll behind it.
    pub fn age_s(&self, now: Timestamp) -> u64 {
        seconds_between(self.taken_at, now)
    }

    /// The server's clock at HAIA's `now`, seconds since 1970: ages of what the server dates are counted to it.
    pub fn server_now_s(&self, now: Timestamp) -> i64 {
        let passed = i64::try_from(self.age_s(now)).unwrap_or(i64::MAX);
        self.server_time_s.unwrap_or_else(|| self.taken_at.as_second()).saturating_add(passed)
    }

    /// A moment of HAIA's time by the server's clock, seconds since 1970.
    pub fn server_s_at(&self, at: Timestamp) -> i64 {
        let server = self.server_time_s.unwrap_or_else(|| self.taken_at.as_second());
        server.saturating_add(at.as_second().saturating_sub(self.taken_at.as_second()))
    }

    /// A moment that the server dated, in HAIA's time.
    pub fn haia_time(&self, server_s: i64) -> Timestamp {
        let server = self.server_time_s.unwrap_or_else(|| self.taken_at.as_second());
        let second = self.taken_at.as_second().saturating_add(server_s.saturating_sub(server));
        Timestamp::from_second(second).unwrap_or(self.taken_at)
    }

    /// Seconds since a moment that the server dated.
    pub fn seconds_since_s(&self, server_s: i64, now: Timestamp) -> u64 {
        u64::try_from(self.server_now_s(now).saturating_sub(server_s)).unwrap_or(0)
    }
}
