//! The system's clocks behind `contract::clock::Clock`, with HAIA's time factor.

use crate::patience::Patience;
use contract::clock::Clock;
use contract::{BoxFuture, LocalBoxFuture};
use jiff::Timestamp;
use std::time::Duration;

/// Of shorter deadlines half a second is too much.
const EXACT: Duration = Duration::from_secs(5);

/// Real time, or time that runs `factor` times as fast: now = origin + (real now − origin) × factor.
#[derive(Debug)]
pub struct SystemClock {
    origin: Timestamp,
    factor: f64,
    started: tokio::time::Instant,
}

impl SystemClock {
    /// The system's time as it is.
    pub fn real() -> Self {
        Self::accelerated(Timestamp::UNIX_EPOCH, 1.0)
    }

    /// Time since `origin` (when the store was created) runs `factor` times as fast. A factor below 1 counts as 1.
    pub fn accelerated(origin: Timestamp, factor: f64) -> Self {
        let factor = if factor.is_finite() && factor > 1.0 { factor } else { 1.0 };
        Self { origin, factor, started: tokio::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let real = Timestamp::now();
        if self.factor == 1.0 {
            return real;
        }
        let seconds = real.duration_since(self.origin).as_secs_f64() * self.factor;
        let elapsed = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or(jiff::SignedDuration::ZERO);
        self.origin.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let real = match self.factor {
            1.0 => duration,
            factor => Duration::try_from_secs_f64(duration.as_secs_f64() / factor).unwrap_or(Duration::MAX),
        };
        self.pause(real)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn patience(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        if duration < EXACT { self.pause(duration) } else { Box::pin(Patience::new(duration)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_speeds_up_the_wall_clock_from_its_origin() {
        let origin = Timestamp::now() - jiff::SignedDuration::from_secs(100);
        let age = SystemClock::accelerated(origin, 60.0).now().duration_since(origin).as_secs();
        assert!((6000..6120).contains(&age), "{age}");
        let real = SystemClock::real().now().duration_since(origin).as_secs();
        assert!((100..102).contains(&real), "{real}");
    }

    #[test]
    fn no_wait_is_too_long_and_no_factor_too_odd() {
        for factor in [0.0, 1.0, 60.0, f64::NAN, f64::INFINITY] {
            let clock = SystemClock::accelerated(Timestamp::UNIX_EPOCH, factor);
            actix_rt::System::new().block_on(async {
                // Made, not waited for.
                drop(clock.sleep(Duration::MAX));
            });
        }
    }
}
