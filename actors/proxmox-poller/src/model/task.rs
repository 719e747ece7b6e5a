//! A task of the cluster, and the identifier that names it. Times are seconds since 1970 by the node's own clock.

use std::fmt;
use std::sync::Arc;

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It still runs.
    Running,
    /// It ended well.
    Ok,
    /// It ended with so many warnings.
    Warnings(u32),
    /// It failed, with this text.
    Failed(Arc<str>),
}

impl TaskState {
    /// Reads the status of a task that ended: `OK`, `WARNINGS: n`, or the error's text.
    pub fn from_status(text: &str) -> Self {
        match text {
            "OK" => TaskState::Ok,
            "running" => TaskState::Running,
            text => match text.strip_prefix("WARNINGS:") {
                Some(count) => TaskState::Warnings(count.trim().parse().unwrap_or(1)),
                None => TaskState::Failed(text.into()),
            },
        }
    }

    /// Whether it failed.
    pub fn is_failure(&self) -> bool {
        matches!(self, TaskState::Failed(_))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskState::Running => f.write_str("running"),
            TaskState::Ok => f.write_str("OK"),
            TaskState::Warnings(count) => write!(f, "WARNINGS: {count}"),
            TaskState::Failed(text) => f.write_str(text),
        }
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its identifier.
    pub upid: Arc<str>,
    /// Where it runs or ran.
    pub node: Arc<str>,
    /// Its type (`qmstart`, `vzdump`, …).
    pub kind: Arc<str>,
    /// What it is about: often a VMID, empty for a whole job.
    pub id: Arc<str>,
    /// Who began it (`root@pam`, `haia@pve!monitor`).
    pub user: Arc<str>,
    /// When it began, seconds since 1970.
    pub started_s: i64,
    /// When it ended; `None` while it runs.
    pub ended_s: Option<i64>,
    /// How it stands.
    pub state: TaskState,
}

impl Task {
    /// The guest it is about, if it is about one.
    pub fn vmid(&self) -> Option<u32> {
        self.id.parse().ok()
    }

    /// Seconds it took, once it ended.
    pub fn duration_s(&self) -> Option<i64> {
        self.ended_s.map(|end| (end - self.started_s).max(0))
    }
}

/// A task's identifier, taken apart: `UPID:node:pid:pstart:starttime:type:id:user:`, the numbers in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upid<'a> {
    /// Where it runs.
    pub node: &'a str,
    /// When it began, seconds since 1970.
    pub started_s: i64,
    /// Its type.
    pub kind: &'a str,
    /// What it is about.
    pub id: &'a str,
    /// Who began it.
    pub user: &'a str,
}

impl<'a> Upid<'a> {
    /// Takes an identifier apart; `None` if it is none. The node's name is checked: it becomes part of a path.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("UPID:")?.split(':');
        let node = parts.next().filter(|node| is_node_name(node))?;
        let (_pid, _pstart) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let started_s = hex(parts.next()?)?;
        let (kind, id, user) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#%".contains(&byte));
        (plain(kind)
            && plain(id)
            && plain(user)
            && !kind.is_empty()
            && parts.next() == Some("")
            && parts.next().is_none())
        .then_some(Self { node, started_s, kind, id, user })
    }
}

fn hex(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 16).ok().filter(|number| *number >= 0)
}

/// Whether `text` can be the name of a node: letters, digits and hyphens, as host names are.
pub(crate) fn is_node_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_identifiers_apart() {
        let upid = Upid::parse("UPID:pve1:0020C066:042DF204:69C26EB0:vzdump::root@pam:").unwrap();
        assert_eq!((upid.node, upid.kind, upid.id, upid.user), ("pve1", "vzdump", "", "root@pam"));
        assert_eq!(upid.started_s, 0x69C2_6EB0);
        assert_eq!(Upid::parse("UPID:n:1:2:3:qmstart:101:haia@pve!monitor:").map(|upid| upid.id), Some("101"));
        for odd in [
            "",
            "UPID:",
            "UPID:a/b:1:2:3:t:i:u:",
            "UPID:n:1:2:3:t:i:u",
            "UPID:n:x:2:3:t:i:u:",
            "UPID:n:1:2:3::i:u:",
            "UPID:n:1:2:3:t:../..:u:",
        ] {
            assert_eq!(Upid::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn reads_how_tasks_ended() {
        for (text, state) in [
            ("OK", TaskState::Ok),
            ("WARNINGS: 3", TaskState::Warnings(3)),
            ("WARNINGS:", TaskState::Warnings(1)),
            ("job errors", TaskState::Failed("job errors".into())),
        ] {
            assert_eq!(TaskState::from_status(text), state);
        }
    }
}
