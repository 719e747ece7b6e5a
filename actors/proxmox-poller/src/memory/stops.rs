//! Why guests stopped: judged when it is seen, by the same words as the tool that explains a stop, and kept until they run again.
//!
//! The cluster forgets its tasks after a while; without this a shutdown of last week would look like a crash.

use super::Memory;
use crate::model::{GuestState, Snapshot, Task, TaskState, doer, seconds_between};
use crate::verdict::{Facts, Verdict, explain};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// So long after a stop a task that explains it may still turn up.
const LATE_S: u64 = 600;

/// Why a guest stopped, as far as rules tell stops apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// Somebody or something asked for it: a task says who.
    ByTask,
    /// A backup stops it for its time.
    ForBackup,
    /// Its node went or restarted.
    WithNode,
    /// No task says so: it crashed, or it was switched off from inside.
    ByItself,
}

/// A stop that HAIA saw, or found when it looked again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Since when it is seen stopped, in HAIA's time.
    pub since: Timestamp,
    /// Why.
    pub kind: StopKind,
    /// The task that did it.
    #[serde(default)]
    pub task: Option<StopTask>,
    /// Nothing can change the verdict any more.
    #[serde(default)]
    pub is_final: bool,
    /// Whether it happened while HAIA was not looking.
    #[serde(default)]
    pub is_unwatched: bool,
}

/// The task that stopped a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopTask {
    /// Its type.
    pub kind: Arc<str>,
    /// Who began it.
    pub user: Arc<str>,
    /// When it began, seconds since 1970 by the server's clock.
    pub started_s: i64,
    /// Who approved it, where HAIA did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Arc<str>>,
}

impl StopTask {
    /// Who did it, for people.
    pub fn doer(&self) -> String {
        doer(&self.user, self.approved_by.as_deref())
    }
}

impl Memory {
    pub(super) fn stops(&mut self, after: &Snapshot) {
        let now = after.taken_at;
        let is_stopped = |vmid: u32| after.guest(vmid).is_some_and(|guest| guest.state == GuestState::Stopped);
        // A guest that cannot be seen keeps its stop.
        self.stops.retain(|vmid, _| {
            is_stopped(*vmid) || after.guest(*vmid).is_some_and(|guest| guest.state == GuestState::Unknown)
        });
        let mut of_guest: Option<HashMap<u32, Vec<&Task>>> = None;
        for guest in &after.guests {
            let is_new_stop = guest.state == GuestState::Stopped && !guest.is_template && !guest.state_from_first_sight;
            // What HAIA never saw up did not stop under its eyes: a guest that was just made.
            if !is_new_stop || guest.ran_at.is_none() {
                continue;
            }
            let known = self.stops.get(&guest.vmid);
            if known.is_some_and(|stop| stop.is_final) {
                continue;
            }
            let tasks = of_guest.get_or_insert_with(|| by_guest(&after.tasks));
            let tasks = tasks.get(&guest.vmid).map_or(&[][..], Vec::as_slice);
            let starts_with_node = after.slow.starts_with_node(guest.vmid);
            let found = explain(&Facts { snapshot: after, guest, tasks, known: None, starts_with_node, now });
            let since = known.map_or(guest.state_since, |stop| stop.since);
            let kind = match found.verdict {
                Verdict::StoppedByTask => StopKind::ByTask,
                Verdict::StartFailed if found.stop.is_some() => StopKind::ByTask,
                Verdict::StoppedForBackup => StopKind::ForBackup,
                Verdict::StoppedWithNode => StopKind::WithNode,
                _ => StopKind::ByItself,
            };
            let task = found.stop.map(|task| StopTask {
                kind: Arc::clone(&task.kind),
                user: Arc::clone(&task.user),
                started_s: task.started_s,
                approved_by: after.approver(task).cloned(),
            });
            let has_ended = found.stop.is_some_and(|task| task.state != TaskState::Running);
            let is_late = seconds_between(since, now) > LATE_S && guest.lock.is_none();
            let is_final = match kind {
                // A migration or reboot that has ended has not left it stopped: that is found out anew.
                StopKind::ByTask => has_ended && task.as_ref().is_some_and(|task| leaves_stopped(&task.kind)),
                StopKind::WithNode => true,
                StopKind::ForBackup => false,
                StopKind::ByItself => is_late,
            };
            let is_unwatched = match known {
                Some(stop) => stop.is_unwatched,
                None => guest.ran_at.is_some_and(|ran_at| seconds_between(ran_at, since) > LATE_S),
            };
            let is_final = is_final || (is_late && kind != StopKind::ForBackup);
            self.stops.insert(guest.vmid, Stop { since, kind, task, is_final, is_unwatched });
        }
    }
}

/// Whether a task of this type is over when its guest is stopped, and not under way to start it again.
fn leaves_stopped(kind: &str) -> bool {
    matches!(kind, "qmstop" | "qmshutdown" | "vzstop" | "vzshutdown" | "hastop" | "qmsuspend" | "vzsuspend")
}

/// The tasks of each guest, newest first.
fn by_guest(tasks: &[Task]) -> HashMap<u32, Vec<&Task>> {
    let mut of_guest: HashMap<u32, Vec<&Task>> = HashMap::new();
    for task in tasks {
        if let Some(vmid) = task.vmid() {
            of_guest.entry(vmid).or_default().push(task);
        }
    }
    of_guest
}
