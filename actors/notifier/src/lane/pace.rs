//! How fast a receiver may be written to: its own pace, and the pauses it asks for. Pure; times are real ones, from an arbitrary start.

use crate::channels::Pace;
use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The bucket of one receiver. Whoever writes to the same receiver shares it.
#[derive(Debug, Default)]
pub struct Bucket {
    pace: Pace,
    recent: VecDeque<Duration>,
    paused_until: Option<Duration>,
}

impl Bucket {
    /// A bucket of a channel's pace.
    pub fn new(pace: Pace) -> Self {
        Self { pace, recent: VecDeque::new(), paused_until: None }
    }

    /// Goes on at another pace.
    pub fn change(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Notes a request.
    pub fn note(&mut self, now: Duration) {
        self.recent.push_back(now);
        let keep = self.pace.per_minute.max(1);
        while self.recent.len() > keep {
            self.recent.pop_front();
        }
    }

    /// Pauses, until a moment that is never moved forward again.
    pub fn pause_until(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Until when the receiver wants a pause, if it does.
    pub fn paused(&self, now: Duration) -> Option<Duration> {
        self.paused_until.filter(|until| *until > now)
    }

    /// When the next request may be.
    pub fn ready_at(&self, now: Duration) -> Duration {
        let mut at = self.paused(now).unwrap_or(now);
        if let Some(last) = self.recent.back() {
            at = at.max(*last + self.pace.gap);
        }
        if self.pace.per_minute > 0
            && self.recent.len() >= self.pace.per_minute
            && let Some(first) = self.recent.front()
        {
            at = at.max(*first + MINUTE);
        }
        at
    }
}

/// The first wait after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);
/// The shortest that jitter makes of any.
const SHORTEST: Duration = Duration::from_millis(250);

/// The wait after the `failures`th failure in a row (from 1), anywhere between nearly nothing and twice the one before: `jitter` is between 0
/// and 1.
pub fn backoff(failures: u32, jitter: f64) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    let most = FIRST.saturating_mul(factor).min(LONGEST);
    most.mul_f64(jitter.clamp(0.0, 1.0)).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_group_gets_so_many_a_minute_and_one_at_a_time() {
        let mut bucket = Bucket::new(Pace { gap: seconds(1), per_minute: 3 });
        let mut now = seconds(100);
        let mut sent = Vec::new();
        for _ in 0..5 {
            now = bucket.ready_at(now);
            bucket.note(now);
            sent.push(now.as_secs());
        }
        assert_eq!(sent, [100, 101, 102, 160, 161]);
    }

    #[test]
    fn a_pause_is_never_shortened() {
        let mut bucket = Bucket::default();
        bucket.pause_until(seconds(10));
        bucket.pause_until(seconds(5));
        assert_eq!(bucket.ready_at(seconds(1)), seconds(10));
        assert_eq!((bucket.paused(seconds(9)), bucket.paused(seconds(10))), (Some(seconds(10)), None));
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let most: Vec<u64> = (1..=12).map(|failures| backoff(failures, 1.0).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff(5, 0.0), SHORTEST);
        assert_eq!(backoff(u32::MAX, 1.0), LONGEST);
        assert_eq!(backoff(3, 0.5), seconds(2));
    }
}
