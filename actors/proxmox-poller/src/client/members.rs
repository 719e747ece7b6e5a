//! Which member is asked next: the one that worked last, then the others, none that failed a moment ago. Pure: the time is given.

use super::classify::ApiError;
use std::time::Duration;

/// How long a member that failed once is left alone; doubles with each further failure.
const REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How long a refused token is not tried again: each refusal holds a connection for three seconds, and counts for those who ban.
const LOGIN_REST: Duration = Duration::from_secs(60);
const LONGEST_LOGIN_REST: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default)]
struct Member {
    failures: u32,
    rests_until: Option<Duration>,
    error: Option<ApiError>,
}

#[derive(Clone, Debug)]
struct Refused {
    times: u32,
    until: Duration,
    error: ApiError,
}

/// The members and what is known of them.
#[derive(Clone, Debug)]
pub(super) struct Members {
    current: usize,
    members: Vec<Member>,
    refused: Option<Refused>,
}

impl Members {
    pub(super) fn new(count: usize) -> Self {
        Self { current: 0, members: vec![Member::default(); count], refused: None }
    }

    /// Whom to ask now, in order.
    pub(super) fn order(&self, now: Duration) -> Result<Vec<usize>, ApiError> {
        if let Some(refused) = self.refused.as_ref().filter(|refused| refused.until > now) {
            let text =
                format!("{} (the next try is in {} s)", refused.error.text, (refused.until - now).as_secs().max(1));
            return Err(ApiError { text, ..refused.error.clone() });
        }
        let count = self.members.len();
        let in_turn = (0..count).map(|step| (self.current + step) % count.max(1));
        let rests = |at: &usize| self.members[*at].rests_until.is_some_and(|until| until > now);
        let order: Vec<usize> = in_turn.filter(|at| !rests(at)).collect();
        match self.members.get(self.current).and_then(|member| member.error.clone()) {
            Some(error) if order.is_empty() => Err(error),
            _ => Ok(order),
        }
    }

    /// A member answered, whatever it said.
    pub(super) fn worked(&mut self, at: usize) {
        self.current = at;
        self.refused = None;
        if let Some(member) = self.members.get_mut(at) {
            *member = Member::default();
        }
    }

    /// A member could not be asked.
    pub(super) fn failed(&mut self, at: usize, now: Duration, error: ApiError) {
        let Some(member) = self.members.get_mut(at) else { return };
        // Questions that were under way together fail together: that is one failure.
        if member.rests_until.is_some_and(|until| until > now) {
            member.error = Some(error);
            return;
        }
        let rest = doubled(REST, member.failures, LONGEST_REST);
        *member =
            Member { failures: member.failures.saturating_add(1), rests_until: Some(now + rest), error: Some(error) };
    }

    /// The token was refused: it is the same at every member.
    pub(super) fn login_refused(&mut self, now: Duration, error: ApiError) {
        let times = self.refused.as_ref().map_or(0, |refused| refused.times);
        let until = now + doubled(LOGIN_REST, times, LONGEST_LOGIN_REST);
        self.refused = Some(Refused { times: times.saturating_add(1), until, error });
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::super::classify::ErrorKind;
    use super::*;

    fn error(text: &str) -> ApiError {
        ApiError::new(ErrorKind::Unreachable, text)
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn stays_with_the_member_that_works() {
        let mut members = Members::new(3);
        assert_eq!(members.order(at(0)), Ok(vec![0, 1, 2]));
        members.failed(0, at(0), error("a"));
        members.worked(1);
        assert_eq!(members.order(at(1)), Ok(vec![1, 2]), "the one that failed rests");
        assert_eq!(members.order(at(6)), Ok(vec![1, 2, 0]), "and comes last later");
    }

    #[test]
    fn when_all_rest_nobody_is_asked() {
        let mut members = Members::new(2);
        members.failed(0, at(0), error("a"));
        members.failed(1, at(0), error("b"));
        assert_eq!(members.order(at(1)), Err(error("a")));
        assert_eq!(members.order(at(5)), Ok(vec![0, 1]));
    }

    #[test]
    fn questions_that_fail_together_are_one_failure() {
        let mut members = Members::new(1);
        for text in ["a", "b", "c"] {
            members.failed(0, at(0), error(text));
        }
        assert_eq!(members.order(at(1)), Err(error("c")));
        assert_eq!(members.order(at(5)), Ok(vec![0]));
    }

    #[test]
    fn rests_grow_to_their_bound() {
        let mut members = Members::new(1);
        let mut now = at(0);
        let mut rests = Vec::new();
        for _ in 0..40 {
            members.failed(0, now, error("a"));
            let rest = (1..).find(|second| members.order(now + at(*second)).is_ok()).unwrap();
            rests.push(rest);
            now += at(rest);
        }
        assert_eq!(rests[..4], [5, 10, 20, 30]);
        assert_eq!(rests[39], 30);
    }

    #[test]
    fn a_refused_login_closes_every_door_for_a_while() {
        let mut members = Members::new(3);
        members.login_refused(at(0), error("refused"));
        let told = members.order(at(10)).unwrap_err();
        assert!(told.text.contains("refused") && told.text.contains("50 s"), "{told}");
        assert!(members.order(at(60)).is_ok());
        members.login_refused(at(60), error("refused"));
        assert!(members.order(at(179)).is_err() && members.order(at(180)).is_ok());
        members.worked(0);
        members.login_refused(at(200), error("refused"));
        assert!(members.order(at(260)).is_ok(), "after a good login the wait is short again");
    }
}
