//! The time around an answer: when to say that HAIA still lives, and when a drain cuts the answer off.
//!
//! One timer for each answer, set when the answer first lets its reader wait, and set anew only when it fires: a busy stream pays a look
//! at the clock for each piece, never a timer.

use crate::published::Shared;
use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The longest silence towards the client, before the head and between two pieces: ten seconds, less what a wait may be late.
pub(crate) const SILENCE: Duration = Duration::from_millis(9500);

/// What the time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing was sent for [`SILENCE`].
    Silent,
    /// The daemon has drained for long enough.
    Cut,
}

/// Watches the silence of one answer.
pub(crate) struct Pulse {
    clock: SharedClock,
    shared: Arc<Shared>,
    /// When something was last sent; the start of waiting at first, which is the first look.
    last: Option<Duration>,
    timer: Option<LocalBoxFuture<'static, ()>>,
}

impl Pulse {
    pub(crate) fn new(clock: SharedClock, shared: Arc<Shared>) -> Self {
        Self { clock, shared, last: None, timer: None }
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self) {
        self.last = Some(self.clock.monotonic());
    }

    /// Waits for the next beat.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Beat> {
        loop {
            if let Some(timer) = &mut self.timer {
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.timer = None;
            }
            let patience = self.shared.patience_left(self.clock.as_ref());
            if patience == Some(Duration::ZERO) {
                return Poll::Ready(Beat::Cut);
            }
            let now = self.clock.monotonic();
            let silent_for = now.saturating_sub(*self.last.get_or_insert(now));
            if silent_for >= SILENCE {
                self.last = Some(now);
                return Poll::Ready(Beat::Silent);
            }
            let wait = SILENCE - silent_for;
            self.timer = Some(self.clock.patience(patience.map_or(wait, |left| left.min(wait))));
        }
    }
}
