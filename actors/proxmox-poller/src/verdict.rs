//! Why a guest stopped, from what is known of it, its node and its tasks. Pure.
//!
//! A stop that somebody asked for leaves a task; a crash leaves none, and neither does a shutdown from inside the guest: Proxmox cannot tell
//! those two apart, so the words do not either.

use crate::memory::{Stop, StopKind};
use crate::model::{Guest, GuestState, Node, NodeState, Snapshot, Task, TaskState, seconds_between};
use crate::tools::words::{span, text as short};
use jiff::Timestamp;
use std::fmt::Write as _;

/// A stop task this many seconds before the stop is its cause: a shutdown may take long.
const BEFORE_S: i64 = 600;
/// The poll may see the stop this much before the task's own time.
const AFTER_S: i64 = 60;
/// A poll may show a guest as running for so long after its stop: the cluster renews its figures every ten seconds.
const SAMPLE_S: i64 = 25;

/// What the verdict stands on.
pub(crate) struct Facts<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) guest: &'a Guest,
    /// The guest's tasks, newest first.
    pub(crate) tasks: &'a [&'a Task],
    /// What was found when it was seen to stop: the cluster forgets its tasks.
    pub(crate) known: Option<&'a Stop>,
    pub(crate) starts_with_node: Option<bool>,
    pub(crate) now: Timestamp,
}

/// Why, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Running,
    StoppedByTask,
    StoppedForBackup,
    StoppedWithoutTask,
    StoppedWithNode,
    StartFailed,
    Paused,
    Failed,
    NodeOffline,
    NoData,
    NotKnown,
    Template,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Running => "running",
            Verdict::StoppedByTask => "stopped_by_task",
            Verdict::StoppedForBackup => "stopped_for_backup",
            Verdict::StoppedWithoutTask => "stopped_without_task",
            Verdict::StoppedWithNode => "stopped_with_node",
            Verdict::StartFailed => "start_failed",
            Verdict::Paused => "paused",
            Verdict::Failed => "failed",
            Verdict::NodeOffline => "node_offline",
            Verdict::NoData => "no_data",
            Verdict::NotKnown => "not_known",
            Verdict::Template => "template",
        }
    }
}

/// The verdict and its reasons.
#[derive(Debug)]
pub(crate) struct Explanation<'a> {
    pub(crate) verdict: Verdict,
    /// Whether the facts leave no other reading.
    pub(crate) is_certain: bool,
    pub(crate) summary: String,
    /// When it stopped, by the server's clock.
    pub(crate) stopped_s: Option<i64>,
    /// The task that did it, or failed to.
    pub(crate) task: Option<&'a Task>,
    /// The task that stopped it, where one did: not the same where a start failed afterwards.
    pub(crate) stop: Option<&'a Task>,
}

/// Tasks that return before what they began has happened.
fn is_asynchronous(kind: &str) -> bool {
    matches!(kind, "hastop" | "hamigrate")
}

pub(crate) fn is_stop(kind: &str) -> bool {
    matches!(
        kind,
        "qmstop"
            | "qmshutdown"
            | "vzstop"
            | "vzshutdown"
            | "hastop"
            | "qmsuspend"
            | "vzsuspend"
            | "qmreboot"
            | "vzreboot"
            | "qmrollback"
            | "vzrollback"
            | "qmigrate"
            | "vzmigrate"
            | "hamigrate"
    )
}

fn is_start(kind: &str) -> bool {
    matches!(kind, "qmstart" | "vzstart" | "hastart" | "qmresume" | "vzresume")
}

/// What a task did, in a person's words.
fn deed(kind: &str) -> &'static str {
    match kind {
        "qmstop" | "vzstop" => "stopped (hard)",
        "qmshutdown" | "vzshutdown" => "shut down",
        "hastop" => "stopped through HA",
        "qmsuspend" | "vzsuspend" => "suspended",
        "qmreboot" | "vzreboot" => "rebooted",
        "qmrollback" | "vzrollback" => "rolled back to a snapshot",
        "qmigrate" | "vzmigrate" | "hamigrate" => "migrated",
        _ => "stopped",
    }
}

pub(crate) fn explain<'a>(facts: &Facts<'a>) -> Explanation<'a> {
    let guest = facts.guest;
    let label = guest.label();
    let who = |task| facts.snapshot.doer(task);
    let node = facts.snapshot.node(&guest.node);
    let plain = |verdict: Verdict, summary: String| Explanation {
        verdict,
        is_certain: true,
        summary,
        stopped_s: None,
        task: None,
        stop: None,
    };
    if guest.is_template {
        return plain(Verdict::Template, format!("{label} is a template: it never runs."));
    }
    match &guest.state {
        GuestState::Running => running(facts, &label),
        _ if node.is_some_and(|node| node.state == NodeState::Offline) => {
            let since = node.map_or(0, |node| seconds_between(node.state_since, facts.now));
            plain(
                Verdict::NodeOffline,
                format!(
                    "The node {} of {label} is offline (seen for {}), so the guest is down with it or cannot be seen.",
                    guest.node,
                    span(since)
                ),
            )
        }
        GuestState::Unknown => plain(
            Verdict::NoData,
            format!(
                "The cluster gives no data on {label} now; whether it runs is not known. The status service of the node {} may hang.",
                guest.node
            ),
        ),
        GuestState::Failed(word) => {
            let why = match &**word {
                "io-error" => {
                    "QEMU paused it because its storage gave an error: often the storage is full or gone. It goes on after the storage is mended and the guest is resumed."
                }
                "guest-panicked" => "the system inside it panicked.",
                _ => "QEMU reports an internal error; its log on the node says more.",
            };
            plain(Verdict::Failed, format!("{label} is in the state {word}: {why}"))
        }
        GuestState::Paused | GuestState::Other(_) => {
            let task =
                facts.tasks.iter().copied().find(|task| matches!(&*task.kind, "qmsuspend" | "vzsuspend" | "qmpause"));
            let by = task.map(|task| format!(", by {} {} ago", who(task), ago(facts, task))).unwrap_or_default();
            Explanation {
                task,
                ..plain(Verdict::Paused, format!("{label} is not stopped but {}{by}.", guest.state.as_str()))
            }
        }
        GuestState::Stopped => stopped(facts, &label, node),
    }
}

fn ago(facts: &Facts<'_>, task: &Task) -> String {
    span(facts.snapshot.seconds_since_s(task.ended_s.unwrap_or(task.started_s), facts.now))
}

fn running<'a>(facts: &Facts<'a>, label: &str) -> Explanation<'a> {
    let uptime = facts.guest.uptime_s.unwrap_or(0);
    let mut summary = format!("{label} runs, for {} now.", span(uptime));
    let started_s = facts.snapshot.server_now_s(facts.now) - i64::try_from(uptime).unwrap_or(0);
    // What ended the run before this one.
    let last_stop =
        facts.tasks.iter().copied().find(|task| is_stop(&task.kind) && task.started_s <= started_s + AFTER_S);
    if let Some(task) = last_stop.filter(|task| task.started_s > started_s - 86_400) {
        let _ = write!(
            summary,
            " Before that it was {} by {} {} ago.",
            deed(&task.kind),
            facts.snapshot.doer(task),
            ago(facts, task)
        );
    }
    let starter =
        facts.tasks.iter().find(|task| is_start(&task.kind) && (task.started_s - started_s).abs() <= BEFORE_S);
    if let Some(task) = starter {
        let _ = write!(summary, " It was started by {}.", facts.snapshot.doer(task));
        // A start after a start, with no stop between them: the run before ended by itself.
        let before =
            facts.tasks.iter().filter(|before| !before.state.is_failure() && before.started_s < task.started_s);
        let mut before = before.filter(|before| is_start(&before.kind) || is_stop(&before.kind));
        if before.next().is_some_and(|before| is_start(&before.kind)) {
            summary.push_str(
                " Before that it had stopped without a Proxmox task: it crashed, or it was shut down from inside.",
            );
        }
    }
    Explanation {
        verdict: Verdict::Running,
        is_certain: true,
        summary,
        stopped_s: None,
        task: last_stop.filter(|task| task.started_s > started_s - 86_400),
        stop: None,
    }
}

fn stopped<'a>(facts: &Facts<'a>, label: &str, node: Option<&Node>) -> Explanation<'a> {
    let guest = facts.guest;
    let server_now = facts.snapshot.server_now_s(facts.now);
    let seen_s = facts.snapshot.server_s_at(guest.state_since);
    // A guest that was stopped already at the first sight stopped some time before it.
    let stopped_s = (!guest.state_from_first_sight).then_some(seen_s);
    let reference = stopped_s.unwrap_or(seen_s);
    let good = |task: &&Task| !task.state.is_failure();
    let start = facts
        .tasks
        .iter()
        .copied()
        .filter(good)
        .find(|task| is_start(&task.kind) && task.started_s <= reference + AFTER_S);
    // What the start itself belongs to (a reboot, a rollback) may have begun before it.
    let after_start = |task: &&Task| start.is_none_or(|start| task.ended_s.unwrap_or(server_now) >= start.started_s);
    // A task that ended while the guest was seen running has not stopped it.
    let alive_s = guest.ran_at.map(|ran_at| facts.snapshot.server_s_at(ran_at));
    let covers = |task: &&Task| {
        let end = task.ended_s.unwrap_or(server_now);
        let earliest = match alive_s {
            Some(alive_s) if is_asynchronous(&task.kind) => alive_s.min(reference) - BEFORE_S,
            Some(alive_s) => alive_s - SAMPLE_S,
            None => reference - BEFORE_S,
        };
        task.started_s <= reference + AFTER_S && (stopped_s.is_none() || end >= earliest)
    };
    let tasks = || facts.tasks.iter().copied();
    let cause = tasks().filter(good).filter(after_start).find(|task| is_stop(&task.kind) && covers(task));
    let failed_start = tasks().find(|task| is_start(&task.kind)).filter(|task| task.state.is_failure());
    let known = |verdict: Verdict, is_certain: bool, summary: String, task: Option<&'a Task>| Explanation {
        verdict,
        is_certain,
        summary,
        stopped_s: stopped_s.or_else(|| task.and_then(|task| task.ended_s.or(Some(task.started_s)))),
        task,
        stop: cause,
    };
    if let Some(task) = failed_start.filter(|task| cause.is_none_or(|cause| task.started_s > cause.started_s)) {
        let before = cause
            .map(|cause| format!(" Before that it was {} by {}.", deed(&cause.kind), facts.snapshot.doer(cause)))
            .unwrap_or_default();
        let summary = format!(
            "{label} did not start: the start by {} {} ago failed ({}).{before}",
            facts.snapshot.doer(task),
            ago(facts, task),
            short(&task.state.to_string())
        );
        return known(Verdict::StartFailed, true, summary, Some(task));
    }
    if let Some(task) = cause {
        let summary = format!(
            "{label} was {} by {} {} ago (task {}). It did not crash.",
            deed(&task.kind),
            facts.snapshot.doer(task),
            ago(facts, task),
            task.kind
        );
        return known(Verdict::StoppedByTask, true, summary, Some(task));
    }
    let backup = tasks().filter(after_start).find(|task| &*task.kind == "vzdump" && covers(task));
    let is_locked = guest.lock.as_deref() == Some("backup");
    if is_locked || backup.is_some_and(|task| task.state == TaskState::Running) {
        let by = backup.map(|task| format!(" (begun by {})", facts.snapshot.doer(task))).unwrap_or_default();
        let summary = format!(
            "{label} is stopped while a backup of it runs{by}; a backup in stop mode starts it again at its end."
        );
        return known(Verdict::StoppedForBackup, true, summary, backup);
    }
    if let Some(gone) = guest.ran_on.as_ref().filter(|ran_on| **ran_on != guest.node)
        && facts.snapshot.node(gone).is_some_and(|node| node.state == NodeState::Offline)
    {
        let summary = format!("The node {gone} went down, and {label} has not run since it came to {}.", guest.node);
        return known(Verdict::StoppedWithNode, true, summary, None);
    }
    let remembered = facts.known.filter(|stop| stop.kind == StopKind::ByTask).and_then(|stop| stop.task.as_ref());
    if let Some(task) = remembered {
        let ago = span(facts.snapshot.seconds_since_s(task.started_s, facts.now));
        let summary = format!(
            "{label} was {} by {} {ago} ago (task {}, which the cluster has forgotten since). It did not crash.",
            deed(&task.kind),
            task.doer(),
            task.kind
        );
        return known(Verdict::StoppedByTask, true, summary, None);
    }
    let booted_s = node
        .filter(|node| node.state == NodeState::Online)
        .and_then(|node| node.uptime_s)
        .map(|uptime| server_now - i64::try_from(uptime).unwrap_or(0));
    let start_s = start.map(|start| start.started_s);
    if let Some(booted_s) = booted_s.filter(|booted| {
        *booted >= alive_s.map_or(reference - BEFORE_S, |alive_s| alive_s - SAMPLE_S)
            || (stopped_s.is_none() && start_s.is_some_and(|start| *booted > start))
    }) {
        let onboot = match facts.starts_with_node {
            Some(false) => " It is not set to start with its node (onboot).",
            Some(true) => " It is set to start with its node, and did not.",
            None => "",
        };
        let summary = format!(
            "The node {} restarted {} ago, and {label} has not run since.{onboot}",
            guest.node,
            span(facts.snapshot.seconds_since_s(booted_s, facts.now))
        );
        return known(Verdict::StoppedWithNode, facts.starts_with_node == Some(false), summary, None);
    }
    if stopped_s.is_some() || start.is_some() {
        let when = match stopped_s {
            Some(stopped_s) => format!("{} ago", span(facts.snapshot.seconds_since_s(stopped_s, facts.now))),
            None => "at a time that HAIA did not see".to_owned(),
        };
        let summary = format!(
            "{label} stopped {when} without a Proxmox task: nobody stopped it through Proxmox. It crashed, or it was shut down from inside; Proxmox cannot tell these apart. The log inside the guest, or the journal of {} (out of memory?), would.",
            guest.node
        );
        return known(Verdict::StoppedWithoutTask, stopped_s.is_some(), summary, None);
    }
    let since_boot =
        node.filter(|_| facts.starts_with_node == Some(true)).and_then(|node| node.uptime_s).map(|uptime| {
            format!(
                " It is set to start with its node, which has run for {}: so it has most likely stopped since.",
                span(uptime)
            )
        });
    let summary = format!(
        "{label} is stopped, and was before HAIA began to watch. The cluster remembers no task of it that says why.{}",
        since_boot.unwrap_or_else(|| " It may have been off for long.".to_owned())
    );
    known(Verdict::NotKnown, false, summary, None)
}

#[cfg(test)]
mod tests;
