//! The alarm clock: one tick a second, and no policy. Which runs begin, and when, is [`crate::Plan`]'s alone: an alarm that rings late, twice
//! or not at all for a while delays a run, and neither loses nor doubles one.

use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use futures_util::FutureExt as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

/// Rings about once a second.
pub trait Ticker: Send + Sync {
    /// Starts it on the calling thread. `ring` is called for each tick; dropping what is returned ends it.
    ///
    /// # Errors
    /// It cannot be started.
    fn start(&self, ring: Rc<dyn Fn()>) -> LocalBoxFuture<'static, Result<Alarm, String>>;
}

/// A running alarm: polled by its owner, ends when dropped.
pub struct Alarm(pub LocalBoxFuture<'static, ()>);

/// The alarm clock of real time: a single job of tokio-cron-scheduler, every second.
pub struct CronTicker;

impl Ticker for CronTicker {
    fn start(&self, ring: Rc<dyn Fn()>) -> LocalBoxFuture<'static, Result<Alarm, String>> {
        Box::pin(async move {
            let failed = |error: tokio_cron_scheduler::JobSchedulerError| error.to_string();
            let clock = JobScheduler::new().await.map_err(failed)?;
            let bell = Arc::new(Notify::new());
            let hammer = Arc::clone(&bell);
            let strike = move |_, _| hammer.notify_one();
            clock.add(Job::new("* * * * * *", strike).map_err(failed)?).await.map_err(failed)?;
            clock.start().await.map_err(failed)?;
            Ok(Alarm(Box::pin(async move {
                let _ends_with_this = Shutdown(Some(clock));
                loop {
                    bell.notified().await;
                    ring();
                }
            })))
        })
    }
}

/// Tells the library's own tasks to end.
struct Shutdown(Option<JobScheduler>);

impl Drop for Shutdown {
    fn drop(&mut self) {
        // It only sets a flag that its tasks look at: nothing of it waits.
        if let Some(mut clock) = self.0.take() {
            let _ = clock.shutdown().now_or_never();
        }
    }
}

/// The alarm clock under a time factor and in tests: steps of HAIA's own time.
pub struct StepTicker {
    clock: SharedClock,
    step: Duration,
}

impl StepTicker {
    /// Rings every second of HAIA's time.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, step: Duration::from_secs(1) }
    }
}

impl Ticker for StepTicker {
    fn start(&self, ring: Rc<dyn Fn()>) -> LocalBoxFuture<'static, Result<Alarm, String>> {
        let (clock, step) = (Arc::clone(&self.clock), self.step);
        Box::pin(async move {
            Ok(Alarm(Box::pin(async move {
                loop {
                    clock.sleep(step).await;
                    ring();
                }
            })))
        })
    }
}
