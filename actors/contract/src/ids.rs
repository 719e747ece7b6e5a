//! The port to randomness, and the identifiers that are made from it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Ties the access log, provider calls, tool calls, audit rows and alerts of one request together.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest id taken over from a caller, in bytes.
    pub const MAX_LENGTH: usize = 128;

    /// Takes over a caller's id if it is sane: 1 to 128 characters, letters, digits and `-_.:/+=@`.
    pub fn from_caller(text: &str) -> Option<Self> {
        let sane = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&b);
        (!text.is_empty() && text.len() <= Self::MAX_LENGTH && text.bytes().all(sane)).then(|| Self(text.into()))
    }

    /// Wraps an id that HAIA made itself.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The id without a copy, for rows and logs that outlive the request.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where ids, keys and jitter come from.
pub trait Ids: Send + Sync + 'static {
    /// A new id that sorts by time (UUID version 7), without hyphens.
    fn unique(&self) -> String;
    /// Fills `buffer` with bytes fit for a secret.
    fn secret(&self, buffer: &mut [u8]);
}

/// A source of ids as actors hold it.
pub type SharedIds = Arc<dyn Ids>;

#[cfg(test)]
mod tests {
    use super::RequestId;

    #[test]
    fn takes_over_sane_ids_only() {
        for sane in ["a", "req-1", "0192f3c4-aaaa-7bbb-8ccc-000000000000", "trace:1/2+3=@x_y.z"] {
            assert_eq!(RequestId::from_caller(sane).map(|id| id.to_string()), Some(sane.to_string()));
        }
        for odd in ["", "a b", "a\nb", "ä", "\"", &"x".repeat(129)] {
            assert_eq!(RequestId::from_caller(odd), None, "{odd:?}");
        }
    }
}
