//! Tasks with their logs, as workers of Proxmox VE leave them. A task is written once: its end may lie in the future, until then it runs.

use std::collections::VecDeque;

/// How many tasks are kept, all nodes together.
const KEPT: usize = 20_000;
/// What `/cluster/tasks` shows of each node's finished tasks.
const BROADCAST: usize = 25;
/// How a task ends whose worker vanished.
const CUT: &str = "unexpected status";

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) upid: String,
    pub(crate) node: String,
    pub(crate) pid: u32,
    pub(crate) pstart: u32,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// "OK", "WARNINGS: n", or the error.
    pub(crate) status: String,
    /// Lines with the moment they were written.
    pub(crate) log: Vec<(i64, String)>,
}

/// What a new task is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewTask<'a> {
    pub(crate) node: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) user: &'a str,
    pub(crate) start: i64,
    pub(crate) seconds: i64,
    /// The error, for one that fails.
    pub(crate) error: Option<&'a str>,
}

impl Task {
    pub(crate) fn runs(&self, now: i64) -> bool {
        now < self.end
    }

    /// Whether the loss of its node ended it.
    pub(crate) fn was_cut(&self) -> bool {
        self.status == CUT
    }

    /// The log's lines so far, the worker's last line with them.
    pub(crate) fn lines(&self, now: i64) -> Vec<String> {
        let mut lines: Vec<String> =
            self.log.iter().filter(|(at, _)| *at <= now).map(|(_, line)| line.clone()).collect();
        if !self.runs(now) {
            lines.push(match self.status.as_str() {
                "OK" => "TASK OK".to_owned(),
                status if status.starts_with("WARNINGS") => format!("TASK {status}"),
                error => format!("TASK ERROR: {error}"),
            });
        }
        lines
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    /// By their start.
    tasks: VecDeque<Task>,
    count: u32,
}

impl Tasks {
    /// Begins a task with its whole log.
    pub(crate) fn add(&mut self, new: NewTask<'_>, booted: i64, log: Vec<(i64, String)>) -> String {
        self.count = self.count.wrapping_add(1);
        let pid = 4_000 + self.count.wrapping_mul(37) % 4_000_000;
        // Hundredths of a second since the node's start.
        let pstart = u32::try_from((new.start - booted).max(0).saturating_mul(100)).unwrap_or(u32::MAX);
        let upid =
            format!("UPID:{}:{pid:08X}:{pstart:08X}:{:08X}:{}:{}:{}:", new.node, new.start, new.kind, new.id, new.user);
        // In the order of their start: what begins later, such as a boot's, waits at the end.
        let at = self.tasks.iter().rposition(|task| task.start <= new.start).map_or(0, |before| before + 1);
        let task = Task {
            upid: upid.clone(),
            node: new.node.to_owned(),
            pid,
            pstart,
            kind: new.kind.to_owned(),
            id: new.id.to_owned(),
            user: new.user.to_owned(),
            start: new.start,
            end: new.start + new.seconds.max(0),
            status: new.error.unwrap_or("OK").to_owned(),
            log,
        };
        self.tasks.insert(at, task);
        if self.tasks.len() > KEPT {
            self.tasks.pop_front();
        }
        upid
    }

    pub(crate) fn find(&self, upid: &str) -> Option<&Task> {
        // The newest are asked for most.
        self.tasks.iter().rev().find(|task| task.upid == upid)
    }

    /// A node's tasks, newest first.
    pub(crate) fn of_node<'a>(&'a self, node: &'a str) -> Vec<&'a Task> {
        self.tasks.iter().rev().filter(|task| task.node == node).collect()
    }

    /// What is broadcast of a node: all that run, and the newest that are done.
    pub(crate) fn broadcast<'a>(&'a self, node: &'a str, now: i64) -> Vec<&'a Task> {
        let mut done = 0;
        let mut found = self.of_node(node);
        found.retain(|task| {
            done += usize::from(!task.runs(now));
            task.runs(now) || done <= BROADCAST
        });
        found
    }

    /// Ends what runs on a node that goes down.
    pub(crate) fn cut(&mut self, node: &str, now: i64) {
        for task in self.tasks.iter_mut().filter(|task| task.node == node && task.runs(now)) {
            task.end = now;
            CUT.clone_into(&mut task.status);
        }
    }
}
