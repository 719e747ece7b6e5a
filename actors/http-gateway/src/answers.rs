//! Answers as HTTP responses: JSON, pages, refusals.

use crate::access_log::Access;
use crate::anthropic;
use crate::openai::error::Refusal;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use serde::Serialize;

/// 200 with JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<HttpResponse, Refusal> {
    json_with(StatusCode::OK, value)
}

/// JSON with another status.
pub(crate) fn json_with(status: StatusCode, value: &impl Serialize) -> Result<HttpResponse, Refusal> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Refusal::internal(format!("the answer could not be printed: {error}")))?;
    Ok(bytes(status, "application/json", body.into()))
}

/// A provider's own body, with the content type that it told.
pub(crate) fn told(content_type: &str, body: Bytes) -> HttpResponse {
    let mut response = bytes(StatusCode::OK, "application/octet-stream", body);
    if let Ok(kind) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Any body.
pub(crate) fn bytes(status: StatusCode, kind: &'static str, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::with_body(status, body).map_into_boxed_body();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A refusal, noted in the log when it is HAIA's or a provider's fault.
pub(crate) fn refusal(refusal: &Refusal, access: &Access) -> HttpResponse {
    if refusal.status >= 500 {
        tracing::warn!(
            request_id = access.request_id.as_str(),
            status = refusal.status,
            code = refusal.code.as_deref(),
            reason = %refusal.message,
            "a request failed"
        );
    }
    if access.anthropic.get() {
        return with_body(refusal, anthropic::error::json(refusal));
    }
    refusal_response(refusal)
}

/// A refusal as a response.
pub(crate) fn refusal_response(refusal: &Refusal) -> HttpResponse {
    with_body(refusal, refusal.json())
}

fn with_body(refusal: &Refusal, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(status, "application/json", body.into());
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
