//! OpenAI's embeddings, speech and transcription, for every compatible server: the caller's own body with the model's name replaced.

use super::{Asked, Outgoing, Reading, json, no_object};
use crate::formats::prompt::{Members, Object};
use bytes::Bytes;
use contract::direct::{DirectBody, DirectKind};
use contract::failure::Failure;

/// Writes the request.
///
/// # Errors
/// `InvalidRequest` if the body is no JSON object where it must be one.
pub fn write(asked: &Asked<'_>) -> Result<Outgoing, Failure> {
    // A base URL holds the `/v1` already.
    let path = asked.kind.path().trim_start_matches("/v1").to_owned();
    let (content_type, body) = match (asked.kind, asked.body) {
        (DirectKind::Transcription, DirectBody::Form { content_type, around_model: (before, behind), .. }) => {
            let model = Bytes::copy_from_slice(asked.model.as_bytes());
            (content_type.clone(), vec![before.clone(), model, behind.clone()])
        }
        _ => ("application/json".to_owned(), vec![renamed(asked)?]),
    };
    Ok(Outgoing { path, content_type, body, reading: Reading::Through })
}

fn renamed(asked: &Asked<'_>) -> Result<Bytes, Failure> {
    let bytes = json(asked)?;
    let Members(members) = serde_json::from_slice(bytes).map_err(|error| no_object(&error))?;
    let mut object = Object::with_capacity(bytes.len() + 64);
    object.add("model", asked.model);
    for (name, value) in &members {
        object.add(name, value);
    }
    Ok(object.finish().into())
}
