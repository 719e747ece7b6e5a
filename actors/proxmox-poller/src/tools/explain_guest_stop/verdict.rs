//! Why a guest stopped, from what is known of it, its node and its tasks. Pure.
//!
//! A stop that somebody asked for leaves a task; a crash leaves none, and neither does a shutdown from inside the guest: Proxmox cannot tell
//! those two apart, so the words do not either.

use crate::model::{Guest, GuestState, Node, NodeState, Snapshot, Task, TaskState, seconds_between};
use crate::tools::words::{span, text as short};
use jiff::Timestamp;
use std::fmt::Write as _;

/// A stop task this many seconds before the stop is its cause: a shutdown may take long.
const BEFORE_S: i64 = 600;
/// The poll may see the stop this much before the task's own time.
const AFTER_S: i64 = 60;

/// What the verdict stands on.
pub(super) struct Facts<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) guest: &'a Guest,
    /// The guest's tasks, newest first.
    pub(super) tasks: &'a [Task],
    pub(super) starts_with_node: Option<bool>,
    pub(super) now: Timestamp,
}

/// Why, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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
    pub(super) fn as_str(self) -> &'static str {
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
pub(super) struct Explanation<'a> {
    pub(super) verdict: Verdict,
    /// Whether the facts leave no other reading.
    pub(super) is_certain: bool,
    pub(super) summary: String,
    /// When it stopped, by the server's clock.
    pub(super) stopped_s: Option<i64>,
    /// The task that did it, or failed to.
    pub(super) task: Option<&'a Task>,
}

fn is_stop(kind: &str) -> bool {
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

pub(super) fn explain<'a>(facts: &Facts<'a>) -> Explanation<'a> {
    let guest = facts.guest;
    let label = guest.label();
    let node = facts.snapshot.node(&guest.node);
    let plain = |verdict: Verdict, summary: String| Explanation {
        verdict,
        is_certain: true,
        summary,
        stopped_s: None,
        task: None,
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
            let task = facts.tasks.iter().find(|task| matches!(&*task.kind, "qmsuspend" | "vzsuspend" | "qmpause"));
            let by = task.map(|task| format!(", by {} {} ago", task.user, ago(facts, task))).unwrap_or_default();
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
    let last_stop = facts.tasks.iter().find(|task| is_stop(&task.kind) && task.started_s <= started_s + AFTER_S);
    if let Some(task) = last_stop.filter(|task| task.started_s > started_s - 86_400) {
        let _ = write!(summary, " Before that it was {} by {} {} ago.", deed(&task.kind), task.user, ago(facts, task));
    }
    let starter =
        facts.tasks.iter().find(|task| is_start(&task.kind) && (task.started_s - started_s).abs() <= BEFORE_S);
    if let Some(task) = starter {
        let _ = write!(summary, " It was started by {}.", task.user);
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
    }
}

fn stopped<'a>(facts: &Facts<'a>, label: &str, node: Option<&Node>) -> Explanation<'a> {
    let guest = facts.guest;
    let server_now = facts.snapshot.server_now_s(facts.now);
    let seen_s = server_now - i64::try_from(seconds_between(guest.state_since, facts.now)).unwrap_or(0);
    // A guest that was stopped already at the first sight stopped some time before it.
    let stopped_s = (!guest.state_from_first_sight).then_some(seen_s);
    let reference = stopped_s.unwrap_or(seen_s);
    let good = |task: &&Task| !task.state.is_failure();
    let start =
        facts.tasks.iter().filter(good).find(|task| is_start(&task.kind) && task.started_s <= reference + AFTER_S);
    let after_start = |task: &&Task| start.is_none_or(|start| task.started_s >= start.started_s);
    let covers = |task: &&Task| {
        let end = task.ended_s.unwrap_or(server_now);
        task.started_s <= reference + AFTER_S && (stopped_s.is_none() || end >= reference - BEFORE_S)
    };
    let cause = facts.tasks.iter().filter(good).filter(after_start).find(|task| is_stop(&task.kind) && covers(task));
    let failed_start = facts.tasks.iter().find(|task| is_start(&task.kind)).filter(|task| task.state.is_failure());
    let known = |verdict: Verdict, is_certain: bool, summary: String, task: Option<&'a Task>| Explanation {
        verdict,
        is_certain,
        summary,
        stopped_s: stopped_s.or_else(|| task.and_then(|task| task.ended_s.or(Some(task.started_s)))),
        task,
    };
    if let Some(task) = failed_start.filter(|task| cause.is_none_or(|cause| task.started_s > cause.started_s)) {
        let before = cause
            .map(|cause| format!(" Before that it was {} by {}.", deed(&cause.kind), cause.user))
            .unwrap_or_default();
        let summary = format!(
            "{label} did not start: the start by {} {} ago failed ({}).{before}",
            task.user,
            ago(facts, task),
            short(&task.state.to_string())
        );
        return known(Verdict::StartFailed, true, summary, Some(task));
    }
    if let Some(task) = cause {
        let summary = format!(
            "{label} was {} by {} {} ago (task {}). It did not crash.",
            deed(&task.kind),
            task.user,
            ago(facts, task),
            task.kind
        );
        return known(Verdict::StoppedByTask, true, summary, Some(task));
    }
    let backup = facts.tasks.iter().filter(after_start).find(|task| &*task.kind == "vzdump" && covers(task));
    if let Some(task) =
        backup.filter(|task| task.state == TaskState::Running || guest.lock.as_deref() == Some("backup"))
    {
        let summary = format!(
            "{label} is stopped while a backup of it runs (begun by {}); a backup in stop mode starts it again at its end.",
            task.user
        );
        return known(Verdict::StoppedForBackup, true, summary, Some(task));
    }
    let booted_s = node
        .filter(|node| node.state == NodeState::Online)
        .and_then(|node| node.uptime_s)
        .map(|uptime| server_now - i64::try_from(uptime).unwrap_or(0));
    let start_s = start.map(|start| start.started_s);
    if let Some(booted_s) = booted_s.filter(|booted| {
        *booted >= reference - BEFORE_S || (stopped_s.is_none() && start_s.is_some_and(|start| *booted > start))
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
