//! Counts the servers' lives under way, so that a drain can wait for the last of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::Notify;

/// Counts the lives under way, so that a drain can wait for their end.
#[derive(Clone, Default)]
pub(super) struct Lives(Arc<(AtomicUsize, Notify)>);

impl Lives {
    pub(super) fn enter(&self) -> LifeGuard {
        self.0.0.fetch_add(1, Relaxed);
        LifeGuard(self.clone())
    }

    /// Waits until none is under way.
    pub(super) async fn over(self) {
        loop {
            let told = self.0.1.notified();
            if self.0.0.load(Relaxed) == 0 {
                return;
            }
            told.await;
        }
    }
}

/// One life under way.
pub(super) struct LifeGuard(Lives);

impl Drop for LifeGuard {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Relaxed);
        self.0.0.1.notify_waiters();
    }
}
