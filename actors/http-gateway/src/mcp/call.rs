//! A tool's call on behalf of an MCP client, and its result as MCP writes it. It takes the one way that every call takes: the toolbox judges
//! it, keeps its deadline and writes its row of the audit trail; what needs a person's approval is answered with a proposal there.

use super::error::{INVALID_PARAMS, RpcError};
use super::methods::{Asked, Reply};
use super::passed;
use contract::message::Fault;
use contract::relay::CallForMcp;
use contract::tools::{CallTool, MAX_CALL, ToolResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// How long a call may take without a sign of progress.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The toolbox keeps the deadline itself, and puts it off while a tool shows progress; this is for one that cannot.
const GRACE: Duration = Duration::from_secs(2);
/// The most bytes of a result's text.
const RESULT_BYTES: usize = 256 << 10;

/// The parameters of `tools/call`.
#[derive(Deserialize)]
pub(crate) struct CallParams {
    /// The tool.
    pub(crate) name: String,
    /// Its arguments.
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

/// Calls a tool.
///
/// # Errors
/// There is no such tool, or an attached server refuses in the protocol's own form. Whatever else goes wrong is the call's result, so that a
/// model reads it.
pub(crate) async fn call(asked: &Asked, params: CallParams) -> Result<Reply, RpcError> {
    let is_known = asked.tool(&params.name).is_some();
    let arguments = params.arguments.map_or_else(String::new, |arguments| match arguments.get() {
        "null" => String::new(),
        text => text.to_owned(),
    });
    // The toolbox refuses what it does not know, in words that help, and notes it.
    let result = run(asked, &params.name, arguments).await;
    if let Some(told) = result.mcp.as_deref().and_then(|told| serde_json::from_str::<Passed>(told).ok()) {
        match told {
            Passed { error: Some(error), .. } => {
                return Err(passed::refused(asked.era, error.code, error.message, error.data));
            }
            Passed { kind: Some(kind), rest, .. } if kind == "input_required" => {
                let mut body = rest;
                body.insert("resultType".to_owned(), kind.into());
                return Ok(Reply::passed_on(body, None));
            }
            Passed { .. } => {}
        }
    }
    if !is_known && result.is_error {
        return Err(RpcError::new(INVALID_PARAMS, result.text));
    }
    Ok(Reply::new(printed(&result)))
}

/// What an attached server said that is no result yet.
#[derive(Deserialize)]
struct Passed {
    error: Option<PassedError>,
    #[serde(rename = "resultType")]
    kind: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct PassedError {
    code: i32,
    message: String,
    data: Option<Value>,
}

/// Calls a tool.
pub(crate) async fn run(asked: &Asked, name: &str, arguments: String) -> ToolResult {
    let message = CallTool {
        request_id: asked.access.request_id.clone(),
        caller: asked.caller.clone(),
        name: Arc::from(name),
        arguments,
        timeout: TIMEOUT,
    };
    let tools = &asked.thread.gateway.ports.tools;
    let patience = MAX_CALL.saturating_add(GRACE);
    let answer = match asked.from.clone().filter(|_| tools.own.load().get(name).is_none()) {
        Some(from) => tools.call_for_mcp.ask(CallForMcp { call: message, from }, patience).await,
        None => tools.call.ask(message, patience).await,
    };
    let mut result = match answer {
        Ok(Ok(result)) => result,
        Ok(Err(failure)) => ToolResult::error(failure.message),
        Err(Fault::Expired { .. }) => ToolResult::error("it did not answer in time"),
        Err(Fault::Panicked { .. }) => ToolResult::error("it crashed on this call"),
        Err(fault) => ToolResult::error(format!("it cannot be called now: {fault}")),
    };
    cut(&mut result.text);
    result
}

/// Cuts a text that is too long, between characters, and says so in it.
fn cut(text: &mut String) {
    if text.len() > RESULT_BYTES {
        let whole = text.len();
        let mut end = RESULT_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&format!("\n[HAIA cut this result: {end} of {whole} bytes are shown. Ask for less at once.]"));
    }
}

/// A result as MCP writes it.
fn printed(result: &ToolResult) -> String {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        #[serde(borrow, rename = "structuredContent")]
        structured: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct Block<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        text: &'a str,
    }
    #[derive(Serialize)]
    struct Wire<'a, C: Serialize> {
        content: C,
        #[serde(rename = "structuredContent", skip_serializing_if = "Option::is_none")]
        structured: Option<&'a RawValue>,
        #[serde(rename = "isError")]
        is_error: bool,
    }
    let told = result.mcp.as_deref().and_then(|told| serde_json::from_str::<Told<'_>>(told).ok());
    let printed = match told {
        Some(Told { content: Some(content), structured }) => {
            serde_json::to_string(&Wire { content, structured, is_error: result.is_error })
        }
        _ => {
            let content = [Block { kind: "text", text: &result.text }];
            serde_json::to_string(&Wire { content, structured: None, is_error: result.is_error })
        }
    };
    // Strings and JSON that was read before always print.
    printed.unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_keeps_what_is_more_than_text() {
        assert_eq!(printed(&ToolResult::ok("a\"b")), r#"{"content":[{"type":"text","text":"a\"b"}],"isError":false}"#);
        assert_eq!(printed(&ToolResult::error("no")), r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#);
        let mut result = ToolResult::ok("an image");
        result.mcp = Some(
            r#"{"content":[{"type":"image","data":"AA==","mimeType":"image/png"}],"structuredContent":{"a":1},"x":2}"#
                .into(),
        );
        let told = r#"{"content":[{"type":"image","data":"AA==","mimeType":"image/png"}],"structuredContent":{"a":1},"isError":false}"#;
        assert_eq!(printed(&result), told);
        result.mcp = Some("broken".into());
        assert!(printed(&result).contains("an image"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = "ä".repeat(RESULT_BYTES);
        cut(&mut text);
        assert!(text.len() < RESULT_BYTES + 200 && text.ends_with("Ask for less at once.]"));
        let mut short = "ä".to_owned();
        cut(&mut short);
        assert_eq!(short, "ä");
    }
}
