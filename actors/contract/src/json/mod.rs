//! JSON text on the path of a chat: stepped over where it stands, and printed straight into a buffer.
//!
//! Everywhere else serde_json is what JSON is read and written with. What is stepped over here and what is printed is the same JSON; this is only
//! quicker, because nothing is built.

mod print;
mod scan;

pub use print::{put_number, put_string};
pub use scan::Scan;

/// How many bytes come before the next quote, backslash or control character. Most strings are names and short words and end within sixteen bytes;
/// of what is longer, 32 are looked at at once.
#[inline]
fn ordinary(bytes: &[u8]) -> usize {
    let Some((first, rest)) = bytes.split_first_chunk::<16>() else { return ordinary_by_eights(bytes) };
    let (eights, _) = first.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        if let Some(mark) = mark(*eight) {
            return at * 8 + mark;
        }
    }
    let (blocks, _) = rest.as_chunks::<32>();
    let plain = 32 * blocks.iter().take_while(|block| is_ordinary(block)).count();
    16 + plain + ordinary_by_eights(&rest[plain..])
}

/// Without a branch, so that compilers make two dozen vector instructions of it.
#[inline]
fn is_ordinary(block: &[u8; 32]) -> bool {
    let marks = block
        .iter()
        .fold(0, |marks, byte| marks | u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\'));
    marks == 0
}

/// The same, eight at a time.
#[inline]
fn ordinary_by_eights(bytes: &[u8]) -> usize {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (at, eight) in eights.iter().enumerate() {
        if let Some(mark) = mark(*eight) {
            return at * 8 + mark;
        }
    }
    let is_ordinary = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    eights.len() * 8 + rest.iter().take_while(is_ordinary).count()
}

/// Where the first of them is among eight bytes, by the tests for a byte less than and equal to another in Sean Anderson's Bit Twiddling Hacks.
#[inline]
fn mark(eight: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let word = u64::from_le_bytes(eight);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let marks = HIGH & (control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))));
    // What a borrow marks wrongly lies behind the first true mark.
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}
