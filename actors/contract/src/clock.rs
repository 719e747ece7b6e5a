//! The port to time. Whoever needs "now", a timer or a stopwatch takes a [`Clock`]; nothing else reads the system's clocks.

use crate::{BoxFuture, LocalBoxFuture};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// HAIA's time. Under `HAIA_TIME_FACTOR` `now` and `sleep` run faster than the world; `monotonic` and `pause` never do.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, for time stamps, schedules and ages.
    fn now(&self) -> Timestamp;
    /// The wall clock of the world, which no time factor touches: for waits that another program asked for and that outlast a restart.
    fn wall(&self) -> Timestamp {
        self.now()
    }
    /// Time since an arbitrary start, for latencies and network deadlines. Never goes backwards and ignores the time factor.
    fn monotonic(&self) -> Duration;
    /// Waits in HAIA's time: for intervals and "for" durations.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Waits in real time: for network deadlines and for waits that another program asked for.
    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Waits in real time for what nearly never happens: the deadlines around a request. It counts from its first poll, may end half a second
    /// late and more where its thread is held up just when it begins or ends, never ends early, and costs next to nothing.
    fn patience(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.pause(duration)
    }
}

/// A clock as actors hold it.
pub type SharedClock = Arc<dyn Clock>;
