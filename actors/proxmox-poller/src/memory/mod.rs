//! What the rules remember of one cluster beyond its newest snapshot: why guests stopped, which starts nobody asked for, which backup runs failed.
//!
//! It is brought up to date once after each good poll, survives a restart, and is read by the rules. Pure: the time is that of the snapshot.

mod backups;
mod keep;
mod raised;
mod stops;
#[cfg(test)]
mod tests;

pub use backups::FailedBackup;
pub use keep::{Kept, fingerprint, pack, unpack};
pub use raised::Raised;
pub use stops::{Stop, StopKind};

use crate::model::{Guest, GuestState, NodeState, OwnAction, Snapshot, TaskState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most starts that are kept of one guest, and for how long.
const STARTS: usize = 32;
const STARTS_S: i64 = 86_400;
/// A `stopall` so long before a node went means that it was shut down on purpose.
const PLANNED_S: i64 = 900;
/// How long a node that left the cluster is remembered: its open alerts end meanwhile.
const GONE_S: i64 = 86_400;
/// The most actions of HAIA that are kept, and for how long.
const ACTIONS: usize = 64;
const ACTIONS_S: i64 = 86_400;
/// A stop task so long before a new start has brought it about.
const ASKED_S: i64 = 300;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Guests that are stopped and were seen up before: why. By VMID.
    pub stops: BTreeMap<u32, Stop>,
    /// Starts that nobody asked for, the newest last. By VMID.
    pub starts: BTreeMap<u32, Vec<Timestamp>>,
    /// Nodes.
    pub nodes: BTreeMap<Arc<str>, NodeMemory>,
    /// The newest failed backup run of each guest or node, by that.
    pub failed_backups: BTreeMap<Arc<str>, FailedBackup>,
    /// Since when, and why, the cluster cannot be seen.
    pub blind: Option<Blindness>,
    /// What HAIA did itself within the last day, the oldest first.
    pub actions: Vec<OwnAction>,
    /// What the rules found lately, by `rule:object`.
    pub raised: BTreeMap<Arc<str>, Raised>,
    /// Whether every part was tried once since HAIA watches this cluster: what is found before was there before.
    pub is_settled: bool,
}

/// What is remembered of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeMemory {
    /// When it was last a member, in HAIA's time.
    pub member_at: Timestamp,
    /// Why its absence is planned, for people; `None` when it is there, or it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Arc<str>>,
    /// Whether it is away.
    #[serde(default)]
    pub is_away: bool,
    /// When it was last seen to come back, in HAIA's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_at: Option<Timestamp>,
    /// When HA last said that it is in maintenance mode, in HAIA's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintained_at: Option<Timestamp>,
}

/// Why the cluster cannot be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blindness {
    /// Since the first failed poll began.
    pub since: Timestamp,
    /// When that had failed: what hangs is given up only after a while.
    #[serde(default)]
    pub seen_at: Option<Timestamp>,
    /// Whether the token was refused.
    pub is_refused: bool,
    /// The words of the newest failure.
    pub why: Arc<str>,
}

impl Memory {
    /// A poll that began at `began` failed at `now`.
    pub fn failed(&mut self, began: Timestamp, now: Timestamp, is_refused: bool, why: &str) {
        let (since, seen_at) = self.blind.as_ref().map_or((began, Some(now)), |blind| (blind.since, blind.seen_at));
        self.blind = Some(Blindness { since, seen_at, is_refused, why: why.into() });
    }

    /// HAIA itself does something, or knows more of what it did.
    pub fn note(&mut self, action: OwnAction) {
        self.actions.retain(|known| {
            known.proposal != action.proposal && action.began_s.saturating_sub(known.began_s) <= ACTIONS_S
        });
        self.actions.push(action);
        let surplus = self.actions.len().saturating_sub(ACTIONS);
        self.actions.drain(..surplus);
    }

    /// A poll was good: `after` is what is known now, `before` what was known.
    pub fn observe(&mut self, before: Option<&Snapshot>, after: &Snapshot) {
        self.blind = None;
        self.starts(before, after);
        self.stops(after);
        self.nodes(after);
        self.backups(after);
    }

    /// A part arrived that says more of backups.
    pub fn observe_backups(&mut self, after: &Snapshot) {
        self.backups(after);
    }

    /// Starts that nobody asked for: of guests that stopped by themselves, or whose uptime fell.
    fn starts(&mut self, before: Option<&Snapshot>, after: &Snapshot) {
        let now = after.taken_at;
        if let Some(before) = before {
            for guest in after.guests.iter().filter(|guest| guest.state.is_up() && !guest.is_template) {
                let Some(old) = before.guest(guest.vmid) else { continue };
                let fell = old.uptime_s.zip(guest.uptime_s).is_some_and(|(old, new)| new > 0 && new < old);
                let is_restart = match old.state {
                    GuestState::Stopped => true,
                    GuestState::Unknown => fell && old.was_up(),
                    _ => fell,
                };
                let stopped_by_itself = match self.stops.get(&guest.vmid) {
                    Some(stop) => stop.kind == StopKind::ByItself,
                    None => old.state != GuestState::Stopped && !is_asked_for(guest, after),
                };
                if is_restart && stopped_by_itself && old.node == guest.node {
                    let starts = self.starts.entry(guest.vmid).or_default();
                    starts.push(now);
                    let surplus = starts.len().saturating_sub(STARTS);
                    starts.drain(..surplus);
                }
            }
        }
        self.starts.retain(|_, starts| {
            starts.retain(|at| now.as_second() - at.as_second() <= STARTS_S);
            !starts.is_empty()
        });
    }

    fn nodes(&mut self, after: &Snapshot) {
        let now = after.taken_at;
        for node in &after.nodes {
            let known = self.nodes.entry(Arc::clone(&node.name)).or_insert(NodeMemory {
                member_at: now,
                planned: None,
                is_away: false,
                back_at: None,
                maintained_at: None,
            });
            let is_away = node.state == NodeState::Offline;
            if is_maintained(&node.name, after) {
                known.maintained_at = Some(now);
            }
            if is_away && !known.is_away {
                known.planned = planned(&node.name, known.maintained_at, after);
            } else if !is_away {
                known.planned = None;
                if known.is_away {
                    known.back_at = Some(now);
                }
            }
            known.is_away = is_away;
            known.member_at = now;
        }
        self.nodes.retain(|_, node| now.as_second() - node.member_at.as_second() <= GONE_S);
    }

    /// Nodes that were members and are none any more.
    pub fn gone_nodes<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Arc<str>> {
        self.nodes.keys().filter(|name| snapshot.node(name).is_none())
    }
}

/// Whether a task of the last minutes explains that a guest began anew.
fn is_asked_for(guest: &Guest, snapshot: &Snapshot) -> bool {
    let now_s = snapshot.server_now_s(snapshot.taken_at);
    snapshot.tasks.iter().any(|task| {
        task.vmid() == Some(guest.vmid)
            && !task.state.is_failure()
            && (crate::verdict::is_stop(&task.kind) || matches!(&*task.kind, "vzdump" | "qmreset"))
            && task.ended_s.is_none_or(|end| now_s - end <= ASKED_S)
    })
}

/// Whether HA says that a node is in maintenance mode.
fn is_maintained(name: &str, snapshot: &Snapshot) -> bool {
    let managers = snapshot.ha.value.iter().flat_map(|ha| &ha.managers);
    let mut of_node = managers.filter(|manager| &*manager.kind == "lrm" && manager.node.as_deref() == Some(name));
    of_node.any(|manager| manager.status.contains("maintenance mode"))
}

/// Why a node that went away was meant to. HA's line changes when its node goes, perhaps before that is seen, so what it said a moment ago counts.
fn planned(name: &str, maintained_at: Option<Timestamp>, snapshot: &Snapshot) -> Option<Arc<str>> {
    let now = snapshot.taken_at.as_second();
    if maintained_at.is_some_and(|at| now - at.as_second() <= PLANNED_S) {
        return Some("it was in maintenance mode".into());
    }
    let now_s = snapshot.server_now_s(snapshot.taken_at);
    let shut_down = snapshot.tasks.iter().find(|task| {
        &*task.node == name
            && &*task.kind == "stopall"
            && now_s - task.started_s <= PLANNED_S
            && matches!(task.state, TaskState::Ok | TaskState::Warnings(_) | TaskState::Running)
    });
    shut_down.map(|task| format!("it was shut down by {}", task.user).into())
}
