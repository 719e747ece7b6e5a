//! A clock that stands still until a test moves its hand. It never moves by itself.

use contract::BoxFuture;
use contract::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time by hand, for tests: `now`, `monotonic` and both kinds of waiting follow [`HandClock::advance`] and nothing else.
#[derive(Debug)]
pub struct HandClock {
    origin: Timestamp,
    elapsed: watch::Sender<Duration>,
}

impl HandClock {
    /// 1 March 2026, 12:00 UTC: a Sunday.
    pub const ORIGIN: Timestamp = Timestamp::constant(1_772_366_400, 0);

    /// A clock that shows [`HandClock::ORIGIN`].
    pub fn new() -> Arc<Self> {
        Arc::new(Self { origin: Self::ORIGIN, elapsed: watch::Sender::new(Duration::ZERO) })
    }

    /// Moves the hand.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed = elapsed.saturating_add(by));
    }

    fn wait(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut elapsed = self.elapsed.subscribe();
        let until = elapsed.borrow().saturating_add(duration);
        Box::pin(async move {
            // An error means that the clock is gone: nobody is left to wait for.
            let _ = elapsed.wait_for(|now| *now >= until).await;
        })
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.monotonic()).unwrap_or(SignedDuration::MAX);
        self.origin.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.wait(duration)
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.wait(duration)
    }
}
