//! One server's life as a state machine: pure. Inputs are what happened, outputs are what to do.
//!
//! Every start has a generation; what comes late from an earlier one is not used.

use contract::mcp::McpState;
use std::time::Duration;

/// The wait after the first failure; doubles with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// After so long a time of health failures count from the beginning.
pub(crate) const HEALTHY: Duration = Duration::from_secs(60);
/// So many calls without an answer in time, one after the other, and the server counts as degraded; twice as many, and it is started anew.
const SILENT_CALLS: u32 = 3;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// It shall run (or rest until a call, if `lazy`).
    Enable { lazy: bool },
    /// It shall not run.
    Disable,
    /// A call wants it.
    Wanted,
    /// It is connected and its tools are listed; or connected, and why they are not.
    Up { generation: u64, trouble: Option<String> },
    /// Its start failed, or it ended, by itself or because it was told to.
    Down { generation: u64 },
    /// A wait is over.
    Retry { generation: u64 },
    /// A call was answered in time, or not.
    Answered { generation: u64, in_time: bool },
    /// A call could not be brought to it.
    Broken { generation: u64 },
    /// It has been up for [`HEALTHY`].
    Healthy { generation: u64 },
    /// It was not used for long.
    Idle { generation: u64 },
    /// It must be started anew: its entry changed.
    Renew,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Start it.
    Start { generation: u64 },
    /// End it.
    Stop { generation: u64 },
    /// Send [`Input::Retry`] after a while.
    RetryAfter { generation: u64, wait: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Disabled,
    Idle,
    Starting,
    Up,
    Waiting,
    Stopping { then: Then },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Disable,
    Rest,
    Start,
    Wait,
}

/// One server's life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Machine {
    phase: Phase,
    generation: u64,
    /// Failures in a row.
    failures: u32,
    /// Calls in a row that were not answered in time.
    silent: u32,
    trouble: Option<String>,
    starts: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self { phase: Phase::Disabled, generation: 0, failures: 0, silent: 0, trouble: None, starts: 0 }
    }
}

impl Machine {
    /// The state for people.
    pub(crate) fn state(&self) -> McpState {
        match self.phase {
            Phase::Disabled => McpState::Disabled,
            Phase::Idle => McpState::Idle,
            Phase::Starting => McpState::Starting,
            Phase::Up if self.trouble.is_some() || self.silent >= SILENT_CALLS => McpState::Degraded,
            Phase::Up => McpState::Ready,
            Phase::Waiting => McpState::Failed,
            Phase::Stopping { .. } => McpState::Stopping,
        }
    }

    /// The start that counts.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts after the first.
    pub(crate) fn restarts(&self) -> u64 {
        self.starts.saturating_sub(1)
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether calls can be sent, or will be after a start that is under way.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(
            self.phase,
            Phase::Idle | Phase::Starting | Phase::Up | Phase::Stopping { then: Then::Start | Then::Rest }
        )
    }

    /// Whether it was switched off.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.phase, Phase::Disabled | Phase::Stopping { then: Then::Disable })
    }

    /// Whether a start, a connection or an end is under way.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Up | Phase::Stopping { .. })
    }

    /// Takes one step. `jitter` from 0 to 1 spreads the waits of many servers.
    pub(crate) fn step(&mut self, input: Input, jitter: f64) -> Option<Order> {
        let generation = self.generation;
        match (input, self.phase) {
            (Input::Enable { lazy }, Phase::Disabled) => {
                self.failures = 0;
                if lazy {
                    self.phase = Phase::Idle;
                    None
                } else {
                    self.start()
                }
            }
            (Input::Enable { .. }, Phase::Stopping { then: Then::Disable }) => self.stopping(Then::Start),
            (Input::Disable, Phase::Starting | Phase::Up) => {
                self.phase = Phase::Stopping { then: Then::Disable };
                Some(Order::Stop { generation })
            }
            (Input::Disable, Phase::Stopping { .. }) => self.stopping(Then::Disable),
            (Input::Disable, Phase::Idle | Phase::Waiting) => {
                self.phase = Phase::Disabled;
                self.generation += 1;
                None
            }
            (Input::Wanted, Phase::Idle) => self.start(),
            (Input::Wanted, Phase::Stopping { then: Then::Rest }) => self.stopping(Then::Start),
            (Input::Up { generation: of, trouble }, Phase::Starting) if of == generation => {
                self.phase = Phase::Up;
                self.silent = 0;
                self.trouble = trouble;
                None
            }
            (Input::Up { generation: of, trouble }, Phase::Up) if of == generation => {
                self.trouble = trouble;
                None
            }
            (Input::Down { generation: of }, Phase::Starting) if of == generation => self.fail(jitter),
            (Input::Down { generation: of }, Phase::Up) if of == generation => self.fail(jitter),
            (Input::Down { generation: of }, Phase::Stopping { then }) if of == generation => {
                match then {
                    Then::Disable => self.phase = Phase::Disabled,
                    Then::Rest => self.phase = Phase::Idle,
                    Then::Start => return self.start(),
                    Then::Wait => return self.fail(jitter),
                }
                None
            }
            (Input::Retry { generation: of }, Phase::Waiting) if of == generation => self.start(),
            (Input::Answered { generation: of, in_time: true }, Phase::Up) if of == generation => {
                self.silent = 0;
                None
            }
            (Input::Answered { generation: of, in_time: false }, Phase::Up) if of == generation => {
                self.silent += 1;
                if self.silent < SILENT_CALLS * 2 {
                    return None;
                }
                self.phase = Phase::Stopping { then: Then::Wait };
                Some(Order::Stop { generation })
            }
            (Input::Healthy { generation: of }, Phase::Up) if of == generation => {
                self.failures = 0;
                None
            }
            (Input::Broken { generation: of }, Phase::Up) if of == generation => {
                self.phase = Phase::Stopping { then: Then::Wait };
                Some(Order::Stop { generation })
            }
            (Input::Idle { generation: of }, Phase::Up) if of == generation => {
                self.phase = Phase::Stopping { then: Then::Rest };
                Some(Order::Stop { generation })
            }
            (Input::Renew, Phase::Starting | Phase::Up) => {
                self.phase = Phase::Stopping { then: Then::Start };
                self.failures = 0;
                Some(Order::Stop { generation })
            }
            (Input::Renew, Phase::Stopping { then: Then::Rest | Then::Wait }) => self.stopping(Then::Start),
            (Input::Renew, Phase::Waiting) => {
                self.failures = 0;
                self.start()
            }
            // What is late, or changes nothing.
            _ => None,
        }
    }

    fn start(&mut self) -> Option<Order> {
        self.generation += 1;
        self.starts += 1;
        self.phase = Phase::Starting;
        self.trouble = None;
        Some(Order::Start { generation: self.generation })
    }

    fn stopping(&mut self, then: Then) -> Option<Order> {
        self.phase = Phase::Stopping { then };
        None
    }

    fn fail(&mut self, jitter: f64) -> Option<Order> {
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting;
        self.trouble = None;
        Some(Order::RetryAfter { generation: self.generation, wait: backoff(self.failures, jitter) })
    }
}

/// The wait after so many failures in a row: doubled each time, spread by a fifth either way, bounded.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1)).filter(|_| failures < 32).unwrap_or(u32::MAX);
    let wait = BACKOFF.saturating_mul(factor).min(BACKOFF_MAX);
    wait.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
