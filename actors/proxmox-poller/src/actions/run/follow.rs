//! Follows a task to its end, and an order to the HA manager until the guest is as it was ordered.

use super::stage::Stage;
use super::{Ended, Run};
use crate::actions::request::Place;
use crate::actions::wish::Deed;
use crate::actions::words::{self, noun};
use crate::client::{ApiError, ErrorKind, segment};
use crate::decode;
use crate::model::{GuestState, TaskState, Upid};
use crate::tools::words::{span, text};
use contract::approvals::ActionEnd;
use std::sync::Arc;
use std::time::Duration;

/// The first word that it still runs comes after so long; the next ones after twice as long each.
const FIRST_WORD: Duration = Duration::from_secs(30);
/// A node that cannot be reached for so long is taken for gone.
const AWAY: Duration = Duration::from_secs(120);
/// So often a node may say that it does not know the task.
const UNKNOWN_TIMES: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// The lines of a log that are read for the cause of a failure.
const LOG_LINES: u32 = 5000;

/// How long to wait for the next look at a task that has run for so long.
fn pace(elapsed: Duration) -> Duration {
    Duration::from_secs(match elapsed.as_secs() {
        0..30 => 1,
        30..300 => 3,
        _ => 10,
    })
}

impl Run {
    /// Follows the task to its end.
    pub(super) async fn follow(&self, place: &Place, upid: Arc<str>) -> Ended {
        let errand = &self.errand;
        self.stage.replace(Stage::Begun(Arc::clone(&upid)));
        let Some(parsed) = Upid::parse(&upid) else {
            return self
                .unknown("Proxmox answered with something that is no task. Look whether it was done.".to_owned());
        };
        let node = parsed.node.to_owned();
        let is_order = parsed.kind.starts_with("ha");
        self.tell(format!("the task {} has begun on {node}", parsed.kind), Some(Arc::clone(&upid)));
        self.note(false).await;
        let path = format!("/nodes/{}/tasks/{}/status", segment(&node), segment(&upid));
        let begun = errand.clock.monotonic();
        let (mut next_word, mut has_trouble, mut unknown, mut away) = (FIRST_WORD, false, 0, None);
        loop {
            let elapsed = errand.clock.monotonic().saturating_sub(begun);
            match errand.client.fast(&path, decode::task_end).await {
                Ok((end, answer)) => {
                    self.saw(answer.date_s);
                    (has_trouble, unknown, away) = (false, 0, None);
                    match end.state {
                        TaskState::Running => {}
                        state if is_order && !state.is_failure() => return self.settle(place, upid).await,
                        state => return self.ended(place, &node, &upid, state).await,
                    }
                }
                Err(error) => {
                    if !has_trouble {
                        self.tell(format!("its task cannot be looked at now: {}", text(&error.text)), None);
                    }
                    has_trouble = true;
                    unknown += u32::from(error.kind == ErrorKind::Gone);
                    if unknown >= UNKNOWN_TIMES {
                        return self.unknown(format!(
                            "The {} of {} was begun, but {node} does not know its task any more ({upid}). Look whether it was done.",
                            noun(&errand.deed),
                            errand.subject
                        ));
                    }
                    let is_away = error.kind == ErrorKind::NodeUnreachable;
                    away = is_away.then(|| away.unwrap_or(elapsed));
                    if away.is_some_and(|since| elapsed.saturating_sub(since) >= AWAY) {
                        return self.node_is_gone(place, &node, &upid, &error).await;
                    }
                }
            }
            if elapsed >= next_word {
                self.tell(format!("still running after {}", span(elapsed.as_secs())), None);
                next_word = next_word.saturating_mul(2);
            }
            errand.clock.pause(pace(elapsed)).await;
        }
    }

    /// The node that ran the task cannot be reached any more: the others may have heard of the task's end.
    async fn node_is_gone(&self, place: &Place, node: &str, upid: &Arc<str>, error: &ApiError) -> Ended {
        let heard = self.errand.client.fast("/cluster/tasks", decode::tasks).await.ok();
        let task = heard.and_then(|(tasks, _)| tasks.into_iter().find(|task| task.upid == *upid));
        if let Some(task) = task.filter(|task| matches!(task.state, TaskState::Ok | TaskState::Warnings(_))) {
            return self.ended(place, node, upid, task.state).await;
        }
        self.unknown(format!(
            "The node {node} went away while the {} of {} ran ({}): how it ended is not known.",
            noun(&self.errand.deed),
            self.errand.subject,
            text(&error.text)
        ))
    }

    /// What a task's end means.
    async fn ended(&self, place: &Place, node: &str, upid: &str, state: TaskState) -> Ended {
        let (subject, deed) = (&self.errand.subject, &self.errand.deed);
        let done = || format!("{subject} {}", words::done(deed, &place.node));
        match state {
            TaskState::Failed(why) => {
                let why = text(&why);
                let log = self.log(node, upid).await;
                let cause = words::cause(&log, &why).map(|cause| format!(" ({cause})")).unwrap_or_default();
                let now = self.now().await;
                self.failed(format!("The {} of {subject} failed: {why}{cause}.{now}", noun(deed)))
            }
            TaskState::Warnings(count) => {
                let log = self.log(node, upid).await;
                let warning = log
                    .iter()
                    .map(|(_, line)| &**line)
                    .find(|line| line.starts_with("WARN") || line.contains("warning"));
                let warning = warning.map(|line| format!(": {}", text(line))).unwrap_or_default();
                let warnings = if count == 1 { "1 warning".to_owned() } else { format!("{count} warnings") };
                self.outcome(ActionEnd::Done, format!("{}, with {warnings}{warning}.", done()))
            }
            TaskState::Ok | TaskState::Running => self.outcome(ActionEnd::Done, format!("{}.", done())),
        }
    }

    async fn log(&self, node: &str, upid: &str) -> Vec<(u64, Arc<str>)> {
        let path = format!("/nodes/{}/tasks/{}/log?start=0&limit={LOG_LINES}", segment(node), segment(upid));
        let log = self.errand.client.fast(&path, decode::task_log).await;
        log.map(|(lines, _)| lines).unwrap_or_default()
    }

    /// What the guest does after a failure, where it can be seen.
    async fn now(&self) -> String {
        let Ok(Some(place)) = self.place().await else { return String::new() };
        match self.state_at(&place.node, place.kind).await {
            Some(state) => format!(" It is {} on {} now.", text(state.as_str()), place.node),
            None => String::new(),
        }
    }

    /// Waits until the HA manager has carried the order out.
    async fn settle(&self, place: &Place, upid: Arc<str>) -> Ended {
        let errand = &self.errand;
        self.stage.replace(Stage::Ordered(Arc::clone(&upid)));
        self.tell("the HA manager took the order; waiting until it has acted".to_owned(), Some(upid));
        loop {
            if let Ok((rows, answer)) = errand.client.fast("/cluster/resources", decode::resources).await {
                self.saw(answer.date_s);
                let row = rows.into_iter().find(|row| row.vmid == Some(errand.vmid) && &*row.kind == place.kind.api());
                if let Some(row) = row {
                    let state = GuestState::from_word(row.status.as_deref().unwrap_or_default());
                    let is_there = |node: &str| row.node.as_deref() == Some(node);
                    let is_so = match &errand.deed {
                        Deed::Migrate { target, .. } => {
                            is_there(target) && (!place.is_up || state == GuestState::Running)
                        }
                        Deed::Shutdown { .. } | Deed::Stop => state == GuestState::Stopped,
                        _ => state == GuestState::Running,
                    };
                    if is_so {
                        let node = if matches!(errand.deed, Deed::Start) { row.node.as_deref() } else { None };
                        let done = words::done(&errand.deed, node.unwrap_or(&place.node));
                        return self.outcome(ActionEnd::Done, format!("{} {done}, by the HA manager.", errand.subject));
                    }
                    if row.ha_state.as_deref() == Some("error") {
                        return self.failed(format!(
                            "The HA manager took the order for the {} of {} and failed: HA has it in the state error now, and it is {}.",
                            noun(&errand.deed),
                            errand.subject,
                            text(state.as_str())
                        ));
                    }
                }
            }
            errand.clock.pause(BETWEEN_LOOKS).await;
        }
    }
}
