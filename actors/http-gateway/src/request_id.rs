//! The id that ties a request's access line, provider calls, tool calls and audit rows together.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use contract::ids::{Ids, RequestId};

/// The header, in requests and answers.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's own id if it sent a sane one, else a new one.
pub(crate) fn of(headers: &HeaderMap, ids: &dyn Ids) -> RequestId {
    headers
        .get(HEADER)
        .and_then(|id| id.to_str().ok())
        .and_then(RequestId::from_caller)
        .unwrap_or_else(|| RequestId::new(ids.unique()))
}

/// Puts the id onto an answer.
pub(crate) fn put(id: &RequestId, answer: &mut HeaderMap) {
    // Both ways to an id make only characters that a header may hold.
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        answer.insert(HEADER, value);
    }
}
