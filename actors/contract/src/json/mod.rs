//! JSON text on the path of a chat: stepped over where it stands, and printed straight into a buffer.
//!
//! Everywhere else serde_json is what JSON is read and written with. What is stepped over here and what is printed is the same JSON; this is only
//! quicker, because nothing is built.

mod print;
mod scan;

pub use print::{put_number, put_string};
pub use scan::Scan;

/// How many bytes come before the next quote, backslash or control character. Most strings are long or have none, so 32 bytes are looked at at
/// once.
#[inline]
fn ordinary(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let plain = blocks.iter().take_while(|block| is_ordinary(block)).count();
    plain * 32 + ordinary_by_eights(&bytes[plain * 32..])
}

/// Without a branch, so that compilers make two dozen vector instructions of it.
#[inline]
fn is_ordinary(block: &[u8; 32]) -> bool {
    let marks = block
        .iter()
        .fold(0, |marks, byte| marks | u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\'));
    marks == 0
}

/// The same, eight at a time, by the tests for a byte less than and equal to another in Sean Anderson's Bit Twiddling Hacks.
#[inline]
fn ordinary_by_eights(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let marks = control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if marks & HIGH != 0 {
            // What a borrow marks wrongly lies behind the first true mark.
            return at * 8 + (marks & HIGH).trailing_zeros() as usize / 8;
        }
    }
    let is_ordinary = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    eights.len() * 8 + rest.iter().take_while(is_ordinary).count()
}
