//! What is wrong with the configuration, or worth a warning: where, and what to do. Never holds a secret.

use super::origin::Origin;
use std::fmt;

/// One problem. They are collected, so that a person sees all of them at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// The column in a file, from 1, where the line alone does not tell.
    pub column: Option<u32>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem at `origin`.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { origin: origin.clone(), column: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.column) {
            (Origin::Default, _) => f.write_str(&self.message),
            (origin, Some(column)) => write!(f, "{origin}:{column}: {}", self.message),
            (origin, None) => write!(f, "{origin}: {}", self.message),
        }
    }
}

/// Sorts problems by place and forgets repetitions.
pub fn tidy(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup();
    problems
}
