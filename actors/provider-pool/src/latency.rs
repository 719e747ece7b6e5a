//! How quickly a model begins to answer, as of late: for routes that ask the quickest first.
//!
//! A slower answer counts at once, a quicker one little by little; and what was measured fades, so that whoever was slow once is tried again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// After this long without an answer the estimate has halved.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// How much a quicker answer counts against those before.
const SHARE: f64 = 0.3;

/// An estimate. Two that write at once may lose one of their measurements, which does no harm.
#[derive(Debug, Default)]
pub struct Latency {
    us: AtomicU64,
    at_ms: AtomicU64,
}

impl Latency {
    /// Counts the time to the first event.
    pub fn record(&self, took: Duration, now: Duration) {
        let (new, old) = (micros(took) as f64, self.estimate(now) as f64);
        let estimate = if new >= old { new } else { old + (new - old) * SHARE };
        self.us.store(estimate as u64, Relaxed);
        self.at_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Microseconds; 0 where nothing is known.
    pub fn estimate(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(Duration::from_millis(self.at_ms.load(Relaxed)));
        let faded = (-since.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        (self.us.load(Relaxed) as f64 * faded) as u64
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_counts_at_once_quick_by_and_by_and_all_fades() {
        let latency = Latency::default();
        let at = Duration::from_secs;
        assert_eq!(latency.estimate(at(9)), 0);
        latency.record(Duration::from_millis(100), at(10));
        assert_eq!(latency.estimate(at(10)), 100_000);
        latency.record(Duration::from_millis(500), at(10));
        assert_eq!(latency.estimate(at(10)), 500_000);
        latency.record(Duration::from_millis(100), at(10));
        assert_eq!(latency.estimate(at(10)), 380_000);
        assert_eq!(latency.estimate(at(70)), 190_000);
    }
}
