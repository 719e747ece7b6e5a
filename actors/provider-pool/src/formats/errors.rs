//! What a provider's error means: status, headers and body of any shape to one [`Failure`].
//!
//! The formats differ little here, so all of them share this reader. It reads any body, and never passes one on: only the message in
//! it, without control characters, keys and stack traces.

mod class;
mod redirect;
mod told;

pub use class::INSUFFICIENT_QUOTA;
pub use redirect::REDIRECTED;

use super::wording::readable;
use super::{refused, waits, wire};
use contract::failure::{Failure, FailureClass};
use jiff::Timestamp;
use std::borrow::Cow;
use told::Told;

/// An answer with an error status.
pub struct ErrorAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body, as far as it was read.
    pub body: &'a [u8],
    /// The world's time, for waits that are told as a date by an answer that does not tell its own.
    pub now: Timestamp,
}

impl ErrorAnswer<'_> {
    /// When it was sent, by the provider's clock: the waits in it count from there.
    pub fn sent_at(&self) -> Timestamp {
        let date = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("date"));
        let told = date.and_then(|(_, value)| std::str::from_utf8(value).ok()).and_then(waits::date);
        told.unwrap_or(self.now)
    }
}

/// What an answer with an error status means.
pub fn answered(answer: &ErrorAnswer<'_>) -> Failure {
    if (300..400).contains(&answer.status) {
        return redirect::failure(answer);
    }
    let body = wire::utf8(answer.body);
    let told = Told::read(&body, 3);
    let failure = failure(answer.status, told);
    // On any other error a rate limit's reset is no advice: the next try would fail the same way.
    let is_rate_limit = failure.class == FailureClass::RateLimit;
    let wait = waits::of_headers(answer, is_rate_limit);
    let wait = wait.or_else(|| waits::of_body(&body, answer.sent_at(), is_rate_limit));
    let retry = should_retry(answer).or(failure.retry);
    failure.with_retry_after(wait).with_retry(retry)
}

/// `x-should-retry`, by which Anthropic and OpenAI overrule the status.
fn should_retry(answer: &ErrorAnswer<'_>) -> Option<bool> {
    let (_, value) = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-should-retry"))?;
    match value.trim_ascii() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// What an error inside a stream, or in a whole answer with a good status, means. `json` is the body or the event's data.
pub fn inside(json: &str) -> Failure {
    let told = Told::read(json, 3);
    let status = told.status.filter(|status| (400..=599).contains(status)).unwrap_or(500);
    // What a body tells as a date is nothing without the time; a length of time is.
    failure(status, told).with_retry_after(waits::length_of_body(json))
}

fn failure(status: u16, told: Told) -> Failure {
    let lower = told.message.as_deref().unwrap_or_default().to_lowercase();
    let class = class::of(status, &told, &lower);
    let message: Cow<'static, str> = match (class, told.message.as_deref().and_then(readable)) {
        // What providers say here repeats the key, or asks the reader to do what only the operator can.
        (FailureClass::Authentication, _) => "the provider refuses the API key: check api_key".into(),
        (_, Some(message)) => message.into(),
        (FailureClass::NotFound, None) => {
            format!("the provider knows no such path or model (HTTP {status}): check base_url and the model's name")
                .into()
        }
        (FailureClass::RateLimit, None) => "the provider limits the rate".into(),
        (FailureClass::Overloaded, None) => "the provider is overloaded".into(),
        (_, None) => format!("the provider answered with HTTP status {status}").into(),
    };
    let mut failure = Failure::new(class, message);
    failure.code = code(class, &told, &lower);
    if told.says(&[INSUFFICIENT_QUOTA]) {
        // It does not come back by itself. Some tell it as the type alone.
        failure.retry = Some(false);
        if class == FailureClass::RateLimit {
            failure.code = Some(INSUFFICIENT_QUOTA.into());
        }
    }
    if matches!(class, FailureClass::InvalidRequest | FailureClass::ContextLength) {
        failure.param = told.param.and_then(|param| readable(&param));
    }
    failure
}

fn code(class: FailureClass, told: &Told, lower: &str) -> Option<Cow<'static, str>> {
    if refused::speaks_of_tools(lower) {
        return Some("tools_unsupported".into());
    }
    if refused::speaks_of_thinking(lower) {
        return Some("thinking_unsupported".into());
    }
    if class == FailureClass::InvalidRequest
        && let Some(code) = refused::code(lower, told.param.as_deref().unwrap_or_default(), &told.code)
    {
        return Some(code.into());
    }
    match class {
        FailureClass::ContextLength => Some("context_length_exceeded".into()),
        FailureClass::NotFound => Some("model_not_found".into()),
        FailureClass::InvalidRequest | FailureClass::RateLimit | FailureClass::Billing => {
            let worded = told.code.chars().any(|c| c.is_ascii_alphabetic());
            worded.then(|| Cow::Owned(told.code.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
