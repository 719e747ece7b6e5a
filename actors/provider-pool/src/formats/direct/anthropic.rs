//! Anthropic's own messages, for callers who speak them: the body as it came, with the model's name replaced and what is configured of the
//! model added where the caller says nothing.

use super::{Asked, Outgoing, Reading, json, no_object};
use crate::formats::prompt::{Members, Object};
use contract::direct::DirectKind;
use contract::failure::Failure;

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
        for (name, value) in &members {
            object.add(name, value);
        }
        let path = "/v1/messages/count_tokens".to_owned();
        return Ok(Outgoing {
            path,
            content_type: JSON.to_owned(),
            body: vec![object.finish().into()],
            reading: Reading::Through,
            bare: false,
        });
    }
    object.add("stream", &asked.stream);
    for (name, value) in &members {
        object.add(name, value);
    }
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
    Ok(Outgoing {
        path,
        content_type: JSON.to_owned(),
        body: vec![object.finish().into()],
        reading: Reading::Chat,
        bare: false,
    })
}

const JSON: &str = "application/json";
/// The most tokens to write where neither caller nor configuration tell: the API requires a figure.
const MAX_TOKENS: u64 = 8192;
