//! OpenAI's request for embeddings and its answer, for formats that have words of their own.

use super::{Asked, Translated, json, no_object};
use crate::formats::prompt::{Members, Object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::Usage;
use contract::failure::Failure;
use serde::Serialize;
use serde_json::json as value;
use serde_json::value::RawValue;

/// What is wanted.
pub struct Wanted {
    /// The texts.
    pub texts: Vec<String>,
    /// The length of each vector, if the caller wants another than the model's own.
    pub dimensions: Option<u64>,
    /// Whether the vectors go back as base64 of their 32-bit floats, little-endian.
    pub base64: bool,
}

/// The most texts in one request: OpenAI's own limit.
const MAX_TEXTS: usize = 2048;

/// Reads the caller's request.
///
/// # Errors
/// `InvalidRequest` with `param`.
pub fn read(asked: &Asked<'_>) -> Result<Wanted, Failure> {
    let bytes = json(asked)?;
    let Members(members) = serde_json::from_slice(bytes).map_err(|error| no_object(&error))?;
    let given = |name: &str| {
        members.iter().rev().find(|(known, value)| known == name && value.get() != "null").map(|(_, value)| *value)
    };
    let input = given("input").ok_or_else(|| Failure::invalid("input", "the field \"input\" is missing"))?;
    let texts = match serde_json::from_str::<String>(input.get()) {
        Ok(text) => vec![text],
        Err(_) => serde_json::from_str::<Vec<String>>(input.get()).map_err(|_| {
            let message = format!(
                "\"input\" must be a text or an array of texts: {:?} takes no tokens in place of words",
                asked.model
            );
            Failure::invalid("input", message)
        })?,
    };
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(Failure::invalid("input", format!("\"input\" must hold 1 to {MAX_TEXTS} texts")));
    }
    let dimensions = match given("dimensions") {
        None => None,
        Some(raw) => Some(
            raw.get()
                .parse()
                .ok()
                .filter(|length: &u64| *length > 0)
                .ok_or_else(|| Failure::invalid("dimensions", "\"dimensions\" must be a whole number above 0"))?,
        ),
    };
    let base64 = match given("encoding_format").map(RawValue::get) {
        None | Some("\"float\"") => false,
        Some("\"base64\"") => true,
        Some(_) => {
            return Err(Failure::invalid("encoding_format", "\"encoding_format\" must be \"float\" or \"base64\""));
        }
    };
    Ok(Wanted { texts, dimensions, base64 })
}

/// Prints OpenAI's answer. The vectors are arrays of numbers; `None` for one that is none.
pub fn print(vectors: &[&RawValue], model: &str, base64: bool, usage: Usage) -> Option<Translated> {
    let mut data = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.iter().enumerate() {
        // Read even where it is passed on as it came: what is no vector must not go out as one.
        let numbers: Vec<f32> = serde_json::from_str(vector.get()).ok()?;
        let embedding = if base64 {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            serde_json::value::to_raw_value(&STANDARD.encode(bytes)).ok()?
        } else {
            (*vector).to_owned()
        };
        data.push(Embedding { object: "embedding", index, embedding });
    }
    let mut object = Object::with_capacity(4096);
    object.add("object", "list");
    object.add("data", &data);
    object.add("model", model);
    if let Some(tokens) = usage.input {
        object.add("usage", &value!({ "prompt_tokens": tokens, "total_tokens": tokens }));
    }
    Some(Translated { body: object.finish().into(), usage })
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Box<RawValue>,
}
