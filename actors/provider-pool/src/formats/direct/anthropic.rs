//! Anthropic's own messages, for callers who speak them: the body as it came, with the model's name replaced and what is configured of the
//! model added where the caller says nothing. Of a conversation that began with another API what this one would refuse is mended.

use super::{Asked, Outgoing, Reading, json, no_object};
use crate::formats::call_ids;
use crate::formats::prompt::{Members, Object};
use crate::formats::sampling;
use crate::formats::wire::{self, Raw};
use contract::direct::DirectKind;
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// Writes the request.
///
/// # Errors
/// `InvalidRequest` if the body is no JSON object.
pub fn write(asked: &Asked<'_>) -> Result<Outgoing, Failure> {
    let bytes = json(asked)?;
    let Members(members) = serde_json::from_slice(bytes).map_err(|error| no_object(&error))?;
    let mut object = Object::with_capacity(bytes.len() + 64);
    object.add("model", asked.model);
    if asked.kind == DirectKind::CountTokens {
        add(&mut object, &members);
        let path = "/v1/messages/count_tokens".to_owned();
        return Ok(Outgoing {
            path,
            content_type: JSON.to_owned(),
            body: vec![object.finish().into()],
            reading: Reading::Through,
        });
    }
    object.add("stream", &asked.stream);
    add(&mut object, &members);
    object.add("max_tokens", &asked.settings.max_tokens.unwrap_or(MAX_TOKENS));
    let thinks = object.has("thinking");
    // With thinking the API takes no temperature but its own, and newer models take one of the two only.
    if !thinks && !object.has("top_p") && goes(asked, &object, "temperature") {
        object.add_some("temperature", asked.settings.temperature.as_ref());
    }
    for (name, value) in &asked.settings.options {
        if goes(asked, &object, name) {
            object.add(name, value);
        }
    }
    let path = "/v1/messages".to_owned();
    Ok(Outgoing { path, content_type: JSON.to_owned(), body: vec![object.finish().into()], reading: Reading::Chat })
}

/// Whether a configured member may be added: what the model turned out to refuse is left out. What the caller wrote is the caller's affair.
fn goes(asked: &Asked<'_>, object: &Object, name: &str) -> bool {
    sampling::goes(asked.settings, object, name) && !(name == "thinking" && asked.settings.thinking == Some(false))
}

/// Adds the caller's own members, the messages mended where the API would refuse them.
fn add(object: &mut Object, members: &[(String, &RawValue)]) {
    for (name, value) in members {
        let own = if name == "messages" { mended(value) } else { None };
        match own {
            Some(messages) => object.add(name, &messages),
            None => object.add(name, value),
        }
    }
}

/// What becomes of an item of a list.
enum Change {
    Keep,
    Drop,
    To(Box<RawValue>),
}

impl From<Option<Box<RawValue>>> for Change {
    fn from(changed: Option<Box<RawValue>>) -> Self {
        changed.map_or(Self::Keep, Self::To)
    }
}

/// The messages, if there is something among them that the API would refuse in a conversation that began with another one: an id of a call
/// in another form, or thinking without a signature. Everything else stays byte for byte.
fn mended(messages: &RawValue) -> Option<Box<RawValue>> {
    let holds = |text: &[u8]| memchr::memmem::find(messages.get().as_bytes(), text).is_some();
    if !holds(b"\"tool_use\"") && !holds(b"\"thinking\"") {
        return None;
    }
    each(messages, message)
}

/// A message. One of which nothing is left goes, because the API refuses an empty one.
fn message(message: &RawValue) -> Change {
    let Ok(Members(members)) = serde_json::from_str(message.get()) else { return Change::Keep };
    let content = members.iter().find(|(name, _)| name == "content").and_then(|(_, content)| each(content, block));
    match content {
        None => Change::Keep,
        Some(content) if content.get() == "[]" => Change::Drop,
        Some(content) => changed(message, |name, _| (name == "content").then(|| content.clone())).into(),
    }
}

/// A block of a message's content.
fn block(block: &RawValue) -> Change {
    if is_unsigned_thinking(block) { Change::Drop } else { changed(block, id).into() }
}

/// Thinking of another API's model: only Anthropic signs, and refuses what it did not sign.
fn is_unsigned_thinking(block: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(borrow, rename = "type")]
        kind: Raw<'a>,
        #[serde(borrow)]
        signature: Raw<'a>,
    }
    serde_json::from_str::<Block<'_>>(block.get()).is_ok_and(|block| {
        block.kind.is_some_and(|kind| kind.get() == "\"thinking\"") && wire::filled(block.signature).is_none()
    })
}

/// The list with the items changed for which there is a change; `None` if there is none, or no list.
fn each(list: &RawValue, change: impl Fn(&RawValue) -> Change) -> Option<Box<RawValue>> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let changes: Vec<Change> = items.iter().map(|item| change(item)).collect();
    if changes.iter().all(|change| matches!(change, Change::Keep)) {
        return None;
    }
    let kept = items.iter().zip(&changes).filter_map(|(item, change)| match change {
        Change::Keep => Some(*item),
        Change::Drop => None,
        Change::To(changed) => Some(&**changed),
    });
    to_raw_value(&kept.collect::<Vec<&RawValue>>()).ok()
}

/// The object with those members changed for which there is a change; `None` if there is none.
fn changed(object: &RawValue, change: impl Fn(&str, &RawValue) -> Option<Box<RawValue>>) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(object.get()).ok()?;
    let changes: Vec<Option<Box<RawValue>>> = members.iter().map(|(name, value)| change(name, value)).collect();
    if changes.iter().all(Option::is_none) {
        return None;
    }
    let mut written = Object::with_capacity(object.get().len() + 16);
    for ((name, value), change) in members.iter().zip(&changes) {
        written.add(name, change.as_deref().unwrap_or(value));
    }
    RawValue::from_string(String::from_utf8(written.finish()).ok()?).ok()
}

/// The id of a call, in the call and in its result.
fn id(name: &str, value: &RawValue) -> Option<Box<RawValue>> {
    if !matches!(name, "id" | "tool_use_id") {
        return None;
    }
    let id: String = serde_json::from_str(value.get()).ok()?;
    match call_ids::plain(&id) {
        Cow::Borrowed(_) => None,
        Cow::Owned(plain) => to_raw_value(&plain).ok(),
    }
}

const JSON: &str = "application/json";
/// The most tokens to write where neither caller nor configuration tell: the API requires a figure.
const MAX_TOKENS: u64 = 8192;
