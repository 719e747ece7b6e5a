//! OpenAI's first form of tools (`functions`, `function_call`, messages of the role `function`), read as the newer one.
//!
//! It knew no ids: a call gets one from its place in the conversation, so that each later round makes the same ones. A client's own bytes
//! that go on as they came are not changed.

use super::message::{Message, Role, ToolCall};
use super::tooling::{ToolChoice, ToolSpec};
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The id of a call in the first form until its place is known.
pub(super) const NO_ID: &str = "function_call";

/// A function that the model may call.
#[derive(Deserialize)]
#[serde(expecting = "a function with \"name\"")]
pub(super) struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
}

impl From<Function> for ToolSpec {
    fn from(function: Function) -> Self {
        let Function { name, description, parameters } = function;
        ToolSpec { name, description, parameters: parameters.map(Arc::from), strict: None }
    }
}

/// Whether and which function the model must call.
pub(super) struct Choice(pub(super) ToolChoice);

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Word(String),
            Named { name: String },
        }
        match Wire::deserialize(deserializer) {
            Ok(Wire::Named { name }) => Ok(Choice(ToolChoice::Named(name))),
            Ok(Wire::Word(word)) if word == "auto" => Ok(Choice(ToolChoice::Auto)),
            Ok(Wire::Word(word)) if word == "none" => Ok(Choice(ToolChoice::None)),
            _ => Err(serde::de::Error::custom("expected \"auto\", \"none\" or {\"name\": …}")),
        }
    }
}

/// Gives calls their ids, and results the ids of their calls: of the last one of that name, as the first form had it. A result without a
/// call stays what it is.
pub(super) fn number(messages: &mut [Message]) {
    let mut open: Option<(String, String)> = None;
    for (at, message) in messages.iter_mut().enumerate() {
        if let [call] = message.tool_calls.as_mut_slice()
            && call.id == NO_ID
        {
            call.id = format!("{NO_ID}_{at}");
            open = Some((call.function.name.clone(), call.id.clone()));
        } else if message.role == Role::Function
            && message.tool_call_id.is_none()
            && let Some((name, id)) = open.take_if(|(name, _)| message.name.as_ref().is_none_or(|told| told == name))
        {
            message.role = Role::Tool;
            message.name = Some(name);
            message.tool_call_id = Some(id);
        }
    }
}

/// A message's calls: in the newer form, or the one of the first form.
pub(super) fn calls(newer: Option<Vec<ToolCall>>, first: Option<super::message::FunctionCall>) -> Vec<ToolCall> {
    let newer = newer.unwrap_or_default();
    match first {
        Some(call) if newer.is_empty() => vec![ToolCall::new(NO_ID, call.name, call.arguments)],
        _ => newer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatRequest;
    use serde_json::{Value, json};

    fn parse(members: Value) -> Result<ChatRequest, crate::failure::Failure> {
        let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        for (name, value) in members.as_object().expect("an object") {
            request[name] = value.clone();
        }
        ChatRequest::parse(request.to_string().as_bytes())
    }

    #[test]
    fn functions_become_tools() {
        let functions =
            json!([{ "name": "f", "description": "d", "parameters": { "type": "object" } }, { "name": "g" }]);
        for (choice, read) in [
            (Value::Null, None),
            (json!("auto"), Some(ToolChoice::Auto)),
            (json!("none"), Some(ToolChoice::None)),
            (json!({ "name": "g" }), Some(ToolChoice::Named("g".to_owned()))),
        ] {
            let request = parse(json!({ "functions": functions, "function_call": choice })).expect("reads");
            let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
            assert_eq!((names, request.tool_choice), (vec!["f", "g"], read));
            let schema = request.tools[0].parameters.as_deref().map(RawValue::get);
            assert_eq!((request.tools[0].description.as_deref(), schema), (Some("d"), Some(r#"{"type":"object"}"#)));
            assert!(request.functions && request.extra.is_empty(), "{:?}", request.extra);
        }
        for empty in [json!({ "functions": [], "function_call": "auto" }), json!({ "functions": null })] {
            let request = parse(empty).expect("reads");
            assert!(!request.functions && request.tools.is_empty() && request.tool_choice.is_none());
        }
        let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
        for (wrong, param) in [
            (json!({ "functions": functions, "tools": tools }), "functions"),
            (json!({ "functions": {} }), "functions"),
            (json!({ "functions": [{}] }), "functions[0]"),
            (json!({ "functions": functions, "function_call": "maybe" }), "function_call"),
        ] {
            assert_eq!(parse(wrong).expect_err("wrong").param.as_deref(), Some(param));
        }
    }

    #[test]
    fn calls_and_results_get_ids_from_their_places() {
        let call = |name: &str| json!({ "role": "assistant", "content": null, "function_call": { "name": name, "arguments": "{\"a\":1}" } });
        let result = |name: &str| json!({ "role": "function", "name": name, "content": "r" });
        let messages = json!([
            { "role": "user", "content": "q" }, call("f"), result("f"), call("f"), result("f"), call("g"), result("other"),
            { "role": "assistant", "content": "x", "function_call": null },
        ]);
        let request = parse(json!({ "messages": messages })).expect("reads");
        let told: Vec<(Role, Option<&str>, Option<&str>)> = request
            .messages
            .iter()
            .map(|message| {
                let call = message.tool_calls.first().map(|call| call.id.as_str());
                (message.role, call, message.tool_call_id.as_deref())
            })
            .collect();
        use Role::{Assistant, Function, Tool, User};
        assert_eq!(
            told,
            [
                (User, None, None),
                (Assistant, Some("function_call_1"), None),
                (Tool, None, Some("function_call_1")),
                (Assistant, Some("function_call_3"), None),
                (Tool, None, Some("function_call_3")),
                (Assistant, Some("function_call_5"), None),
                (Function, None, None),
                (Assistant, None, None),
            ]
        );
        assert_eq!(request.messages[1].tool_calls[0].function.arguments, "{\"a\":1}");
    }
}
