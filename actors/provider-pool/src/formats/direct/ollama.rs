//! Ollama's `/api/embed`.

use super::{Asked, Outgoing, Reading, Translated, embeddings, nothing_written, other};
use crate::formats::prompt::Object;
use crate::formats::wire::{self, Raw};
use bytes::Bytes;
use contract::chat::Usage;
use contract::direct::DirectKind;
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Writes the request.
///
/// # Errors
/// `InvalidRequest` with `param`.
pub fn write(asked: &Asked<'_>) -> Result<Outgoing, Failure> {
    let wanted = embeddings::read(asked)?;
    let mut object = Object::with_capacity(1024);
    object.add("model", asked.model);
    object.add("input", &wanted.texts);
    object.add_some("dimensions", wanted.dimensions.as_ref());
    object.add_some("keep_alive", asked.settings.options.get("keep_alive"));
    let others = asked.settings.options.iter().filter(|(name, _)| !matches!(name.as_str(), "keep_alive" | "think"));
    let options: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !options.is_empty() {
        object.add("options", &options);
    }
    let (model, base64) = (asked.model.to_owned(), wanted.base64);
    Ok(Outgoing {
        path: "/api/embed".to_owned(),
        content_type: "application/json".to_owned(),
        body: vec![object.finish().into()],
        reading: Reading::Translated(Box::new(move |body| read(body, &model, base64))),
    })
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    prompt_eval_count: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

fn read(body: &Bytes, model: &str, base64: bool) -> Result<Translated, Failure> {
    let text = wire::utf8(body);
    let answer: Answer<'_> = serde_json::from_str(&text).map_err(|_| other(DirectKind::Embeddings, &text))?;
    if answer.error.is_some() {
        return Err(crate::formats::errors::inside(&text));
    }
    let usage = nothing_written(Usage { input: wire::count(answer.prompt_eval_count), ..Usage::default() });
    let vectors = answer.embeddings.ok_or_else(|| other(DirectKind::Embeddings, &text))?;
    embeddings::print(&vectors, model, base64, usage).ok_or_else(|| wire::not_understood("the answer"))
}
