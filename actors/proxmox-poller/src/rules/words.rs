//! The words of findings: short, for a lock screen at night. Texts of others in them are data.

use super::scene::Scene;
use crate::model::{Guest, Storage, Task, TaskState, seconds_between};
use crate::tools::words::{span, text};
use jiff::Timestamp;

/// A task so long before is not "just before".
const JUST_BEFORE_S: u64 = 2 * 86_400;
/// The longest text of others in a finding, in characters.
const LONGEST: usize = 160;

/// A text of others on one line, cut.
pub(super) fn quoted(said: &str) -> String {
    let line = text(said);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line[..end].trim_end_matches('…')),
        None => line,
    }
}

/// A figure in per cent, without digits after the point unless it needs one.
pub(super) fn percent(figure: f64) -> String {
    format!("{} %", number(figure))
}

/// A figure in whole per cent: for what is over, where a tenth says nothing.
pub(super) fn about(figure: f64) -> String {
    format!("{:.0} %", figure)
}

/// A number with at most one digit after the point.
pub(super) fn number(figure: f64) -> String {
    let rounded = (figure * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

/// `1 guest`, `3 guests`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Whole days, or hours when there is less than one.
pub(super) fn days(seconds: i64) -> String {
    match seconds.unsigned_abs() {
        hours if hours < 86_400 => count((hours / 3600) as usize, "hour"),
        days => count((days / 86_400) as usize, "day"),
    }
}

/// What a task is, for people.
pub(super) fn deed(kind: &str) -> &str {
    match kind {
        "qmstart" | "vzstart" | "hastart" => "start",
        "qmstop" | "vzstop" => "hard stop",
        "qmshutdown" | "vzshutdown" | "hastop" => "shutdown",
        "qmreboot" | "vzreboot" => "reboot",
        "qmreset" => "reset",
        "qmsuspend" | "vzsuspend" => "suspend",
        "qmresume" | "vzresume" => "resume",
        "qmigrate" | "vzmigrate" | "hamigrate" => "migration",
        "qmsnapshot" | "vzsnapshot" => "snapshot",
        "qmdelsnapshot" | "vzdelsnapshot" => "removal of a snapshot",
        "qmrollback" | "vzrollback" => "rollback",
        "qmrestore" | "vzrestore" => "restore",
        "qmclone" | "vzclone" => "clone",
        "qmcreate" | "vzcreate" => "creation",
        "qmmove" | "move_volume" => "move of a disk",
        "resize" => "resize of a disk",
        "vzdump" => "backup",
        "startall" => "start of all guests",
        "stopall" => "shutdown of all guests",
        "migrateall" => "migration of all guests",
        "aptupdate" => "update of the package lists",
        "aptupgrade" => "upgrade",
        "vncproxy" | "vncshell" | "termproxy" | "spiceproxy" => "console",
        other => other,
    }
}

/// `backup by root@pam ended 2 min earlier`.
fn told(scene: &Scene<'_>, task: &Task, since: Timestamp) -> Option<String> {
    let deed = deed(&task.kind);
    let by = quoted(&scene.snapshot.doer(task));
    if task.state == TaskState::Running {
        return Some(format!("{deed} by {by} is running"));
    }
    let ended = scene.snapshot.haia_time(task.ended_s.unwrap_or(task.started_s));
    let failed = if task.state.is_failure() { ", which failed," } else { "" };
    let when = match (seconds_between(ended, since), seconds_between(since, ended)) {
        (before, _) if before > JUST_BEFORE_S => return None,
        (0, after) if after > 15 => format!("{} later", span(after)),
        (before, _) if before < 5 => "at that moment".to_owned(),
        (before, _) => format!("{} earlier", span(before)),
    };
    Some(format!("{deed} by {by}{failed} ended {when}"))
}

/// The last task of a guest.
pub(super) fn last_task_of_guest(scene: &Scene<'_>, vmid: u32, since: Timestamp) -> Option<String> {
    let task = scene.snapshot.tasks.iter().find(|task| task.vmid() == Some(vmid) && !is_console(task))?;
    told(scene, task, since)
}

/// The last task on a node that is about the node itself or many guests.
pub(super) fn last_task_on_node(scene: &Scene<'_>, name: &str, since: Timestamp) -> Option<String> {
    let task =
        scene.snapshot.tasks.iter().find(|task| &*task.node == name && task.vmid().is_none() && !is_console(task))?;
    told(scene, task, since)
}

fn is_console(task: &Task) -> bool {
    deed(&task.kind) == "console"
}

/// A storage, for people.
pub(super) fn storage(storage: &Storage) -> String {
    match storage.node() {
        Some(node) => format!("storage {} on {node}", storage.name),
        None => format!("storage {}", storage.name),
    }
}

/// The guest of that number, for people.
pub(super) fn guest(scene: &Scene<'_>, vmid: u32) -> String {
    scene.snapshot.guest(vmid).map_or_else(|| format!("guest {vmid}"), Guest::label)
}

/// `a`, `a and b`, `a, b and 3 more`.
pub(super) fn some_of(names: &[String], most: usize) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        names if names.len() <= most => {
            let (last, rest) =
                names.split_last().map_or((String::new(), &names[..0]), |(last, rest)| (last.clone(), rest));
            format!("{} and {last}", rest.join(", "))
        }
        names => format!("{} and {} more", names[..most].join(", "), names.len() - most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_lists_read_well() {
        assert_eq!(
            (percent(96.04), percent(92.46), number(0.0)),
            ("96 %".to_owned(), "92.5 %".to_owned(), "0".to_owned())
        );
        assert_eq!((about(71.49), about(99.6)), ("71 %".to_owned(), "100 %".to_owned()));
        assert_eq!((count(1, "guest"), count(0, "guest")), ("1 guest".to_owned(), "0 guests".to_owned()));
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(
            [0, 1, 2, 3, 4].map(|many| some_of(&names[..many], 3)),
            ["", "a", "a and b", "a, b and c", "a, b, c and 1 more"].map(str::to_owned)
        );
        assert_eq!(
            (days(3 * 86_400 + 5), days(7200), days(-86_400)),
            ("3 days".into(), "2 hours".into(), "1 day".into())
        );
    }
}
