//! What a request says of tools and of the answer's form: tools, tool choice, response format, effort.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

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

/// The tools of a request. They are shared and never change, so turns that offer the same ones print them once.
#[derive(Clone, Debug, Default)]
pub struct Tools(Arc<ToolList>);

#[derive(Debug, Default)]
struct ToolList {
    tools: Vec<ToolSpec>,
    /// As OpenAI's format writes them.
    printed: OnceLock<Box<RawValue>>,
}

impl Deref for Tools {
    type Target = [ToolSpec];

    fn deref(&self) -> &[ToolSpec] {
        &self.0.tools
    }
}

impl FromIterator<ToolSpec> for Tools {
    fn from_iter<I: IntoIterator<Item = ToolSpec>>(tools: I) -> Self {
        Self(Arc::new(ToolList { tools: tools.into_iter().collect(), printed: OnceLock::new() }))
    }
}

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<ToolSpec>::deserialize(deserializer).map(Self::from_iter)
    }
}

impl Serialize for Tools {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ToolList { tools, printed } = &*self.0;
        if let Some(printed) = printed.get() {
            return printed.serialize(serializer);
        }
        let raw = serde_json::value::to_raw_value(tools).map_err(serde::ser::Error::custom)?;
        printed.get_or_init(|| raw).serialize(serializer)
    }
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

impl ResponseFormat {
    /// JSON after a schema of this name. The schema keeps its text, and with it the order of its members: models write in that order.
    ///
    /// # Errors
    /// None that a caller can cause: a [`RawValue`] is JSON.
    pub fn named(
        name: &str,
        description: Option<&str>,
        schema: Box<RawValue>,
        strict: Option<bool>,
    ) -> serde_json::Result<Self> {
        #[derive(Serialize)]
        struct Member<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<&'a str>,
            schema: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            strict: Option<bool>,
        }
        let raw = serde_json::value::to_raw_value(&Member { name, description, schema: &schema, strict })?;
        Ok(ResponseFormat::JsonSchema { schema: Some(schema), raw })
    }
}

/// How hard the model should think (`reasoning_effort`), in OpenAI's words: none, minimal, low, medium, high, xhigh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Effort(pub String);

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
