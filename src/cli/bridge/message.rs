//! What a client's line is, as far as the bridge must know to pass it on. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// A message of the client.
pub enum Told {
    /// A request.
    Request(Request),
    /// A notification, or an answer: nothing comes back.
    Other {
        /// Its method; empty for an answer.
        method: String,
        /// Its protocol version, if it tells one.
        version: Option<String>,
    },
    /// The client does not want the answer to the request with this id any more.
    Cancel(String),
    /// Not JSON at all.
    Broken,
}

/// A request.
pub struct Request {
    /// Its id as JSON.
    pub id: String,
    /// Its method.
    pub method: String,
    /// The protocol version that it tells by itself: then it belongs to the era without sessions.
    pub version: Option<String>,
    /// What it is about: a tool, a prompt, an address.
    pub name: Option<String>,
}

impl Told {
    /// The id of a request.
    pub fn id(&self) -> Option<&str> {
        match self {
            Told::Request(request) => Some(&request.id),
            _ => None,
        }
    }

    /// Whether it is answered only when everything ends.
    pub fn listens(&self) -> bool {
        matches!(self, Told::Request(request) if request.method == "subscriptions/listen")
    }
}

/// Reads a line.
pub fn read(line: &str) -> Told {
    let Ok(message) = serde_json::from_str::<Value>(line) else { return Told::Broken };
    let (params, text) = (&message["params"], |value: &Value| value.as_str().map(str::to_owned));
    let method = text(&message["method"]).unwrap_or_default();
    let version = text(&params["_meta"]["io.modelcontextprotocol/protocolVersion"]);
    if method == "notifications/cancelled" {
        return Told::Cancel(params["requestId"].to_string());
    }
    match &message["id"] {
        id if !method.is_empty() && !id.is_null() => {
            let name = text(&params["name"]).or_else(|| text(&params["uri"]));
            Told::Request(Request { id: id.to_string(), method, version, name })
        }
        _ => Told::Other { method, version },
    }
}

/// The headers that say what the body says, for the era in which the way looks at them.
pub fn routing(request: &Request) -> String {
    let mut headers = format!("Mcp-Method: {}\r\n", value(&request.method));
    if let Some(name) = &request.name {
        headers.push_str(&format!("Mcp-Name: {}\r\n", value(name)));
    }
    headers
}

/// A text that may stand in a header; what may not is wrapped.
pub fn value(text: &str) -> String {
    let is_plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with("=?base64?");
    if is_plain { text.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(text)) }
}

/// An error for the client.
pub fn error(id: &str, said: &str) -> String {
    let id: Value = serde_json::from_str(id).unwrap_or_default();
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": said } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let request = read(r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x y"}}"#);
        match &request {
            Told::Request(request) => {
                assert_eq!((request.id.as_str(), request.name.as_deref()), (r#""a""#, Some("x y")));
                assert_eq!(routing(request), "Mcp-Method: tools/call\r\nMcp-Name: =?base64?eCB5?=\r\n");
            }
            _ => panic!("a request"),
        }
        assert!(
            matches!(read(r#"{"method":"notifications/cancelled","params":{"requestId":"a"}}"#), Told::Cancel(id) if id == r#""a""#)
        );
        assert!(matches!(read(r#"{"method":"notifications/initialized"}"#), Told::Other { .. }));
        assert!(matches!(read(r#"{"id":1,"result":{}}"#), Told::Other { method, .. } if method.is_empty()));
        assert!(matches!(read("{"), Told::Broken));
    }

    #[test]
    fn nothing_breaks_out_of_a_header() {
        for odd in ["a\r\nX: y", "ä", "", "=?base64?x?="] {
            let told = value(odd);
            assert!(
                told.starts_with("=?base64?") && told.is_ascii() && !told.contains(['\r', '\n']),
                "{odd:?}: {told}"
            );
        }
    }
}
