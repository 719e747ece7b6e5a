//! Writes a Gemini request. The model's name is in the address, not in the body.
//!
//! What the API cannot express is told in a notice, or is a failure that names the field. Members that HAIA does not know are left out: the
//! API refuses them.

use super::content::{self, Conversation};
use super::model::{Known, Thinking};
use crate::formats::prompt::{self, Effort, Object};
use crate::formats::{Encode, Encoded};
use contract::chat::{ChatRequest, ResponseFormat, ToolChoice};
use contract::failure::Failure;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Members of a client's request that the API knows by other names in its `generationConfig`.
const SAMPLING: [(&str, &str); 4] = [
    ("seed", "seed"),
    ("top_k", "topK"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
];
const CONFIG: &str = "generationConfig";

/// Writes the body.
///
/// # Errors
/// `InvalidRequest` with `param` where the request is wrong or cannot be expressed.
pub fn encode(call: &Encode<'_>) -> Result<Encoded, Failure> {
    let request = prompt::request(call.body)?;
    let mut notices = prompt::notices(&request);
    let Conversation { system, contents } = content::conversation(&request, call.model)?;
    let takes_tools = call.settings.tools != Some(false);
    if !takes_tools && !request.tools.is_empty() {
        notices.push(prompt::without_tools(call.model));
    }
    let offers_tools = takes_tools && !request.tools.is_empty();

    let mut object = Object::with_capacity(4096);
    if !system.is_empty() {
        object.add("systemInstruction", &json!({"parts": [{"text": system}]}));
    }
    object.add("contents", &contents);
    if offers_tools {
        let functions: Vec<Function<'_>> = request.tools.iter().map(function).collect();
        object.add("tools", &[Tools { function_declarations: functions }]);
        object.add_some("toolConfig", tool_config(&request).as_ref());
        if request.parallel_tool_calls == Some(false) {
            notices.push("Gemini cannot be kept from calling several tools at once; it was free to".to_owned());
        }
    }
    let config = generation_config(&request, call, offers_tools, &mut notices)?;
    if !config.is_empty() {
        object.add(CONFIG, &config);
    }
    for (name, value) in call.settings.options.iter().filter(|(name, _)| *name != CONFIG) {
        object.add(name, value);
    }
    Ok(Encoded { body: object.finish().into(), notices, context: 0 })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// JSON schema as it is; the API's older `parameters` knows but a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
}

fn function(spec: &contract::chat::ToolSpec) -> Function<'_> {
    Function {
        name: &spec.name,
        description: spec.description.as_deref().filter(|text| !text.is_empty()),
        parameters_json_schema: spec.parameters.as_deref(),
    }
}

fn tool_config(request: &ChatRequest) -> Option<Value> {
    let config = match request.tool_choice.as_ref()? {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    Some(json!({"functionCallingConfig": config}))
}

fn generation_config(
    request: &ChatRequest,
    call: &Encode<'_>,
    offers_tools: bool,
    notices: &mut Vec<String>,
) -> Result<BTreeMap<String, Box<RawValue>>, Failure> {
    let settings = call.settings;
    let mut config = BTreeMap::new();
    let mut put = |name: &str, value: Option<Box<RawValue>>| {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    };
    put("maxOutputTokens", request.max_tokens.or(settings.max_tokens).and_then(raw));
    put("temperature", request.temperature.or(settings.temperature).and_then(raw));
    put("topP", request.top_p.and_then(raw));
    let stops: Vec<&String> = request.stop.iter().filter(|stop| !stop.is_empty()).collect();
    put("stopSequences", Some(stops).filter(|stops| !stops.is_empty()).and_then(raw));
    for (theirs, ours) in SAMPLING {
        let given = request.extra.iter().find(|(name, _)| name == theirs);
        put(ours, given.map(|(_, value)| value.clone()));
    }
    let known = Known::of(call.model);
    match &request.response_format {
        Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }) if offers_tools && !known.is_third() => {
            let model = call.model;
            notices.push(format!("{model} cannot be held to a form of its answer while it is offered tools"));
        }
        Some(ResponseFormat::JsonObject) => put("responseMimeType", raw("application/json")),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            put("responseMimeType", raw("application/json"));
            // As it came: models write the members in the schema's order.
            put("responseJsonSchema", schema.clone());
        }
        Some(ResponseFormat::Text) | None => {}
    }
    let known =
        Known { thinking: if settings.thinking == Some(false) { Thinking::Never } else { known.thinking }, ..known };
    put("thinkingConfig", thinking(request, call, known, notices)?.and_then(raw));
    // Configured members fill what the caller leaves open.
    for (name, value) in settings.options.get(CONFIG).and_then(Value::as_object).into_iter().flatten() {
        if !config.contains_key(name) {
            config.extend(raw(value).map(|value| (name.clone(), value)));
        }
    }
    Ok(config)
}

/// A value as its text.
fn raw(value: impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(&value).ok()
}

/// How `reasoning_effort` is told to this model, in Google's own translation of OpenAI's words.
fn thinking(
    request: &ChatRequest,
    call: &Encode<'_>,
    known: Known,
    notices: &mut Vec<String>,
) -> Result<Option<Value>, Failure> {
    let name = call.model;
    let known_level = |level: &'static str| if call.settings.other_effort { next(level) } else { level };
    let Some(effort) = prompt::effort(request)? else { return Ok(None) };
    Ok(match (known.thinking, effort) {
        (Thinking::Never, Effort::None) => None,
        (Thinking::Never, _) => {
            notices.push(prompt::without_thinking(name));
            None
        }
        (Thinking::Budget, Effort::None) if !known.is_pro => Some(json!({"thinkingBudget": 0})),
        (Thinking::Level | Thinking::Budget, Effort::None) => {
            notices.push(format!("the model {name} cannot leave thinking out; it thought as little as it can"));
            Some(match known.thinking {
                Thinking::Level => json!({"thinkingLevel": known_level(least(known))}),
                _ => json!({"thinkingBudget": 128}),
            })
        }
        (Thinking::Budget, effort) => {
            let budget = match effort {
                Effort::None | Effort::Minimal | Effort::Low => 1024,
                Effort::Medium => 8192,
                Effort::High => 24_576,
            };
            Some(json!({"thinkingBudget": budget, "includeThoughts": true}))
        }
        (Thinking::Level, effort) => {
            let level = match effort {
                Effort::None | Effort::Minimal => least(known),
                Effort::Low => "low",
                // The larger models of this generation began with two levels.
                Effort::Medium if known.is_pro => "high",
                Effort::Medium => "medium",
                Effort::High => "high",
            };
            let other = known_level(level);
            if other != level && effort != Effort::None {
                notices.push(format!("the model {name} does not know the thinking level {level}; asked with {other}"));
            }
            Some(json!({"thinkingLevel": other, "includeThoughts": true}))
        }
    })
}

/// The level that is asked for where a model does not know this one: every model knows the highest.
fn next(level: &str) -> &'static str {
    match level {
        "minimal" => "low",
        _ => "high",
    }
}

fn least(known: Known) -> &'static str {
    if known.is_pro { "low" } else { "minimal" }
}
