//! The watchdog's thread: looks at every actor's progress once a second and pets systemd only while every required actor moves.
//!
//! A thread of its own, because no actor may be able to block it. It cures nothing: what blocks inside cannot be ended from inside.

use crate::status::Warden;
use crate::systemd;
use contract::alerts::{Finding, Severity};
use contract::clock::SharedClock;
use runtime::{Supervision, Watchdog};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Without progress for this long an actor is called stuck: longer than any handler's own work, shorter than systemd's patience.
const PATIENCE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub struct WatchThread {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl WatchThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(supervision: Supervision, warden: Arc<Warden>, clock: SharedClock) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut watchdog = Watchdog::new(PATIENCE);
            while !stopped.load(Ordering::Relaxed) {
                let actors = supervision.stats();
                let verdict =
                    watchdog.look(clock.monotonic(), actors.iter().map(|(stats, required)| (stats, *required)));
                for actor in &verdict.stuck {
                    tracing::error!(actor, "actor is stuck: its handler does not return");
                    warden.found(finding(actor, Some(Severity::Critical), &clock));
                }
                for actor in &verdict.recovered {
                    tracing::warn!(actor, "actor moves again");
                    warden.found(finding(actor, None, &clock));
                }
                if !verdict.required_stuck {
                    systemd::pet();
                }
                warden.set_stuck(verdict.stuck);
                std::thread::park_timeout(PERIOD);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the watchdog's thread crashed");
            }
        }
    }
}

fn finding(actor: &str, severity: Option<Severity>, clock: &SharedClock) -> Finding {
    let (object, subject) = (format!("actor/{actor}"), format!("HAIA's {actor}"));
    let summary = if severity.is_some() { "is stuck in a handler" } else { "works again" };
    Finding::new("actor_failed", object, subject, summary, severity, clock.now())
}
