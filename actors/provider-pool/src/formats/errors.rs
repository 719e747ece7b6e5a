//! What a provider's error means: status, headers and body of any shape to one [`Failure`].
//!
//! The formats differ little here, so all of them share this reader. It reads any body, and never passes one on: only the message in
//! it, without control characters, keys and stack traces.

use super::wire::{self, Json, Raw};
use super::wording::readable;
use super::{refused, waits};
use contract::failure::{Failure, FailureClass};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

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
    let body = wire::utf8(answer.body);
    let told = Told::read(&body, 3);
    let failure = failure(answer.status, told);
    // On any other error a rate limit's reset is no advice: the next try would fail the same way.
    let wait = waits::of_headers(answer, failure.class == FailureClass::RateLimit);
    let wait = wait.or_else(|| waits::of_body(&body, answer.sent_at()));
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

/// What a body says, whatever its shape.
#[derive(Default)]
struct Told {
    message: Option<String>,
    kind: String,
    code: String,
    param: Option<String>,
    status: Option<u16>,
    /// Google's word for the status, and the reason among its details: `UNAVAILABLE`, `API_KEY_INVALID`.
    word: String,
    reason: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    detail: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow)]
    param: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    status_code: Raw<'a>,
    #[serde(borrow)]
    details: Raw<'a>,
}

impl Told {
    /// `{"error":{…}}`, `{"error":"text"}`, `{"detail":"text"}`, `{"detail":[{"msg":…}]}`, `{"message":…}`, `{"message":{"detail":…}}`, any
    /// of them in an array.
    /// `depth` bounds how far errors within errors are followed.
    fn read(json: &str, depth: u32) -> Self {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(json) else {
            return match serde_json::from_str::<Vec<&RawValue>>(json) {
                Ok(items) if !items.is_empty() && depth > 0 => Self::read(items[0].get(), depth - 1),
                _ => Self::default(),
            };
        };
        let mut told = Self {
            message: wire::filled(wire.message).map(Cow::into_owned),
            kind: word(wire.kind),
            code: word(wire.code),
            param: wire::filled(wire.param).map(Cow::into_owned),
            status: [wire.status, wire.status_code, wire.code].into_iter().find_map(status),
            word: word(wire.status),
            reason: reason(wire.details),
        };
        let inside = wire.message.filter(|message| message.get().starts_with('{')).and_then(|message| {
            let wire: Wire<'_> = serde_json::from_str(message.get()).ok()?;
            wire.detail
        });
        if let Some(detail) = wire.detail.or(inside) {
            told.message = told.message.or_else(|| detail_text(detail));
        }
        if let Some(inner) = wire.error {
            if inner.get().starts_with('{') && depth > 0 {
                let inner = Self::read(inner.get(), depth - 1);
                told = Self {
                    message: inner.message.or(told.message),
                    kind: if inner.kind.is_empty() { told.kind } else { inner.kind },
                    code: if inner.code.is_empty() { told.code } else { inner.code },
                    param: inner.param.or(told.param),
                    status: inner.status.or(told.status),
                    word: if inner.word.is_empty() { told.word } else { inner.word },
                    reason: if inner.reason.is_empty() { told.reason } else { inner.reason },
                };
            } else {
                told.message = wire::filled(Some(inner)).map(Cow::into_owned).or(told.message);
            }
        }
        told
    }

    fn says(&self, words: &[&str]) -> bool {
        let said = [&self.kind, &self.code, &self.word, &self.reason];
        words.iter().any(|word| said.iter().any(|said| *said == word))
    }
}

/// The first `reason` among Google's details.
fn reason(details: Raw<'_>) -> String {
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(borrow)]
        reason: Raw<'a>,
    }
    let details: Vec<Detail<'_>> = details.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    details.iter().map(|detail| word(detail.reason)).find(|reason| !reason.is_empty()).unwrap_or_default()
}

fn word(raw: Raw<'_>) -> String {
    let text = wire::text(raw).unwrap_or_default();
    let sane = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.len() <= 64 && text.chars().all(sane) { text.to_ascii_lowercase() } else { String::new() }
}

fn status(raw: Raw<'_>) -> Option<u16> {
    wire::count(raw).or_else(|| wire::text(raw)?.parse().ok()).and_then(|figure| u16::try_from(figure).ok())
}

/// FastAPI's `detail`: a text, or a list of objects with `msg` and the path `loc`.
fn detail_text(detail: Json<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        msg: Raw<'a>,
        #[serde(borrow)]
        loc: Raw<'a>,
    }
    if let Some(text) = wire::filled(Some(detail)) {
        return Some(text.into_owned());
    }
    let items: Vec<Item<'_>> = serde_json::from_str(detail.get()).ok()?;
    let texts: Vec<String> = items
        .iter()
        .filter_map(|item| {
            let message = wire::filled(item.msg)?;
            let path: Vec<serde_json::Value> =
                item.loc.and_then(|loc| serde_json::from_str(loc.get()).ok()).unwrap_or_default();
            let path: Vec<String> = path.iter().map(|step| step.to_string().replace('"', "")).collect();
            Some(if path.is_empty() { message.into_owned() } else { format!("{}: {message}", path.join(".")) })
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn failure(status: u16, told: Told) -> Failure {
    let lower = told.message.as_deref().unwrap_or_default().to_lowercase();
    let class = classify(status, &told, &lower);
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
    if told.says(&["insufficient_quota"]) {
        // A quota that is used up does not come back by itself.
        failure.retry = Some(false);
    }
    if matches!(class, FailureClass::InvalidRequest | FailureClass::ContextLength) {
        failure.param = told.param.and_then(|param| readable(&param));
    }
    failure
}

fn classify(status: u16, told: &Told, lower: &str) -> FailureClass {
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
    let too_long = told.says(&["context_length_exceeded", "exceed_context_size_error"])
        || any(&[
            "prompt is too long",
            "maximum context length",
            "context length exceeded",
            "exceeds the context",
            "exceeds the available context",
            "exceed context limit",
            "exceeds the model's context",
            "exceeds the maximum number of tokens",
        ]);
    match status {
        401 => FailureClass::Authentication,
        402 => FailureClass::Billing,
        403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        408 | 504 | 524 => FailureClass::Timeout,
        413 if !too_long => FailureClass::TooLarge,
        429 => FailureClass::RateLimit,
        529 => FailureClass::Overloaded,
        _ if told.says(&["authentication_error", "invalid_api_key", "api_key_invalid", "unauthenticated"]) => {
            FailureClass::Authentication
        }
        _ if told.says(&["permission_error", "permission_denied"]) => FailureClass::Permission,
        _ if told.says(&["billing_error"]) => FailureClass::Billing,
        _ if told.says(&["overloaded_error", "overloaded", "unavailable"]) => FailureClass::Overloaded,
        _ if told.says(&["rate_limit_error", "rate_limit_exceeded", "resource_exhausted"]) => FailureClass::RateLimit,
        _ if told.says(&["not_found_error", "model_not_found", "not_found"]) => FailureClass::NotFound,
        _ if told.says(&["request_too_large"]) => FailureClass::TooLarge,
        _ if too_long => FailureClass::ContextLength,
        _ if told.says(&["deadline_exceeded"]) => FailureClass::Timeout,
        _ if told.says(&["invalid_request_error", "invalid_argument"]) => FailureClass::InvalidRequest,
        400..=499 => FailureClass::InvalidRequest,
        _ => FailureClass::ServerError,
    }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn read(status: u16, body: &str) -> Failure {
        answered(&ErrorAnswer { status, headers: &[], body: body.as_bytes(), now: NOW })
    }

    #[test]
    fn bodies_of_every_shape_are_read() {
        for (status, body, class, message) in [
            (400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#, FailureClass::InvalidRequest, "no"),
            (400, r#"{"error":"no"}"#, FailureClass::InvalidRequest, "no"),
            (
                400,
                r#"{"type":"error","error":{"type":"x","message":"no"},"request_id":"r"}"#,
                FailureClass::InvalidRequest,
                "no",
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
                FailureClass::InvalidRequest,
                "no",
            ),
            (400, r#"{"message":"no"}"#, FailureClass::InvalidRequest, "no"),
            (
                422,
                r#"{"detail":[{"loc":["body","messages",0],"msg":"field required"}]}"#,
                FailureClass::InvalidRequest,
                "body.messages.0: field required",
            ),
            (
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
                FailureClass::InvalidRequest,
                "body.stream_options.include_usage: Extra inputs are not permitted",
            ),
            (404, r#"{"detail":"Not Found"}"#, FailureClass::NotFound, "Not Found"),
            (500, r#"{"error":{"message":"a\n\tb","code":500}}"#, FailureClass::ServerError, "a b"),
            (502, "<html>bad</html>", FailureClass::ServerError, "the provider answered with HTTP status 502"),
            (
                500,
                r#"{"error":{"message":"<html>bad"}}"#,
                FailureClass::ServerError,
                "the provider answered with HTTP status 500",
            ),
            (429, "", FailureClass::RateLimit, "the provider limits the rate"),
            (529, "{}", FailureClass::Overloaded, "the provider is overloaded"),
            (504, "null", FailureClass::Timeout, "the provider answered with HTTP status 504"),
            (402, r#"{"error":{"message":"no credits"}}"#, FailureClass::Billing, "no credits"),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
                FailureClass::ContextLength,
                "This model's maximum context length is 8192 tokens.",
            ),
            (503, r#"{"error":{"type":"overloaded_error","message":"busy"}}"#, FailureClass::Overloaded, "busy"),
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"x"},{"reason":"API_KEY_INVALID"}]}}"#,
                FailureClass::Authentication,
                "the provider refuses the API key: check api_key",
            ),
            (
                400,
                r#"{"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (5).","status":"INVALID_ARGUMENT"}}"#,
                FailureClass::ContextLength,
                "The input token count (9) exceeds the maximum number of tokens allowed (5).",
            ),
            (413, "too big", FailureClass::TooLarge, "the provider answered with HTTP status 413"),
            (
                500,
                r#"{"error":{"message":"Traceback (most recent call last): File x"}}"#,
                FailureClass::ServerError,
                "the provider answered with HTTP status 500",
            ),
        ] {
            let failure = read(status, body);
            assert_eq!((failure.class, failure.message.as_ref()), (class, message), "{status} {body}");
        }
    }

    #[test]
    fn codes_and_fields_are_told() {
        let failure = read(
            400,
            r#"{"error":{"message":"bad","code":"unsupported_value","param":"messages[0].role","type":"invalid_request_error"}}"#,
        );
        assert_eq!(
            (failure.code.as_deref(), failure.param.as_deref()),
            (Some("unsupported_value"), Some("messages[0].role"))
        );
        let code = |status, body| read(status, body).code.map(Cow::into_owned);
        assert_eq!(code(400, r#"{"error":"gemma:2b does not support tools"}"#).as_deref(), Some("tools_unsupported"));
        let missing =
            r#"{"error":{"message":"The `reasoning_content` in the thinking mode must be passed back to the API."}}"#;
        assert_eq!(code(400, missing).as_deref(), Some("reasoning_content_missing"));
        let effort = r#"{"error":{"message":"x","code":"unsupported_parameter","param":"reasoning_effort"}}"#;
        assert_eq!(code(400, effort).as_deref(), Some("thinking_unsupported"));
        assert_eq!(code(429, r#"{"error":"reasoning_effort is not supported"}"#), None);
        assert_eq!(code(400, r#"{"error":{"code":400,"message":"x"}}"#), None);
        assert_eq!(code(404, "").as_deref(), Some("model_not_found"));
        assert_eq!(code(400, r#"{"error":{"message":"x","code":"a b<script>"}}"#), None);
    }

    #[test]
    fn a_refused_key_is_told_in_own_words() {
        let failure = read(401, r#"{"error":{"message":"invalid key hunter2"}}"#);
        assert_eq!(failure.message, "the provider refuses the API key: check api_key");
    }

    #[test]
    fn deep_nesting_ends() {
        for (open, close) in [("{\"error\":", "}"), ("[", "]")] {
            let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            assert_eq!(read(400, &body).class, FailureClass::InvalidRequest);
        }
    }

    #[test]
    fn a_provider_says_whether_to_try_again() {
        let retry = |headers: &[(&str, &[u8])], body: &str| {
            answered(&ErrorAnswer { status: 429, headers, body: body.as_bytes(), now: NOW }).retry
        };
        assert_eq!(retry(&[("X-Should-Retry", b"true")], ""), Some(true));
        assert_eq!(retry(&[("x-should-retry", b"false")], ""), Some(false));
        assert_eq!(retry(&[("x-should-retry", b"perhaps")], ""), None);
        assert_eq!(retry(&[], r#"{"error":{"message":"x","type":"insufficient_quota"}}"#), Some(false));
    }

    #[test]
    fn errors_inside_a_stream_tell_their_own_status() {
        for (json, class) in [
            (r#"{"error":{"message":"x","code":429}}"#, FailureClass::RateLimit),
            (r#"{"error":{"message":"x","status_code":400}}"#, FailureClass::InvalidRequest),
            (r#"{"error":"x","status":503}"#, FailureClass::ServerError),
            (r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#, FailureClass::Overloaded),
            (r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}"#, FailureClass::RateLimit),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                FailureClass::Overloaded,
            ),
            (r#"{"error":"x"}"#, FailureClass::ServerError),
            ("garbage", FailureClass::ServerError),
        ] {
            assert_eq!(inside(json).class, class, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(status in 0u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let failure = answered(&ErrorAnswer { status, headers: &[], body: &body, now: NOW });
            prop_assert!(!failure.message.is_empty());
        }
    }
}
