//! An answer that sends its caller elsewhere. HAIA does not follow it: the key would go to whoever is named there.
//!
//! It tells the operator where to, and never more of that address than its host and its path.

use super::ErrorAnswer;
use crate::formats::wording::readable;
use contract::failure::{Failure, FailureClass};

/// The code of such a failure.
pub const REDIRECTED: &str = "provider_redirected";
/// The most characters of the address that are told.
const MAX_ADDRESS: usize = 200;

/// What an answer with a status from 300 to 399 means: the configured address is not the provider's own. As with a path that the provider does
/// not know, asking again is of no use, and it is no sign of trouble there.
pub fn failure(answer: &ErrorAnswer<'_>) -> Failure {
    let location = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let address = location.and_then(|(_, value)| std::str::from_utf8(value).ok()).and_then(address);
    let status = answer.status;
    let message = match address {
        Some(address) => format!(
            "the provider's base_url is redirected (HTTP {status}) to {address}: write the address where it really is as base_url"
        ),
        None => format!(
            "the provider's base_url is redirected (HTTP {status}), and the answer does not say where to: check base_url"
        ),
    };
    Failure::new(FailureClass::NotFound, message).with_code(REDIRECTED)
}

/// Host and path of a `Location`, or the path alone where it names no host. The scheme stays: often it is all that differs. Names, passwords,
/// queries and marks do not.
fn address(location: &str) -> Option<String> {
    let location = location.trim();
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match location.split_once("//") {
        Some((scheme @ ("" | "http:" | "https:"), rest)) => (scheme, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https:") => ("https:", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http:") => ("http:", rest),
        _ if location.starts_with('/') => return shown(location),
        _ => return None,
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() {
        return None;
    }
    let slashes = if scheme.is_empty() { "" } else { "//" };
    shown(&format!("{scheme}{slashes}{host}{path}"))
}

fn shown(address: &str) -> Option<String> {
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic()) && address.len() <= MAX_ADDRESS;
    // Part by part: a key in one of them does not hide the others.
    let parts = address.split('/').map(|part| if part.is_empty() { Some(String::new()) } else { readable(part) });
    let parts: Option<Vec<String>> = parts.collect();
    parts.map(|parts| parts.join("/")).filter(|_| is_plain)
}
