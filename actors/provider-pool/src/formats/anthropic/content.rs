//! Messages of a request as Anthropic's: roles `user` and `assistant` in turn, each a list of blocks.
//!
//! System texts stand apart; results of tools go into one user message, before its text; blocks without text are left out, because the
//! API refuses them. Ids of calls that another API gave are written as this one takes them.

use super::caching::Mark;
use crate::formats::call_ids;
use crate::formats::document::{self, Document};
use crate::formats::prompt::{self, Picture};
use contract::chat::{ChatRequest, Content, Message, Part, Role};
use contract::failure::Failure;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A block of a message.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Block<'a> {
    /// Anthropic's own, byte for byte.
    Opaque(&'a RawValue),
    /// One of ours.
    Known(Known<'a>),
}

/// The blocks that HAIA writes.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Known<'a> {
    /// Text.
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark>,
    },
    /// A picture.
    Image { source: Source<'a> },
    /// A PDF.
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<Cow<'a, str>>,
    },
    /// A call that the model made.
    ToolUse { id: Cow<'a, str>, name: &'a str, input: Box<RawValue> },
    /// What the call gave.
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Mark>,
    },
}

/// Where a picture or a document is.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source<'a> {
    /// In the request.
    Base64 { media_type: &'a str, data: Cow<'a, str> },
    /// Where the API can fetch it.
    Url { url: &'a str },
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// A message.
#[derive(Serialize)]
pub struct Said<'a> {
    role: Speaker,
    content: Vec<Block<'a>>,
}

/// A conversation.
pub struct Conversation<'a> {
    /// The system texts, joined.
    pub system: String,
    /// The messages: never two of one role in a row, the first is the user's.
    pub messages: Vec<Said<'a>>,
}

/// Opens a conversation that begins with the model, which the API refuses.
const OPENING: &str = "(The conversation begins with the assistant.)";

/// Translates the messages.
///
/// # Errors
/// `InvalidRequest` naming the message that holds something that cannot be sent, or `messages` if nothing is left to be sent.
pub fn conversation<'a>(request: &'a ChatRequest, model: &str) -> Result<Conversation<'a>, Failure> {
    let mut system: Vec<String> = Vec::new();
    let mut messages: Vec<Said<'a>> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let (role, blocks) = match message.role {
            Role::System | Role::Developer => {
                system.push(message.plain_text());
                continue;
            }
            Role::User => (Speaker::User, parts(message, at, model)?),
            Role::Assistant => (Speaker::Assistant, assistant(message)),
            Role::Function if message.tool_call_id.is_none() => {
                let name = message.name.as_deref().unwrap_or_default();
                let text =
                    format!("the result of the function {name:?} stands without the function_call that it answers");
                return Err(Failure::invalid(format!("messages[{at}]"), text));
            }
            Role::Tool | Role::Function => {
                let id = message.tool_call_id.as_deref().or(message.name.as_deref()).unwrap_or_default();
                let tool_use_id = call_ids::plain(id);
                let content = parts(message, at, model)?;
                (Speaker::User, vec![Block::Known(Known::ToolResult { tool_use_id, content, cache_control: None })])
            }
        };
        if blocks.is_empty() {
            continue;
        }
        match messages.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            Some(_) => messages.push(Said { role, content: blocks }),
            None => {
                if role == Speaker::Assistant {
                    messages.push(Said { role: Speaker::User, content: vec![text(OPENING)] });
                }
                messages.push(Said { role, content: blocks });
            }
        }
    }
    for said in &mut messages {
        // Stable: results keep their order, and so does everything else.
        said.content.sort_by_key(|block| !matches!(block, Block::Known(Known::ToolResult { .. })));
    }
    trim_prefill(&mut messages);
    if messages.is_empty() {
        return Err(Failure::invalid("messages", "there is no message with any content beside the system's"));
    }
    system.retain(|text| !text.trim().is_empty());
    Ok(Conversation { system: system.join("\n\n"), messages })
}

/// Marks the newest results of tools, if the conversation ends with them: the next round will begin with all of it.
pub fn mark_results(messages: &mut [Said<'_>], mark: Mark) {
    if let Some(Said { role: Speaker::User, content }) = messages.last_mut()
        && let Some(Block::Known(Known::ToolResult { cache_control, .. })) = content.last_mut()
    {
        *cache_control = Some(mark);
    }
}

/// Whether the round that is under way holds a call of the model without the proof of the thinking that led to it. The API
/// then refuses to think on.
pub fn lacks_proof(request: &ChatRequest) -> bool {
    request
        .messages
        .iter()
        .rev()
        .take_while(|message| message.role != Role::User)
        .any(|message| !message.tool_calls.is_empty() && !message.opaque.iter().any(|part| part.format == "anthropic"))
}

/// A block of text.
pub fn text(text: &str) -> Block<'_> {
    Block::Known(Known::Text { text, cache_control: None })
}

fn filled(content: &str) -> Option<Block<'_>> {
    (!content.trim().is_empty()).then(|| text(content))
}

fn parts<'a>(message: &'a Message, at: usize, model: &str) -> Result<Vec<Block<'a>>, Failure> {
    let parts = match &message.content {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) => return Ok(filled(text).into_iter().collect()),
        Some(Content::Parts(parts)) => parts,
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => blocks.extend(filled(text)),
            Part::Image { url, .. } => {
                let source = match prompt::picture(url, at)? {
                    Picture::Inline { media_type, base64 } => Source::Base64 { media_type, data: base64.into() },
                    Picture::Link(url) => Source::Url { url },
                };
                blocks.push(Block::Known(Known::Image { source }));
            }
            Part::Other { kind, json } if kind == "file" => blocks.push(pdf(json, at, model)?),
            Part::Other { kind, .. } => return Err(prompt::unusable_part(kind, at, model)),
        }
    }
    Ok(blocks)
}

/// A PDF as the block that the API takes it in.
fn pdf<'a>(part: &'a RawValue, at: usize, model: &str) -> Result<Block<'a>, Failure> {
    let Some(Document { base64, name }) = document::read(part) else {
        let message =
            format!("a file is sent to {model} as a PDF only: {{\"file_data\": \"data:{};base64,…\"}}", document::PDF);
        return Err(Failure::invalid(format!("messages[{at}].content"), message));
    };
    let source = Source::Base64 { media_type: document::PDF, data: base64 };
    Ok(Block::Known(Known::Document { source, title: name }))
}

/// The proof of thinking first, then text, then calls: the order in which the API wants them back.
fn assistant(message: &Message) -> Vec<Block<'_>> {
    let proof = message
        .opaque
        .iter()
        .filter(|part| part.format == "anthropic")
        .filter_map(|part| serde_json::from_slice(&part.json).ok())
        .map(Block::Opaque);
    let mut blocks: Vec<Block<'_>> = proof.collect();
    match &message.content {
        None => {}
        Some(Content::Text(text)) => blocks.extend(filled(text)),
        Some(Content::Parts(parts)) => {
            for part in parts {
                if let Part::Text(text) | Part::Refusal(text) = part {
                    blocks.extend(filled(text));
                }
            }
        }
    }
    blocks.extend(message.tool_calls.iter().map(|call| {
        let input = prompt::arguments_object(&call.function.arguments);
        Block::Known(Known::ToolUse { id: call_ids::plain(&call.id), name: &call.function.name, input })
    }));
    blocks
}

/// An answer that the caller began must not end in white space.
fn trim_prefill(messages: &mut [Said<'_>]) {
    if let Some(Said { role: Speaker::Assistant, content }) = messages.last_mut()
        && let Some(Block::Known(Known::Text { text, .. })) = content.last_mut()
    {
        *text = text.trim_end();
    }
}
