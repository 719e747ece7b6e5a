//! The whole of what is known of a cluster at one moment.

use super::{
    BackupJob, CephStatus, Guest, HaStatus, MissingPrivilege, Node, OwnAction, Part, ReplicationJob, ServerClock, Slow,
    Storage, Task,
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
    /// How the server's clock went beside HAIA's at the polls so far.
    pub server_clock: Arc<ServerClock>,
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
        self.server_time().saturating_add(self.server_clock.passed_s(passed))
    }

    /// A moment of HAIA's time by the server's clock, seconds since 1970.
    pub fn server_s_at(&self, at: Timestamp) -> i64 {
        if at >= self.taken_at {
            return self.server_now_s(at);
        }
        let at = at.as_second();
        self.server_clock.server_s(at).unwrap_or_else(|| {
            let (haia, server) = self.first_poll();
            server.saturating_add(at.saturating_sub(haia))
        })
    }

    /// A moment that the server dated, in HAIA's time.
    pub fn haia_time(&self, server_s: i64) -> Timestamp {
        let (haia, server) = match self.server_time() {
            now if server_s > now => (self.taken_at.as_second(), now),
            _ => self.first_poll(),
        };
        let known = self.server_clock.haia_s(server_s).filter(|_| server_s <= self.server_time());
        let second = known.unwrap_or_else(|| haia.saturating_add(server_s.saturating_sub(server)));
        Timestamp::from_second(second).unwrap_or(self.taken_at)
    }

    /// The server's clock at the poll.
    fn server_time(&self) -> i64 {
        self.server_time_s.unwrap_or_else(|| self.taken_at.as_second())
    }

    /// Both clocks at the first poll that is known: HAIA's, then the server's. Before it they are taken to have gone alike.
    fn first_poll(&self) -> (i64, i64) {
        self.server_clock.first().unwrap_or_else(|| (self.taken_at.as_second(), self.server_time()))
    }

    /// Seconds since a moment that the server dated.
    pub fn seconds_since_s(&self, server_s: i64, now: Timestamp) -> u64 {
        u64::try_from(self.server_now_s(now).saturating_sub(server_s)).unwrap_or(0)
    }
}
