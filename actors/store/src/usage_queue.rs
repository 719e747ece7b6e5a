//! The way of accounts off the hot path: sums that anybody adds to without waiting for a disk, and that the store writes in batches.
//!
//! It outlives the store actor. It writes nothing before the sums of earlier runs were read once: who reads them adds its own to them, and
//! must not find its own among them.

use contract::usage::{UsageSink, UsageSlot, UsageTotals};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// The most sums that wait. Days, callers, providers and models multiply; beyond, a sum is added to its provider's under [`OTHER`].
const MOST: usize = 10_000;
/// The model under which a provider's calls are summed when there are too many models.
const OTHER: &str = "(other)";

/// One is added to for each call, so the hash is a quick one: names are the operator's own, and their number is bounded.
type Sums = HashMap<UsageSlot, UsageTotals, foldhash::fast::RandomState>;

/// Sums on their way to the store.
#[derive(Debug, Default)]
pub struct UsageQueue {
    waiting: Mutex<Sums>,
    was_read: AtomicBool,
}

impl UsageQueue {
    /// The sums of earlier runs were read: from now on the sums of this one are written.
    pub(crate) fn read_once(&self) {
        self.was_read.store(true, Relaxed);
    }

    /// Whether there is something to write.
    pub(crate) fn is_due(&self) -> bool {
        self.was_read.load(Relaxed) && !self.lock().is_empty()
    }

    /// Writes what waits. What could not be written goes on waiting.
    pub(crate) fn write_with<E>(
        &self,
        write: impl FnOnce(&[(UsageSlot, UsageTotals)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sums: Vec<(UsageSlot, UsageTotals)> = std::mem::take(&mut *self.lock()).into_iter().collect();
        if sums.is_empty() {
            return Ok(());
        }
        let outcome = write(&sums);
        if outcome.is_err() {
            for (slot, sum) in &sums {
                self.record(slot, sum);
            }
        }
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UsageSink for UsageQueue {
    fn record(&self, slot: &UsageSlot, more: &UsageTotals) {
        let mut waiting = self.lock();
        if let Some(sum) = waiting.get_mut(slot) {
            sum.add(more);
            return;
        }
        let slot = if waiting.len() < MOST { slot.clone() } else { UsageSlot { model: OTHER.into(), ..slot.clone() } };
        waiting.entry(slot).or_default().add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn slot(model: &str) -> UsageSlot {
        UsageSlot { day: date(2026, 3, 1), who: "w".into(), provider: "p".into(), model: model.into() }
    }

    const ONE: UsageTotals = UsageTotals {
        calls: 1,
        errors: 0,
        cancelled: 0,
        uncounted: 0,
        input: Some(3),
        output: None,
        cached_input: None,
        reasoning: None,
        cost_nanos: None,
        answered: 0,
        first_token_us: 0,
        total_us: 0,
        guessed_tokens: 0,
        guessed_nanos: 0,
    };

    #[test]
    fn sums_wait_until_they_may_be_written_and_survive_a_failed_write() {
        let queue = UsageQueue::default();
        queue.record(&slot("a"), &ONE);
        assert!(!queue.is_due(), "nobody has read yet");
        queue.read_once();
        assert!(queue.is_due());
        assert_eq!(queue.write_with(|_| Err("full")), Err("full"));
        queue.record(&slot("a"), &ONE);
        let mut written = Vec::new();
        let outcome: Result<(), ()> = queue.write_with(|sums| {
            written.extend_from_slice(sums);
            Ok(())
        });
        assert_eq!((outcome, queue.is_due()), (Ok(()), false));
        let two = UsageTotals { calls: 2, input: Some(6), ..ONE };
        assert_eq!(written, [(slot("a"), two)]);
    }

    #[test]
    fn names_without_end_take_memory_within_bounds() {
        let queue = UsageQueue::default();
        for at in 0..MOST + 50 {
            queue.record(&slot(&at.to_string()), &ONE);
        }
        assert_eq!(queue.lock().len(), MOST + 1);
        assert_eq!(queue.lock()[&slot(OTHER)].calls, 50);
    }
}
