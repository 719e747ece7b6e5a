//! A secret as configuration and requests carry it: it has no `Debug` that shows it, no `Serialize`, and is wiped when dropped.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A key, token or password. Only [`Secret::expose`] gives the text, at the place where it goes onto the wire.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself: for a header that is about to be sent, and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    /// From a text that the configuration's layers have already resolved (`env:`, `file:`, `credential:`).
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    /// For noticing a changed configuration; keys of callers are compared in constant time elsewhere.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", super::Secret::new("sk-123")), "***");
    }
}
