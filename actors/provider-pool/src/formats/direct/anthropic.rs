//! Anthropic's own messages, for callers who speak them: the body as it came, with the model's name replaced and what is configured of the
//! model added where the caller says nothing.

use super::{Asked, Outgoing, Reading, json, no_object};
use crate::formats::call_ids;
use crate::formats::prompt::{Members, Object};
use contract::direct::DirectKind;
use contract::failure::Failure;
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
    if !thinks && !object.has("top_p") {
        object.add_some("temperature", asked.settings.temperature.as_ref());
    }
    for (name, value) in &asked.settings.options {
        object.add(name, value);
    }
    let path = "/v1/messages".to_owned();
    Ok(Outgoing { path, content_type: JSON.to_owned(), body: vec![object.finish().into()], reading: Reading::Chat })
}

/// Adds the caller's own members. In a conversation that began with another API, ids of calls are written as this one takes them.
fn add(object: &mut Object, members: &[(String, &RawValue)]) {
    for (name, value) in members {
        let own = if name == "messages" { with_plain_ids(value) } else { None };
        match own {
            Some(messages) => object.add(name, &messages),
            None => object.add(name, value),
        }
    }
}

/// The messages, if there is an id among them that the API would refuse. Everything else stays byte for byte.
fn with_plain_ids(messages: &RawValue) -> Option<Box<RawValue>> {
    memchr::memmem::find(messages.get().as_bytes(), b"\"tool_use\"")?;
    each(messages, |message| changed(message, |name, content| if name == "content" { blocks(content) } else { None }))
}

/// The blocks of a message's content.
fn blocks(content: &RawValue) -> Option<Box<RawValue>> {
    each(content, |block| changed(block, id))
}

/// The list with those items changed for which there is a change; `None` if there is none, or no list.
fn each(list: &RawValue, change: impl Fn(&RawValue) -> Option<Box<RawValue>>) -> Option<Box<RawValue>> {
    let items: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let changes: Vec<Option<Box<RawValue>>> = items.iter().map(|item| change(item)).collect();
    if changes.iter().all(Option::is_none) {
        return None;
    }
    let items = items.iter().zip(&changes).map(|(item, change)| change.as_deref().unwrap_or(item));
    to_raw_value(&items.collect::<Vec<&RawValue>>()).ok()
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
