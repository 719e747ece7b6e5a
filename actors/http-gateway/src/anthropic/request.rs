//! A request in Anthropic's words as a neutral one. What the answer depends on and has no neutral counterpart is refused by name, not dropped
//! in silence; what asks only for bookkeeping at Anthropic (`metadata`, `service_tier`, `context_management`) is of no use elsewhere.

use super::blocks::{self, Blocks};
use crate::fields::Fields;
use contract::chat::{
    ChatRequest, Content, Effort, Message, OpaquePart, Part, ResponseFormat, Role, ToolCall, ToolChoice, ToolSpec,
    Tools,
};
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;

/// What the gateway itself must know of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The model id.
    pub(crate) model: String,
    /// Whether the answer is streamed.
    pub(crate) stream: bool,
}

/// Reads what routing needs.
///
/// # Errors
/// `InvalidRequest` with the field that is missing or wrong.
pub(crate) fn check(fields: &Fields<'_>) -> Result<Envelope, Failure> {
    let model = fields.need("model")?;
    let messages: Vec<&RawValue> = match fields.raw("messages") {
        None => return Err(Failure::invalid("messages", "the field \"messages\" is missing")),
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Failure::invalid("messages", "\"messages\" is wrong: it must be an array"))?,
    };
    if messages.is_empty() {
        return Err(Failure::invalid("messages", "\"messages\" is empty: at least one message is needed"));
    }
    Ok(Envelope { model, stream: fields.get("stream")?.unwrap_or(false) })
}

#[derive(Deserialize)]
struct Said {
    role: String,
    content: Blocks,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(rename = "type")]
    kind: String,
    budget_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Output {
    effort: Option<String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    schema: Option<Box<RawValue>>,
}

/// Reads the whole request.
///
/// # Errors
/// `InvalidRequest` with the field that is missing, wrong, or without a neutral counterpart.
pub(crate) fn read(fields: &Fields<'_>) -> Result<ChatRequest, Failure> {
    let Envelope { model, stream } = check(fields)?;
    let mut messages = Vec::new();
    if let Some(system) = fields.get::<Blocks>("system")? {
        let text = system.into_text("system")?;
        messages.extend((!text.is_empty()).then(|| Message::text(Role::System, text)));
    }
    let mut names = HashMap::new();
    for (at, said) in fields.need::<Vec<Said>>("messages")?.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        match said.role.as_str() {
            "user" => user(said.content, &format!("{path}.content"), &names, &mut messages)?,
            "assistant" => messages.push(assistant(said.content, &format!("{path}.content"), &mut names)?),
            // Newer models take instructions in the middle of a conversation.
            "system" => {
                messages.push(Message::text(Role::System, said.content.into_text(&format!("{path}.content"))?));
            }
            _ => {
                let param = format!("{path}.role");
                let message = format!("{param:?} is wrong: it must be \"user\" or \"assistant\"");
                return Err(Failure::invalid(param, message));
            }
        }
    }
    let mut request = ChatRequest {
        model,
        messages,
        stream,
        max_tokens: fields.get("max_tokens")?,
        temperature: fields.get("temperature")?,
        top_p: fields.get("top_p")?,
        stop: fields.get("stop_sequences")?.unwrap_or_default(),
        tools: tools(fields)?,
        ..ChatRequest::default()
    };
    choice(fields, &mut request)?;
    think(fields, &mut request)?;
    if let Some(top_k) = fields.raw("top_k") {
        fields.get::<u64>("top_k")?;
        request.extra.push(("top_k".to_owned(), top_k.to_owned()));
    }
    // Not `context_management`: it only lets the API forget old blocks, and clients add it by themselves to every request.
    for name in ["mcp_servers", "container"] {
        if fields.raw(name).is_some_and(|raw| raw.get() != "[]") {
            let message = format!("{name:?} works with a provider of kind anthropic only");
            return Err(Failure::invalid(name, message));
        }
    }
    Ok(request)
}

/// A user's message: results of tools become messages of their own, before the rest.
fn user(
    content: Blocks,
    path: &str,
    names: &HashMap<String, String>,
    messages: &mut Vec<Message>,
) -> Result<(), Failure> {
    let mut parts = Vec::new();
    match content {
        Blocks::Text(text) => {
            messages.push(Message::text(Role::User, text));
            return Ok(());
        }
        Blocks::List(list) => {
            for (at, block) in list.into_iter().enumerate() {
                let path = format!("{path}[{at}]");
                if block.kind == "tool_result" {
                    messages.push(result(block, &path, names)?);
                } else {
                    parts.push(block.into_part(&path)?);
                }
            }
        }
    }
    if !parts.is_empty() {
        messages.push(Message { content: Some(Content::joined(parts)), ..Message::text(Role::User, "") });
    }
    Ok(())
}

fn result(block: blocks::Block, path: &str, names: &HashMap<String, String>) -> Result<Message, Failure> {
    let id = block.need("tool_use_id", path, block.tool_use_id.as_ref())?.clone();
    let name = names.get(&id).cloned();
    let mut parts = match block.content {
        None => Vec::new(),
        Some(Blocks::Text(text)) => vec![Part::Text(text)],
        Some(Blocks::List(list)) => {
            let part = |(at, block): (usize, blocks::Block)| block.into_part(&format!("{path}.content[{at}]"));
            list.into_iter().enumerate().map(part).collect::<Result<_, _>>()?
        }
    };
    if block.is_error == Some(true) {
        // Other formats have no word for it but the text itself.
        parts.insert(0, Part::Text("The tool failed:".to_owned()));
    }
    // Texts of a result stay apart: formats that know but one text for a result join them line by line.
    let content = Some(blocks::content(parts));
    Ok(Message { name, tool_call_id: Some(id), content, ..Message::text(Role::Tool, "") })
}

/// An assistant's message. The proof of its thinking is kept byte for byte, for the provider that gave it.
fn assistant(content: Blocks, path: &str, names: &mut HashMap<String, String>) -> Result<Message, Failure> {
    let mut message = Message { content: None, ..Message::text(Role::Assistant, "") };
    let list = match content {
        Blocks::Text(text) => {
            message.content = Some(Content::Text(text));
            return Ok(message);
        }
        Blocks::List(list) => list,
    };
    let (mut text, mut thinking) = (String::new(), String::new());
    for (at, block) in list.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        match block.kind.as_str() {
            "text" => text.push_str(block.need("text", &path, block.text.as_ref())?),
            "thinking" => {
                thinking.push_str(block.thinking.as_deref().unwrap_or_default());
                if block.signature.as_ref().is_some_and(|signature| !signature.is_empty()) {
                    message.opaque.push(proof(&block));
                }
            }
            "redacted_thinking" => message.opaque.push(proof(&block)),
            "tool_use" => {
                let id = block.need("id", &path, block.id.as_ref())?;
                let name = block.need("name", &path, block.name.as_ref())?;
                let input = block.input.as_ref().map_or("{}", |input| input.get());
                names.insert(id.clone(), name.clone());
                message.tool_calls.push(ToolCall::new(id.clone(), name.clone(), input));
            }
            _ => return Err(block.unknown(&path)),
        }
    }
    message.content = (!text.is_empty() || message.tool_calls.is_empty()).then_some(Content::Text(text));
    message.reasoning_content = (!thinking.is_empty()).then_some(thinking);
    Ok(message)
}

fn proof(block: &blocks::Block) -> OpaquePart {
    OpaquePart { format: "anthropic", json: block.raw.get().to_owned().into(), call: None }
}

fn tools(fields: &Fields<'_>) -> Result<Tools, Failure> {
    let tools = fields.get::<Vec<Tool>>("tools")?.unwrap_or_default();
    let spec = |(at, tool): (usize, Tool)| match tool.kind.as_deref() {
        None | Some("custom") => Ok(ToolSpec {
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema.map(Arc::from),
            strict: tool.strict,
        }),
        Some(kind) => {
            let message =
                format!("the tool {kind:?} runs at Anthropic: it works with a provider of kind anthropic only");
            Err(Failure::invalid(format!("tools[{at}].type"), message))
        }
    };
    tools.into_iter().enumerate().map(spec).collect()
}

fn choice(fields: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(choice) = fields.get::<Choice>("tool_choice")? else { return Ok(()) };
    request.tool_choice = Some(match (choice.kind.as_str(), choice.name) {
        ("auto", _) => ToolChoice::Auto,
        ("any", _) => ToolChoice::Required,
        ("none", _) => ToolChoice::None,
        ("tool", Some(name)) => ToolChoice::Named(name),
        ("tool", None) => return Err(Failure::invalid("tool_choice.name", "the field \"name\" is missing")),
        _ => {
            let message = "\"tool_choice.type\" must be \"auto\", \"any\", \"tool\" or \"none\"";
            return Err(Failure::invalid("tool_choice.type", message));
        }
    });
    request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disabled| !disabled);
    Ok(())
}

/// How hard to think, in the four steps that every format knows; and the form of the answer, which stands beside it.
fn think(fields: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let output = fields.get::<Output>("output_config")?;
    let budget = match fields.get::<Thinking>("thinking")? {
        None => None,
        Some(thinking) => Some(match (thinking.kind.as_str(), thinking.budget_tokens) {
            ("disabled", _) => "none",
            ("adaptive", _) => "medium",
            ("enabled", None) => return Err(Failure::invalid("thinking.budget_tokens", "the field is missing")),
            ("enabled", Some(..=1024)) => "minimal",
            ("enabled", Some(..=4096)) => "low",
            ("enabled", Some(..=12_288)) => "medium",
            ("enabled", Some(_)) => "high",
            _ => {
                let message = "\"thinking.type\" must be \"enabled\", \"adaptive\" or \"disabled\"";
                return Err(Failure::invalid("thinking.type", message));
            }
        }),
    };
    let told = output.as_ref().and_then(|output| output.effort.clone()).filter(|_| budget != Some("none"));
    // A body without a word on thinking leaves it to the model.
    request.reasoning_effort = told.or(budget.map(str::to_owned)).map(Effort);
    if let Some(format) = output.and_then(|output| output.format) {
        let (true, Some(schema)) = (format.kind == "json_schema", format.schema) else {
            let message = "\"output_config.format\" must be {\"type\": \"json_schema\", \"schema\": …}";
            return Err(Failure::invalid("output_config.format", message));
        };
        // Without `strict`: it means that every property is required, which a schema in Anthropic's way need not say.
        let format = ResponseFormat::named("answer", None, schema, None);
        request.response_format = Some(format.map_err(|_| Failure::invalid("output_config.format", "it is no JSON"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
