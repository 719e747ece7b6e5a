//! The surroundings of a test: one thread, paused time, recorded events. A world that is dropped dirty fails its test.

use crate::supervision::{Event, Supervision};
use contract::BoxFuture;
use contract::clock::Clock;
use contract::ids::Ids;
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One test's actors and their time.
pub struct World {
    /// Starts actors; pass [`World::thread`].
    pub supervision: Supervision,
    /// Simulated time.
    pub clock: Arc<TestClock>,
    /// Counting ids.
    pub ids: Arc<TestIds>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    /// Runs `test` on one thread with paused time: whenever every task waits, time jumps to the next timer.
    #[expect(clippy::expect_used, reason = "a test without a runtime cannot go on")]
    pub fn run<R>(test: impl AsyncFnOnce(&World) -> R) -> R {
        actix_rt::System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a current-thread runtime")
        })
        .block_on(async move {
            let events = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&events);
            let supervision = Supervision::new(move |event| {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            });
            let clock = Arc::new(TestClock { started: tokio::time::Instant::now() });
            let world = World { supervision, clock, ids: Arc::default(), events };
            let result = test(&world).await;
            world.assert_clean();
            result
        })
    }

    /// The thread that every actor of the world shares.
    pub fn thread(&self) -> actix_rt::ArbiterHandle {
        actix_rt::Arbiter::current()
    }

    /// Takes the events so far. What a test expects it must take: events left over are dirt.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets every task run until all wait for a timer or for each other.
    pub async fn settle(&self) {
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
    }

    fn assert_clean(&self) {
        let events = self.take_events();
        assert!(events.is_empty(), "the test left events of supervision unlooked at: {events:?}");
        for (stats, _) in self.supervision.stats() {
            assert_eq!(stats.depth(), 0, "messages still wait for {}", stats.name());
            assert_eq!(stats.in_flight(), 0, "{} still works on requests", stats.name());
        }
    }
}

/// Simulated time: starts at a fixed moment and moves with tokio's paused clock.
#[derive(Debug)]
pub struct TestClock {
    started: tokio::time::Instant,
}

impl TestClock {
    /// When every simulated day begins: 1 March 2026, 12:00 UTC.
    pub const ORIGIN: Timestamp = Timestamp::constant(1_772_366_400, 0);
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.started.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        Self::ORIGIN.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn pause(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Ids that count.
#[derive(Debug, Default)]
pub struct TestIds(AtomicU64);

impl Ids for TestIds {
    fn unique(&self) -> String {
        format!("id{:06}", self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn secret(&self, buffer: &mut [u8]) {
        let seed = self.0.fetch_add(1, Ordering::Relaxed) as u8;
        buffer.iter_mut().enumerate().for_each(|(at, byte)| *byte = seed.wrapping_mul(31).wrapping_add(at as u8));
    }
}
