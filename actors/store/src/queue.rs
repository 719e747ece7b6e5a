//! The way of audit rows off the hot path: a bounded queue that anybody fills without waiting and the store empties.
//!
//! It outlives the store actor: a crash of the actor loses no row. It never blocks who records, never grows beyond its capacity, and
//! never loses a row without counting it.

use contract::store::{AuditRow, AuditSink};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

/// Rows written in one transaction.
const BATCH: usize = 4096;

/// How often writing a batch is tried before its rows are given up. With the store's pauses between tries that is about four minutes.
pub(crate) const TRIES: u32 = 10;

/// Audit rows on their way to the store.
///
/// Recording is a lock-free push; rows take memory only while they wait.
#[derive(Debug)]
pub struct AuditQueue {
    rows: mpsc::Sender<AuditRow>,
    /// Only the store's thread takes this lock.
    writing: Mutex<Writing>,
    waiting: AtomicU64,
    lost: AtomicU64,
    /// So many rows that wait are told to the store at once: its next look might come too late.
    crowd: u64,
    crowded: Notify,
}

/// The rows that are being written, and those behind them.
#[derive(Debug)]
struct Writing {
    rows: mpsc::Receiver<AuditRow>,
    /// Taken out of the queue and not written yet.
    batch: Vec<AuditRow>,
    tries: u32,
}

impl AuditQueue {
    /// A queue for at most `capacity` rows, besides those that a failing store is trying to write (4,096 at most). 16,384 are some seconds
    /// of the busiest gateway.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let (sender, receiver) = mpsc::channel(capacity);
        Self {
            rows: sender,
            writing: Mutex::new(Writing { rows: receiver, batch: Vec::new(), tries: 0 }),
            waiting: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            crowd: (capacity as u64).div_ceil(4),
            crowded: Notify::new(),
        }
    }

    /// Waits until a quarter of the queue is taken.
    pub(crate) async fn crowded(&self) {
        self.crowded.notified().await;
    }

    /// Rows that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Rows that were lost since the start: the queue was full, or writing them failed too often.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Writes what waits, the oldest first, in batches. Ends with the first failure; the rows of that batch stay for another try, or are
    /// counted lost after the last one.
    pub(crate) fn write_with<E>(&self, mut write: impl FnMut(&[AuditRow]) -> Result<(), E>) -> Result<(), E> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let writing = &mut *writing;
        // What is recorded from now on is for the next time: a busy gateway must not keep the store here.
        let mut turns = 1 + (self.waiting() as usize).div_ceil(BATCH);
        while turns > 0 {
            turns -= 1;
            if writing.batch.is_empty() {
                while writing.batch.len() < BATCH
                    && let Ok(row) = writing.rows.try_recv()
                {
                    writing.batch.push(row);
                }
                if writing.batch.is_empty() {
                    return Ok(());
                }
            }
            let count = writing.batch.len() as u64;
            if let Err(error) = write(&writing.batch) {
                writing.tries += 1;
                if writing.tries >= TRIES {
                    self.lost.fetch_add(count, Relaxed);
                    self.settle(writing, count);
                }
                return Err(error);
            }
            self.settle(writing, count);
        }
        Ok(())
    }

    fn settle(&self, writing: &mut Writing, count: u64) {
        // A fresh Vec, so that a burst's memory does not stay.
        writing.batch = Vec::new();
        writing.tries = 0;
        self.waiting.fetch_sub(count, Relaxed);
    }
}

impl AuditSink for AuditQueue {
    fn record(&self, row: AuditRow) {
        // Counted before it can be taken out, so that the figure never goes below zero.
        let waiting = 1 + self.waiting.fetch_add(1, Relaxed);
        if self.rows.try_send(row).is_err() {
            self.waiting.fetch_sub(1, Relaxed);
            self.lost.fetch_add(1, Relaxed);
        } else if waiting == self.crowd {
            self.crowded.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::row;

    fn written(queue: &AuditQueue) -> Vec<String> {
        let mut seen = Vec::new();
        queue
            .write_with(|rows| {
                seen.extend(rows.iter().map(|row| row.request_id.to_string()));
                Ok::<(), ()>(())
            })
            .unwrap();
        seen
    }

    #[test]
    fn keeps_order_and_counts() {
        let queue = AuditQueue::new(10);
        for n in 0..3 {
            queue.record(row(&format!("r{n}")));
        }
        assert_eq!((queue.waiting(), queue.lost()), (3, 0));
        assert_eq!(written(&queue), ["r0", "r1", "r2"]);
        assert_eq!((queue.waiting(), queue.lost()), (0, 0));
        assert_eq!(written(&queue), [""; 0]);
    }

    #[test]
    fn counts_what_does_not_fit() {
        let queue = AuditQueue::new(2);
        for n in 0..5 {
            queue.record(row(&format!("r{n}")));
        }
        assert_eq!((queue.waiting(), queue.lost()), (2, 3));
        assert_eq!(written(&queue), ["r0", "r1"]);
        queue.record(row("again"));
        assert_eq!(written(&queue), ["again"]);
    }

    #[test]
    fn a_crowd_is_told_each_time_it_gathers() {
        let queue = AuditQueue::new(16);
        let is_told = || {
            let told = std::pin::pin!(queue.crowded());
            told.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready()
        };
        for _ in 0..2 {
            (0..3).for_each(|_| queue.record(row("r")));
            assert!(!is_told());
            queue.record(row("r"));
            assert!(is_told());
            assert_eq!(written(&queue).len(), 4);
        }
    }

    #[test]
    fn writes_more_than_a_batch_in_several() {
        let queue = AuditQueue::new(BATCH * 2 + 1);
        for n in 0..=BATCH * 2 {
            queue.record(row(&n.to_string()));
        }
        let mut sizes = Vec::new();
        queue
            .write_with(|rows| {
                sizes.push(rows.len());
                Ok::<(), ()>(())
            })
            .unwrap();
        assert_eq!(sizes, [BATCH, BATCH, 1]);
    }

    #[test]
    fn what_is_recorded_while_writing_does_not_keep_the_writer() {
        let queue = AuditQueue::new(100);
        queue.record(row("first"));
        let mut batches = 0;
        queue
            .write_with(|_| {
                batches += 1;
                queue.record(row("meanwhile"));
                Ok::<(), ()>(())
            })
            .unwrap();
        assert_eq!(batches, 2);
        assert_eq!(queue.waiting(), 1);
    }

    #[test]
    fn failed_rows_are_tried_again_and_given_up_in_the_end() {
        let queue = AuditQueue::new(20);
        queue.record(row("bad"));
        for _ in 0..TRIES {
            let outcome = queue.write_with(|rows| {
                assert_eq!(rows.len(), 1, "a row recorded later joined a batch under way");
                Err(())
            });
            assert_eq!(outcome, Err(()));
            queue.record(row("behind"));
        }
        assert_eq!(queue.lost(), 1, "the rows behind it are not lost with it");
        assert_eq!(queue.waiting(), u64::from(TRIES));
        assert_eq!(written(&queue).len(), TRIES as usize);
        assert_eq!((queue.waiting(), queue.lost()), (0, 1));
    }

    #[test]
    fn every_row_is_either_written_or_counted_lost() {
        let queue = AuditQueue::new(64);
        let total = 4 * 2_000;
        let mut seen = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2_000).for_each(|_| queue.record(row("r"))));
            }
            while seen + queue.lost() < total {
                seen += written(&queue).len() as u64;
            }
        });
        assert_eq!(seen + queue.lost(), total);
        assert_eq!(queue.waiting(), 0);
    }
}
