//! Writes an Ollama request.
//!
//! The context is asked for as large as the prompt needs (Ollama cuts a longer prompt without a word), in few steps and never smaller than the
//! model has it already, because each other size loads the model anew. What the API cannot express is told in a notice, or is a failure that names the field.

use crate::formats::prompt::{self, Effort, NO_PARAMETERS, Object, Picture};
use crate::formats::{Encode, Encoded};
use contract::chat::{ChatRequest, Content, Message, Part, ResponseFormat, Role, ToolChoice, ToolSpec};
use contract::failure::Failure;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The smallest context that is asked for: Ollama's own default.
const MIN_CONTEXT: u64 = 4096;
/// The largest that is asked for where the model's own is not known.
const MAX_CONTEXT: u64 = 131_072;
/// Room for the answer where nobody limits it.
const ANSWER: u64 = 2048;
/// Members of the configuration's `options` that stand beside Ollama's `options`, not in them.
const BESIDE: [&str; 2] = ["keep_alive", "think"];
/// Sampling parameters of other clients that Ollama knows by the same name.
const SAMPLING: [&str; 8] =
    ["seed", "top_k", "min_p", "typical_p", "repeat_last_n", "repeat_penalty", "presence_penalty", "frequency_penalty"];

/// Writes the body.
///
/// # Errors
/// `InvalidRequest` with `param` where the request is wrong or cannot be expressed.
pub fn encode(call: &Encode<'_>) -> Result<Encoded, Failure> {
    let request = prompt::request(call.body)?;
    let mut notices = prompt::notices(&request);
    let messages = messages(&request, call.model)?;
    let tools = tools(&request, call, &mut notices);

    let mut object = Object::with_capacity(4096);
    object.add("model", call.model);
    object.add("messages", &messages);
    if !tools.is_empty() {
        object.add("tools", &tools);
    }
    match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema: Some(schema), .. }) => object.add("format", schema),
        Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }) => object.add("format", "json"),
        Some(ResponseFormat::Text) | None => {}
    }
    let thinks = call.settings.thinking != Some(false);
    let think = think(&request, call)?;
    if thinks {
        object.add_some("think", think.as_ref());
    } else if think.is_some_and(|think| think != json!(false)) {
        notices.push(prompt::without_thinking(call.model));
    }
    object.add("stream", &call.stream);
    let sizes = Sizes { prompt: estimate(&messages, &tools), model: call };
    let (options, context) = options(&request, &sizes, &mut notices);
    object.add("options", &options);
    for name in BESIDE.into_iter().filter(|name| thinks || *name != "think") {
        object.add_some(name, request.extra.iter().find(|(known, _)| known == name).map(|(_, value)| value));
        object.add_some(name, call.settings.options.get(name));
    }
    Ok(Encoded { body: object.finish().into(), notices, context })
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Box<RawValue>,
}

fn messages<'a>(request: &'a ChatRequest, model: &str) -> Result<Vec<Said<'a>>, Failure> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut said = Vec::with_capacity(request.messages.len());
    for (at, message) in request.messages.iter().enumerate() {
        names.extend(message.tool_calls.iter().map(|call| (call.id.as_str(), call.function.name.as_str())));
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool | Role::Function => "tool",
        };
        let is_result = role == "tool";
        let id = message.tool_call_id.as_deref().filter(|_| is_result);
        let tool_name = id.and_then(|id| names.get(id).copied()).or(message.name.as_deref()).filter(|_| is_result);
        said.push(Said {
            role,
            content: message.plain_text(),
            thinking: message.reasoning_content.as_deref().filter(|_| role == "assistant"),
            images: images(message, at, model)?,
            tool_calls: message
                .tool_calls
                .iter()
                .map(|call| Call {
                    id: &call.id,
                    function: Function {
                        name: &call.function.name,
                        arguments: prompt::arguments_object(&call.function.arguments),
                    },
                })
                .collect(),
            tool_name,
            tool_call_id: id,
        });
    }
    Ok(said)
}

fn images<'a>(message: &'a Message, at: usize, model: &str) -> Result<Vec<&'a str>, Failure> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(Vec::new()) };
    let mut images = Vec::new();
    for part in parts {
        match part {
            Part::Text(_) | Part::Refusal(_) => {}
            Part::Image { url, .. } => match prompt::picture(url, at)? {
                Picture::Inline { base64, .. } => images.push(base64),
                Picture::Link(_) => {
                    let message =
                        "Ollama cannot fetch pictures: send the picture as a data URL (data:image/png;base64,…)";
                    return Err(Failure::invalid(format!("messages[{at}].content"), message));
                }
            },
            Part::Other { kind, .. } => return Err(prompt::unusable_part(kind, at, model)),
        }
    }
    Ok(images)
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: ToolFunction<'a>,
}

#[derive(Serialize)]
struct ToolFunction<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a RawValue,
}

fn tools<'a>(request: &'a ChatRequest, call: &Encode<'_>, notices: &mut Vec<String>) -> Vec<Tool<'a>> {
    if request.tools.is_empty() || request.tool_choice == Some(ToolChoice::None) {
        return Vec::new();
    }
    if call.settings.tools == Some(false) {
        notices.push(prompt::without_tools(call.model));
        return Vec::new();
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        notices.push("Ollama cannot be told to call a tool; the model was free to".to_owned());
    }
    let none = || serde_json::from_str(NO_PARAMETERS).unwrap_or(RawValue::NULL);
    let tool = |spec: &'a ToolSpec| Tool {
        kind: "function",
        function: ToolFunction {
            name: &spec.name,
            description: spec.description.as_deref().unwrap_or_default(),
            parameters: spec.parameters.as_deref().unwrap_or_else(none),
        },
    };
    request.tools.iter().map(tool).collect()
}

/// gpt-oss knows levels; other models, and older servers, only whether to think.
fn think(request: &ChatRequest, call: &Encode<'_>) -> Result<Option<Value>, Failure> {
    let level = match prompt::effort(request)? {
        None => return Ok(None),
        Some(Effort::None) => return Ok(Some(json!(false))),
        Some(Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) => "medium",
        Some(Effort::High) => "high",
    };
    let knows_levels = call.model.contains("gpt-oss") && !call.settings.other_effort;
    Ok(Some(if knows_levels { json!(level) } else { json!(true) }))
}

/// What decides how large a context is asked for.
struct Sizes<'a> {
    /// Estimated tokens of the prompt.
    prompt: u64,
    model: &'a Encode<'a>,
}

/// Ollama's options, and the context among them; 0 where it is not for HAIA to choose.
fn options(request: &ChatRequest, sizes: &Sizes<'_>, notices: &mut Vec<String>) -> (Map<String, Value>, u64) {
    let settings = sizes.model.settings;
    let mut options = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.to_owned(), value);
        }
    };
    let limit = request.max_tokens.or(settings.max_tokens);
    put("temperature", request.temperature.or(settings.temperature).map(Value::from));
    put("top_p", request.top_p.map(Value::from));
    put("stop", (!request.stop.is_empty()).then(|| json!(request.stop)));
    put("num_predict", limit.map(Value::from));
    for (name, value) in request.extra.iter().filter(|(name, _)| SAMPLING.contains(&name.as_str())) {
        put(name, serde_json::from_str(value.get()).ok());
    }
    for (name, value) in settings.options.iter().filter(|(name, _)| !BESIDE.contains(&name.as_str())) {
        if !options.contains_key(name) {
            options.insert(name.clone(), value.clone());
        }
    }
    if options.contains_key("num_ctx") {
        return (options, 0);
    }
    let most = settings.context_tokens.unwrap_or(MAX_CONTEXT.max(settings.context_loaded));
    let needed = sizes.prompt.saturating_add(limit.unwrap_or(ANSWER));
    let context = context(needed).max(settings.context_loaded).min(most);
    options.insert("num_ctx".to_owned(), Value::from(context));
    if sizes.prompt > most {
        let model = sizes.model.model;
        notices
            .push(format!("the prompt may be longer than the {most} tokens of {model}; its beginning may be cut off"));
    }
    (options, context)
}

/// The smallest step that holds `needed` tokens: 4096, 8192, 16384, …
fn context(needed: u64) -> u64 {
    needed.max(MIN_CONTEXT).checked_next_power_of_two().unwrap_or(u64::MAX)
}

/// About how many tokens the prompt has: three bytes of text each, a thousand for a picture. Rather too many than too few.
fn estimate(messages: &[Said<'_>], tools: &[Tool<'_>]) -> u64 {
    let mut bytes = 0;
    let mut pictures = 0;
    for message in messages {
        // The template puts a few tokens around each message.
        bytes += message.content.len() + message.thinking.map_or(0, str::len) + 24;
        bytes += message
            .tool_calls
            .iter()
            .map(|call| call.function.name.len() + call.function.arguments.get().len())
            .sum::<usize>();
        pictures += message.images.len();
    }
    bytes += serde_json::to_string(tools).map_or(0, |text| text.len());
    (bytes / 3 + pictures * 1000) as u64
}
