//! The time that a text carries on its way: the provider writes when it sent it, the client reads how long it took. Both run in this process, so
//! that one clock serves both.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the process first asked.
pub fn now() -> u64 {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let begun = BEGUN.get_or_init(Instant::now);
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

const MARK: &[u8] = b"t=";

/// A text with the time in it.
pub fn text() -> String {
    format!("t={} ", now())
}

/// The stamps in `bytes` from `at` on. What may be cut at the end is left for the next look: where that begins is given back.
pub fn read(bytes: &[u8], mut at: usize, mut found: impl FnMut(u64)) -> usize {
    while let Some(mark) = memchr::memmem::find(&bytes[at..], MARK) {
        let begin = at + mark + MARK.len();
        let digits = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if begin + digits == bytes.len() {
            return at + mark;
        }
        if let Some(stamp) = std::str::from_utf8(&bytes[begin..begin + digits]).ok().and_then(|text| text.parse().ok())
        {
            found(stamp);
        }
        at = begin + digits;
    }
    at.max(bytes.len().saturating_sub(MARK.len() - 1))
}
