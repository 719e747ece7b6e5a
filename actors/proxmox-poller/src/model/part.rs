//! A part of a snapshot that is fetched on its own beat: its value, when it was fetched, and why it is missing or old.

use jiff::Timestamp;
use std::sync::Arc;

/// A part with its own age.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// The newest good value; `None` before the first.
    pub value: Option<Arc<T>>,
    /// When it was fetched, in HAIA's time.
    pub at: Option<Timestamp>,
    /// Why the last try to fetch it failed; `None` when it did not.
    pub problem: Option<Arc<str>>,
    /// Whether the cluster does not have it at all (no Ceph, no HA): then there is nothing to fetch and nothing wrong.
    pub is_absent: bool,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { value: None, at: None, problem: None, is_absent: false }
    }
}

impl<T> Part<T> {
    /// A part fetched at `at`.
    pub fn fetched(value: T, at: Timestamp) -> Self {
        Self { value: Some(Arc::new(value)), at: Some(at), problem: None, is_absent: false }
    }

    /// The cluster said at `at` that it has none.
    pub fn absent(at: Timestamp) -> Self {
        Self { value: None, at: Some(at), problem: None, is_absent: true }
    }

    /// The same part after a try that failed: the value stays and grows old.
    pub fn failed(&self, problem: impl Into<Arc<str>>) -> Self {
        Self { value: self.value.clone(), at: self.at, problem: Some(problem.into()), is_absent: self.is_absent }
    }

    /// Seconds since it was fetched.
    pub fn age_s(&self, now: Timestamp) -> Option<u64> {
        self.at.map(|at| super::snapshot::seconds_between(at, now))
    }
}
