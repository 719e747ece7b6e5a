//! What was asked: every request with what it got, the writing ones apart. It keeps no header and no secret.
//!
//! Where no writing request may come, one that came all the same fails its test at the end.

use std::collections::VecDeque;

/// How many of the newest requests are kept.
const KEPT: usize = 10_000;

/// A request as it reached the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which endpoint it came to: an index into `SimHandle::endpoints`.
    pub endpoint: usize,
    /// GET, POST, …
    pub method: String,
    /// Path and query as sent, with `/api2/json`.
    pub target: String,
    /// What it carried, such as `target=pve2`, of at most 2,000 characters.
    pub body: String,
    /// The status it was meant to get; 0 when a fault left it without one.
    pub status: u16,
    /// When it came: seconds of the cluster's clock since 1970.
    pub at: i64,
}

/// The newest requests, and every writing one.
#[derive(Debug)]
pub(crate) struct Record {
    requests: VecDeque<Request>,
    writes: Vec<Request>,
    count: u64,
    /// Whether a writing request fails the test.
    is_guarded: bool,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Record {
    /// A record of a cluster that may be written to, or may not.
    pub(crate) fn new(writes_allowed: bool) -> Self {
        Self { requests: VecDeque::new(), writes: Vec::new(), count: 0, is_guarded: !writes_allowed }
    }

    /// Fails, once, when a writing request came that should not have.
    pub(crate) fn settle(&mut self) {
        let is_guarded = std::mem::take(&mut self.is_guarded);
        // A test that fails already is told why it failed.
        if is_guarded && !std::thread::panicking() {
            assert!(
                self.writes.is_empty(),
                "writing requests reached a cluster that none may reach: {:?}",
                self.writes
            );
        }
    }

    pub(crate) fn note(&mut self, request: Request) {
        self.count += 1;
        let write = !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if write && self.writes.len() < KEPT {
            self.writes.push(request.clone());
        }
        if self.requests.len() == KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn writes(&self) -> Vec<Request> {
        self.writes.clone()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn forget(&mut self) {
        self.requests.clear();
    }
}
