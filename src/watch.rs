//! The watchdog's thread: looks at every actor's progress once a second and pets systemd only while every required actor moves.
//!
//! A thread of its own, because no actor may be able to block it. It cures nothing: what blocks inside cannot be ended from inside.

use crate::systemd;
use crate::warden::{Warden, finding};
use contract::alerts::Severity;
use contract::clock::SharedClock;
use runtime::{ActorState, Supervision, Watchdog};
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
                    let severity = Some(Severity::Critical);
                    warden.found(finding(actor, "is stuck in a handler", severity, clock.now()));
                }
                // One that was given up since waits for a new start.
                let is_given_up = |actor: &str| {
                    actors.iter().any(|(stats, _)| stats.name() == actor && stats.state() == ActorState::Failed)
                };
                for actor in verdict.recovered.iter().filter(|actor| !is_given_up(actor)) {
                    tracing::warn!(actor, "actor moves again");
                    warden.found(finding(actor, "works again", None, clock.now()));
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
