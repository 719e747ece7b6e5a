//! Which of the protocol's two eras a request belongs to, and whether its headers say the same as its body. Pure.
//!
//! Up to 2025-11-25 a client opens a session with `initialize`. Since 2026-07-28 there are none: each request tells its version and the
//! client's abilities in `_meta`, and headers repeat what routers look at.

use super::error::{HEADER_MISMATCH, INVALID_REQUEST, RpcError, UNSUPPORTED_VERSION};
use super::message::Request;
use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

/// The first version without sessions.
pub(crate) const MODERN: &str = "2026-07-28";
/// The versions with sessions, the newest first.
pub(crate) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The header with the protocol version.
pub(crate) const VERSION_HEADER: &str = "mcp-protocol-version";
/// The header with the session's id.
pub(crate) const SESSION_HEADER: &str = "mcp-session-id";
const METHOD_HEADER: &str = "mcp-method";
const NAME_HEADER: &str = "mcp-name";

/// Every version, the newest first.
pub(crate) fn versions() -> impl Iterator<Item = &'static str> {
    std::iter::once(MODERN).chain(LEGACY)
}

/// The era of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// With sessions.
    Legacy,
    /// Without: 2026-07-28.
    Modern,
}

/// The one value of a header as text; `Err` where it is no text or there are two.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, RpcError> {
    let mut values = headers.get_all(name);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).map(str::trim);
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(mismatch(format!("the header {name} must be there once, in plain characters"))),
    }
}

/// Whether the headers alone speak of the era without sessions: for requests without a body.
pub(crate) fn is_modern_head(headers: &HeaderMap) -> bool {
    header(headers, VERSION_HEADER).ok().flatten().is_some_and(|version| version >= MODERN)
}

/// The era of a request, after its version and headers were checked.
///
/// # Errors
/// The version is not spoken here, `_meta` lacks what it must have, or a header contradicts the body.
pub(crate) fn judge(request: &Request, headers: &HeaderMap) -> Result<Era, RpcError> {
    let told = header(headers, VERSION_HEADER)?;
    let inline = request.meta.version();
    // The handshake is only in the older era; what names its version is one, whatever the header says.
    let is_handshake = request.method == "initialize" && inline.is_none() && request.text("protocolVersion").is_some();
    let is_modern = !is_handshake
        && (request.meta.version.is_some()
            || request.method == "server/discover"
            || told.is_some_and(|version| version >= MODERN));
    if !is_modern {
        return match told {
            Some(version) if !is_handshake && !LEGACY.contains(&version) => {
                let message = format!("the protocol version {} is not spoken here", shown(version));
                Err(RpcError::new(INVALID_REQUEST, message).with_status(400))
            }
            _ => Ok(Era::Legacy),
        };
    }
    let Some(version) = inline else {
        return Err(lacking("io.modelcontextprotocol/protocolVersion"));
    };
    if !request.meta.capabilities.as_ref().is_some_and(serde_json::Value::is_object) {
        return Err(lacking("io.modelcontextprotocol/clientCapabilities"));
    }
    match told {
        None => return Err(mismatch("the header MCP-Protocol-Version is missing")),
        Some(told) if told != version => {
            let message =
                format!("the header MCP-Protocol-Version says {}, _meta says {}", shown(told), shown(version));
            return Err(mismatch(message));
        }
        Some(_) => {}
    }
    if !versions().any(|known| known == version) {
        let data = json!({ "requested": version, "supported": versions().collect::<Vec<_>>() });
        let message = format!("the protocol version {} is not spoken here", shown(version));
        return Err(RpcError::new(UNSUPPORTED_VERSION, message).with_data(data).with_status(400));
    }
    if version >= MODERN {
        check_routing(request, headers)?;
    }
    Ok(Era::Modern)
}

/// Whether `Mcp-Method` and `Mcp-Name` say what the body says: routers on the way believe them.
fn check_routing(request: &Request, headers: &HeaderMap) -> Result<(), RpcError> {
    match header(headers, METHOD_HEADER)? {
        None => return Err(mismatch("the header Mcp-Method is missing")),
        Some(method) if method != request.method => {
            return Err(mismatch(format!("the header Mcp-Method says {}, the body another method", shown(method))));
        }
        Some(_) => {}
    }
    let member = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let Some(named) = request.text(member) else { return Ok(()) };
    match header(headers, NAME_HEADER)?.map(decoded) {
        None => Err(mismatch("the header Mcp-Name is missing")),
        Some(Some(name)) if name == named => Ok(()),
        Some(_) => Err(mismatch(format!("the header Mcp-Name says something else than params.{member}"))),
    }
}

/// A header's value as it was meant: what cannot stand in a header comes as `=?base64?…?=`. `None` if that is no base64.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(inner) => String::from_utf8(BASE64_STANDARD.decode(inner).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn mismatch(message: impl Into<std::borrow::Cow<'static, str>>) -> RpcError {
    RpcError::new(HEADER_MISMATCH, message).with_status(400)
}

fn lacking(member: &str) -> RpcError {
    RpcError::params(format!("params._meta lacks {member}")).with_status(400)
}

/// What a client wrote, for a sentence.
fn shown(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn judged(body: &str, pairs: &[(&str, &str)]) -> Result<Era, (i32, u16)> {
        let Ok(Message::Request(request)) = Message::read(body.as_bytes()) else { panic!("no request: {body}") };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        judge(&request, &headers).map_err(|error| (error.code, error.status))
    }

    fn request(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
    }

    #[test]
    fn the_era_is_told_by_body_and_header() {
        let modern = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")];
        for (body, headers, era) in [
            (request("initialize", r#""protocolVersion":"2025-11-25""#), &[][..], Ok(Era::Legacy)),
            (
                request("initialize", r#""protocolVersion":"2026-07-28""#),
                &[("mcp-protocol-version", MODERN)],
                Ok(Era::Legacy),
            ),
            (request("tools/list", ""), &[("mcp-protocol-version", "2025-06-18")], Ok(Era::Legacy)),
            (request("tools/list", ""), &[], Ok(Era::Legacy)),
            (request("tools/list", ""), &[("mcp-protocol-version", "1999-01-01")], Err((INVALID_REQUEST, 400))),
            (request("tools/list", META), &modern, Ok(Era::Modern)),
            (request("tools/list", ""), &modern, Err((-32602, 400))),
            (request("server/discover", ""), &[], Err((-32602, 400))),
            (request("tools/list", META), &modern[..1], Err((HEADER_MISMATCH, 400))),
            (request("tools/list", META), &[], Err((HEADER_MISMATCH, 400))),
            (
                request("tools/list", META),
                &[("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/list")],
                Err((HEADER_MISMATCH, 400)),
            ),
            (
                request("tools/list", META),
                &[("mcp-protocol-version", MODERN), ("mcp-method", "TOOLS/LIST")],
                Err((HEADER_MISMATCH, 400)),
            ),
            (
                request("tools/list", &META.replace(MODERN, "v999")),
                &[("mcp-protocol-version", "v999")],
                Err((UNSUPPORTED_VERSION, 400)),
            ),
        ] {
            assert_eq!(judged(&body, headers), era, "{body} {headers:?}");
        }
    }

    #[test]
    fn a_name_in_a_header_must_be_the_bodys() {
        let body = request("tools/call", &format!(r#""name":"ä b",{META}"#));
        let with = |name: &[&str]| {
            let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", "tools/call")];
            headers.extend(name.iter().map(|name| ("mcp-name", *name)));
            judged(&body, &headers)
        };
        assert_eq!(with(&["=?base64?w6QgYg==?="]), Ok(Era::Modern));
        for wrong in [&["=?base64?w6QgYg?="][..], &["=?base64?!?="], &["other"], &[], &["=?base64?w6QgYg==?=", "other"]]
        {
            assert_eq!(with(wrong), Err((HEADER_MISMATCH, 400)), "{wrong:?}");
        }
    }
}
