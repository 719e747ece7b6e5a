//! How a channel does, as its lane has seen it: for people and for the alert desk. Pure.

use super::{Lane, Now, not_before};
use jiff::Timestamp;
use std::time::Duration;

/// How long a channel must fail before an alert says so.
pub const FAILED: Duration = Duration::from_secs(300);

/// So many messages refused one after the other, and none taken between, mean that the channel fails and not its messages.
const REFUSALS: u32 = 3;

impl Lane {
    /// Whether it refuses whatever it gets: three messages in a row, or several during five minutes.
    fn is_refusing(&self, now: Now) -> bool {
        let lasts = self.refused_since.map_or(Duration::ZERO, |since| now.mono.saturating_sub(since));
        self.refusals >= REFUSALS || (self.refusals > 1 && lasts >= FAILED)
    }

    /// What the desk should be told: why the channel fails, if it has for long enough or for good.
    pub fn trouble(&self, now: Now) -> Option<&str> {
        let is_long = self.failing_since.is_some_and(|since| now.mono.saturating_sub(since) >= FAILED);
        let has_failed = is_long || self.is_refusing(now);
        let last = self.counts.last_error.as_deref().unwrap_or("it does not answer");
        self.stopped.as_deref().or(has_failed.then_some(last))
    }

    /// The state as a word, and when the next attempt may be.
    pub fn state(&self, now: Now) -> (&'static str, Option<Timestamp>) {
        let paused = self.bucket.borrow().paused(now.mono);
        let until = self.retry_at.filter(|_| !self.entries.is_empty()).max(paused).filter(|until| *until > now.mono);
        let next = until.map(|until| not_before(now.wall, until - now.mono));
        let state = match self {
            Lane { stopped: Some(_), .. } => "refused",
            _ if self.is_refusing(now) => "failing",
            _ if paused.is_some() => "limited",
            Lane { failures: 1.., .. } => "retrying",
            _ if self.counts.last_sent.is_some() => "ok",
            _ => "idle",
        };
        (state, next)
    }

    /// Whether the receiver refuses everything.
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Whether a row may be tried again with which the channel was refused before: something has arrived since, or somebody has changed it.
    pub fn may_retry_refused(&self) -> bool {
        !self.is_stopped() && (self.counts.last_sent.is_some() || self.is_changed)
    }
}
