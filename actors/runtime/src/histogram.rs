//! A distribution of durations in fixed memory, written without locks: 4 buckets per doubling, so a quantile is right within 19 %.

use contract::provider::Quantiles;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const PER_DOUBLING: u32 = 4;
/// Up to 2^32 µs, over an hour.
const BUCKETS: usize = 32 * PER_DOUBLING as usize;

/// Counts durations.
#[derive(Debug)]
pub struct Histogram {
    counts: Box<[AtomicU64]>,
    max_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), max_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(us)].fetch_add(1, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Median, 99th percentile and maximum, in milliseconds.
    pub fn quantiles_ms(&self) -> Quantiles {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let max = self.max_us.load(Relaxed) as f64 / 1000.0;
        let quantile = |q: f64| {
            let rank = (total as f64 * q).ceil() as u64;
            let mut seen = 0;
            counts
                .iter()
                .position(|count| {
                    seen += count;
                    seen >= rank && seen > 0
                })
                .map_or(0.0, |at| (upper_us(at) / 1000.0).min(max))
        };
        let round = |ms: f64| (ms * 1000.0).round() / 1000.0;
        Quantiles { p50: round(quantile(0.5)), p99: round(quantile(0.99)), max: round(max) }
    }
}

fn bucket(us: u64) -> usize {
    if us < 2 {
        return us as usize;
    }
    let doubling = us.ilog2();
    let within = if doubling >= 2 { (us >> (doubling - 2)) & 3 } else { (us << (2 - doubling)) & 3 };
    ((doubling * PER_DOUBLING) as usize + within as usize).min(BUCKETS - 1)
}

/// The largest duration of a bucket, in µs.
fn upper_us(at: usize) -> f64 {
    if at < 2 {
        return at as f64;
    }
    let (doubling, within) = (at as u32 / PER_DOUBLING, at as u32 % PER_DOUBLING);
    2f64.powi(doubling as i32) * (1.0 + f64::from(within + 1) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let histogram = Histogram::default();
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        let found = histogram.quantiles_ms();
        assert!((0.5..=0.6).contains(&found.p50), "{found:?}");
        assert!((0.99..=1.0).contains(&found.p99), "{found:?}");
        assert_eq!(found.max, 1.0);
        assert_eq!(histogram.count(), 1000);
    }

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound_and_no_more_than_a_quarter_below() {
        for us in (0..10_000).chain([1 << 20, (1 << 31) + 12_345]) {
            let bound = upper_us(bucket(us));
            assert!(us as f64 <= bound && bound <= us as f64 * 1.25 + 1.0, "{us} µs is counted as up to {bound} µs");
        }
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Histogram::default().quantiles_ms(), Quantiles::default());
    }

    #[test]
    fn extremes_stay_inside() {
        let histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 2);
    }
}
