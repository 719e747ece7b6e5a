//! Whether the same model is asked once more, and when: never earlier than its provider told, and never all at once. Pure.

use contract::failure::{Failure, FailureClass};
use std::time::Duration;

/// The pause before the second try; each further try doubles it.
const FIRST: Duration = Duration::from_millis(300);
/// The longest a caller is kept waiting for another try: beyond, the failure and the wait are told instead.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before the next try, or `None` if there shall be none. `tries` is how many there were; `chance` (0 to 1) spreads callers that
/// failed together.
pub fn pause(failure: &Failure, tries: u32, chance: f64) -> Option<Duration> {
    let by_class = match failure.class {
        FailureClass::RateLimit => failure.retry_after.is_some(),
        class => class.may_retry(),
    };
    if !failure.retry.unwrap_or(by_class) {
        return None;
    }
    let own = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(16)).mul_f64(0.5 + 0.5 * chance);
    let told = failure.retry_after.map_or(Duration::ZERO, |told| told.saturating_add(FIRST.mul_f64(chance / 3.0)));
    Some(own.max(told)).filter(|pause| *pause <= PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_class_decides_and_the_provider_decides_better() {
        use FailureClass as C;
        let second = Some(Duration::from_secs(1));
        for (class, told, retry, again) in [
            (C::Overloaded, None, None, true),
            (C::ServerError, None, None, true),
            (C::ServerError, None, Some(false), false),
            (C::Unreachable, None, None, true),
            (C::RateLimit, None, None, false),
            (C::RateLimit, second, None, true),
            (C::RateLimit, Some(Duration::from_secs(7)), None, false),
            (C::Overloaded, Some(Duration::from_secs(7)), None, false),
            (C::Timeout, None, None, false),
            (C::Timeout, None, Some(true), true),
            (C::Truncated, None, None, false),
            (C::InvalidRequest, None, None, false),
            (C::Authentication, second, None, false),
        ] {
            let failure = Failure::new(class, "x").with_retry_after(told).with_retry(retry);
            assert_eq!(pause(&failure, 1, 0.5).is_some(), again, "{class:?} {told:?} {retry:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pause_is_never_shorter_than_told_nor_longer_than_patience(told in 0u64..5000, tries in 1u32..100, chance in 0.0f64..1.0) {
            let told = Duration::from_millis(told);
            let failure = Failure::new(FailureClass::Overloaded, "x").with_retry_after(Some(told));
            if let Some(pause) = pause(&failure, tries, chance) {
                prop_assert!(pause >= told && pause <= PATIENCE);
            } else {
                prop_assert!(told >= PATIENCE.mul_f64(0.9) || tries > 3);
            }
        }
    }
}
