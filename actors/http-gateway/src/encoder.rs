//! What every format of answers has in common: events in, bytes for the client out.

use crate::openai::error::Refusal;
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::{Failure, FailureClass};

/// Prints a stream.
pub(crate) trait StreamEncoder: EventSink {
    /// Tells the person what was changed to suit the model; gives back what the stream itself has no place for.
    fn notices(&mut self, notices: Vec<String>) -> Vec<String>;

    /// Whether something waits to be sent.
    fn has_output(&self) -> bool;

    /// Takes what is to be sent next, in order.
    fn take(&mut self) -> Option<Bytes>;

    /// Says that HAIA still lives.
    fn keep_alive(&mut self);

    /// The answer is whole: prints what was held back, and the end mark.
    ///
    /// # Errors
    /// The stream ended without a finish reason: it was not whole after all.
    fn complete(&mut self) -> Result<(), Failure>;

    /// The answer has failed after it had begun: the last thing the client hears.
    fn fail(&mut self, refusal: &Refusal);
}

/// Collects an answer, and prints it as one body.
pub(crate) trait WholeEncoder: EventSink {
    /// The answer as JSON.
    ///
    /// # Errors
    /// The stream ended without a finish reason: it was not whole after all.
    fn complete(self) -> Result<Bytes, Failure>;
}

/// The failure of an answer that came to its end without saying why it stopped.
pub(crate) fn unfinished() -> Failure {
    Failure::new(FailureClass::Truncated, "the answer ended without a finish reason")
}
