//! Backup runs that failed, until every guest they failed on has a newer backup.

use super::Memory;
use crate::model::{Snapshot, TaskState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A failure older than this when it is first seen is history.
const RECENT_S: i64 = 48 * 3600;
/// How long a failure is remembered at the most.
const LONGEST_S: i64 = 21 * 86_400;

/// A backup run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedBackup {
    /// The task.
    pub upid: Arc<str>,
    /// Where it ran.
    pub node: Arc<str>,
    /// Who began it.
    pub user: Arc<str>,
    /// When it began, seconds since 1970 by the server's clock.
    pub started_s: i64,
    /// When it ended.
    pub ended_s: i64,
    /// What its status says.
    pub error: Arc<str>,
    /// The guests it failed on and why, once its log was read.
    #[serde(default)]
    pub guests: Vec<(u32, Arc<str>)>,
    /// The first error that names no guest.
    #[serde(default)]
    pub reason: Option<Arc<str>>,
    /// Whether its log was read, or cannot be.
    #[serde(default)]
    pub is_read: bool,
    /// When a later run of the same kind ended well.
    #[serde(default)]
    pub good_since_s: Option<i64>,
    /// Whether it is over; kept so that it does not begin anew.
    #[serde(default)]
    pub is_over: bool,
}

impl Memory {
    pub(super) fn backups(&mut self, after: &Snapshot) {
        let now_s = after.server_now_s(after.taken_at);
        for task in after.tasks.iter().rev().filter(|task| &*task.kind == "vzdump") {
            let key = if task.id.is_empty() { &task.node } else { &task.id };
            let known = self.failed_backups.get_mut(key);
            let ended_s = task.ended_s.unwrap_or(task.started_s);
            match &task.state {
                TaskState::Failed(error) if known.as_ref().is_none_or(|known| known.started_s < task.started_s) => {
                    if now_s - ended_s > RECENT_S {
                        continue;
                    }
                    let failed = FailedBackup {
                        upid: Arc::clone(&task.upid),
                        node: Arc::clone(&task.node),
                        user: Arc::clone(&task.user),
                        started_s: task.started_s,
                        ended_s,
                        error: Arc::clone(error),
                        guests: Vec::new(),
                        reason: None,
                        is_read: false,
                        good_since_s: None,
                        is_over: false,
                    };
                    self.failed_backups.insert(Arc::clone(key), failed);
                }
                TaskState::Ok | TaskState::Warnings(_) => {
                    if let Some(known) = known.filter(|known| known.started_s < task.started_s) {
                        known.good_since_s = known.good_since_s.max(Some(ended_s));
                    }
                }
                TaskState::Failed(_) | TaskState::Running => {}
            }
        }
        for failed in self.failed_backups.values_mut() {
            if let Some(log) = after.slow.backup_logs.get(&failed.upid).filter(|_| !failed.is_read) {
                if let Some(log) = &log.value {
                    failed.guests.clone_from(&log.guests);
                    failed.reason.clone_from(&log.reason);
                }
                failed.is_read = log.value.is_some() || log.problem.is_some();
            }
            failed.is_over = failed.is_over || is_over(failed, after);
        }
        self.failed_backups.retain(|_, failed| {
            let age = now_s - failed.ended_s;
            age <= LONGEST_S && !(failed.is_over && age > 2 * RECENT_S)
        });
    }
}

/// Whether every guest has a newer backup; where nobody can tell, whether a later run ended well.
fn is_over(failed: &FailedBackup, snapshot: &Snapshot) -> bool {
    let newest = |vmid: u32| {
        let shelves = snapshot.slow.shelves.values().filter_map(|shelf| shelf.value.as_deref());
        shelves.filter_map(|shelf| shelf.newest.get(&vmid)).max().copied()
    };
    let can_tell = failed.guests.iter().all(|(vmid, _)| newest(*vmid).is_some() || snapshot.guest(*vmid).is_none());
    if failed.guests.is_empty() || !can_tell {
        return failed.good_since_s.is_some();
    }
    failed.guests.iter().all(|(vmid, _)| newest(*vmid).is_none_or(|newest| newest > failed.ended_s))
}
