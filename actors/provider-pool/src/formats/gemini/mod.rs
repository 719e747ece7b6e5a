//! Google's Gemini API (`generateContent`).

mod content;
mod decode;
mod encode;
mod model;
mod models;
mod picture;

use super::sniff::{self, Sniffing};
use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, address, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::secret::Secret;
use std::borrow::Cow;
use std::sync::Arc;

/// The format `gemini`.
pub struct Gemini;

impl Format for Gemini {
    fn kind(&self) -> &'static str {
        "gemini"
    }

    fn default_base_url(&self) -> &'static str {
        "https://generativelanguage.googleapis.com/v1beta"
    }

    fn chat_path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        // Tuned models have a folder of their own in their names. Names come from callers, so no other may lead elsewhere.
        let (folder, name) = match model.split_once('/') {
            Some((folder @ ("models" | "tunedModels"), name)) => (folder, name),
            _ => ("models", model),
        };
        Cow::Owned(format!("/{folder}/{}:{method}", address::escaped(name, "")))
    }

    fn models_path(&self) -> &'static str {
        "/models?pageSize=1000"
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        // Never as `?key=`: addresses end up in logs.
        key.map(|key| ("x-goog-api-key", key.clone())).into_iter().collect()
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        encode::encode(call)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        let model = Arc::clone(&call.model);
        let stream = decode::GeminiStream::new(Arc::clone(&model));
        Box::new(Sniffing::new(stream, move |body, sink| decode::whole(body, &model, sink)))
    }

    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if sniff::is_event_stream(body) {
            return sniff::read_stream(self.stream_decoder(call), body, sink);
        }
        decode::whole(body, &call.model, sink)
    }

    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure {
        errors::answered(answer)
    }

    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure> {
        models::read(body)
    }

    fn keeps_proofs(&self) -> bool {
        true
    }

    fn fetches_picture(&self, url: &str) -> bool {
        content::is_googles(url)
    }
}
