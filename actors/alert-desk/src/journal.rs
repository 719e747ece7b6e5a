//! What waits to be stored: changes in their order, one commit under way at a time. What fails is tried again with what came since.
//!
//! It is bounded by what it holds: alerts and states are kept once each, history is cut at its oldest, and while many messages wait the desk
//! is asked to decide on no more of them.

use crate::desk::Changes;
use contract::ids::SharedIds;
use contract::notify::{DeliveryState, Notice, OutboxRow};
use contract::store::{AlertRecord, CommitAlerts, StoreError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Lines of history that may wait.
const MOST_EVENTS: usize = 20_000;
/// Rows that may wait before no more are decided on.
const MOST_ROWS: usize = 1_000;
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Told whether what was changed is stored.
pub(crate) type Waiter = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
struct Batch {
    alerts: BTreeMap<u64, AlertRecord>,
    states: BTreeMap<Arc<str>, Option<String>>,
    rest: CommitAlerts,
    explain: Vec<u64>,
    waiters: Vec<Waiter>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.alerts.is_empty()
            && self.states.is_empty()
            && self.rest.events.is_empty()
            && self.rest.outbox.is_empty()
            && self.rest.forget_before.is_none()
    }

    fn take(&mut self, later: Batch) {
        self.alerts.extend(later.alerts);
        self.states.extend(later.states);
        self.rest.events.extend(later.rest.events);
        self.rest.outbox.extend(later.rest.outbox);
        self.rest.forget_before = later.rest.forget_before.or(self.rest.forget_before);
        self.explain.extend(later.explain);
        self.waiters.extend(later.waiters);
        let excess = self.rest.events.len().saturating_sub(MOST_EVENTS);
        if excess > 0 {
            tracing::error!(lines = excess, "alerts cannot be stored: the oldest lines of their history are given up");
            self.rest.events.drain(..excess);
        }
    }

    fn commit(&self) -> CommitAlerts {
        CommitAlerts {
            alerts: self.alerts.values().cloned().collect(),
            states: self.states.iter().map(|(name, data)| (Arc::clone(name), data.clone())).collect(),
            ..self.rest.clone()
        }
    }
}

/// What a commit made visible.
#[derive(Default)]
pub(crate) struct Visible {
    /// Rows to be sent.
    pub(crate) rows: Vec<OutboxRow>,
    /// Alerts to be explained.
    pub(crate) explain: Vec<u64>,
}

/// The changes that wait.
#[derive(Default)]
pub(crate) struct Journal {
    waiting: Batch,
    under_way: Option<Batch>,
    failures: u32,
    problem: Option<String>,
}

impl Journal {
    /// Takes changes: each message gets its id, and a row for each channel.
    pub(crate) fn add(&mut self, changes: Changes, ids: &SharedIds, timezone: &str, now: Timestamp) {
        let mut batch = Batch {
            alerts: changes.alerts.into_iter().map(|record| (record.id, record)).collect(),
            states: changes.states.into_iter().collect(),
            rest: CommitAlerts {
                events: changes.events,
                forget_before: changes.forget_before,
                ..CommitAlerts::default()
            },
            explain: changes.explain,
            waiters: Vec::new(),
        };
        for draft in changes.notices {
            let id: Arc<str> = ids.unique().into();
            let notice = Arc::new(Notice {
                id: Arc::clone(&id),
                kind: draft.kind,
                severity: draft.severity,
                thread: draft.thread,
                title: draft.title,
                members: draft.members,
                more: draft.more,
                text: draft.text,
                buttons: draft.buttons,
                at: now,
                timezone: timezone.into(),
                request_id: id,
            });
            batch.rest.outbox.extend(draft.channels.into_iter().map(|channel| OutboxRow {
                id: ids.unique().into(),
                channel,
                notice: Arc::clone(&notice),
                state: DeliveryState::Queued,
                attempts: 0,
                queued_at: now,
                next_at: None,
                last_error: None,
                remote_id: None,
            }));
        }
        self.waiting.take(batch);
    }

    /// Keeps a named state with the next commit.
    pub(crate) fn keep(&mut self, name: &str, data: String) {
        self.waiting.states.insert(name.into(), Some(data));
    }

    /// The commit to begin now, if there is one and none is under way.
    pub(crate) fn begin(&mut self) -> Option<CommitAlerts> {
        if self.under_way.is_some() || self.waiting.is_empty() {
            return None;
        }
        let batch = std::mem::take(&mut self.waiting);
        let commit = batch.commit();
        self.under_way = Some(batch);
        Some(commit)
    }

    /// Waits for everything that was added so far; `None`: it is stored already.
    pub(crate) fn wait(&mut self) -> Option<oneshot::Receiver<Result<(), StoreError>>> {
        let batch = match (&mut self.under_way, self.waiting.is_empty()) {
            (Some(under_way), true) => under_way,
            (None, true) => return None,
            (_, false) => &mut self.waiting,
        };
        let (waiter, answer) = oneshot::channel();
        batch.waiters.push(waiter);
        Some(answer)
    }

    /// Takes the outcome of the commit under way. After a failure everything waits to be tried again, after [`Self::backoff`].
    pub(crate) fn done(&mut self, outcome: Result<(), StoreError>) -> Visible {
        let Some(mut batch) = self.under_way.take() else { return Visible::default() };
        match outcome {
            Ok(()) => {
                (self.failures, self.problem) = (0, None);
                for waiter in batch.waiters {
                    // Whoever asked may have gone.
                    let _ = waiter.send(Ok(()));
                }
                Visible { rows: batch.rest.outbox, explain: batch.explain }
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.problem = Some(error.0.clone());
                batch.take(std::mem::take(&mut self.waiting));
                for waiter in std::mem::take(&mut batch.waiters) {
                    let _ = waiter.send(Err(error.clone()));
                }
                self.waiting = batch;
                Visible::default()
            }
        }
    }

    /// How long to wait before the next try, in real time.
    pub(crate) fn backoff(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        FIRST_BACKOFF.saturating_mul(factor).min(LONGEST_BACKOFF)
    }

    /// Whether the last try failed.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether more messages may be decided on.
    pub(crate) fn may_tell(&self) -> bool {
        let under_way = self.under_way.as_ref().map_or(0, |batch| batch.rest.outbox.len());
        under_way + self.waiting.rest.outbox.len() < MOST_ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::alerts::{AlertEvent, Severity};

    const NOW: Timestamp = Timestamp::constant(1_772_366_400, 0);

    fn changes(id: u64, data: &str) -> Changes {
        let alert = AlertRecord {
            id,
            key: "k".into(),
            is_live: true,
            severity: Severity::Warning,
            opened: NOW,
            ended: None,
            data: data.to_owned(),
        };
        let event = AlertEvent {
            alert: id,
            at: NOW,
            what: data.into(),
            name: "k".into(),
            severity: Severity::Warning,
            who: None,
            text: String::new(),
        };
        Changes { alerts: vec![alert], events: vec![event], ..Changes::default() }
    }

    fn add(journal: &mut Journal, changes: Changes) {
        journal.add(changes, &(Arc::new(runtime::world::TestIds::default()) as SharedIds), "UTC", NOW);
    }

    fn told(commit: &CommitAlerts) -> (Vec<&str>, Vec<&str>) {
        (
            commit.alerts.iter().map(|alert| alert.data.as_str()).collect(),
            commit.events.iter().map(|event| &*event.what).collect(),
        )
    }

    #[test]
    fn one_commit_at_a_time_and_the_newest_of_each_alert() {
        let mut journal = Journal::default();
        assert!(journal.begin().is_none() && journal.wait().is_none());
        add(&mut journal, changes(1, "a"));
        add(&mut journal, changes(1, "b"));
        assert_eq!(told(&journal.begin().unwrap()), (vec!["b"], vec!["a", "b"]));
        add(&mut journal, changes(2, "c"));
        assert!(journal.begin().is_none());
        journal.done(Ok(()));
        assert_eq!(told(&journal.begin().unwrap()), (vec!["c"], vec!["c"]));
        let mut answer = journal.wait().unwrap();
        assert!(answer.try_recv().is_err());
        journal.done(Ok(()));
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn what_failed_is_tried_again_with_what_came_since_and_everybody_is_told() {
        let mut journal = Journal::default();
        add(&mut journal, changes(1, "a"));
        journal.begin().unwrap();
        let mut first = journal.wait().unwrap();
        add(&mut journal, changes(2, "b"));
        let mut second = journal.wait().unwrap();
        journal.done(Err(StoreError("full".to_owned())));
        assert_eq!(first.try_recv(), Ok(Err(StoreError("full".to_owned()))));
        assert_eq!(second.try_recv(), Ok(Err(StoreError("full".to_owned()))));
        assert_eq!((journal.problem(), journal.backoff()), (Some("full"), FIRST_BACKOFF));
        let mut third = journal.wait().expect("what was refused still waits");
        assert_eq!(told(&journal.begin().unwrap()), (vec!["a", "b"], vec!["a", "b"]));
        journal.done(Ok(()));
        assert_eq!((third.try_recv(), journal.problem()), (Ok(Ok(())), None));
    }

    #[test]
    fn a_store_that_stays_away_fills_no_memory() {
        let mut journal = Journal::default();
        for at in 0..30_000 {
            add(&mut journal, changes(at % 10, "x"));
        }
        assert!(journal.waiting.rest.events.len() <= MOST_EVENTS && journal.waiting.alerts.len() == 10);
        for _ in 0..100 {
            journal.begin();
            journal.done(Err(StoreError("gone".to_owned())));
        }
        assert_eq!(journal.backoff(), LONGEST_BACKOFF);
    }
}
