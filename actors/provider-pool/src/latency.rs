//! How quickly a model answers, as of late: for routes that ask the quickest first.
//!
//! A slower answer counts at once, a quicker one little by little; and what was measured fades, so that whoever was slow once is tried again:
//! by one request at a time, since who is slow still, or hangs, would else get them all until the first one ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// After this long without an answer the estimate has halved.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// How much a quicker answer counts against those before.
const SHARE: f64 = 0.3;
/// What a failure counts for at least: no quick refusal is a quick answer.
const FAILED: Duration = Duration::from_secs(10);
/// A request that is tried and says nothing for this long keeps nobody else from trying.
const TRIAL: Duration = Duration::from_secs(60);

/// An estimate. Two that write at once may lose one of their measurements, which does no harm.
#[derive(Debug, Default)]
pub struct Latency {
    us: AtomicU64,
    at_ms: AtomicU64,
    /// When the request was sent that finds out how it is now; 0: there is none.
    tried_ms: AtomicU64,
}

impl Latency {
    /// Counts an answer.
    pub fn record(&self, took: Duration, now: Duration) {
        let (new, old) = (micros(took) as f64, self.estimate(now) as f64);
        let estimate = if new >= old { new } else { old + (new - old) * SHARE };
        self.us.store(estimate as u64, Relaxed);
        self.at_ms.store(millis(now), Relaxed);
        self.tried_ms.store(0, Relaxed);
    }

    /// Counts a failure: there would have been no answer for at least this long.
    pub fn failed(&self, after: Duration, now: Duration) {
        self.record(after.max(FAILED), now);
    }

    /// Counts a request that nobody waited for any longer: if its answer would have been quicker than the estimate, nobody knows.
    pub fn left(&self, after: Duration, now: Duration) {
        if micros(after) > self.estimate(now) {
            self.record(after, now);
        }
        self.tried_ms.store(0, Relaxed);
    }

    /// A request goes there first.
    pub fn tried(&self, now: Duration) {
        self.tried_ms.store(millis(now).max(1), Relaxed);
    }

    /// Microseconds, faded; 0 where nothing is known.
    pub fn estimate(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(Duration::from_millis(self.at_ms.load(Relaxed)));
        let faded = (-since.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        (self.us.load(Relaxed) as f64 * faded) as u64
    }

    /// By which routes compare: the estimate; while a request finds out how it is, what was measured last, and last of all where nothing was.
    pub fn rank(&self, now: Duration) -> u64 {
        let tried = self.tried_ms.load(Relaxed);
        let is_tried = tried > 0 && now.saturating_sub(Duration::from_millis(tried)) < TRIAL;
        match self.us.load(Relaxed) {
            _ if !is_tried => self.estimate(now),
            0 => u64::MAX,
            measured => measured,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slow_counts_at_once_quick_by_and_by_and_all_fades() {
        let latency = Latency::default();
        assert_eq!(latency.estimate(at(9)), 0);
        latency.record(Duration::from_millis(100), at(10));
        assert_eq!(latency.estimate(at(10)), 100_000);
        latency.record(Duration::from_millis(500), at(10));
        assert_eq!(latency.estimate(at(10)), 500_000);
        latency.record(Duration::from_millis(100), at(10));
        assert_eq!(latency.estimate(at(10)), 380_000);
        assert_eq!(latency.estimate(at(70)), 190_000);
    }

    #[test]
    fn one_request_at_a_time_finds_out() {
        let latency = Latency::default();
        assert_eq!(latency.rank(at(5)), 0, "whoever is not known is tried first");
        latency.tried(at(5));
        assert_eq!(latency.rank(at(6)), u64::MAX, "by one");
        assert_eq!(latency.rank(at(65)), 0, "that one hangs");
        latency.record(at(8), at(70));
        assert_eq!(latency.rank(at(130)), 4_000_000, "faded");
        latency.tried(at(130));
        assert_eq!(latency.rank(at(131)), 8_000_000, "as it was, until the one who tries knows better");
        latency.left(at(1), at(131));
        assert!(latency.rank(at(131)) < 4_000_000, "who left after a moment knows nothing");
        latency.left(at(30), at(131));
        assert_eq!(latency.rank(at(131)), 30_000_000, "who waited in vain knows enough");
    }

    #[test]
    fn a_quick_refusal_is_no_quick_answer() {
        let latency = Latency::default();
        latency.failed(Duration::from_millis(3), at(1));
        assert_eq!(latency.rank(at(1)), 10_000_000);
        latency.failed(at(120), at(2));
        assert_eq!(latency.rank(at(2)), 120_000_000);
    }
}
