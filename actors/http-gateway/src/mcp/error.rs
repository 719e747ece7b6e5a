//! What goes wrong with a JSON-RPC request: the code, the words, and the HTTP status that goes with it.

use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// The body is not JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// It is no JSON-RPC message, or not one that may come now.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// There is no such method.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters are wrong.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// HAIA failed inside.
pub(crate) const INTERNAL_ERROR: i32 = -32603;
/// HAIA's own limits, a cancelled request.
pub(crate) const SERVER_ERROR: i32 = -32000;
/// There is no such resource; since 2026-07-28 it is [`INVALID_PARAMS`].
pub(crate) const RESOURCE_NOT_FOUND: i32 = -32002;
/// A header says something else than the body (2026-07-28).
pub(crate) const HEADER_MISMATCH: i32 = -32020;
/// The protocol version is not spoken here (2026-07-28).
pub(crate) const UNSUPPORTED_VERSION: i32 = -32022;

/// A failed request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RpcError {
    /// The code.
    pub(crate) code: i32,
    /// One sentence; no secret.
    pub(crate) message: Cow<'static, str>,
    /// More for programs.
    pub(crate) data: Option<Value>,
    /// The HTTP status, where the answer is nothing but this error.
    pub(crate) status: u16,
}

impl RpcError {
    pub(crate) fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None, status: 200 }
    }

    /// The parameters are wrong.
    pub(crate) fn params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// There is no such method; clients of 2026-07-28 look for it in the HTTP status too.
    pub(crate) fn method(name: &str, is_modern: bool) -> Self {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let error = Self::new(METHOD_NOT_FOUND, format!("there is no method {shown:?} here"));
        if is_modern { error.with_status(404) } else { error }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The message to the client. `id` is the request's own, as it came; `null` where there is none.
    pub(crate) fn print(&self, id: &str) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            code: i32,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'a Value>,
        }
        let wire = Wire { code: self.code, message: &self.message, data: self.data.as_ref() };
        // Numbers, strings and values always print.
        let error = serde_json::to_string(&wire).unwrap_or_default();
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
    }
}
