//! Labels of findings and alerts, and the patterns that pick them: for silences, maintenance, overrides and routes.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Names and values. A name may come more than once (`tag`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    /// Adds one.
    pub fn add(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        self.0.push((name.into(), value.into()));
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.as_ref())
    }
}

/// A condition on labels: some value of `label` fits `pattern`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Matcher {
    /// The label (`node`, `tag`, `rule`, …).
    pub label: Arc<str>,
    /// The value, with `*` for any stretch of characters.
    pub pattern: Arc<str>,
}

impl Matcher {
    /// A matcher.
    pub fn new(label: impl Into<Arc<str>>, pattern: impl Into<Arc<str>>) -> Self {
        Self { label: label.into(), pattern: pattern.into() }
    }

    /// Whether it fits.
    pub fn fits(&self, labels: &Labels) -> bool {
        labels.all(&self.label).any(|value| matches_pattern(&self.pattern, value))
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any stretch of characters. Case does not matter.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(tail) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= tail.len() && rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_stretch() {
        for (pattern, text, fits) in [
            ("pve2", "pve2", true),
            ("pve2", "PVE2", true),
            ("pve2", "pve22", false),
            ("web-*", "web-01", true),
            ("web-*", "web-", true),
            ("*-db", "main-db", true),
            ("*-db", "main-db2", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*a", "a", false),
            ("ä*", "Äpfel", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn one_value_of_a_label_suffices() {
        let mut labels = Labels::default();
        labels.add("tag", "lab");
        labels.add("tag", "always-on");
        assert!(Matcher::new("tag", "always-*").fits(&labels));
        assert!(!Matcher::new("tag", "prod").fits(&labels));
        assert!(!Matcher::new("node", "*").fits(&labels), "a label that is not there fits nothing");
    }
}
