//! OpenAI's request for embeddings and its answer, for formats that have words of their own.

use super::{Asked, Translated, json, no_object};
use crate::formats::prompt::{Members, Object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use contract::chat::Usage;
use contract::direct::DirectBody;
use contract::failure::Failure;
use serde::{Deserialize, Serialize};
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

/// The caller's request in several, of `most` texts each, where it holds more; none where it does not.
///
/// # Errors
/// As [`read`].
pub fn parts(asked: &Asked<'_>, most: usize) -> Result<Vec<DirectBody>, Failure> {
    let wanted = read(asked)?;
    if wanted.texts.len() <= most {
        return Ok(Vec::new());
    }
    let Members(members) = serde_json::from_slice(json(asked)?).map_err(|error| no_object(&error))?;
    let part = |texts: &[String]| {
        let mut object = Object::with_capacity(4096);
        object.add("input", texts);
        for (name, value) in &members {
            object.add(name, value);
        }
        DirectBody::Json(object.finish().into())
    };
    Ok(wanted.texts.chunks(most).map(part).collect())
}

/// One answer of the answers to [`parts`], in their order. `None` for one that is not what [`print`] prints.
pub fn join(answers: &[Bytes]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: Vec<Vector<'a>>,
        #[serde(borrow)]
        model: &'a RawValue,
        usage: Option<Counted>,
    }
    #[derive(Deserialize)]
    struct Vector<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Counted {
        prompt_tokens: u64,
    }
    let answers: Vec<Answer<'_>> =
        answers.iter().map(|body| serde_json::from_slice(body)).collect::<Result<_, _>>().ok()?;
    let vectors = answers.iter().flat_map(|answer| &answer.data).enumerate();
    let data: Vec<Embedding> = vectors
        .map(|(index, vector)| Embedding { object: "embedding", index, embedding: vector.embedding.to_owned() })
        .collect();
    // A part of the count is not the count.
    let tokens = answers.iter().map(|answer| Some(answer.usage.as_ref()?.prompt_tokens)).sum::<Option<u64>>();
    Some(list(&data, answers.first()?.model, tokens))
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
    Some(Translated { body: list(&data, model, usage.input), usage })
}

fn list(data: &[Embedding], model: &(impl Serialize + ?Sized), tokens: Option<u64>) -> Bytes {
    let mut object = Object::with_capacity(4096);
    object.add("object", "list");
    object.add("data", data);
    object.add("model", model);
    if let Some(tokens) = tokens {
        object.add("usage", &value!({ "prompt_tokens": tokens, "total_tokens": tokens }));
    }
    object.finish().into()
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Box<RawValue>,
}
