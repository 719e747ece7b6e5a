//! Ids of tool calls for APIs that do not take every id: another API's, in a conversation that goes on elsewhere.
//!
//! A mapping of the id alone, so that a call and its result, and each later round, get the same one.

use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// The most bytes of an id that are kept before its hash.
const KEPT: usize = 40;
/// What Mistral wants.
const NINE: usize = 9;

/// An id of letters, digits, `_` and `-`. Another's odd characters become `_`, and a hash of it is added, so that no two become one.
pub fn plain(id: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(is_plain) {
        return Cow::Borrowed(id);
    }
    let kept: String = id.chars().take(KEPT).map(|c| if is_plain(c) { c } else { '_' }).collect();
    Cow::Owned(format!("{kept}_{}", hash(id, NINE)))
}

/// An id of nine letters and digits.
pub fn nine(id: &str) -> Cow<'_, str> {
    if id.len() == NINE && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(hash(id, NINE))
}

/// So many letters and digits of a hash.
fn hash(id: &str, length: usize) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    Sha256::digest(id).iter().take(length).map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_stays_and_what_does_not_differs() {
        assert_eq!((plain("toolu_01-A"), nine("aB3456789")), ("toolu_01-A".into(), "aB3456789".into()));
        let mapped = plain("functions.get:0");
        assert!(mapped.starts_with("functions_get_0_") && mapped == plain("functions.get:0"), "{mapped}");
        assert_ne!(mapped, plain("functions.get.0"));
        assert_ne!(nine("call_1"), nine("call_2"));
    }

    proptest! {
        #[test]
        fn every_id_is_taken(id in "\\PC{0,80}") {
            let plain = plain(&id);
            prop_assert!(!plain.is_empty() && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            let nine = nine(&id);
            prop_assert!(nine.len() == 9 && nine.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}
