//! How an actor is bounded and restarted.

use std::time::Duration;

/// The bounds of one actor's mailbox, and how its crashes are answered.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether the daemon must end (exit code 70) when this actor gives up.
    pub required: bool,
    /// Places on the interactive lane.
    pub interactive: usize,
    /// Places on the background lane.
    pub background: usize,
    /// Places on the control lane. Control messages come from the daemon itself, few at a time; this only bounds the memory of a fault.
    pub control: usize,
    /// Detached futures at once; beyond, messages stay in their lanes.
    pub in_flight: usize,
    /// The wait before the first restart; doubles with each crash.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// Crashes within `window` after which the actor is given up.
    pub crashes: u32,
    /// The time over which crashes are counted; after as long without one the backoff starts anew.
    pub window: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            required: true,
            interactive: 256,
            background: 256,
            control: 256,
            in_flight: 4096,
            backoff: Duration::from_millis(50),
            backoff_max: Duration::from_secs(10),
            crashes: 10,
            window: Duration::from_secs(60),
        }
    }
}

impl Policy {
    /// An actor that the daemon can go on without.
    pub fn optional() -> Self {
        Self { required: false, ..Self::default() }
    }

    /// The wait after the `crash`th crash (from 1) of a window.
    pub fn backoff_after(&self, crash: u32) -> Duration {
        let factor = 1u32.checked_shl(crash.saturating_sub(1)).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let policy =
            Policy { backoff: Duration::from_millis(10), backoff_max: Duration::from_millis(50), ..Policy::default() };
        let waits: Vec<u128> = (1..=5).map(|crash| policy.backoff_after(crash).as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 50, 50]);
        assert_eq!(policy.backoff_after(1000), Duration::from_millis(50));
    }
}
