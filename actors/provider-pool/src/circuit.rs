//! The breaker in front of a provider, or of one of its models: after failures it is left alone for a while, then tried with one request.
//!
//! Pure bookkeeping on times it is given. It steers routes, which have others to ask; whoever is asked for by name is asked.

use crate::formats::errors::INSUFFICIENT_QUOTA;
use contract::failure::{Failure, FailureClass};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures in a row that open the circuit of a provider.
const THRESHOLD: u32 = 5;
/// How long it stays open the first time; each time in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How long a limit of the rate is respected where the provider told no time.
const RATE_PAUSE: Duration = Duration::from_secs(5);
/// How long nobody is asked who refuses the key, wants money, has no quota left, or does not know the model.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// A provider's own wait beyond this is looked at again all the same. As long as the longest that is read of an answer.
const LONGEST_TOLD: Duration = Duration::from_secs(24 * 60 * 60);
/// A request that tries a half-open circuit and says nothing for this long has lost its turn.
const PROBE_LEASE: Duration = Duration::from_secs(60);

/// A breaker.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Times it opened in a row.
    opened: u32,
    /// Open until then, on the monotonic clock.
    shut: Option<Shut>,
    /// When the request that tries it began.
    probing: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Shut {
    until: Duration,
    told: bool,
    class: FailureClass,
}

/// Whether one may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Yes.
    Free,
    /// Yes, as the one who finds out whether it works again. Ends with [`Circuit::answered`], [`Circuit::failed`] or [`Circuit::left`].
    Probe,
    /// Not now.
    Shut(Alone),
}

/// Why one is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alone {
    /// How much longer.
    pub wait: Duration,
    /// Whether the provider itself told to wait.
    pub told: bool,
    /// What happened before.
    pub class: FailureClass,
}

impl State {
    /// The wait that a provider told and that is not over. An answer that was under way before does not undo it.
    fn told(&self, now: Duration) -> Option<Shut> {
        self.shut.filter(|shut| shut.told && now < shut.until)
    }
}

impl Circuit {
    /// Whether one may ask now; takes the turn to probe if it is free.
    pub fn ask(&self, now: Duration) -> Pass {
        let mut state = self.lock();
        let Some(Shut { until, told, class }) = state.shut else { return Pass::Free };
        if now < until {
            return Pass::Shut(Alone { wait: until - now, told, class });
        }
        if state.probing.is_some_and(|since| now.saturating_sub(since) < PROBE_LEASE) {
            return Pass::Shut(Alone { wait: Duration::from_secs(1), told: false, class });
        }
        state.probing = Some(now);
        Pass::Probe
    }

    /// Whether nobody may ask before some later time. Takes no turn.
    pub fn is_shut(&self, now: Duration) -> bool {
        self.lock().shut.is_some_and(|shut| now < shut.until)
    }

    /// `closed`, `open`, or `half_open`: the next request tries it.
    pub fn state(&self, now: Duration) -> &'static str {
        match self.lock().shut {
            None => "closed",
            Some(shut) if now < shut.until => "open",
            Some(_) => "half_open",
        }
    }

    /// An answer began: the circuit is closed, unless its provider told to wait until later. Failures before it are forgotten only when
    /// it is whole.
    pub fn answered(&self, now: Duration) {
        let mut state = self.lock();
        state.shut = state.told(now);
        state.probing = None;
    }

    /// An answer was whole.
    pub fn worked(&self, now: Duration) {
        let mut state = self.lock();
        *state = State { shut: state.told(now), ..State::default() };
    }

    /// Something lighter than a call worked: it says only that the provider can be reached.
    pub fn reached(&self) {
        let mut state = self.lock();
        if state.shut.is_some_and(|shut| shut.class == FailureClass::Unreachable) {
            *state = State::default();
        }
    }

    /// Whoever probed left without a verdict.
    pub fn left(&self) {
        self.lock().probing = None;
    }

    /// A call failed in a way that counts: after [`THRESHOLD`] in a row, or while probing, the circuit opens. `chance` (0 to 1) spreads the
    /// end of the pause, so that several do not come back at once. Calls that were under way when it opened tell of the same outage: they
    /// lengthen nothing.
    pub fn failed(&self, class: FailureClass, now: Duration, chance: f64) {
        let mut state = self.lock();
        let probed = state.probing.take().is_some();
        state.failures = state.failures.saturating_add(1);
        if !probed && (state.failures < THRESHOLD || state.shut.is_some()) {
            return;
        }
        let pause =
            FIRST_PAUSE.saturating_mul(1 << state.opened.min(10)).min(LONGEST_PAUSE).mul_f64(0.8 + 0.4 * chance);
        state.opened = state.opened.saturating_add(1);
        state.shut = Some(Shut { until: now + pause, told: false, class });
    }

    /// Opens the circuit at once.
    pub fn pause(&self, class: FailureClass, wait: Duration, told: bool, now: Duration) {
        let mut state = self.lock();
        state.probing = None;
        let until = now + wait.min(LONGEST_TOLD);
        // A shorter wait told later does not undo a longer one.
        if state.shut.is_none_or(|shut| shut.until < until) {
            state.shut = Some(Shut { until, told, class });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a refusal speaks of the model alone: the key may not use it, or the key that is refused is its own (`own_key`).
pub fn is_of_model(class: FailureClass, own_key: bool) -> bool {
    match class {
        FailureClass::Permission => true,
        FailureClass::Authentication | FailureClass::Billing => own_key,
        _ => false,
    }
}

/// Whether a limit of the rate is a quota that is used up.
fn is_quota(failure: &Failure) -> bool {
    failure.code.as_deref() == Some(INSUFFICIENT_QUOTA)
}

/// Whether a failure speaks of the request or of HAIA, not of who was asked.
pub fn is_of_request(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::InvalidRequest
            | FailureClass::ContextLength
            | FailureClass::TooLarge
            | FailureClass::Busy
            | FailureClass::ShuttingDown
            | FailureClass::Internal
    )
}

/// What a failure means for the circuits of the model and of the provider. `own_key`: the model has a key of its own, so that a refused key
/// speaks of the model alone.
pub fn judge(failure: &Failure, provider: &Circuit, model: &Circuit, own_key: bool, now: Duration, chance: f64) {
    let class = failure.class;
    match class {
        // A quota does not come back by itself within seconds. At some providers it is the account's, at others each model has its own.
        FailureClass::RateLimit if is_quota(failure) && failure.retry_after.is_none() => {
            model.pause(class, REFUSED_PAUSE, false, now);
            provider.left();
        }
        FailureClass::RateLimit => {
            model.pause(class, failure.retry_after.unwrap_or(RATE_PAUSE), failure.retry_after.is_some(), now);
            provider.left();
        }
        FailureClass::Authentication | FailureClass::Billing if !is_of_model(class, own_key) => {
            provider.pause(class, REFUSED_PAUSE, false, now);
            model.left();
        }
        FailureClass::Authentication | FailureClass::Billing | FailureClass::Permission | FailureClass::NotFound => {
            model.pause(class, REFUSED_PAUSE, false, now);
            provider.left();
        }
        FailureClass::Overloaded
        | FailureClass::ServerError
        | FailureClass::Timeout
        | FailureClass::Unreachable
        | FailureClass::Truncated => {
            if let Some(wait) = failure.retry_after {
                model.pause(class, wait, true, now);
            }
            model.left();
            provider.failed(class, now, chance);
        }
        FailureClass::InvalidRequest
        | FailureClass::ContextLength
        | FailureClass::TooLarge
        | FailureClass::Busy
        | FailureClass::ShuttingDown
        | FailureClass::Internal => {
            provider.left();
            model.left();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let circuit = Circuit::default();
        for _ in 1..THRESHOLD {
            circuit.failed(FailureClass::ServerError, s(1), 0.5);
            assert_eq!(circuit.ask(s(1)), Pass::Free);
        }
        circuit.failed(FailureClass::ServerError, s(1), 0.5);
        let shut = Pass::Shut(Alone { wait: s(5), told: false, class: FailureClass::ServerError });
        assert_eq!(circuit.ask(s(1)), shut);
        assert_eq!(circuit.ask(s(6)), Pass::Probe);
        assert!(matches!(circuit.ask(s(6)), Pass::Shut(_)), "one alone");
        circuit.left();
        assert_eq!(circuit.ask(s(6)), Pass::Probe, "who left gives the turn back");
        circuit.failed(FailureClass::Timeout, s(7), 0.5);
        assert!(matches!(circuit.ask(s(16)), Pass::Shut(_)), "twice as long the second time");
        assert_eq!(circuit.ask(s(17)), Pass::Probe);
        circuit.answered(s(17));
        assert_eq!(circuit.ask(s(17)), Pass::Free);
        circuit.worked(s(17));
        circuit.failed(FailureClass::Timeout, s(18), 0.5);
        assert_eq!(circuit.ask(s(18)), Pass::Free);
    }

    #[test]
    fn one_outage_of_many_calls_counts_once() {
        let circuit = Circuit::default();
        for _ in 0..16 {
            circuit.failed(FailureClass::Truncated, s(1), 0.5);
        }
        let shut = Pass::Shut(Alone { wait: s(5), told: false, class: FailureClass::Truncated });
        assert_eq!(circuit.ask(s(1)), shut);
        circuit.failed(FailureClass::Timeout, s(7), 0.5);
        assert_eq!(circuit.ask(s(7)), Pass::Probe, "a call that began before the outage tells nothing new");
        circuit.failed(FailureClass::Unreachable, s(8), 0.5);
        assert_eq!(circuit.ask(s(8)), Pass::Shut(Alone { wait: s(10), told: false, class: FailureClass::Unreachable }));
    }

    #[test]
    fn answers_that_begin_and_break_off_open_it_too() {
        let circuit = Circuit::default();
        for _ in 0..THRESHOLD {
            circuit.answered(s(1));
            circuit.failed(FailureClass::Truncated, s(1), 0.0);
        }
        assert_eq!((circuit.state(s(1)), circuit.state(s(60))), ("open", "half_open"));
    }

    #[test]
    fn an_answer_under_way_does_not_undo_a_wait_that_was_told() {
        let circuit = Circuit::default();
        circuit.failed(FailureClass::ServerError, s(0), 0.5);
        circuit.pause(FailureClass::RateLimit, s(30), true, s(0));
        circuit.answered(s(1));
        circuit.worked(s(2));
        let shut = Pass::Shut(Alone { wait: s(27), told: true, class: FailureClass::RateLimit });
        assert_eq!(circuit.ask(s(3)), shut);
        assert_eq!(circuit.ask(s(30)), Pass::Probe, "the time is over");
        circuit.answered(s(31));
        for _ in 1..THRESHOLD {
            circuit.failed(FailureClass::ServerError, s(31), 0.5);
        }
        assert_eq!(circuit.ask(s(31)), Pass::Free, "the failure before was forgotten: one less than it takes");
        circuit.pause(FailureClass::NotFound, s(60), false, s(31));
        circuit.answered(s(32));
        assert_eq!(circuit.ask(s(32)), Pass::Free, "nobody told to wait");
    }

    #[test]
    fn a_probe_that_says_nothing_loses_its_turn() {
        let circuit = Circuit::default();
        circuit.pause(FailureClass::RateLimit, s(1), true, s(0));
        assert_eq!(circuit.ask(s(2)), Pass::Probe);
        assert!(matches!(circuit.ask(s(61)), Pass::Shut(Alone { told: false, .. })));
        assert_eq!(circuit.ask(s(62)), Pass::Probe);
    }

    #[test]
    fn a_wait_of_hours_is_kept_for_hours() {
        let circuit = Circuit::default();
        circuit.pause(FailureClass::RateLimit, s(20 * 3600), true, s(0));
        assert!(matches!(circuit.ask(s(19 * 3600)), Pass::Shut(Alone { told: true, .. })));
        assert_eq!(circuit.ask(s(20 * 3600)), Pass::Probe);
    }

    #[test]
    fn pauses_never_get_endless_nor_shorter() {
        let circuit = Circuit::default();
        for at in 0..40 {
            circuit.ask(s(1000 * at));
            circuit.failed(FailureClass::Unreachable, s(1000 * at), 1.0);
        }
        assert!(matches!(circuit.ask(s(39_000)), Pass::Shut(Alone { wait, .. }) if wait <= LONGEST_PAUSE.mul_f64(1.2)));
        circuit.pause(FailureClass::RateLimit, s(1), true, s(39_000));
        assert!(matches!(circuit.ask(s(39_002)), Pass::Shut(_)));
        circuit.reached();
        assert_eq!(circuit.ask(s(39_002)), Pass::Free);
        circuit.pause(FailureClass::RateLimit, s(1_000_000), true, s(0));
        assert_eq!(circuit.ask(LONGEST_TOLD), Pass::Probe);
    }

    #[test]
    fn each_class_shuts_what_it_speaks_of() {
        use FailureClass as C;
        for (class, told, own_key, provider_shut, model_wait) in [
            (C::RateLimit, Some(s(30)), false, false, Some((s(30), true))),
            (C::RateLimit, None, false, false, Some((RATE_PAUSE, false))),
            (C::Authentication, None, false, true, None),
            (C::Authentication, None, true, false, Some((REFUSED_PAUSE, false))),
            (C::NotFound, None, false, false, Some((REFUSED_PAUSE, false))),
            (C::Overloaded, Some(s(9)), false, false, Some((s(9), true))),
            (C::Overloaded, None, false, false, None),
            (C::InvalidRequest, None, false, false, None),
            (C::ContextLength, None, false, false, None),
        ] {
            let (provider, model) = (Circuit::default(), Circuit::default());
            judge(&Failure::new(class, "x").with_retry_after(told), &provider, &model, own_key, s(0), 0.5);
            assert_eq!(provider.state(s(0)) == "open", provider_shut, "{class:?}");
            let expected = model_wait.map_or(Pass::Free, |(wait, told)| Pass::Shut(Alone { wait, told, class }));
            assert_eq!(model.ask(s(0)), expected, "{class:?}");
        }
    }

    #[test]
    fn a_quota_that_is_used_up_is_left_alone_for_longer() {
        let class = FailureClass::RateLimit;
        let quota = |wait| Failure::new(class, "x").with_code(INSUFFICIENT_QUOTA).with_retry_after(wait);
        let shut = |wait, told| Pass::Shut(Alone { wait, told, class });
        for (wait, at_model) in [(None, shut(REFUSED_PAUSE, false)), (Some(s(7)), shut(s(7), true))] {
            let (provider, model) = (Circuit::default(), Circuit::default());
            judge(&quota(wait), &provider, &model, false, s(0), 0.5);
            assert_eq!((provider.ask(s(0)), model.ask(s(0))), (Pass::Free, at_model), "{wait:?}");
        }
    }
}
