//! What is asked of a provider beside chats, in that provider's own words: embeddings, speech, transcription, Anthropic's messages as they
//! are. Pure: requests in, requests out; answers in, answers out.
//!
//! A format that has no words for something is not asked: [`outgoing`] gives nothing, and the caller is told who cannot do what.

mod anthropic;
mod embeddings;
mod gemini;
mod ollama;
mod openai;

use super::ModelSettings;
use super::wire::{self, Raw};
use bytes::Bytes;
use contract::chat::Usage;
use contract::direct::{DirectBody, DirectKind};
use contract::failure::{Failure, FailureClass};
use serde::Deserialize;

/// What is to be written.
pub struct Asked<'a> {
    /// What is asked.
    pub kind: DirectKind,
    /// The caller's body.
    pub body: &'a DirectBody,
    /// The model by the provider's own name.
    pub model: &'a str,
    /// Whether a stream of events is wanted.
    pub stream: bool,
    /// What is known and configured of the model.
    pub settings: &'a ModelSettings,
}

/// A request as it goes out.
pub struct Outgoing {
    /// Where to, after the base URL.
    pub path: String,
    /// The body's content type.
    pub content_type: String,
    /// The body, in pieces that need no copying. What of it has not arrived yet comes after them.
    pub body: Vec<Bytes>,
    /// How the answer is read.
    pub reading: Reading,
}

/// How an answer is read.
pub enum Reading {
    /// As it comes if it may be what was asked for ([`passes`]); else whole, for what it tells of tokens and failure ([`look`]).
    Through,
    /// Whole, and translated.
    Translated(Translate),
    /// As an answer of the format's chats, whole or as a stream, and passed on as it came.
    Chat,
}

/// The code of a failure that says that the server has no such path.
pub const NO_SUCH_PATH: &str = "unsupported_endpoint";

/// Translates a whole answer.
pub type Translate = Box<dyn FnOnce(&Bytes) -> Result<Translated, Failure>>;

/// An answer in the words that the caller knows.
#[derive(Debug)]
pub struct Translated {
    /// JSON.
    pub body: Bytes,
    /// What was counted.
    pub usage: Usage,
}

/// Writes the request; `None` if providers of this format have nothing of the kind.
///
/// # Errors
/// `InvalidRequest` with `param` where the format cannot express what is asked.
pub fn outgoing(format: &str, asked: &Asked<'_>) -> Result<Option<Outgoing>, Failure> {
    use DirectKind::{CountTokens, Embeddings, Messages, Speech, Transcription};
    match (format, asked.kind) {
        ("openai" | "openrouter", Embeddings | Speech | Transcription) => openai::write(asked).map(Some),
        ("anthropic", Messages | CountTokens) => anthropic::write(asked).map(Some),
        ("ollama", Embeddings) => ollama::write(asked).map(Some),
        ("gemini", Embeddings) => gemini::write(asked).map(Some),
        _ => Ok(None),
    }
}

/// The caller's body in parts, where the provider takes only so many texts at once; none where it goes as it is.
///
/// # Errors
/// As [`outgoing`].
pub fn parts(format: &str, asked: &Asked<'_>) -> Result<Vec<DirectBody>, Failure> {
    match (format, asked.kind) {
        ("gemini", DirectKind::Embeddings) => embeddings::parts(asked, gemini::MOST_TEXTS),
        _ => Ok(Vec::new()),
    }
}

/// The answers to [`parts`] as one.
///
/// # Errors
/// `Truncated` if one of them is not what was asked for.
pub fn join(answers: &[Bytes]) -> Result<Bytes, Failure> {
    embeddings::join(answers).ok_or_else(|| wire::not_understood("the answer"))
}

/// Whether an answer of this content type may be what was asked for, and go on as it comes.
pub fn passes(kind: DirectKind, content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media.contains("json");
    match kind {
        // Whatever it is called: some servers call their JSON bytes, and proxies answer with pages.
        DirectKind::Embeddings | DirectKind::CountTokens | DirectKind::Messages => false,
        // Sound, or events that hold some.
        DirectKind::Speech => !is_json && (!media.starts_with("text/") || media == "text/event-stream"),
        // Also plain text, if that was asked for; whisper.cpp calls it `text/html`.
        DirectKind::Transcription => !is_json,
    }
}

/// What an answer that does not just pass says of itself.
///
/// # Errors
/// The failure that it tells in spite of its good status, or `Truncated` if it is not what was asked for.
pub fn look(kind: DirectKind, body: &[u8]) -> Result<Usage, Failure> {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        error: Raw<'a>,
        #[serde(borrow)]
        object: Raw<'a>,
        #[serde(borrow)]
        data: Raw<'a>,
        #[serde(borrow)]
        input_tokens: Raw<'a>,
        #[serde(borrow)]
        usage: Raw<'a>,
    }
    #[derive(Deserialize)]
    struct Counts<'a> {
        #[serde(borrow)]
        prompt_tokens: Raw<'a>,
        #[serde(borrow)]
        input_tokens: Raw<'a>,
        #[serde(borrow)]
        output_tokens: Raw<'a>,
    }
    let text = wire::utf8(body);
    let Ok(told) = serde_json::from_str::<Told<'_>>(&text) else {
        return match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            // A text, an array, or a member of another type than expected: still an answer.
            Ok(_) if kind == DirectKind::Transcription => Ok(Usage::default()),
            _ => Err(other(kind, &text)),
        };
    };
    if told.error.is_some() || wire::text(told.object).as_deref() == Some("error") {
        let failure = super::errors::inside(&text);
        if super::refused::speaks_of_path(&failure.message.to_lowercase()) {
            return Err(Failure::new(FailureClass::InvalidRequest, failure.message).with_code(NO_SUCH_PATH));
        }
        return Err(failure);
    }
    let is_asked_for = match kind {
        DirectKind::Embeddings => told.data.is_some_and(|data| data.get().starts_with('[')),
        DirectKind::CountTokens => wire::count(told.input_tokens).is_some(),
        DirectKind::Speech => false,
        DirectKind::Transcription | DirectKind::Messages => true,
    };
    if !is_asked_for {
        return Err(other(kind, &text));
    }
    // Odd counts are none; the answer is what was asked for.
    let counts = told.usage.and_then(|usage| serde_json::from_str::<Counts<'_>>(usage.get()).ok());
    let counted = counts.map(|counts| Usage {
        input: wire::count(counts.prompt_tokens).or_else(|| wire::count(counts.input_tokens)),
        output: wire::count(counts.output_tokens),
        ..Usage::default()
    });
    let counted = counted.unwrap_or_default();
    Ok(if kind == DirectKind::Embeddings { nothing_written(counted) } else { counted })
}

/// Of vectors no tokens are written: what is read is all there is to count, and to pay.
fn nothing_written(usage: Usage) -> Usage {
    Usage { output: usage.output.or(usage.input.map(|_| 0)), ..usage }
}

/// The failure of an answer that is something else than was asked for. Nothing of it is told.
fn other(kind: DirectKind, text: &str) -> Failure {
    let wanted = match kind {
        DirectKind::Embeddings => "embeddings",
        DirectKind::Speech => "sound",
        DirectKind::Transcription => "a transcription",
        DirectKind::Messages => "a message",
        DirectKind::CountTokens => "a count of tokens",
    };
    let message = match text.trim_start().starts_with('<') {
        true => format!("the provider answered with a page instead of {wanted}: check base_url"),
        false => format!("the provider's answer does not hold {wanted}"),
    };
    Failure::new(FailureClass::Truncated, message)
}

/// The JSON of a body that must be some.
fn json<'a>(asked: &Asked<'a>) -> Result<&'a Bytes, Failure> {
    match asked.body {
        DirectBody::Json(bytes) => Ok(bytes),
        DirectBody::Form { .. } => {
            let message = format!("{} takes a JSON object, not a form", asked.kind.path());
            Err(Failure::new(FailureClass::InvalidRequest, message))
        }
    }
}

/// The body is no object.
fn no_object(error: &serde_json::Error) -> Failure {
    Failure::new(FailureClass::InvalidRequest, format!("the body is not a JSON object: {error}"))
}

#[cfg(test)]
mod tests;
