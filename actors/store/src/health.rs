//! What is wrong with the store at the moment and when it is tried again. Pure: it opens nothing and reads no clock.

use crate::trouble::{Kind, Trouble};
use std::time::Duration;

/// The wait after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is wrong, and until when no try is made.
#[derive(Clone, Debug)]
struct Problem {
    kind: Kind,
    text: String,
    /// Monotonic.
    retry_at: Duration,
}

/// Whether the store can be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    problem: Option<Problem>,
    /// Failures since the last write that did something: a disk that takes a small write and refuses the next is not cured.
    failures: u32,
}

impl Health {
    /// What is wrong, for people.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_ref().map(|problem| problem.text.as_str())
    }

    /// What is wrong, if it is too early to try again.
    pub(crate) fn too_early(&self, now: Duration) -> Option<&str> {
        self.problem.as_ref().filter(|problem| now < problem.retry_at).map(|problem| problem.text.as_str())
    }

    /// Whether what is wrong may have gone away without opening the file again.
    pub(crate) fn cures_itself(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.kind.cures_itself())
    }

    /// Notes a failure at `now`. Whether it is a new one, worth telling.
    pub(crate) fn failed(&mut self, trouble: &Trouble, now: Duration) -> bool {
        let pause = FIRST_PAUSE.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let new = self.problem() != Some(trouble.text.as_str());
        self.problem =
            Some(Problem { kind: trouble.kind, text: trouble.text.clone(), retry_at: now.saturating_add(pause) });
        new
    }

    /// Notes that the store opened and took a small write. Whether something was wrong before.
    pub(crate) fn works(&mut self) -> bool {
        self.problem.take().is_some()
    }

    /// Notes a write that did what was asked: the next failure is a first one.
    pub(crate) fn wrote(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn trouble(kind: Kind) -> Trouble {
        Trouble::new(Path::new("/x"), kind, "detail")
    }

    #[test]
    fn waits_longer_after_each_failure() {
        let mut health = Health::default();
        let mut now = Duration::from_secs(100);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.failed(&trouble(Kind::Full), now);
            let pause = (0..).map(Duration::from_secs).find(|pause| health.too_early(now + *pause).is_none()).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(health.works() && health.problem().is_none());
        health.failed(&trouble(Kind::Full), now);
        assert!(health.too_early(now + Duration::from_secs(59)).is_some(), "a small write alone cures nothing");
        health.works();
        health.wrote();
        health.failed(&trouble(Kind::Full), now);
        assert!(health.too_early(now + Duration::from_secs(1)).is_none());
        (0..100).for_each(|_| _ = health.failed(&trouble(Kind::Full), now));
        assert!(health.too_early(now + Duration::from_secs(59)).is_some());
    }

    #[test]
    fn tells_only_what_is_new() {
        let mut health = Health::default();
        assert!(health.failed(&trouble(Kind::Full), Duration::ZERO));
        assert!(!health.failed(&trouble(Kind::Full), Duration::ZERO));
        assert!(health.failed(&trouble(Kind::Damaged), Duration::ZERO));
        assert!(health.problem().is_some_and(|text| text.contains("damaged")));
        assert!(health.works());
        assert!(!health.works());
    }
}
