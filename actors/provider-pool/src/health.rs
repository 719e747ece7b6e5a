//! How a provider does: counters that every thread writes, and the state that follows from outcomes.
//!
//! Pure bookkeeping: it decides nothing about routing and never talks to a provider.

use crate::formats::errors::REDIRECTED;
use contract::failure::{Failure, FailureClass};
use contract::provider::ProviderState;
use contract::usage::UsageTotals;
use jiff::{SignedDuration, Timestamp};
use runtime::Histogram;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a call that worked speaks for the provider.
const PROOF: Duration = Duration::from_secs(600);

/// Figures of one provider since the start; they outlast a reload.
#[derive(Debug, Default)]
pub struct Health {
    state: AtomicU8,
    /// When a call worked last, in seconds of the monotonic clock and one more; 0: never, or not since a failure changed the state.
    proven: AtomicU64,
    /// Calls begun.
    pub requests: AtomicU64,
    /// Calls failed.
    pub errors: AtomicU64,
    /// Calls under way.
    pub active: AtomicU64,
    /// Time to the first event of streamed answers.
    pub first_token: Histogram,
    /// Time to the end.
    pub total: Histogram,
    took: Mutex<UsageTotals>,
    last_error: Mutex<Option<(Timestamp, String)>>,
}

impl Health {
    /// The state that the last outcomes led to.
    pub fn state(&self) -> ProviderState {
        match self.state.load(Relaxed) {
            0 => ProviderState::Unknown,
            1 => ProviderState::Ready,
            2 => ProviderState::Limited,
            3 => ProviderState::Failing,
            _ => ProviderState::Refused,
        }
    }

    fn set(&self, state: ProviderState) {
        let code = match state {
            ProviderState::Unknown => 0,
            ProviderState::Ready => 1,
            ProviderState::Limited => 2,
            ProviderState::Failing => 3,
            ProviderState::Refused => 4,
        };
        self.state.store(code, Relaxed);
    }

    /// A call worked, at this moment of the monotonic clock. `true` if the provider was not known to work before.
    pub fn answered(&self, now: Duration) -> bool {
        let news = self.worked();
        self.proven.store(now.as_secs() + 1, Relaxed);
        news
    }

    /// Whether a call worked so lately that a list says less.
    fn is_proven(&self, now: Duration) -> bool {
        let at = self.proven.load(Relaxed);
        at > 0 && (now.as_secs() + 1).saturating_sub(at) <= PROOF.as_secs()
    }

    /// A call, or a probe, worked. `true` if the provider was not known to work before.
    pub fn worked(&self) -> bool {
        let news = self.state() != ProviderState::Ready;
        if news {
            self.set(ProviderState::Ready);
        }
        news
    }

    /// A call failed. `true` if that changes the provider's state: a wrong request says nothing of the provider, nor does what is
    /// `of_model` alone.
    pub fn failed(&self, failure: &Failure, of_model: bool, at: Timestamp) -> bool {
        let text = format!("{}: {}", failure.class.as_str(), failure.message);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, text));
        let Some(state) = state_after(failure).filter(|_| !of_model) else { return false };
        let news = self.state() != state;
        self.set(state);
        self.proven.store(0, Relaxed);
        news
    }

    /// The list of models could not be had. `true` if that changes the provider's state. Many a key may call models and not list them, and where
    /// calls go well, or have a key that the list was asked without (`keys_elsewhere`), only a provider that is not there is worth a word.
    pub fn unlisted(&self, failure: &Failure, keys_elsewhere: bool, now: Duration, at: Timestamp) -> bool {
        let is_proof = match failure.class {
            FailureClass::Unreachable | FailureClass::Timeout | FailureClass::NotFound => true,
            FailureClass::Permission => false,
            FailureClass::Authentication => !keys_elsewhere && !self.is_proven(now),
            _ => !self.is_proven(now),
        };
        self.failed(failure, !is_proof, at)
    }

    /// Whether something failed within this time before `now`.
    pub fn failed_within(&self, time: Duration, now: Timestamp) -> bool {
        self.last_error()
            .is_some_and(|(at, _)| now.duration_since(at) < SignedDuration::try_from(time).unwrap_or_default())
    }

    /// What was known of the provider's state is known no more: it is another account, or elsewhere.
    pub fn forget_state(&self) {
        self.set(ProviderState::Unknown);
        self.proven.store(0, Relaxed);
    }

    /// Counts what a call took.
    pub fn count(&self, took: &UsageTotals) {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }

    /// What all calls took since the start.
    pub fn took(&self) -> UsageTotals {
        *self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last failure.
    pub fn last_error(&self) -> Option<(Timestamp, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a failure says of the provider itself; `None` where it speaks of the request only.
fn state_after(failure: &Failure) -> Option<ProviderState> {
    match failure.class {
        FailureClass::NotFound if failure.code.as_deref() == Some(REDIRECTED) => Some(ProviderState::Failing),
        FailureClass::Authentication | FailureClass::Permission | FailureClass::Billing => Some(ProviderState::Refused),
        FailureClass::RateLimit | FailureClass::Overloaded => Some(ProviderState::Limited),
        FailureClass::Timeout | FailureClass::ServerError | FailureClass::Unreachable | FailureClass::Truncated => {
            Some(ProviderState::Failing)
        }
        FailureClass::InvalidRequest
        | FailureClass::ContextLength
        | FailureClass::NotFound
        | FailureClass::TooLarge
        | FailureClass::Busy
        | FailureClass::ShuttingDown
        | FailureClass::Internal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::is_of_model;

    #[test]
    fn a_list_that_cannot_be_had_says_little_where_calls_go_well() {
        use FailureClass::{Authentication, Permission, ServerError, Unreachable};
        let at = Duration::from_secs;
        let unlisted_at = |health: &Health, class, keys_elsewhere, now| {
            health.unlisted(&Failure::new(class, "x"), keys_elsewhere, now, Timestamp::UNIX_EPOCH);
            health.state()
        };
        let unlisted = |health: &Health, class, keys_elsewhere| unlisted_at(health, class, keys_elsewhere, at(100));
        let (new, proven) = (Health::default, || {
            let health = Health::default();
            health.answered(at(0));
            health
        });
        for (class, keys_elsewhere, at_first, later) in [
            (Unreachable, false, ProviderState::Failing, ProviderState::Failing),
            (ServerError, false, ProviderState::Failing, ProviderState::Ready),
            (Permission, false, ProviderState::Unknown, ProviderState::Ready),
            (Authentication, false, ProviderState::Refused, ProviderState::Ready),
            (Authentication, true, ProviderState::Unknown, ProviderState::Ready),
        ] {
            let states = (unlisted(&new(), class, keys_elsewhere), unlisted(&proven(), class, keys_elsewhere));
            assert_eq!(states, (at_first, later), "{class:?}, keys elsewhere: {keys_elsewhere}");
        }
        assert_eq!(unlisted_at(&proven(), ServerError, false, at(700)), ProviderState::Failing, "that was long ago");
        let moved = Failure::new(FailureClass::NotFound, "x").with_code(REDIRECTED);
        let health = proven();
        health.unlisted(&moved, false, at(1), Timestamp::UNIX_EPOCH);
        assert_eq!(health.state(), ProviderState::Failing, "nothing is there under this address");
        let health = proven();
        health.failed(&Failure::new(Authentication, "x"), false, Timestamp::UNIX_EPOCH);
        assert!(health.worked());
        assert_eq!(unlisted(&health, Authentication, false), ProviderState::Refused, "no call has worked since");
    }

    #[test]
    fn only_what_speaks_of_the_provider_changes_its_state() {
        let health = Health::default();
        let fail = |class| health.failed(&Failure::new(class, "x"), false, Timestamp::UNIX_EPOCH);
        assert_eq!(health.state(), ProviderState::Unknown);
        assert!(!fail(FailureClass::InvalidRequest) && !fail(FailureClass::NotFound));
        assert_eq!(health.state(), ProviderState::Unknown);
        assert!(health.worked() && !health.worked());
        for class in [FailureClass::Permission, FailureClass::Authentication, FailureClass::Billing] {
            let refusal = Failure::new(class, "not this model");
            assert!(!health.failed(&refusal, is_of_model(class, true), Timestamp::UNIX_EPOCH));
        }
        assert_eq!(health.state(), ProviderState::Ready, "the other models go on");
        assert!(fail(FailureClass::Unreachable) && !fail(FailureClass::Timeout));
        assert_eq!(health.state(), ProviderState::Failing);
        assert!(fail(FailureClass::RateLimit));
        assert!(fail(FailureClass::Authentication));
        assert_eq!(health.state(), ProviderState::Refused);
        assert!(health.worked());
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        assert!(
            health.failed_within(Duration::from_secs(9), at(8)) && !health.failed_within(Duration::from_secs(9), at(9))
        );
        assert_eq!(health.last_error().map(|(_, text)| text).as_deref(), Some("authentication: x"));
    }
}
