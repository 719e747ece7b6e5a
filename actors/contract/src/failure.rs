//! Why a chat could not be answered, in words for the person who asked. The gateway turns it into an HTTP status.
//!
//! A failure never holds a secret, a provider's raw body, or a stack trace.

use crate::message::Fault;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong, as a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The request itself is wrong: a field is missing, of the wrong type, or the model refuses it.
    InvalidRequest,
    /// The prompt does not fit into the model's context.
    ContextLength,
    /// The provider refuses HAIA's key.
    Authentication,
    /// The provider wants money: no credits, quota used up.
    Billing,
    /// The provider's key may not do this.
    Permission,
    /// No such model.
    NotFound,
    /// The provider did not answer in time.
    Timeout,
    /// The provider says that the request is too large.
    TooLarge,
    /// The provider limits the rate.
    RateLimit,
    /// The provider is overloaded.
    Overloaded,
    /// The provider failed inside.
    ServerError,
    /// The connection could not be made, or broke before an answer.
    Unreachable,
    /// The answer began and ended without the provider's end mark, or was not understood.
    Truncated,
    /// HAIA's own limits: too many turns, a full mailbox.
    Busy,
    /// HAIA is shutting down.
    ShuttingDown,
    /// HAIA failed inside: an actor crashed on this request.
    Internal,
}

impl FailureClass {
    /// Whether another provider of the route may still give the answer.
    ///
    /// What the request itself causes would fail elsewhere too, except that a model unknown here may exist there, and a
    /// prompt too long for one model may fit into the next.
    pub fn may_fail_over(self) -> bool {
        !matches!(
            self,
            FailureClass::InvalidRequest | FailureClass::Busy | FailureClass::ShuttingDown | FailureClass::Internal
        )
    }

    /// Whether the same model may be asked again after a moment. What took long already, or was worked on, is not done twice; a limit of the
    /// rate only after the time that the provider told.
    pub fn may_retry(self) -> bool {
        matches!(
            self,
            FailureClass::Overloaded | FailureClass::ServerError | FailureClass::Unreachable | FailureClass::RateLimit
        )
    }

    /// The class as a word: for logs, metrics, audit rows.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureClass::InvalidRequest => "invalid_request",
            FailureClass::ContextLength => "context_length",
            FailureClass::Authentication => "authentication",
            FailureClass::Billing => "billing",
            FailureClass::Permission => "permission",
            FailureClass::NotFound => "not_found",
            FailureClass::Timeout => "timeout",
            FailureClass::TooLarge => "too_large",
            FailureClass::RateLimit => "rate_limit",
            FailureClass::Overloaded => "overloaded",
            FailureClass::ServerError => "server_error",
            FailureClass::Unreachable => "unreachable",
            FailureClass::Truncated => "truncated",
            FailureClass::Busy => "busy",
            FailureClass::ShuttingDown => "shutting_down",
            FailureClass::Internal => "internal",
        }
    }
}

/// A failed request: the class, and what to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong.
    pub class: FailureClass,
    /// One sentence for a person; no secret, no raw body.
    pub message: Cow<'static, str>,
    /// The field of the request that is wrong, e.g. `messages[2].content`.
    pub param: Option<String>,
    /// The provider's or HAIA's own code, where it says more than the class (`context_length_exceeded`, `model_not_found`).
    pub code: Option<Cow<'static, str>>,
    /// How long to wait before trying again, as the provider told it.
    pub retry_after: Option<Duration>,
    /// The provider it came from; `None` when HAIA itself refused.
    pub provider: Option<Arc<str>>,
    /// Whether the same model may be asked again, where that is known better than by the class: the provider said so, or the request may
    /// have been worked on already.
    pub retry: Option<bool>,
    /// Whether the request itself may be right, and only this model cannot be asked it: another one may be.
    pub is_particular: bool,
}

impl Failure {
    /// A failure with nothing but its class and message.
    pub fn new(class: FailureClass, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
            provider: None,
            retry: None,
            is_particular: false,
        }
    }

    /// The request is wrong at `param`.
    pub fn invalid(param: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..Self::new(FailureClass::InvalidRequest, message) }
    }

    /// Adds the code.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the wait before another try.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says whether the same model may be asked again.
    pub fn with_retry(mut self, retry: Option<bool>) -> Self {
        self.retry = retry;
        self
    }

    /// Says that another model may take what this one cannot be asked.
    pub fn particular(mut self) -> Self {
        self.is_particular = true;
        self
    }

    /// Whether another provider of the route may still give the answer.
    pub fn may_fail_over(&self) -> bool {
        self.is_particular || self.class.may_fail_over()
    }

    /// Names the provider it came from.
    pub fn from_provider(mut self, provider: Arc<str>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The message, beginning with the provider's name unless it holds that name already: one of several providers failed, and whoever
    /// reads this shall know which.
    pub fn told(&self) -> Cow<'static, str> {
        let is_part = |c: char| c.is_alphanumeric() || "-_".contains(c);
        match &self.provider {
            Some(provider) if !self.message.split(|c| !is_part(c)).any(|word| *word == **provider) => {
                Cow::Owned(format!("{provider}: {}", self.message))
            }
            _ => self.message.clone(),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy { .. } => Failure::new(FailureClass::Busy, "HAIA is busy; try again in a moment")
                .with_retry_after(Some(Duration::from_secs(1))),
            Fault::Closed { .. } => Failure::new(FailureClass::ShuttingDown, "HAIA is shutting down"),
            Fault::Expired { actor } => {
                Failure::new(FailureClass::Internal, format!("HAIA's {actor} did not answer in time"))
            }
            Fault::Failed { actor } => {
                Failure::new(FailureClass::Internal, format!("HAIA's {actor} has failed; see /status"))
            }
            Fault::Panicked { actor } => {
                Failure::new(FailureClass::Internal, format!("HAIA's {actor} crashed on this request"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_provider_once() {
        for (provider, message, told) in [
            (Some("sim"), "the provider refuses the API key", "sim: the provider refuses the API key"),
            (Some("sim"), "no connection to sim: refused", "no connection to sim: refused"),
            (Some("ai"), "it said nothing", "ai: it said nothing"),
            (None, "HAIA is busy", "HAIA is busy"),
        ] {
            let mut failure = Failure::new(FailureClass::ServerError, message);
            failure.provider = provider.map(Into::into);
            assert_eq!(failure.told(), told);
        }
    }
}
