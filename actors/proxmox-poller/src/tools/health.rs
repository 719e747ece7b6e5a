//! What is wrong with a cluster now, in words: for the overview. Pure; it looks at one snapshot and keeps no memory.

use super::desk::Known;
use super::words::{percent, span, text as short};
use crate::history::{Metric, Subject};
use crate::memory::StopKind;
use crate::model::{Guest, GuestState, NodeState, StorageState, Task, seconds_between};
use crate::verdict::{Facts, Verdict, explain};

/// From this share on a storage or disk is told, and from the second on it is critical.
const FULL: f64 = 0.85;
const VERY_FULL: f64 = 0.95;
/// From this share on a node's memory is told.
const MEMORY: f64 = 0.92;
/// A storage that is full within so many seconds is told.
const SOON_S: u64 = 24 * 3600;

/// One thing that is wrong.
pub(super) struct Problem {
    pub(super) severity: &'static str,
    pub(super) text: String,
}

fn critical(text: String) -> Problem {
    Problem { severity: "critical", text }
}

fn warning(text: String) -> Problem {
    Problem { severity: "warning", text }
}

/// Tasks that failed within so many seconds, newest first.
pub(super) fn failed_tasks(known: &Known, within_s: u64) -> Vec<&Task> {
    let recent =
        |task: &&Task| task.state.is_failure() && known.snapshot.seconds_since_s(task.started_s, known.now) <= within_s;
    known.snapshot.tasks.iter().filter(recent).collect()
}

/// Everything that is wrong, the critical first.
pub(super) fn problems(known: &Known) -> Vec<Problem> {
    let mut found = Vec::new();
    if known.view.is_blind {
        let why = known.view.problem.as_deref().unwrap_or("the last poll failed");
        let age = span(known.snapshot.age_s(known.now));
        found.push(critical(format!("the cluster cannot be seen now, what follows is {age} old: {why}")));
    }
    membership(known, &mut found);
    guests(known, &mut found);
    storages(known, &mut found);
    services(known, &mut found);
    tasks(known, &mut found);
    for missing in &known.snapshot.missing_privileges {
        found.push(warning(format!(
            "the token lacks {}: without it HAIA cannot see {}",
            missing.0.name, missing.0.lost_without
        )));
    }
    found.sort_by_key(|problem| problem.severity);
    found
}

fn membership(known: &Known, found: &mut Vec<Problem>) {
    let snapshot = &known.snapshot;
    if snapshot.quorum.as_ref().is_some_and(|quorum| !quorum.is_quorate) {
        found.push(critical("the cluster has no quorum: nothing can be started, stopped or changed".to_owned()));
    }
    for node in &snapshot.nodes {
        let since = span(seconds_between(node.state_since, known.now));
        match node.state {
            NodeState::Offline => found.push(critical(format!("node {} is offline (seen for {since})", node.name))),
            NodeState::NoData => found.push(warning(format!(
                "node {} is online but has given no data for {since}: its status service hangs, often on a dead network storage",
                node.name
            ))),
            NodeState::Online => {
                let memory = crate::model::fraction(node.memory_bytes, node.memory_total_bytes);
                if let Some(memory) = memory.filter(|memory| *memory >= MEMORY) {
                    found.push(warning(format!("node {} uses {} % of its memory", node.name, percent(Some(memory)).unwrap_or(0.0))));
                }
                let disk = crate::model::fraction(node.disk_bytes, node.disk_total_bytes);
                if let Some(disk) = disk.filter(|disk| *disk >= FULL) {
                    let text = format!("the root disk of node {} is {} % full", node.name, percent(Some(disk)).unwrap_or(0.0));
                    found.push(if disk >= VERY_FULL { critical(text) } else { warning(text) });
                }
            }
        }
    }
}

fn guests(known: &Known, found: &mut Vec<Problem>) {
    for guest in known.snapshot.guests.iter().filter(|guest| !guest.is_template) {
        let is_node_up = known.snapshot.node(&guest.node).is_none_or(|node| node.state == NodeState::Online);
        match &guest.state {
            GuestState::Failed(word) => found.push(critical(format!("guest {} is in the state {word}", guest.label()))),
            GuestState::Paused => found.push(warning(format!("guest {} is paused", guest.label()))),
            // Guests of a node that is down are in the node's own line.
            GuestState::Unknown if is_node_up => found.push(warning(format!("guest {} gives no data", guest.label()))),
            GuestState::Stopped if guest.ha_state.as_deref().is_some_and(|state| state == "started") => {
                found.push(warning(format!("guest {} is stopped though HA should run it", guest.label())));
            }
            // A stop that HAIA saw and that nobody asked for.
            GuestState::Stopped if stopped_by_itself(known, guest) => {
                let since = span(seconds_between(guest.state_since, known.now));
                found.push(warning(format!(
                    "guest {} stopped {since} ago without a Proxmox task: a crash, or a shutdown from inside",
                    guest.label()
                )));
            }
            _ => {}
        }
        if let Some(disk) = guest.disk_fraction().filter(|disk| *disk >= 0.9) {
            found.push(warning(format!(
                "the root disk of {} is {} % full",
                guest.label(),
                percent(Some(disk)).unwrap_or(0.0)
            )));
        }
    }
}

/// Whether a guest stopped without anybody asking for it, as the rule tells it too.
fn stopped_by_itself(known: &Known, guest: &Guest) -> bool {
    if guest.state_from_first_sight {
        return false;
    }
    if let Some(stop) = known.view.stops.get(&guest.vmid) {
        return stop.kind == StopKind::ByItself;
    }
    let tasks: Vec<&Task> = known.snapshot.tasks.iter().filter(|task| task.vmid() == Some(guest.vmid)).collect();
    let facts =
        Facts { snapshot: &known.snapshot, guest, tasks: &tasks, known: None, starts_with_node: None, now: known.now };
    explain(&facts).verdict == Verdict::StoppedWithoutTask
}

fn storages(known: &Known, found: &mut Vec<Problem>) {
    for storage in &known.snapshot.storages {
        let label = storage.label();
        let on_dead_node = storage
            .node()
            .and_then(|node| known.snapshot.node(node))
            .is_some_and(|node| node.state != NodeState::Online);
        if storage.state == StorageState::Unknown && !on_dead_node {
            found.push(critical(format!("storage {label} cannot be used")));
        }
        let Some(used) = storage.used_fraction() else { continue };
        let trend = known.trend(Metric::StorageUsed, Subject::Named(label.as_str().into()));
        let soon = trend.and_then(|trend| trend.full_in_s).filter(|seconds| *seconds < SOON_S);
        let text = format!("storage {label} is {} % full", percent(Some(used)).unwrap_or(0.0));
        match soon {
            Some(seconds) if used < VERY_FULL => {
                found.push(warning(format!("{text} and will be full in {} if it goes on like this", span(seconds))))
            }
            _ if used >= VERY_FULL => found.push(critical(text)),
            _ if used >= FULL => found.push(warning(text)),
            _ => {}
        }
    }
}

fn services(known: &Known, found: &mut Vec<Problem>) {
    let snapshot = &known.snapshot;
    if let Some(ceph) = &snapshot.ceph.value {
        let complaints: Vec<String> = ceph
            .checks
            .iter()
            .filter(|check| !check.is_muted)
            .map(|check| format!("{}: {}", check.code, short(&check.message)))
            .collect();
        let text = format!(
            "Ceph is {}{}{}",
            ceph.health,
            if complaints.is_empty() { "" } else { ": " },
            complaints.join("; ")
        );
        match &*ceph.health {
            "HEALTH_ERR" => found.push(critical(text)),
            "HEALTH_WARN" if !complaints.is_empty() || ceph.checks.is_empty() => found.push(warning(text)),
            _ => {}
        }
    }
    for resource in snapshot.ha.value.iter().flat_map(|ha| &ha.resources) {
        match &*resource.state {
            "error" | "fence" => {
                found.push(critical(format!("HA resource {} is in the state {}", resource.id, resource.state)))
            }
            "recovery" => found.push(warning(format!("HA recovers {}", resource.id))),
            _ => {}
        }
    }
    for manager in
        snapshot.ha.value.iter().flat_map(|ha| &ha.managers).filter(|manager| manager.status.contains("dead?"))
    {
        found.push(critical(format!("HA's manager may be dead: {}", short(&manager.status))));
    }
    for job in snapshot.replication.value.iter().flat_map(|jobs| jobs.iter()).filter(|job| job.fail_count > 0) {
        let why = job.error.as_deref().map(|error| format!(": {}", short(error))).unwrap_or_default();
        found.push(warning(format!(
            "replication {} to {} failed {} times in a row{why}",
            job.id, job.target, job.fail_count
        )));
    }
}

fn tasks(known: &Known, found: &mut Vec<Problem>) {
    let failed = failed_tasks(known, 86_400);
    let backups: Vec<&&Task> = failed.iter().filter(|task| &*task.kind == "vzdump").collect();
    if let Some(newest) = backups.first() {
        let ago = span(known.snapshot.seconds_since_s(newest.started_s, known.now));
        let runs = match backups.len() {
            1 => "1 backup run".to_owned(),
            count => format!("{count} backup runs"),
        };
        found.push(warning(format!(
            "{} failed in the last 24 hours, the newest {ago} ago on {}: {}",
            runs,
            newest.node,
            short(&newest.state.to_string())
        )));
    }
}
