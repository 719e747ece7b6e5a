//! The actor: admits turns, hands out prompt and limits, keeps mixed rounds.
//!
//! It runs no turn itself and sees no text of one.

use crate::admission::{Bounds, Entry, Gate};
use crate::config::Config;
use crate::kept::KeptRounds;
use crate::settings::{Settings, SharedSettings};
use contract::chat::{KeepRound, StartTurn, TurnDefaults, TurnGrant, TurnPermit};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Reconfigure};
use contract::status::Gauges;
use contract::units::Span;
use runtime::{Context, Handle, Reply, Service};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What a caller that is turned away is told to wait.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The actor.
pub struct AgentSupervisor {
    settings: Arc<Settings>,
    gate: Arc<Gate>,
    gauges: Arc<Gauges>,
    clock: SharedClock,
    kept: KeptRounds,
}

impl AgentSupervisor {
    /// What supervision builds the actor with. The gate is made once: places of turns that run outlive a crash of the actor.
    pub fn factory(
        settings: SharedSettings,
        gauges: Arc<Gauges>,
        clock: SharedClock,
    ) -> impl Fn() -> Self + Send + 'static {
        let gate = Gate::new(bounds(&settings.load().config), Arc::clone(&gauges));
        move || {
            let settings = settings.load_full();
            gate.resize(bounds(&settings.config));
            Self {
                settings,
                gate: Arc::clone(&gate),
                gauges: Arc::clone(&gauges),
                clock: Arc::clone(&clock),
                kept: KeptRounds::default(),
            }
        }
    }
}

fn bounds(config: &Config) -> Bounds {
    Bounds { running: config.max_concurrent_turns, waiting: config.max_queued_turns }
}

fn is_ending() -> Failure {
    Failure::new(FailureClass::ShuttingDown, "HAIA is shutting down")
}

fn is_busy(message: String) -> Failure {
    Failure::new(FailureClass::Busy, message).with_retry_after(Some(TRY_AGAIN))
}

impl Handle<StartTurn> for AgentSupervisor {
    fn handle(&mut self, message: StartTurn, _: &Context<Self>) -> Reply<Result<TurnGrant, Failure>> {
        let defaults: Arc<TurnDefaults> = Arc::clone(&self.settings.defaults);
        match self.gate.enter(message.caller.origin.is_background()) {
            Entry::Closed => Reply::Now(Err(is_ending())),
            Entry::Full(Bounds { running, waiting }) => {
                tracing::warn!(request_id = %message.request_id, running, waiting, "a turn was turned away");
                Reply::Now(Err(is_busy(format!(
                    "HAIA is busy: it runs at most {running} turns at once and lets {waiting} wait; try again in a moment"
                ))))
            }
            Entry::Admitted(place) => {
                let kept = self.kept.find(&message.call_ids, self.clock.monotonic());
                Reply::Now(Ok(TurnGrant { permit: TurnPermit::new(place), defaults, kept }))
            }
            Entry::Waits(waiting) => {
                let kept = self.kept.find(&message.call_ids, self.clock.monotonic());
                let longest = defaults.limits.turn_timeout;
                let given_up = self.clock.pause(longest);
                Reply::later(async move {
                    tokio::select! {
                        biased;
                        place = waiting.admitted() => match place {
                            Some(place) => Ok(TurnGrant { permit: TurnPermit::new(place), defaults, kept }),
                            None => Err(is_ending()),
                        },
                        () = given_up => {
                            Err(is_busy(format!("HAIA is busy: no place became free within {}", Span(longest))))
                        }
                    }
                })
            }
        }
    }
}

impl Handle<KeepRound> for AgentSupervisor {
    fn handle(&mut self, KeepRound(round): KeepRound, _: &Context<Self>) -> Reply<()> {
        self.kept.keep(round, self.clock.monotonic());
        Reply::Now(())
    }
}

impl Handle<Reconfigure<Settings>> for AgentSupervisor {
    fn handle(&mut self, Reconfigure(settings): Reconfigure<Settings>, _: &Context<Self>) -> Reply<()> {
        self.gate.resize(bounds(&settings.config));
        self.settings = settings;
        Reply::Now(())
    }
}

impl Handle<Drain> for AgentSupervisor {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.gate.close();
        Reply::Now(())
    }
}

/// What AgentSupervisor tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Turns that run.
    turns_active: i64,
    /// Turns that wait.
    turns_queued: i64,
    /// Rounds kept for callers who have not returned yet.
    kept_rounds: usize,
    /// Whether new turns are turned away because the daemon is about to end.
    draining: bool,
}

impl Service for AgentSupervisor {
    type Observed = Observed;

    fn observe(&self) -> Observed {
        Observed {
            turns_active: self.gauges.turns_active.get(),
            turns_queued: self.gauges.turns_queued.get(),
            kept_rounds: self.kept.len(),
            draining: self.gate.is_closed(),
        }
    }
}
