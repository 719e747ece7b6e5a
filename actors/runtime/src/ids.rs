//! Identifiers and secrets from the system's randomness, behind `contract::ids::Ids`.
//!
//! Randomness is fetched in blocks, one for each thread: a call into the system for every id would be a notable part of what a relayed request
//! costs. Every byte is the system's own, and none is handed out twice.

use contract::ids::Ids;
use jiff::Timestamp;
use std::cell::RefCell;
use uuid::Builder;

/// Random bytes that are fetched at once: enough for 64 ids.
const BLOCK: usize = 512;
/// Of these, an id takes so many.
const RANDOM: usize = 8;
/// Steps of a millisecond that an id tells apart.
const STEPS: i128 = 1 << 12;

/// Real randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

/// What one thread has of its own.
struct Source {
    block: [u8; BLOCK],
    /// Bytes of the block that were handed out.
    used: usize,
    /// The time of the last id, in 4096ths of a millisecond: a later id is always greater.
    last: u64,
}

thread_local! {
    static SOURCE: RefCell<Source> = const { RefCell::new(Source { block: [0; BLOCK], used: BLOCK, last: 0 }) };
}

impl Source {
    /// The next random bytes of this thread.
    fn random(&mut self) -> [u8; RANDOM] {
        if self.used >= BLOCK {
            fill(&mut self.block);
            self.used = 0;
        }
        let mut random = [0; RANDOM];
        let taken = &mut self.block[self.used..self.used + RANDOM];
        random.copy_from_slice(taken);
        // What was handed out is nobody else's to read.
        taken.fill(0);
        self.used += RANDOM;
        random
    }

    /// The time of the next id.
    fn tick(&mut self, now: Timestamp) -> u64 {
        let steps = now.as_nanosecond().max(0) * STEPS / 1_000_000;
        self.last = u64::try_from(steps).unwrap_or(u64::MAX >> 4).max(self.last + 1);
        self.last
    }
}

impl Ids for SystemIds {
    /// A version 7 UUID whose first random bits count 4096ths of a millisecond (RFC 9562, section 6.2, method 3).
    fn unique(&self) -> String {
        let now = now();
        let (tick, random) = SOURCE.with_borrow_mut(|source| (source.tick(now), source.random()));
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&((tick % STEPS as u64) as u16).to_be_bytes());
        bytes[2..].copy_from_slice(&random);
        let id = Builder::from_unix_timestamp_millis(tick / STEPS as u64, &bytes).into_uuid();
        id.simple().to_string()
    }

    fn secret(&self, buffer: &mut [u8]) {
        fill(buffer);
    }
}

/// The time that ids carry: the system's, whatever HAIA's time factor, so that ids of two runs do not mix.
fn now() -> Timestamp {
    Timestamp::now()
}

/// Random bytes of the system.
fn fill(buffer: &mut [u8]) {
    if getrandom::fill(buffer).is_ok() {
        return;
    }
    // A system that cannot give randomness now: this way it panics, which is contained, rather than that a secret were none.
    // A version 4 UUID holds 122 random bits; the six fixed ones are left out by taking 12 bytes of each.
    for chunk in buffer.chunks_mut(12) {
        let random = uuid::Uuid::new_v4().into_bytes();
        let mut free = random[..6].iter().chain(&random[9..15]);
        for byte in chunk {
            *byte = free.next().copied().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_sort_by_time_and_are_version_7() {
        let ids: Vec<String> = (0..1000).map(|_| SystemIds.unique()).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 32));
        let before = Timestamp::now().as_millisecond();
        let id = uuid::Uuid::parse_str(&SystemIds.unique()).unwrap();
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
        let at = seconds as i64 * 1000 + i64::from(nanoseconds) / 1_000_000;
        assert!((before..before + 60_000).contains(&at), "{at} is not {before}");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_greater_ids_all_the_same() {
        let mut source = Source { block: [0; BLOCK], used: BLOCK, last: 0 };
        let noon = Timestamp::constant(1_772_366_400, 0);
        let ticks =
            [noon, noon, noon - jiff::SignedDuration::from_secs(5), Timestamp::UNIX_EPOCH].map(|now| source.tick(now));
        assert!(ticks.is_sorted_by(|a, b| a < b), "{ticks:?}");
        assert_eq!(ticks[0] / STEPS as u64, noon.as_millisecond() as u64);
    }

    #[test]
    fn no_id_comes_twice_whatever_thread_asks() {
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..2000).map(|_| SystemIds.unique()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let tails: HashSet<&str> = ids.iter().map(|id| &id[16..]).collect();
        assert_eq!(tails.len(), ids.len(), "the random part alone differs");
    }

    #[test]
    fn secrets_differ_and_are_filled_to_the_end() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemIds.secret(&mut a);
        SystemIds.secret(&mut b);
        assert_ne!(a, b);
        assert!(a.iter().any(|byte| *byte != 0) && a[24..].iter().any(|byte| *byte != 0));
    }
}
