//! A chat request as clients send it: OpenAI's shape, read tolerantly, printed again for compatible servers.
//!
//! Unknown and null fields are accepted; unknown ones are kept, so that a compatible server still gets them. A field that is known and
//! wrong is a [`Failure`] that names it.

use super::event::OpaquePart;
use crate::failure::{Failure, FailureClass};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;

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

/// A message's content: text, or parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, pictures and other parts, in order.
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture: a `data:` or `http(s):` URL.
    Image {
        /// The URL.
        url: String,
        /// OpenAI's `detail`, if given.
        detail: Option<String>,
    },
    /// A refusal the model gave earlier.
    Refusal(String),
    /// Anything else (audio, files), as it came, with its `type`.
    Other {
        /// The part's `type`.
        kind: String,
        /// The whole part.
        json: Box<RawValue>,
    },
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Part::Text(a), Part::Text(b)) | (Part::Refusal(a), Part::Refusal(b)) => a == b,
            (Part::Image { url: a, detail: c }, Part::Image { url: b, detail: d }) => a == b && c == d,
            (Part::Other { kind: a, json: c }, Part::Other { kind: b, json: d }) => a == b && c.get() == d.get(),
            _ => false,
        }
    }
}

/// A tool call in an assistant's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that its result refers to.
    #[serde(default)]
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

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    /// The name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON schema of the arguments; `None`: no arguments.
    pub parameters: Option<Arc<RawValue>>,
    /// OpenAI's strict mode.
    pub strict: Option<bool>,
}

/// Whether and which tools the model must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// The form that the answer must have.
#[derive(Clone, Debug)]
pub enum ResponseFormat {
    /// Plain text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON after this schema; `raw` is the whole `json_schema` member.
    JsonSchema {
        /// The schema itself.
        schema: Option<Box<RawValue>>,
        /// The `json_schema` member as it came.
        raw: Box<RawValue>,
    },
}

/// How hard the model should think (`reasoning_effort`), in OpenAI's words: none, minimal, low, medium, high, xhigh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Effort(pub String);

/// A chat request.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// The model id that was asked for.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The caller's tools.
    pub tools: Vec<ToolSpec>,
    /// Which tools must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller wants a usage chunk at the end of a stream.
    pub include_usage: bool,
    /// The most tokens to write; `max_completion_tokens` wins over `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Whether the caller wrote `max_completion_tokens` (newer OpenAI models refuse the older name).
    pub max_tokens_is_completion: bool,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Stop sequences.
    pub stop: Vec<String>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// How hard to think.
    pub reasoning_effort: Option<Effort>,
    /// Every other field, as it came, in order: `seed`, `logprobs`, `service_tier`, `user`, …
    pub extra: Vec<(String, Box<RawValue>)>,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`FailureClass::InvalidRequest`] with `param` naming the field that is missing or wrong, or without it if the body is not JSON.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| {
            Failure::new(FailureClass::InvalidRequest, format!("the body is not a JSON object: {error}"))
        })?;
        let mut request = ChatRequest::default();
        let (mut model, mut messages) = (None, None);
        let (mut max_tokens, mut max_completion_tokens) = (None, None);
        for (name, raw) in fields.0 {
            if raw.get() == "null" {
                continue;
            }
            match name.as_str() {
                "model" => model = Some(field::<String>(&name, raw)?),
                "messages" => messages = Some(field::<Vec<Message>>(&name, raw)?),
                "tools" => request.tools = field::<Vec<ToolSpec>>(&name, raw)?,
                "tool_choice" => request.tool_choice = Some(field::<ToolChoice>(&name, raw)?),
                "parallel_tool_calls" => request.parallel_tool_calls = Some(field(&name, raw)?),
                "stream" => request.stream = field(&name, raw)?,
                "stream_options" => {
                    request.include_usage = field::<StreamOptions>(&name, raw)?.include_usage.unwrap_or(false);
                }
                "max_tokens" => max_tokens = Some(field::<u64>(&name, raw)?),
                "max_completion_tokens" => max_completion_tokens = Some(field::<u64>(&name, raw)?),
                "temperature" => request.temperature = Some(field(&name, raw)?),
                "top_p" => request.top_p = Some(field(&name, raw)?),
                "stop" => request.stop = field::<Stops>(&name, raw)?.0,
                "response_format" => request.response_format = Some(field(&name, raw)?),
                "reasoning_effort" => request.reasoning_effort = Some(field(&name, raw)?),
                _ => request.extra.push((name, raw.to_owned())),
            }
        }
        request.max_tokens_is_completion = max_completion_tokens.is_some();
        request.max_tokens = max_completion_tokens.or(max_tokens);
        request.model = model.ok_or_else(|| Failure::invalid("model", "the field \"model\" is missing"))?;
        request.messages = messages.ok_or_else(|| Failure::invalid("messages", "the field \"messages\" is missing"))?;
        if request.messages.is_empty() {
            return Err(Failure::invalid("messages", "\"messages\" is empty: at least one message is needed"));
        }
        Ok(request)
    }
}

fn field<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, Failure> {
    // The quick way first; only a refused field is read again with its path.
    serde_json::from_str(raw.get()).or_else(|_| {
        let mut json = serde_json::Deserializer::from_str(raw.get());
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let joint = if path == "." || path.starts_with('[') { "" } else { "." };
            let param = if path == "." { name.to_owned() } else { format!("{name}{joint}{path}") };
            let reason = error.inner().to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            let message = format!("\"{param}\" is wrong: {reason}");
            Failure::invalid(param, message)
        })
    })
}

/// The members of a JSON object, unread, in order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

struct Stops(Vec<String>);

impl<'de> Deserialize<'de> for Stops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Stops;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }
            fn visit_str<E>(self, text: &str) -> Result<Stops, E> {
                Ok(Stops(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stops, A::Error> {
                let mut stops = Vec::new();
                while let Some(stop) = seq.next_element()? {
                    stops.push(stop);
                }
                Ok(Stops(stops))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

fn function_kind() -> String {
    "function".to_owned()
}

fn null_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_else(function_kind))
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

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of parts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            text: Option<String>,
            refusal: Option<String>,
            image_url: Option<ImageUrl>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum ImageUrl {
            Object { url: String, detail: Option<String> },
            Bare(String),
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // A bare string in the array is text: some clients send it.
        if raw.get().starts_with('"') {
            return serde_json::from_str(raw.get()).map(Part::Text).map_err(D::Error::custom);
        }
        let wire: Wire = serde_json::from_str(raw.get())
            .map_err(|_| D::Error::custom("a part needs a \"type\" and the member that the type names"))?;
        match wire.kind.as_str() {
            "text" | "input_text" | "output_text" => {
                wire.text.map(Part::Text).ok_or_else(|| D::Error::custom("a text part needs \"text\""))
            }
            "refusal" => {
                wire.refusal.map(Part::Refusal).ok_or_else(|| D::Error::custom("a refusal part needs \"refusal\""))
            }
            "image_url" => match wire.image_url {
                Some(ImageUrl::Object { url, detail }) => Ok(Part::Image { url, detail }),
                Some(ImageUrl::Bare(url)) => Ok(Part::Image { url, detail: None }),
                None => Err(D::Error::custom("an image_url part needs \"image_url\": {\"url\": …}")),
            },
            _ => Ok(Part::Other { kind: wire.kind, json: raw }),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ImageUrl<'a> {
            url: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Part::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Part::Image { url, detail } => {
                map.serialize_entry("type", "image_url")?;
                map.serialize_entry("image_url", &ImageUrl { url, detail: detail.as_deref() })?;
            }
            Part::Refusal(text) => {
                map.serialize_entry("type", "refusal")?;
                map.serialize_entry("refusal", text)?;
            }
            Part::Other { json, .. } => {
                let members: std::collections::BTreeMap<String, &RawValue> =
                    serde_json::from_str(json.get()).map_err(serde::ser::Error::custom)?;
                for (name, value) in members {
                    map.serialize_entry(&name, value)?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Text(text) => text.serialize(serializer),
            Content::Parts(parts) => parts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            role: Role,
            content: Option<Content>,
            tool_calls: Option<Vec<ToolCall>>,
            tool_call_id: Option<String>,
            name: Option<String>,
            #[serde(alias = "reasoning")]
            reasoning_content: Option<String>,
        }
        let wire = Wire::deserialize(deserializer)?;
        Ok(Message {
            role: wire.role,
            content: wire.content,
            tool_calls: wire.tool_calls.unwrap_or_default(),
            tool_call_id: wire.tool_call_id,
            name: wire.name,
            reasoning_content: wire.reasoning_content,
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

#[derive(Serialize, Deserialize)]
struct WireTool {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    function: WireFunction,
}

#[derive(Serialize, Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'de> Deserialize<'de> for ToolSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let wire: WireTool = serde_json::from_str(raw.get()).map_err(|_| {
            serde::de::Error::custom("a tool needs {\"type\": \"function\", \"function\": {\"name\": …}}")
        })?;
        Ok(ToolSpec {
            name: wire.function.name,
            description: wire.function.description,
            parameters: wire.function.parameters.filter(|schema| schema.get() != "null").map(Arc::from),
            strict: wire.function.strict,
        })
    }
}

impl Serialize for ToolSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            parameters: Option<&'a RawValue>,
            #[serde(skip_serializing_if = "Option::is_none")]
            strict: Option<bool>,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry(
            "function",
            &Function {
                name: &self.name,
                description: self.description.as_deref(),
                parameters: self.parameters.as_deref(),
                strict: self.strict,
            },
        )?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for ToolChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Word(String),
            Named { function: Name },
        }
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        match Wire::deserialize(deserializer) {
            Ok(Wire::Named { function }) => Ok(ToolChoice::Named(function.name)),
            Ok(Wire::Word(word)) if word == "auto" => Ok(ToolChoice::Auto),
            Ok(Wire::Word(word)) if word == "none" => Ok(ToolChoice::None),
            Ok(Wire::Word(word)) if word == "required" || word == "any" => Ok(ToolChoice::Required),
            _ => Err(serde::de::Error::custom(
                "expected \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}",
            )),
        }
    }
}

impl Serialize for ToolChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Named(name) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "function")?;
                map.serialize_entry("function", &std::collections::BTreeMap::from([("name", name)]))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ResponseFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            json_schema: Option<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        struct Schema {
            schema: Option<Box<RawValue>>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let wire: Wire =
            serde_json::from_str(raw.get()).map_err(|_| D::Error::custom("expected an object with \"type\""))?;
        match (wire.kind.as_str(), wire.json_schema) {
            ("text", _) => Ok(ResponseFormat::Text),
            ("json_object", _) => Ok(ResponseFormat::JsonObject),
            ("json_schema", Some(raw)) => {
                let schema: Schema = serde_json::from_str(raw.get())
                    .map_err(|_| D::Error::custom("\"json_schema\" must be an object"))?;
                Ok(ResponseFormat::JsonSchema { schema: schema.schema, raw })
            }
            ("json_schema", None) => Err(D::Error::custom("the type json_schema needs \"json_schema\"")),
            _ => Err(D::Error::custom("\"type\" must be text, json_object or json_schema")),
        }
    }
}

impl Serialize for ResponseFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            ResponseFormat::Text => map.serialize_entry("type", "text")?,
            ResponseFormat::JsonObject => map.serialize_entry("type", "json_object")?,
            ResponseFormat::JsonSchema { raw, .. } => {
                map.serialize_entry("type", "json_schema")?;
                map.serialize_entry("json_schema", raw)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> (Option<String>, String) {
        let failure = ChatRequest::parse(body.as_bytes()).expect_err(body);
        assert_eq!(failure.class, FailureClass::InvalidRequest);
        (failure.param, failure.message.into_owned())
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (body, param) in [
            ("{", None),
            ("[]", None),
            (r#"{"messages":[{"role":"user","content":"x"}]}"#, Some("model")),
            (r#"{"model":"haia"}"#, Some("messages")),
            (r#"{"model":"haia","messages":[]}"#, Some("messages")),
            (r#"{"model":7,"messages":[]}"#, Some("model")),
            (r#"{"model":"haia","messages":"hi"}"#, Some("messages")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"king","content":"x"}]}"#,
                Some("messages[1].role"),
            ),
            (r#"{"model":"m","messages":[{"content":"x"}]}"#, Some("messages[0]")),
            (r#"{"model":"m","messages":[{"role":"user","content":5}]}"#, Some("messages[0].content")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#, Some("temperature")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#, Some("tool_choice")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}"#,
                Some("tools[0]"),
            ),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, Some("max_tokens")),
        ] {
            let (found, message) = wrong(body);
            assert_eq!(found.as_deref(), param, "{body}: {message}");
            assert!(found.is_none() || !message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn bears_what_clients_send() {
        let body = r#"{"model":"haia","n":1,"seed":null,"tools":[],"stop":"x","max_tokens":5,"max_completion_tokens":7,"user":"u",
            "messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"extra":1},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1}}}]},
              {"role":"tool","tool_call_id":"c1","content":""},
              {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"input_audio","input_audio":{"data":"x"}}]}]}"#;
        let request = ChatRequest::parse(body.as_bytes()).expect("tolerated");
        assert_eq!(request.max_tokens, Some(7));
        assert_eq!(request.stop, ["x"]);
        assert_eq!(request.messages[0].plain_text(), "a\nb");
        assert_eq!(request.messages[1].tool_calls[0].function.arguments, "{\"a\":1}");
        assert_eq!(request.extra.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["n", "user"]);
        let printed = serde_json::to_value(&request.messages[3]).expect("prints");
        assert_eq!(printed["content"][1]["input_audio"]["data"], "x");
    }
}
