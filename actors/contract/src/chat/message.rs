//! One message of a conversation, with the tool calls in it, as OpenAI's format writes it.

use super::content::{Content, Part};
use super::event::OpaquePart;
use super::functions;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, by OpenAI's newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A tool's result in OpenAI's first form.
    Function,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::Function => "function",
        }
    }

    /// The role of that name.
    pub fn named(word: &str) -> Option<Self> {
        [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool, Role::Function]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// A tool call in an assistant's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that its result refers to; empty where there is none.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type", default = "function_kind", deserialize_with = "null_as_default")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// A function's name and arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The tool.
    pub name: String,
    /// The arguments as JSON text.
    #[serde(default, deserialize_with = "arguments_as_text")]
    pub arguments: String,
}

impl ToolCall {
    /// A call of `name`.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: function_kind(),
            function: FunctionCall { name: name.into(), arguments: arguments.into() },
        }
    }
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said; `None` for null or absent.
    pub content: Option<Content>,
    /// The calls an assistant made.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool's message answers.
    pub tool_call_id: Option<String>,
    /// A participant's or tool's name.
    pub name: Option<String>,
    /// Reasoning that a client sent back.
    pub reasoning_content: Option<String>,
    /// Provider parts of HAIA's own rounds; never read from or printed to OpenAI's format.
    pub opaque: Vec<OpaquePart>,
}

impl Message {
    /// A message with text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            reasoning_content: None,
            opaque: Vec::new(),
        }
    }

    /// A tool's result.
    pub fn tool_result(call: impl Into<String>, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tool_call_id: Some(call.into()), name: Some(name.into()), ..Self::text(Role::Tool, text) }
    }

    /// All text of the message, parts joined by line ends.
    pub fn plain_text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Text(text) | Part::Refusal(text) => Some(text.as_str()),
                        Part::Image { .. } | Part::Other { .. } => None,
                    })
                    .collect();
                texts.join("\n")
            }
        }
    }
}

fn function_kind() -> String {
    "function".to_owned()
}

fn null_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_else(function_kind))
}

/// Clients that got no id send back null.
fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// Arguments are JSON text; some clients send the object itself, some null.
fn arguments_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).map_err(serde::de::Error::custom),
        Some(b'n') => Ok(String::new()),
        _ => Ok(raw.get().to_owned()),
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object with \"role\" and \"content\"")]
        struct Wire {
            role: Role,
            content: Option<Content>,
            tool_calls: Option<Vec<ToolCall>>,
            function_call: Option<FunctionCall>,
            tool_call_id: Option<String>,
            name: Option<String>,
            reasoning_content: Option<String>,
            // The same by OpenRouter's name. Many servers tell both, and clients send back what they were told: an alias would refuse that.
            reasoning: Option<String>,
        }
        let wire = Wire::deserialize(deserializer)?;
        Ok(Message {
            role: wire.role,
            content: wire.content,
            tool_calls: functions::calls(wire.tool_calls, wire.function_call),
            tool_call_id: wire.tool_call_id,
            name: wire.name,
            reasoning_content: wire.reasoning_content.filter(|text| !text.is_empty()).or(wire.reasoning),
            opaque: Vec::new(),
        })
    }
}

impl Serialize for Message {
    /// OpenAI's shape. Provider parts and reasoning are left out: compatible servers refuse or ignore them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("content", &self.content)?;
        if let Some(name) = self.name.as_ref().filter(|_| self.role != Role::Tool) {
            map.serialize_entry("name", name)?;
        }
        if !self.tool_calls.is_empty() {
            map.serialize_entry("tool_calls", &self.tool_calls)?;
        }
        if let Some(id) = &self.tool_call_id {
            map.serialize_entry("tool_call_id", id)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_roles_word_is_what_json_says() {
        for word in ["system", "developer", "user", "assistant", "tool", "function"] {
            let role: Role = serde_json::from_value(json!(word)).expect("a role");
            assert_eq!((role.as_str(), Role::named(word)), (word, Some(role)));
        }
        assert_eq!(Role::named("king"), None);
    }

    #[test]
    fn a_calls_id_may_be_absent_or_null() {
        for (id, expected) in [(json!({}), ""), (json!({"id": null}), ""), (json!({"id": "c"}), "c")] {
            let mut call = json!({"type": "function", "function": {"name": "f", "arguments": "{}"}});
            if let (Value::Object(call), Value::Object(members)) = (&mut call, &id) {
                call.extend(members.clone());
            }
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]}).to_string();
            let read: Message = serde_json::from_str(&message).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(read.tool_calls, [ToolCall::new(expected, "f", "{}")], "{id}");
        }
        let odd = r#"{"role":"assistant","tool_calls":[{"id":5,"function":{"name":"f"}}]}"#;
        assert!(serde_json::from_str::<Message>(odd).is_err());
    }

    #[test]
    fn reasoning_is_read_under_either_name_and_under_both() {
        for (both, expected) in [
            (json!({"reasoning_content": "hm", "reasoning": "hm"}), Some("hm")),
            (json!({"reasoning_content": "hm", "reasoning": null}), Some("hm")),
            (json!({"reasoning_content": null, "reasoning": "so"}), Some("so")),
            (json!({"reasoning_content": "", "reasoning": "so"}), Some("so")),
            (json!({"reasoning_content": null, "reasoning": null}), None),
            (json!({"reasoning": "so"}), Some("so")),
            (json!({}), None),
        ] {
            let mut message = json!({"role": "assistant", "content": "x"});
            if let (Value::Object(message), Value::Object(members)) = (&mut message, &both) {
                message.extend(members.clone());
            }
            let read: Message =
                serde_json::from_str(&message.to_string()).unwrap_or_else(|error| panic!("{both}: {error}"));
            assert_eq!(read.reasoning_content.as_deref(), expected, "{both}");
        }
    }
}
