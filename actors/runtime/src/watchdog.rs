//! Notices an actor that makes no progress: a handler that blocks its thread cannot be pre-empted from inside the process. The verdict
//! goes to systemd's watchdog, which alone can end it.
//!
//! Pure: fed with the actors' figures and a time by a thread of the daemon's that no actor can block.

use crate::stats::{ActorState, Stats};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What the watchdog found at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Actors that have been in one handler, or have left waiting messages untouched, for longer than the patience.
    pub stuck: Vec<&'static str>,
    /// Actors that were stuck at the last look and move again.
    pub recovered: Vec<&'static str>,
    /// Whether a required actor is among the stuck: systemd must not be petted.
    pub required_stuck: bool,
}

/// Compares each actor's progress with its last.
#[derive(Debug)]
pub struct Watchdog {
    patience: Duration,
    seen: HashMap<&'static str, Seen>,
}

#[derive(Debug)]
struct Seen {
    progress: (u64, u64),
    since: Duration,
    stuck: bool,
}

impl Watchdog {
    /// A watchdog that calls an actor stuck after `patience` without progress.
    pub fn new(patience: Duration) -> Self {
        Self { patience, seen: HashMap::new() }
    }

    /// Looks at every actor at `now` (monotonic). An actor is at rest when it is in no handler and nothing waits, while it waits out a
    /// backoff, and while messages wait because as many detached futures run as may.
    pub fn look<'a>(&mut self, now: Duration, actors: impl IntoIterator<Item = (&'a Arc<Stats>, bool)>) -> Verdict {
        let mut verdict = Verdict::default();
        for (stats, required) in actors {
            let progress = stats.progress();
            let in_handler = progress.0 != progress.1;
            let waiting = stats.depth() > 0 && stats.state() == ActorState::Running && !stats.is_full();
            let at_rest = !in_handler && !waiting;
            let seen = self.seen.entry(stats.name()).or_insert(Seen { progress, since: now, stuck: false });
            if at_rest || seen.progress != progress {
                if seen.stuck {
                    verdict.recovered.push(stats.name());
                }
                *seen = Seen { progress, since: now, stuck: false };
            } else if now.saturating_sub(seen.since) >= self.patience {
                seen.stuck = true;
                verdict.stuck.push(stats.name());
                verdict.required_stuck |= required;
            }
        }
        verdict
    }
}
