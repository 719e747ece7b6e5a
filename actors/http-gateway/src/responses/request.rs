//! A request for a response as a neutral one, and what the response repeats of it.
//!
//! HAIA keeps no answers. So `store` may be left out or false, and what lives of kept answers (`previous_response_id`, `conversation`,
//! `background`, a kept `prompt`) is refused by name; so are tools that run at OpenAI, and a cut of the input that nobody would tell of.

use super::items;
use crate::fields::Fields;
use contract::chat::{ChatRequest, Effort, Message, ResponseFormat, Role, ToolChoice, ToolSpec, Tools};
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A request that can be answered.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What is asked.
    pub(crate) request: ChatRequest,
    /// The members that the response repeats.
    pub(crate) echo: Map<String, Value>,
}

/// Members that the response repeats as they came, and what it says where they were left out.
const ECHOED: [(&str, &str); 12] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "null"),
    ("user", "null"),
];

/// Members that need an answer to be kept, and what of them changes nothing.
const KEPT: [(&str, Option<&str>); 5] = [
    ("previous_response_id", None),
    ("conversation", None),
    ("prompt", None),
    ("background", Some("false")),
    ("store", Some("false")),
];

/// Members that chat completions know by the same name.
const PASSED_ON: [&str; 4] = ["prompt_cache_key", "safety_identifier", "service_tier", "user"];

/// What `include` calls log probabilities. What else it knows is of tools that run at OpenAI, and of reasoning that HAIA keeps itself.
const LOGPROBS: &str = "message.output_text.logprobs";

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choice {
    Word(String),
    Named {
        #[serde(rename = "type")]
        kind: String,
        name: Option<String>,
    },
}

#[derive(Deserialize)]
struct Text {
    format: Option<Format>,
    verbosity: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Reasoning {
    effort: Option<String>,
}

/// Reads a request.
///
/// # Errors
/// `InvalidRequest` with the field that is missing, wrong, or cannot be honoured.
pub(crate) fn read(fields: &Fields<'_>) -> Result<Wanted, Failure> {
    let model = fields.need("model")?;
    for (name, harmless) in KEPT {
        if fields.raw(name).is_some_and(|raw| Some(raw.get()) != harmless) {
            let message = format!("{name:?} cannot be honoured: HAIA keeps no answers, so send the whole conversation");
            return Err(Failure::invalid(name, message));
        }
    }
    if fields.raw("truncation").is_some_and(|raw| raw.get() != "\"disabled\"") {
        let message = "\"truncation\" must be \"disabled\": nothing of the input is cut";
        return Err(Failure::invalid("truncation", message));
    }
    probabilities(fields)?;
    let input = fields.raw("input").ok_or_else(|| Failure::invalid("input", "the field \"input\" is missing"))?;
    let mut messages = Vec::new();
    if let Some(instructions) = fields.get::<String>("instructions")? {
        messages.push(Message::text(Role::System, instructions));
    }
    messages.extend(items::read(input)?);
    let max_tokens = fields.get("max_output_tokens")?;
    let mut request = ChatRequest {
        model,
        messages,
        stream: fields.get("stream")?.unwrap_or(false),
        max_tokens,
        temperature: fields.get("temperature")?,
        top_p: fields.get("top_p")?,
        parallel_tool_calls: fields.get("parallel_tool_calls")?,
        tools: tools(fields)?,
        tool_choice: choice(fields)?,
        ..ChatRequest::default()
    };
    if let Some(effort) = fields.get::<Reasoning>("reasoning")?.and_then(|reasoning| reasoning.effort) {
        request.reasoning_effort = Some(Effort(effort));
    }
    text(fields, &mut request)?;
    for name in PASSED_ON {
        if let Some(raw) = fields.raw(name) {
            request.extra.push((name.to_owned(), raw.to_owned()));
        }
    }
    Ok(Wanted { request, echo: echo(fields) })
}

/// Log probabilities have no neutral words, and whoever asks for them by name must not be left without.
fn probabilities(fields: &Fields<'_>) -> Result<(), Failure> {
    let include = fields.get::<Vec<String>>("include")?.unwrap_or_default();
    let wanted = match fields.get::<u64>("top_logprobs")? {
        Some(1..) => Some("top_logprobs"),
        _ => include.iter().any(|name| name == LOGPROBS).then_some("include"),
    };
    wanted.map_or(Ok(()), |name| {
        let message = format!("{name:?} cannot be honoured: HAIA passes no log probabilities on here");
        Err(Failure::invalid(name, message))
    })
}

fn tools(fields: &Fields<'_>) -> Result<Tools, Failure> {
    let tools = fields.get::<Vec<Tool>>("tools")?.unwrap_or_default();
    let spec = |(at, tool): (usize, Tool)| match (tool.kind.as_str(), tool.name) {
        ("function", Some(name)) => Ok(ToolSpec {
            name,
            description: tool.description,
            parameters: tool.parameters.map(Arc::from),
            strict: tool.strict,
        }),
        ("function", None) => {
            Err(Failure::invalid(format!("tools[{at}].name"), "the field \"name\" of this tool is missing"))
        }
        (kind, _) => {
            let message = format!("a tool of the type {kind:?} runs at OpenAI: only functions can be offered");
            Err(Failure::invalid(format!("tools[{at}].type"), message))
        }
    };
    tools.into_iter().enumerate().map(spec).collect()
}

fn choice(fields: &Fields<'_>) -> Result<Option<ToolChoice>, Failure> {
    let wrong = || {
        let message =
            "\"tool_choice\" must be \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"name\": …}";
        Failure::invalid("tool_choice", message)
    };
    let Some(raw) = fields.raw("tool_choice") else { return Ok(None) };
    match serde_json::from_str::<Choice>(raw.get()).map_err(|_| wrong())? {
        Choice::Word(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(wrong()),
        },
        Choice::Named { kind, name: Some(name) } if kind == "function" => Ok(Some(ToolChoice::Named(name))),
        Choice::Named { .. } => Err(wrong()),
    }
}

fn text(fields: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(text) = fields.get::<Text>("text")? else { return Ok(()) };
    if let Some(verbosity) = text.verbosity {
        request.extra.push(("verbosity".to_owned(), verbosity));
    }
    let Some(format) = text.format else { return Ok(()) };
    request.response_format = Some(match (format.kind.as_str(), format.schema) {
        ("text", _) => ResponseFormat::Text,
        ("json_object", _) => ResponseFormat::JsonObject,
        ("json_schema", Some(schema)) => {
            let name = format.name.as_deref().unwrap_or("answer");
            ResponseFormat::named(name, format.description.as_deref(), schema, format.strict)
                .map_err(|_| Failure::invalid("text.format.schema", "it is no JSON"))?
        }
        ("json_schema", None) => {
            return Err(Failure::invalid("text.format.schema", "the field \"schema\" is missing"));
        }
        _ => {
            let message = "\"text.format.type\" must be \"text\", \"json_object\" or \"json_schema\"";
            return Err(Failure::invalid("text.format.type", message));
        }
    });
    Ok(())
}

fn echo(fields: &Fields<'_>) -> Map<String, Value> {
    let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
    let member = |(name, absent): (&str, &str)| {
        let value = fields.raw(name).map_or_else(|| read(absent), |raw| read(raw.get()));
        (name.to_owned(), value)
    };
    ECHOED.into_iter().map(member).collect()
}

#[cfg(test)]
mod tests;
