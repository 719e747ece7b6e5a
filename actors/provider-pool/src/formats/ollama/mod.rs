//! Ollama's own chat API.

mod decode;
mod encode;
mod models;

use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::provider::ModelEntry;
use contract::secret::Secret;
use std::borrow::Cow;
use std::sync::Arc;

/// The format `ollama`.
pub struct Ollama;

impl Format for Ollama {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn default_base_url(&self) -> &'static str {
        "http://127.0.0.1:11434"
    }

    fn chat_path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/api/chat")
    }

    fn models_path(&self) -> &'static str {
        "/api/tags"
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        // Only ollama.com and proxies in front of a server want one.
        key.map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).into_iter().collect()
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        encode::encode(call)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        Box::new(decode::OllamaStream::new(Arc::clone(&call.model)))
    }

    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
        decode::whole(body, call, sink)
    }

    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure {
        errors::answered(answer)
    }

    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure> {
        models::read(body)
    }

    fn fetches_picture(&self, _: &str) -> bool {
        false
    }

    fn describe_model(&self, model: &str) -> Option<(&'static str, Bytes)> {
        Some(("/api/show", models::show_request(model)))
    }

    fn decode_context(&self, body: &[u8]) -> Option<u64> {
        models::decode_context(body)
    }

    fn loaded_path(&self) -> Option<&'static str> {
        Some("/api/ps")
    }

    fn decode_loaded(&self, body: &[u8]) -> Vec<(String, u64)> {
        models::decode_loaded(body)
    }

    fn decode_description(&self, body: &[u8], entry: &mut ModelEntry) {
        let shown = models::decode_show(body);
        entry.tools = shown.tools.or(entry.tools);
        entry.context_tokens = shown.context_tokens.or(entry.context_tokens);
        entry.abilities = shown.abilities;
    }
}
