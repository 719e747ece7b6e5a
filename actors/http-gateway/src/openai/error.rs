//! The error object of every route, and which failure becomes which HTTP status. It never carries a stack trace, a secret or a
//! provider's raw body: failures do not hold any.

use contract::failure::{Failure, FailureClass};
use contract::message::Fault;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// The wait that is told when nobody knows a better one.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// The wait that is told when HAIA's own places are taken: they free up quickly.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// A request that is not answered as asked: status and error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// OpenAI's `type`.
    pub(crate) kind: &'static str,
    /// OpenAI's `code`.
    pub(crate) code: Option<Cow<'static, str>>,
    /// One or two sentences for people.
    pub(crate) message: Cow<'static, str>,
    /// The field of the request that is wrong.
    pub(crate) param: Option<String>,
    /// Seconds for `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, code: None, message: message.into(), param: None, retry_after: None }
    }

    /// 400: the request is wrong.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// 401: no key, or a wrong one.
    pub(crate) fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(401, "authentication_error", message).with_code("invalid_api_key")
    }

    /// 403: known, but not allowed.
    pub(crate) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(403, "permission_error", message)
    }

    /// 404: nothing there.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "invalid_request_error", message).with_code("not_found")
    }

    /// 405: the path is right, the method is not.
    pub(crate) fn wrong_method(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(405, "invalid_request_error", message).with_code("method_not_allowed")
    }

    /// 408: the body did not come in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(408, "invalid_request_error", "the request's body did not arrive in time")
            .with_code("request_timeout")
    }

    /// 409: it exists already.
    pub(crate) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(409, "invalid_request_error", message).with_code("conflict")
    }

    /// 413: the body is larger than HAIA takes.
    pub(crate) fn too_large(most: contract::units::Size) -> Self {
        let message = format!("the request's body is larger than {most}, the limit of [server] max_body");
        Self::new(413, "invalid_request_error", message).with_code("request_too_large")
    }

    /// 500: HAIA's own fault.
    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(500, "internal_error", message).with_code("internal_error")
    }

    /// 503: for now.
    pub(crate) fn unavailable(message: impl Into<Cow<'static, str>>, wait: Option<Duration>) -> Self {
        let refusal = Self::new(503, "provider_error", message).with_code("provider_unavailable");
        refusal.with_wait(wait.unwrap_or(DEFAULT_WAIT))
    }

    /// 503: the store cannot do it now; everything that needs no store goes on.
    pub(crate) fn store_unavailable(why: &contract::store::StoreError) -> Self {
        let message = format!("the store cannot do it now: {why}");
        Self::new(503, "internal_error", message).with_code("store_unavailable").with_wait(DEFAULT_WAIT)
    }

    /// 503: there is no room for what has to be kept of the request.
    pub(crate) fn not_kept(error: &std::io::Error) -> Self {
        let message = format!(
            "a form that names its \"model\" so late has to be kept until then, and beside the file of [store] path that failed: {error}; send \"model\" before \"file\", or see to that folder"
        );
        Self::new(503, "internal_error", message).with_code("upload_not_kept").with_wait(DEFAULT_WAIT)
    }

    /// 503: the daemon is about to end.
    pub(crate) fn draining() -> Self {
        Self::unavailable("HAIA is shutting down", None)
    }

    /// Adds OpenAI's `code`.
    pub(crate) fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Names the field.
    pub(crate) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    fn with_wait(mut self, wait: Duration) -> Self {
        self.retry_after = Some(whole_seconds(wait));
        self
    }

    /// The error object as JSON.
    pub(crate) fn json(&self) -> String {
        // Strings and nulls always print.
        serde_json::to_string(&Wire { error: self.object() }).unwrap_or_default()
    }

    /// The members of the error object, for answers that hold more beside it.
    pub(crate) fn object(&self) -> ErrorObject<'_> {
        ErrorObject {
            message: &self.message,
            kind: self.kind,
            param: self.param.as_deref(),
            code: self.code.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    error: ErrorObject<'a>,
}

/// OpenAI's error object.
#[derive(Serialize)]
pub(crate) struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// Rounded up, at least 1: a client that comes back early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let message = failure.told();
        let Failure { class, param, code, retry_after, .. } = failure;
        let mut refusal = match class {
            FailureClass::InvalidRequest => Self { code, ..Self::invalid(message) },
            FailureClass::ContextLength => {
                Self { code: code.or(Some("context_length_exceeded".into())), ..Self::invalid(message) }
            }
            FailureClass::TooLarge => {
                Self { code: code.or(Some("request_too_large".into())), ..Self::invalid(message) }
            }
            FailureClass::NotFound => {
                Self { code: code.or(Some("model_not_found".into())), ..Self::not_found(message) }
            }
            FailureClass::Authentication => {
                Self::new(502, "provider_error", message).with_code("provider_authentication")
            }
            FailureClass::Permission => Self::new(502, "provider_error", message).with_code("provider_permission"),
            FailureClass::Billing => Self::new(502, "provider_error", message).with_code("provider_billing"),
            FailureClass::Timeout => Self::new(504, "provider_error", message).with_code("provider_timeout"),
            FailureClass::RateLimit => Self {
                code: code.or(Some("rate_limit_exceeded".into())),
                ..Self::new(429, "rate_limit_error", message).with_wait(retry_after.unwrap_or(DEFAULT_WAIT))
            },
            FailureClass::Busy => Self {
                code: code.or(Some("haia_busy".into())),
                ..Self::new(429, "rate_limit_error", message).with_wait(retry_after.unwrap_or(BUSY_WAIT))
            },
            FailureClass::Overloaded
            | FailureClass::ServerError
            | FailureClass::Unreachable
            | FailureClass::Truncated
            | FailureClass::ShuttingDown => Self::unavailable(message, retry_after),
            FailureClass::Internal => Self::internal(message),
        };
        refusal.param = param;
        refusal
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Failure::from(fault).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_row_of_the_table() {
        use FailureClass as C;
        let wait = Some(Duration::from_millis(2100));
        for (class, status, kind, code, retry_after) in [
            (C::InvalidRequest, 400, "invalid_request_error", None, None),
            (C::ContextLength, 400, "invalid_request_error", Some("context_length_exceeded"), None),
            (C::TooLarge, 400, "invalid_request_error", Some("request_too_large"), None),
            (C::NotFound, 404, "invalid_request_error", Some("model_not_found"), None),
            (C::Authentication, 502, "provider_error", Some("provider_authentication"), None),
            (C::Permission, 502, "provider_error", Some("provider_permission"), None),
            (C::Billing, 502, "provider_error", Some("provider_billing"), None),
            (C::Timeout, 504, "provider_error", Some("provider_timeout"), None),
            (C::RateLimit, 429, "rate_limit_error", Some("rate_limit_exceeded"), Some(3)),
            (C::Busy, 429, "rate_limit_error", Some("haia_busy"), Some(3)),
            (C::Overloaded, 503, "provider_error", Some("provider_unavailable"), Some(3)),
            (C::ServerError, 503, "provider_error", Some("provider_unavailable"), Some(3)),
            (C::Unreachable, 503, "provider_error", Some("provider_unavailable"), Some(3)),
            (C::Truncated, 503, "provider_error", Some("provider_unavailable"), Some(3)),
            (C::ShuttingDown, 503, "provider_error", Some("provider_unavailable"), Some(3)),
            (C::Internal, 500, "internal_error", Some("internal_error"), None),
        ] {
            let refusal = Refusal::from(Failure::new(class, "why").with_retry_after(wait));
            assert_eq!(refusal.status, status, "{class:?}");
            assert_eq!(refusal.kind, kind, "{class:?}");
            assert_eq!(refusal.code.as_deref(), code, "{class:?}");
            assert_eq!(refusal.retry_after, retry_after, "{class:?}");
        }
    }

    #[test]
    fn a_missing_wait_is_still_told() {
        for (class, seconds) in [(FailureClass::RateLimit, 5), (FailureClass::Busy, 1), (FailureClass::Unreachable, 5)]
        {
            assert_eq!(Refusal::from(Failure::new(class, "x")).retry_after, Some(seconds), "{class:?}");
        }
        let at_once = Failure::new(FailureClass::RateLimit, "x").with_retry_after(Some(Duration::ZERO));
        assert_eq!(Refusal::from(at_once).retry_after, Some(1));
    }

    #[test]
    fn a_codes_own_word_wins_where_the_table_leaves_it_open() {
        let refusal = Refusal::from(Failure::invalid("n", "no").with_code("unsupported_value"));
        assert_eq!(
            refusal.json(),
            r#"{"error":{"message":"no","type":"invalid_request_error","param":"n","code":"unsupported_value"}}"#
        );
        let refusal = Refusal::from(Failure::new(FailureClass::Timeout, "late").with_code("whatever"));
        assert_eq!(refusal.code.as_deref(), Some("provider_timeout"));
    }

    #[test]
    fn people_are_told_which_provider_failed() {
        let failure = Failure::new(FailureClass::Authentication, "the provider refuses the API key");
        let refusal = Refusal::from(failure.from_provider("groq".into()));
        assert_eq!(refusal.message, "groq: the provider refuses the API key");
    }

    #[test]
    fn nulls_are_printed() {
        assert_eq!(
            Refusal::unauthenticated("who?").json(),
            r#"{"error":{"message":"who?","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
        );
    }
}
