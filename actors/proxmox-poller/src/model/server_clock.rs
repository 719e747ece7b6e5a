//! How the clock of a cluster's server went beside HAIA's, poll by poll: what turns a moment of one into a moment of the other.
//!
//! The two need not go alike: a server's clock may be set, and HAIA's own time may be accelerated while the server's is not. Pure.

use serde::{Deserialize, Serialize};

/// The most points that are kept; beyond, the oldest are forgotten.
const POINTS: usize = 64;
/// The server's clock is told in whole seconds, and an answer takes its time: so far a point may be off its line, in seconds.
const SLACK_S: u64 = 2;
/// A line shorter than this says nothing of how fast one clock goes beside the other, in seconds of HAIA.
const TELLING_S: i64 = 60;

/// Pairs of HAIA's second and the server's second at polls, the oldest first. Between two of them both clocks went evenly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerClock(Vec<(i64, i64)>);

/// `y` at `x` on the line through two points.
fn on_line(from: (i64, i64), to: (i64, i64), x: i64) -> i64 {
    let (run, rise) = (i128::from(to.0) - i128::from(from.0), i128::from(to.1) - i128::from(from.1));
    let along = i128::from(x) - i128::from(from.0);
    let y = if run == 0 { i128::from(to.1) } else { i128::from(from.1) + along.saturating_mul(rise) / run };
    i64::try_from(y).unwrap_or(to.1)
}

fn turned((haia, server): (i64, i64)) -> (i64, i64) {
    (server, haia)
}

impl ServerClock {
    /// A poll was answered: both clocks at that moment. A poll that does not come later than the one before it teaches nothing.
    pub fn learn(&mut self, haia_s: i64, server_s: i64) {
        let new = (haia_s, server_s);
        if self.0.last().is_some_and(|last| last.0 >= haia_s) {
            return;
        }
        if let [.., first, last] = self.0.as_slice()
            && on_line(*first, new, last.0).abs_diff(last.1) <= SLACK_S
        {
            self.0.pop();
        }
        self.0.push(new);
        let surplus = self.0.len().saturating_sub(POINTS);
        self.0.drain(..surplus);
    }

    /// The server's second at HAIA's, where a poll before and one after it say so.
    pub fn server_s(&self, haia_s: i64) -> Option<i64> {
        let within = |pair: &&[(i64, i64)]| (pair[0].0..=pair[1].0).contains(&haia_s);
        let pair = self.0.windows(2).rfind(within)?;
        Some(on_line(pair[0], pair[1], haia_s))
    }

    /// HAIA's second at the server's, where a poll before and one after it say so.
    pub fn haia_s(&self, server_s: i64) -> Option<i64> {
        let within = |pair: &&[(i64, i64)]| (pair[0].1..=pair[1].1).contains(&server_s);
        let pair = self.0.windows(2).rfind(within)?;
        Some(on_line(turned(pair[0]), turned(pair[1]), server_s))
    }

    /// The first poll that is known: before it both clocks are taken to have gone alike.
    pub fn first(&self) -> Option<(i64, i64)> {
        self.0.first().copied()
    }

    /// The server's seconds in so many of HAIA's, as both went of late.
    pub fn passed_s(&self, haia_s: i64) -> i64 {
        match self.0.as_slice() {
            [.., first, last] if last.0.saturating_sub(first.0) >= TELLING_S && last.1 >= first.1 => {
                on_line((0, 0), (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1)), haia_s)
            }
            _ => haia_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock after polls every ten seconds of HAIA until `to`, the server's clock being `of` HAIA's.
    fn after(to: i64, of: impl Fn(i64) -> i64) -> ServerClock {
        let mut clock = ServerClock::default();
        (0..=to).step_by(10).for_each(|at| clock.learn(at, of(at)));
        clock
    }

    #[test]
    fn clocks_that_go_evenly_are_two_points() {
        let alike = after(86_400, |at| at + 1_000);
        assert_eq!(alike.0, [(0, 1_000), (86_400, 87_400)]);
        assert_eq!((alike.server_s(4_321), alike.haia_s(5_321)), (Some(5_321), Some(4_321)));
        assert_eq!((alike.server_s(-1), alike.server_s(86_401), alike.passed_s(60)), (None, None, 60));
        // Seconds are whole: what is off by one does not bend the line.
        let jittery = after(86_400, |at| at + at / 10 % 2);
        assert!(jittery.0.len() <= 3, "{jittery:?}");
    }

    #[test]
    fn accelerated_time_is_told_apart() {
        let sixty = after(6_000, |at| at / 60);
        assert_eq!((sixty.server_s(3_000), sixty.haia_s(50)), (Some(50), Some(3_000)));
        assert_eq!(sixty.passed_s(600), 10);
    }

    #[test]
    fn a_clock_that_is_set_bends_the_line_once() {
        let set = after(2_000, |at| if at < 1_000 { at } else { at + 3_600 });
        assert_eq!((set.server_s(500), set.server_s(1_500)), (Some(500), Some(5_100)));
        assert_eq!((set.haia_s(500), set.haia_s(5_100)), (Some(500), Some(1_500)));
        let back = after(2_000, |at| if at < 1_000 { at } else { at - 600 });
        assert_eq!((back.server_s(500), back.server_s(1_500)), (Some(500), Some(900)));
        assert_eq!(back.haia_s(900), Some(1_500), "of two moments the later one");
        assert!(set.0.len() <= 5 && back.0.len() <= 5, "{set:?} {back:?}");
    }

    #[test]
    fn it_is_bounded_and_takes_any_number() {
        let wild = after(10_000, |at| at * at);
        assert!(wild.0.len() <= POINTS);
        let mut clock = ServerClock::default();
        for (haia, server) in [(i64::MIN, i64::MAX), (0, i64::MIN), (i64::MAX, i64::MAX), (5, 5)] {
            clock.learn(haia, server);
            assert!(clock.server_s(7).is_none_or(|_| true) && clock.haia_s(7).is_none_or(|_| true));
            clock.passed_s(i64::MAX);
        }
    }
}
