//! What is known of a provider and its models beyond a configuration: health, circuits, places, latencies. A reload hands it on.

use crate::circuit::{self, Alone, Circuit, Pass};
use crate::gate::Gate;
use crate::health::Health;
use crate::latency::Latency;
use contract::failure::Failure;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A provider's standing.
#[derive(Debug, Default)]
pub struct Standing {
    /// Figures and state.
    pub health: Arc<Health>,
    /// Whether routes leave it alone.
    pub circuit: Circuit,
    /// Its places.
    pub gate: Arc<Gate>,
    models: Mutex<BTreeMap<Arc<str>, Arc<ModelStanding>>>,
}

/// A model's standing.
#[derive(Debug, Default)]
pub struct ModelStanding {
    /// Whether routes leave it alone.
    pub circuit: Circuit,
    /// Its places, where it has limits of its own.
    pub gate: Arc<Gate>,
    /// How quickly it begins to answer where its answers are streamed.
    streamed: Latency,
    /// How quickly it answers as a whole.
    whole: Latency,
    /// Whether it is configured, or its provider told of it.
    known: AtomicBool,
    /// The largest context that it was found with or asked for, in tokens, for servers that load a model anew for each other size.
    context: AtomicU64,
}

/// How an answer comes. How quickly the first word of one comes says nothing of how long the whole of another takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Piece by piece.
    Streamed,
    /// As a whole.
    Whole,
}

impl Manner {
    /// Of a call.
    pub fn of(is_streamed: bool) -> Self {
        if is_streamed { Self::Streamed } else { Self::Whole }
    }
}

/// The most models of a provider whose names come from callers alone.
pub const GUESSED: usize = 1000;

impl Standing {
    /// The standing of a model. Names come from callers, so the number of those that nobody else knows is bounded; what is `known` stays.
    pub fn model(&self, name: &Arc<str>, known: bool) -> Arc<ModelStanding> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if !models.contains_key(name) && models.len() >= GUESSED {
            models.retain(|_, model| model.is_known());
        }
        let model = models.entry(Arc::clone(name)).or_default();
        model.known.fetch_or(known, Relaxed);
        Arc::clone(model)
    }

    /// The standing under a new address or key: figures and places go on; what was told, failed or measured is forgotten. Calls under way
    /// still speak to the old one.
    pub fn anew(&self) -> Self {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let models = models.iter().map(|(name, model)| (Arc::clone(name), Arc::new(model.anew()))).collect();
        Self {
            health: Arc::clone(&self.health),
            circuit: Circuit::default(),
            gate: Arc::clone(&self.gate),
            models: Mutex::new(models),
        }
    }

    /// The same for one model alone.
    pub fn model_anew(&self, name: &str) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get_mut(name) {
            *model = Arc::new(model.anew());
        }
    }

    /// Calls that wait for a place, at the provider or at one of its models.
    pub fn waiting(&self) -> usize {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        self.gate.waiting() + models.values().map(|model| model.gate.waiting()).sum::<usize>()
    }

    /// Whether a route may ask this model now.
    ///
    /// # Errors
    /// Why it is to be left alone.
    pub fn pass<'a>(&'a self, model: &'a ModelStanding, now: Duration) -> Result<Probe<'a>, Alone> {
        let ask = |circuit: &'a Circuit| match circuit.ask(now) {
            Pass::Free => Ok(None),
            Pass::Probe => Ok(Some(circuit)),
            Pass::Shut(alone) => Err(alone),
        };
        // Where the model is shut, the turn at the provider is given back.
        let mut probe = Probe { provider: ask(&self.circuit)?, model: None };
        probe.model = ask(&model.circuit)?;
        Ok(probe)
    }

    /// Whether a route will not ask this model now: its provider told to wait, or it failed too often.
    pub fn is_shut(&self, model: &ModelStanding, now: Duration) -> bool {
        self.circuit.is_shut(now) || model.circuit.is_shut(now)
    }

    /// An answer began, or came as a whole.
    pub fn answered(&self, model: &ModelStanding, manner: Manner, took: Duration, now: Duration) {
        self.circuit.answered(now);
        model.circuit.answered(now);
        model.latency(manner).record(took, now);
    }

    /// An answer was whole.
    pub fn worked(&self, model: &ModelStanding, now: Duration) {
        self.circuit.worked(now);
        model.circuit.worked(now);
    }

    /// A call failed, so long `after` it began.
    pub fn failed(
        &self,
        model: &ModelStanding,
        failure: &Failure,
        own_key: bool,
        after: Duration,
        now: Duration,
        chance: f64,
    ) {
        circuit::judge(failure, &self.circuit, &model.circuit, own_key, now, chance);
        for latency in [&model.streamed, &model.whole] {
            if circuit::is_of_request(failure.class) {
                latency.left(Duration::ZERO, now);
            } else {
                latency.failed(after, now);
            }
        }
    }
}

impl ModelStanding {
    /// How quickly it answers in this manner.
    pub fn latency(&self, manner: Manner) -> &Latency {
        match manner {
            Manner::Streamed => &self.streamed,
            Manner::Whole => &self.whole,
        }
    }

    /// Whether it is configured, or its provider told of it.
    pub fn is_known(&self) -> bool {
        self.known.load(Relaxed)
    }

    /// The largest context that it was found with or asked for, in tokens; 0: none is known.
    pub fn context(&self) -> u64 {
        self.context.load(Relaxed)
    }

    /// It was found with a context of so many tokens, or is asked for one.
    pub fn has_context(&self, tokens: u64) {
        self.context.fetch_max(tokens, Relaxed);
    }

    fn anew(&self) -> Self {
        Self { gate: Arc::clone(&self.gate), ..Self::default() }
    }
}

/// The turn to ask. Dropped without a verdict it is given back.
#[derive(Debug)]
pub struct Probe<'a> {
    provider: Option<&'a Circuit>,
    model: Option<&'a Circuit>,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        for circuit in [self.provider, self.model].into_iter().flatten() {
            circuit.left();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::failure::FailureClass;

    #[test]
    fn a_context_only_grows() {
        let standing = Standing::default();
        let model = standing.model(&"m".into(), true);
        assert_eq!(model.context(), 0);
        for (told, expected) in [(4096, 4096), (16_384, 16_384), (8192, 16_384)] {
            model.has_context(told);
            assert_eq!(standing.model(&"m".into(), true).context(), expected);
        }
    }

    #[test]
    fn a_failure_is_slow_and_a_wrong_request_is_nothing() {
        let standing = Standing::default();
        let model = standing.model(&"x".into(), true);
        let at = Duration::from_secs;
        let rank = || [Manner::Streamed, Manner::Whole].map(|manner| model.latency(manner).rank(at(1)));
        let fail = |class| standing.failed(&model, &Failure::new(class, "x"), false, at(0), at(1), 0.5);
        fail(FailureClass::InvalidRequest);
        assert_eq!(rank(), [0, 0]);
        fail(FailureClass::ServerError);
        assert_eq!(rank(), [10_000_000; 2]);
    }

    #[test]
    fn a_turn_that_leads_nowhere_is_given_back() {
        let standing = Standing::default();
        let (open, fine) = (standing.model(&"open".into(), true), standing.model(&"fine".into(), true));
        let at = Duration::from_secs;
        standing.circuit.pause(FailureClass::Timeout, at(1), false, at(0));
        open.circuit.pause(FailureClass::RateLimit, at(60), true, at(0));
        assert!(matches!(standing.pass(&open, at(2)), Err(Alone { told: true, .. })));
        let probe = standing.pass(&fine, at(2)).expect("the turn at the provider is free again");
        assert!(standing.pass(&fine, at(2)).is_err(), "one alone");
        standing.answered(&fine, Manner::Streamed, at(1), at(2));
        assert_eq!(fine.latency(Manner::Whole).estimate(at(2)), 0, "what is streamed says nothing of what is not");
        drop(probe);
        assert!(standing.pass(&fine, at(2)).is_ok());
        assert!(standing.pass(&open, at(2)).is_err(), "the other model stays shut");
        assert_eq!([&open, &fine].map(|model| standing.is_shut(model, at(2))), [true, false]);
        assert!(!standing.is_shut(&open, at(60)), "the time is over");
    }
}
