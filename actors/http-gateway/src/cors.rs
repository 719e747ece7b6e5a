//! Web pages of other origins: which may call, and what their browsers must be told.
//!
//! The headers stand on every answer, errors too: without them a page cannot even read why it was refused.

use crate::auth::Known;
use crate::hosts::same_origin;
use crate::openai::error::Refusal;
use crate::published::Published;
use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
/// What pages may read beside the plain headers.
const EXPOSED: &str = "x-request-id, retry-after, x-haia-notice";
/// How long a browser may keep a preflight's answer, in seconds: a changed configuration shows after that.
const MAX_AGE: &str = "600";

/// Whether pages of `origin` may read answers: it is configured, itself or by `*`.
fn is_configured(published: &Published, origin: &str) -> bool {
    published.any_origin || published.origins.contains(&origin.to_ascii_lowercase())
}

/// Refuses a request that a foreign web page sends. `*` opens HAIA to pages that have a key, and to no others: any page in the
/// world could otherwise use a HAIA that has no keys.
pub(crate) fn check_origin(
    published: &Published,
    origin: Option<&str>,
    host: Option<&str>,
    known: Option<&Known>,
) -> Result<(), Refusal> {
    let Some(origin) = origin else { return Ok(()) };
    let by_key = known.is_some_and(|known| known.by_key);
    let listed = published.origins.contains(&origin.to_ascii_lowercase());
    // Who is not known at all is refused for that reason, which tells a person more.
    let by_star = published.any_origin && (by_key || known.is_none());
    let own_page = same_origin(origin, host) && (by_key || published.hosts.trusts(host));
    if listed || by_star || own_page {
        return Ok(());
    }
    Err(Refusal::forbidden("web pages of this origin may not call HAIA: add it to [server] cors_origins"))
}

/// Whether a request is a browser's question before the real request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight. It carries no key, so it is answered for every configured origin.
pub(crate) fn preflight(published: &Published, headers: &HeaderMap) -> Result<HttpResponse, Refusal> {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if !origin.is_some_and(|origin| is_configured(published, origin)) {
        return Err(Refusal::forbidden("web pages of this origin may not call HAIA: add it to [server] cors_origins"));
    }
    let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
    // Echoed, since SDKs send headers of their own (x-stainless-*) and `*` does not cover Authorization.
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = asked.unwrap_or(HeaderValue::from_static("authorization, content-type"));
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    if headers.contains_key(REQUEST_PRIVATE_NETWORK) {
        answer.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    answer.insert(
        header::VARY,
        HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    );
    Ok(response)
}

/// Adds to an answer what the page's browser must know.
pub(crate) fn decorate(published: &Published, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
    let Some(origin) = origin else { return };
    if !answer.contains_key(header::VARY) {
        answer.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    if origin.to_str().is_ok_and(|origin| is_configured(published, origin)) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::published::Shared;
    use contract::caller::{Caller, Origin, Scope};

    fn allowed(origins: &[&str], origin: &str, host: &str, known: Option<bool>) -> bool {
        let config =
            Config { cors_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(), ..Config::default() };
        let shared = Shared::new(config, "127.0.0.1:8000".parse().expect("address"), None);
        let known = known.map(|by_key| Known {
            caller: Caller { name: "x".into(), scope: Scope::Control, origin: Origin::Chat },
            by_key,
        });
        check_origin(&shared.now(), Some(origin), Some(host), known.as_ref()).is_ok()
    }

    #[test]
    fn foreign_pages_are_refused_and_configured_ones_are_not() {
        let (listed, keyless, keyed) = (["http://localhost:3000"], Some(false), Some(true));
        assert!(allowed(&listed, "http://localhost:3000", "localhost:8000", keyless));
        assert!(allowed(&listed, "HTTP://LOCALHOST:3000", "localhost:8000", keyless));
        assert!(allowed(&listed, "http://localhost:8000", "localhost:8000", keyless), "HAIA's own page");
        assert!(!allowed(&listed, "http://evil.example", "localhost:8000", keyless));
        assert!(!allowed(&listed, "http://evil.example", "localhost:8000", keyed));
        assert!(!allowed(&listed, "null", "localhost:8000", keyless));
        assert!(!allowed(&listed, "http://evil.example:8000", "evil.example:8000", keyless), "a rebound name");
        assert!(allowed(&listed, "https://haia.example", "haia.example", keyed), "HAIA's own page behind a proxy");
    }

    #[test]
    fn a_star_is_for_pages_with_a_key() {
        assert!(allowed(&["*"], "http://any.example", "localhost:8000", Some(true)));
        assert!(!allowed(&["*"], "http://any.example", "localhost:8000", Some(false)));
        assert!(allowed(&["*"], "http://any.example", "localhost:8000", None), "401 says more than 403");
    }
}
