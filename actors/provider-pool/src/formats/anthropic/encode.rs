//! Writes an Anthropic request.
//!
//! What the API requires is set (`max_tokens`), what it refuses is left out or brought into its range; what cannot be expressed is told in a
//! notice, or is a failure that names the field.

use super::caching::{Mark, Marks};
use super::content::{self, Conversation, Known};
use super::model::{self, Thinking};
use super::schema;
use crate::formats::prompt::{self, Effort, NO_PARAMETERS, Object};
use crate::formats::{Encode, Encoded, sampling};
use contract::chat::{ChatRequest, ResponseFormat, ToolChoice};
use contract::failure::Failure;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The most tokens to write where neither caller nor configuration tell: the API requires a figure.
const MAX_TOKENS: u64 = 8192;
/// The smallest budget for thinking that the API takes.
const MIN_BUDGET: u64 = 1024;
/// Asks for a JSON object, for which the API has no switch of its own.
const JSON_ONLY: &str = "Answer with one JSON object and nothing else.";

/// Writes the body.
///
/// # Errors
/// `InvalidRequest` with `param` where the request is wrong or cannot be expressed.
pub fn encode(call: &Encode<'_>) -> Result<Encoded, Failure> {
    let request = prompt::request(call.body)?;
    let mut notices = prompt::notices(&request);
    let Conversation { mut system, mut messages } = content::conversation(&request, call.model)?;
    if matches!(
        request.response_format,
        Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { schema: None, .. })
    ) {
        system = if system.is_empty() { JSON_ONLY.to_owned() } else { format!("{system}\n\n{JSON_ONLY}") };
    }
    let takes_tools = call.settings.tools != Some(false);
    if !takes_tools && !request.tools.is_empty() {
        notices.push(prompt::without_tools(call.model));
    }
    let offers_tools = takes_tools && !request.tools.is_empty();
    let limit = request.max_tokens.or(call.settings.max_tokens);
    let thinking = think(&request, call, limit, offers_tools, &mut notices)?;

    let mut object = Object::with_capacity(4096);
    object.add("model", call.model);
    object.add("max_tokens", &thinking.max_tokens);
    let mut tools: Vec<Tool<'_>> = if offers_tools { request.tools.iter().map(tool).collect() } else { Vec::new() };
    let marks = Marks::of(call, &tools, &system, &messages);
    if let Some(last) = tools.last_mut() {
        last.cache_control = marks.tools;
    }
    if let Some(mark) = marks.results {
        content::mark_results(&mut messages, mark);
    }
    match marks.system {
        Some(mark) => object.add("system", &[Known::Text { text: &system, cache_control: Some(mark) }]),
        None if !system.is_empty() => object.add("system", &system),
        None => {}
    }
    object.add("messages", &messages);
    if offers_tools {
        object.add("tools", &tools);
        object.add_some("tool_choice", tool_choice(&request).as_ref());
    }
    if thinking.member.is_none() {
        // With thinking the API takes no temperature but its own.
        let temperature = request.temperature.map(|temperature| temperature.clamp(0.0, 1.0));
        for (name, value) in [("temperature", temperature), ("top_p", request.top_p)] {
            object.add_some(name, sampling::taken(call, &object, name, value, &mut notices).as_ref());
        }
        // A configured one must not meet a caller's top_p: newer models take one only.
        if request.top_p.is_none() && sampling::goes(call.settings, &object, "temperature") {
            object.add_some("temperature", call.settings.temperature.map(|t| t.clamp(0.0, 1.0)).as_ref());
        }
    }
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    if !stops.is_empty() {
        object.add("stop_sequences", &stops);
    }
    object.add_some("thinking", thinking.member.as_ref());
    object.add_some("output_config", output_config(&request, thinking.effort).as_ref());
    object.add("stream", &call.stream);
    for (name, value) in &call.settings.options {
        if sampling::goes(call.settings, &object, name) {
            object.add(name, value);
        }
    }
    Ok(Encoded { body: object.finish().into(), notices, context: 0 })
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Mark>,
}

fn tool(spec: &contract::chat::ToolSpec) -> Tool<'_> {
    let none = || serde_json::from_str(NO_PARAMETERS).unwrap_or(RawValue::NULL);
    Tool {
        name: &spec.name,
        description: spec.description.as_deref().filter(|text| !text.is_empty()),
        input_schema: schema::object(spec.parameters.as_deref().unwrap_or_else(none)),
        cache_control: None,
    }
}

fn tool_choice(request: &ChatRequest) -> Option<Value> {
    let mut choice = match &request.tool_choice {
        None if request.parallel_tool_calls == Some(false) => json!({"type": "auto"}),
        None => return None,
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if request.parallel_tool_calls == Some(false) {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
}

struct Think {
    member: Option<Value>,
    effort: Option<&'static str>,
    max_tokens: u64,
}

/// How `reasoning_effort` is told to this model, and the limit that leaves room for it.
fn think(
    request: &ChatRequest,
    call: &Encode<'_>,
    limit: Option<u64>,
    offers_tools: bool,
    notices: &mut Vec<String>,
) -> Result<Think, Failure> {
    let max_tokens = limit.unwrap_or(MAX_TOKENS);
    let without = Think { member: None, effort: None, max_tokens };
    let (effort, budget) = match prompt::effort(request)? {
        None | Some(Effort::None) => return Ok(without),
        Some(Effort::Minimal) => ("low", MIN_BUDGET),
        Some(Effort::Low) => ("low", 2048),
        Some(Effort::Medium) => ("medium", 8192),
        Some(Effort::High) => ("high", 16_384),
    };
    let name = call.model;
    let way = if call.settings.thinking == Some(false) { Thinking::Never } else { model::thinking(name) };
    let forced = offers_tools && matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let reason = if way == Thinking::Never {
        Some("it cannot")
    } else if forced {
        Some("it was told to call a tool")
    } else if content::lacks_proof(request) {
        Some("the proof of its earlier thinking is not there any more")
    } else if way == Thinking::Budget && max_tokens <= MIN_BUDGET {
        Some("max_tokens leaves no room for it")
    } else {
        None
    };
    if let Some(reason) = reason {
        notices.push(format!("the model {name} answered without thinking: {reason}"));
        return Ok(without);
    }
    if way == Thinking::Adaptive {
        return Ok(Think { member: Some(json!({"type": "adaptive"})), effort: Some(effort), max_tokens });
    }
    // The budget counts against the limit: a limit of ours grows by it, a caller's stays and the budget takes half of it at most.
    let (budget, max_tokens) = match limit {
        None => (budget, MAX_TOKENS + budget),
        Some(limit) => (budget.min(limit / 2).max(MIN_BUDGET), limit),
    };
    Ok(Think { member: Some(json!({"type": "enabled", "budget_tokens": budget})), effort: None, max_tokens })
}

#[derive(Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: Cow<'a, RawValue>,
}

fn output_config<'a>(request: &'a ChatRequest, effort: Option<&'static str>) -> Option<OutputConfig<'a>> {
    let format = match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) => {
            Some(Format { kind: "json_schema", schema: schema::closed(schema) })
        }
        _ => None,
    };
    (format.is_some() || effort.is_some()).then_some(OutputConfig { format, effort })
}
