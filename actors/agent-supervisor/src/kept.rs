//! HAIA's own part of rounds that ended with calls to the caller's tools, until the caller returns. Bounded, and forgotten in time.
//!
//! A fresh AgentSupervisor has none: a caller that returns then is answered from what it sends, as with any other server.

use contract::chat::KeptRound;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

/// The most rounds.
const ROUNDS: usize = 512;
/// The most bytes of all of them.
const BYTES: usize = 32 << 20;
/// How long a caller may take to return.
const AGE: Duration = Duration::from_secs(3600);

struct Kept {
    at: Duration,
    bytes: usize,
    round: KeptRound,
}

/// The rounds, oldest first.
#[derive(Default)]
pub(crate) struct KeptRounds {
    rounds: VecDeque<Kept>,
    bytes: usize,
}

impl KeptRounds {
    /// Keeps a round. The oldest go for it.
    pub(crate) fn keep(&mut self, round: KeptRound, now: Duration) {
        let bytes = size(&round);
        self.bytes += bytes;
        self.rounds.push_back(Kept { at: now, bytes, round });
        self.forget(now);
    }

    /// The rounds that belong to any of these calls of the caller, oldest first.
    pub(crate) fn find(&mut self, call_ids: &[String], now: Duration) -> Vec<KeptRound> {
        self.forget(now);
        if call_ids.is_empty() || self.rounds.is_empty() {
            return Vec::new();
        }
        let ids: HashSet<&str> = call_ids.iter().map(String::as_str).collect();
        let belongs = |kept: &&Kept| kept.round.caller_calls.iter().any(|id| ids.contains(id.as_str()));
        self.rounds.iter().filter(belongs).map(|kept| kept.round.clone()).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rounds.len()
    }

    fn forget(&mut self, now: Duration) {
        while let Some(oldest) = self.rounds.front() {
            let is_old = now.saturating_sub(oldest.at) > AGE;
            if !is_old && self.rounds.len() <= ROUNDS && self.bytes <= BYTES {
                return;
            }
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            self.rounds.pop_front();
        }
    }
}

fn size(round: &KeptRound) -> usize {
    let calls = round.calls.iter().map(|call| {
        call.id.len() + call.name.len() + call.arguments.len() + call.result.as_ref().map_or(0, String::len)
    });
    let ids = round.caller_calls.iter().map(String::len);
    let parts = round.opaque.iter().map(|part| part.json.len());
    round.thinking.len() + calls.chain(ids).chain(parts).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::KeptCall;

    fn round(id: usize, bytes: usize) -> KeptRound {
        let call = KeptCall {
            id: format!("own_{id}"),
            name: "get_time".into(),
            arguments: String::new(),
            result: Some("x".repeat(bytes)),
        };
        KeptRound {
            caller_calls: vec![format!("call_{id}")],
            calls: vec![call],
            opaque: vec![],
            thinking: String::new(),
        }
    }

    fn found(kept: &mut KeptRounds, ids: &[usize], now: u64) -> Vec<String> {
        let ids: Vec<String> = ids.iter().map(|id| format!("call_{id}")).collect();
        let rounds = kept.find(&ids, Duration::from_secs(now));
        rounds.into_iter().map(|round| round.calls[0].id.clone()).collect()
    }

    #[test]
    fn finds_by_the_callers_ids_in_order() {
        let mut kept = KeptRounds::default();
        (0..3).for_each(|id| kept.keep(round(id, 1), Duration::ZERO));
        assert_eq!(found(&mut kept, &[2, 0, 9], 1), ["own_0", "own_2"]);
        assert_eq!(found(&mut kept, &[], 1), Vec::<String>::new());
        assert_eq!(found(&mut kept, &[1], 1), ["own_1"]);
    }

    #[test]
    fn forgets_by_age_number_and_size() {
        let mut kept = KeptRounds::default();
        kept.keep(round(0, 1), Duration::ZERO);
        assert_eq!(found(&mut kept, &[0], 3600).len(), 1);
        assert_eq!(found(&mut kept, &[0], 3601).len(), 0);
        (0..ROUNDS + 10).for_each(|id| kept.keep(round(id, 1), Duration::ZERO));
        assert_eq!(kept.len(), ROUNDS);
        assert_eq!(found(&mut kept, &[9, 10], 0), ["own_10"]);
        kept.keep(round(1000, BYTES - 1000), Duration::ZERO);
        assert!(kept.len() < 50 && kept.bytes <= BYTES, "{} rounds", kept.len());
        kept.keep(round(1001, BYTES + 1), Duration::ZERO);
        assert_eq!((kept.len(), kept.bytes), (0, 0));
    }
}
