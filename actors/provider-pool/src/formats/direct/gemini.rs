//! Gemini's `batchEmbedContents`: one question for each text, a hundred in one request at most.

use super::{Asked, Outgoing, Reading, Translated, embeddings, other};
use crate::formats::wire::{self, Raw};
use bytes::Bytes;
use contract::chat::Usage;
use contract::direct::DirectKind;
use contract::failure::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    model: &'a str,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Text<'a>; 1],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

/// The most texts that the API takes at once.
pub const MOST_TEXTS: usize = 100;

/// Writes the request.
///
/// # Errors
/// `InvalidRequest` with `param`.
pub fn write(asked: &Asked<'_>) -> Result<Outgoing, Failure> {
    let wanted = embeddings::read(asked)?;
    let name = asked.model.strip_prefix("models/").unwrap_or(asked.model);
    // The name stands in the path: what is no name must not lead elsewhere.
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        let message = format!("{name:?} cannot be the name of a Gemini model");
        let failure = Failure { param: Some("model".to_owned()), ..Failure::new(FailureClass::NotFound, message) };
        return Err(failure.with_code("model_not_found"));
    }
    let model = format!("models/{name}");
    let one = |text| One {
        model: &model,
        content: Content { parts: [Text { text }] },
        output_dimensionality: wanted.dimensions,
    };
    let batch = Batch { requests: wanted.texts.iter().map(|text| one(text)).collect() };
    let body = serde_json::to_vec(&batch)
        .map_err(|error| Failure::new(FailureClass::Internal, format!("the request could not be written: {error}")))?;
    let (path, asked_model, base64) = (format!("/{model}:batchEmbedContents"), asked.model.to_owned(), wanted.base64);
    Ok(Outgoing {
        path,
        content_type: "application/json".to_owned(),
        body: vec![body.into()],
        reading: Reading::Translated(Box::new(move |body| read(body, &asked_model, base64))),
    })
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<Embedding<'a>>>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

fn read(body: &Bytes, model: &str, base64: bool) -> Result<Translated, Failure> {
    let text = wire::utf8(body);
    let answer: Answer<'_> = serde_json::from_str(&text).map_err(|_| other(DirectKind::Embeddings, &text))?;
    if answer.error.is_some() {
        return Err(crate::formats::errors::inside(&text));
    }
    let embeddings = answer.embeddings.ok_or_else(|| other(DirectKind::Embeddings, &text))?;
    let vectors: Vec<&RawValue> = embeddings.iter().map(|embedding| embedding.values).collect();
    // Gemini does not tell tokens here.
    embeddings::print(&vectors, model, base64, Usage::default()).ok_or_else(|| wire::not_understood("the answer"))
}
