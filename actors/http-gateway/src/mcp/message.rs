//! Reads one JSON-RPC message. Pure; what a client writes into it is kept as it came and judged where it is used.

use super::error::{INVALID_REQUEST, PARSE_ERROR, RpcError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// The longest id, in bytes of JSON: it is kept while its request runs, and sent back.
const ID_BYTES: usize = 256;
/// The largest message.
const MESSAGE_BYTES: usize = 4 << 20;

/// A message of a client.
#[derive(Debug)]
pub(crate) enum Message {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notification(Request),
    /// An answer to a question of an attached server, or to something that nobody asked.
    Answer(Answer),
}

/// An answer of a client.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The id of what it answers, as it came; empty where it has none.
    pub(crate) id: String,
    /// The answer; `None`: a refusal.
    pub(crate) result: Option<Box<RawValue>>,
}

/// A request or notification.
#[derive(Debug)]
pub(crate) struct Request {
    /// The id as JSON; `null` for a notification.
    pub(crate) id: String,
    /// The method.
    pub(crate) method: String,
    /// The parameters.
    params: Option<Box<RawValue>>,
    /// What it says of itself.
    pub(crate) meta: Meta,
}

/// `params._meta`, as far as HAIA looks at it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Meta {
    /// The protocol version of this one request (2026-07-28).
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub(crate) version: Option<Value>,
    /// What the client can do (2026-07-28).
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(crate) capabilities: Option<Value>,
    /// The least level of log messages that it wants to hear of this request (2026-07-28).
    #[serde(rename = "io.modelcontextprotocol/logLevel")]
    pub(crate) log_level: Option<Value>,
    /// The token by which the client knows notifications of progress.
    #[serde(rename = "progressToken")]
    pub(crate) progress_token: Option<Value>,
}

impl Meta {
    /// The protocol version, if it is a text.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_ref().and_then(Value::as_str)
    }

    /// The progress token as JSON, if it is a text or a number.
    pub(crate) fn progress_token(&self) -> Option<String> {
        let token = self.progress_token.as_ref().filter(|token| token.is_string() || token.is_number())?;
        Some(token.to_string()).filter(|token| token.len() <= ID_BYTES)
    }
}

#[derive(Deserialize)]
struct Wire {
    jsonrpc: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: Option<Value>,
    params: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

/// A member that is there: `null` is not the same as none.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[derive(Default, Deserialize)]
struct WithMeta {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// It is no JSON, no JSON-RPC, or a batch, which the protocol has given up.
    pub(crate) fn read(body: &[u8]) -> Result<Self, RpcError> {
        let refuse = |code, said: String| RpcError::new(code, said).with_status(400);
        if body.len() > MESSAGE_BYTES {
            return Err(RpcError::new(INVALID_REQUEST, "the message is larger than 4 MiB").with_status(413));
        }
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(refuse(INVALID_REQUEST, "send one message at a time: batches are not taken".to_owned()));
        }
        let wire: Wire = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                refuse(INVALID_REQUEST, format!("this is no JSON-RPC message: {error}"))
            }
            _ => refuse(PARSE_ERROR, format!("the body is no JSON: {error}")),
        })?;
        if wire.jsonrpc.as_ref().and_then(Value::as_str) != Some("2.0") {
            return Err(refuse(INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"".to_owned()));
        }
        let Some(method) = wire.method else {
            if wire.result.is_some() || wire.error.is_some() {
                let id = wire.id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                return Ok(Self::Answer(Answer { id, result: wire.result }));
            }
            return Err(refuse(INVALID_REQUEST, "\"method\" is missing".to_owned()));
        };
        let Value::String(method) = method else {
            return Err(refuse(INVALID_REQUEST, "\"method\" must be a string".to_owned()));
        };
        let params = wire.params.filter(|params| params.get() != "null");
        let shape = params.as_deref().map_or("{}", RawValue::get);
        let is_object = shape.starts_with('{');
        let told =
            if is_object { serde_json::from_str::<WithMeta>(shape).unwrap_or_default() } else { WithMeta::default() };
        let request = |id: String| Request { id, method, params, meta: told.meta.unwrap_or_default() };
        match wire.id {
            None => Ok(Self::Notification(request("null".to_owned()))),
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => {
                let id = id.to_string();
                if id.len() > ID_BYTES {
                    return Err(refuse(INVALID_REQUEST, "\"id\" is too long".to_owned()));
                }
                if !is_object {
                    return Err(RpcError {
                        data: None,
                        ..refuse(INVALID_REQUEST, "\"params\" must be an object".to_owned())
                    });
                }
                Ok(Self::Request(request(id)))
            }
            Some(_) => Err(refuse(INVALID_REQUEST, "\"id\" must be a string or a whole number".to_owned())),
        }
    }
}

impl Request {
    /// The parameters, for a method that has some.
    ///
    /// # Errors
    /// They are wrong; the sentence says where.
    pub(crate) fn params<T: DeserializeOwned>(&self) -> Result<T, RpcError> {
        let params = self.params.as_deref().map_or("{}", RawValue::get);
        serde_json::from_str(params).map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            RpcError::params(format!("the parameters of {} are wrong: {said}", self.method))
        })
    }

    /// The parameters as they came, without `_meta` and without what belongs to the rounds of questions.
    pub(crate) fn plain_params(&self) -> serde_json::Map<String, Value> {
        let params = self.params.as_deref().and_then(|params| serde_json::from_str(params.get()).ok());
        let mut params: serde_json::Map<String, Value> = params.unwrap_or_default();
        for member in ["_meta", "inputResponses", "requestState"] {
            params.remove(member);
        }
        params
    }

    /// A member of the parameters that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let params: serde_json::Map<String, Value> = serde_json::from_str(self.params.as_deref()?.get()).ok()?;
        params.get(name)?.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_notifications_are_told_apart() {
        let read = |text: &str| Message::read(text.as_bytes()).expect(text);
        match read(r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping","params":{"_meta":{"progressToken":7}}}"#) {
            Message::Request(request) => {
                assert_eq!((request.id.as_str(), request.method.as_str()), (r#""a\"b""#, "ping"));
                assert_eq!(request.meta.progress_token().as_deref(), Some("7"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), Message::Notification(_)));
        assert!(matches!(read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Message::Answer(_)));
    }

    #[test]
    fn what_is_no_message_is_told() {
        for (text, code) in [
            ("", PARSE_ERROR),
            ("{", PARSE_ERROR),
            ("7", INVALID_REQUEST),
            ("[]", INVALID_REQUEST),
            ("{}", INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":2}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, INVALID_REQUEST),
        ] {
            let error = Message::read(text.as_bytes()).expect_err(text);
            assert_eq!((error.code, error.status), (code, 400), "{text}: {error:?}");
        }
    }

    #[test]
    fn wrong_parameters_are_named() {
        #[derive(Debug, Deserialize)]
        struct Params {
            #[serde(rename = "name")]
            _name: String,
        }
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#;
        let Ok(Message::Request(request)) = Message::read(body) else { panic!("a request") };
        let error = request.params::<Params>().expect_err("wrong");
        assert!(error.message.contains("tools/call") && error.message.contains("expected a string"), "{error:?}");
    }
}
