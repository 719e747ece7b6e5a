//! A row that waits in a lane, and what is to be stored of it. Pure.

use crate::channels::Form;
use contract::notify::{DeliveryState, NoticeKind, OutboxRow};
use contract::store::{DeliveryNews, KeepDeliveries};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// A row in a lane.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The row.
    pub row: OutboxRow,
    /// Nobody knows whether an earlier attempt arrived.
    pub is_repeated: bool,
    /// How old it was when it came here, and when that was.
    age: (Duration, Duration),
    /// Titles of what was merged into it.
    pub told_with: Vec<String>,
}

impl Entry {
    /// A row that came at `now`; `age` old.
    pub fn new(row: OutboxRow, age: Duration, now: Duration) -> Self {
        let is_repeated = row.state == DeliveryState::Sending;
        Self { row, is_repeated, age: (age, now), told_with: Vec::new() }
    }

    /// How old it is.
    pub fn age(&self, now: Duration) -> Duration {
        self.age.0 + now.saturating_sub(self.age.1)
    }

    /// Whether a person waits for it.
    pub fn is_test(&self) -> bool {
        self.row.notice.kind == NoticeKind::Test
    }

    /// Whether what it says may be told in another message.
    pub fn may_merge(&self) -> bool {
        let kind = matches!(
            self.row.notice.kind,
            NoticeKind::Opened
                | NoticeKind::Escalated
                | NoticeKind::Reminder
                | NoticeKind::Resolved
                | NoticeKind::Flapping
                | NoticeKind::Stable
                | NoticeKind::Explained
        );
        kind && !self.is_repeated && self.row.state == DeliveryState::Queued
    }

    /// What is to be stored of it.
    pub fn news(&self) -> DeliveryNews {
        DeliveryNews {
            id: Arc::clone(&self.row.id),
            state: self.row.state,
            attempts: self.row.attempts,
            next_at: self.row.next_at,
            last_error: self.row.last_error.clone(),
            remote_id: self.row.remote_id.clone(),
        }
    }
}

/// How far a row with several parts or a plainer form has come: kept, so that a restart goes on there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The row.
    pub row: Arc<str>,
    /// The form that is left to try.
    pub form: Form,
    /// What the receiver calls the parts that arrived.
    pub sent: Vec<Arc<str>>,
}

/// Adds changes to others, in order.
pub fn join(into: &mut KeepDeliveries, more: KeepDeliveries) {
    into.news.extend(more.news);
    into.rows.extend(more.rows);
    into.states.extend(more.states);
    into.forget_before = into.forget_before.max(more.forget_before);
}

/// Whether there is nothing to store.
pub fn is_empty(changes: &KeepDeliveries) -> bool {
    changes.news.is_empty() && changes.rows.is_empty() && changes.states.is_empty() && changes.forget_before.is_none()
}

/// The moment after `wait`, rounded up to a whole second: whatever a store keeps of it, it is never too early.
pub fn not_before(wall: Timestamp, wait: Duration) -> Timestamp {
    let wait = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    let at = wall.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if whole < at { Timestamp::from_second(at.as_second() + 1).unwrap_or(at) } else { at }
}
