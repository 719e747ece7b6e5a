//! Tasks: the cluster tells the last 25 or so of each node; what it told before is kept for a while.

use crate::model::{Task, TaskState};
use std::collections::HashSet;
use std::sync::Arc;

/// The most tasks that are kept.
const KEPT: usize = 1000;

/// The new tasks and those known before, newest first. A task that ran and is told no more has ended unseen: it is left out.
pub(crate) fn merge(mut tasks: Vec<Task>, before: &[Task]) -> Vec<Task> {
    let told: HashSet<Arc<str>> = tasks.iter().map(|task| Arc::clone(&task.upid)).collect();
    let kept = before.iter().filter(|task| task.state != TaskState::Running && !told.contains(&task.upid));
    tasks.extend(kept.cloned());
    tasks.sort_by(|a, b| b.started_s.cmp(&a.started_s).then_with(|| b.upid.cmp(&a.upid)));
    tasks.dedup_by(|a, b| a.upid == b.upid);
    tasks.truncate(KEPT);
    tasks
}
