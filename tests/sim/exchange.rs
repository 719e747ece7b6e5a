//! What became of one request.

use super::request::Request;
use std::sync::Arc;

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is being given.
    Answering,
    /// It was given whole.
    Answered,
    /// The provider itself cut it.
    Cut,
    /// The other side left before it was whole.
    Left,
}

/// One request and its answer.
#[derive(Clone)]
pub struct Exchange {
    /// What was asked.
    pub request: Arc<Request>,
    /// How far the answer has come.
    pub outcome: Outcome,
}
