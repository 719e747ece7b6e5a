//! Anthropic's messages.

mod caching;
mod content;
mod counts;
mod encode;
mod model;
mod models;
mod schema;
mod stream;
mod whole;

use super::sniff::{self, Sniffing};
use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::secret::Secret;
use std::borrow::Cow;
use std::sync::Arc;

/// The format `anthropic`.
pub struct Anthropic;

impl Format for Anthropic {
    fn kind(&self) -> &'static str {
        "anthropic"
    }

    fn default_base_url(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn chat_path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/v1/messages")
    }

    fn models_path(&self) -> &'static str {
        "/v1/models?limit=1000"
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        let version = ("anthropic-version", Secret::new("2023-06-01"));
        key.map(|key| ("x-api-key", key.clone())).into_iter().chain([version]).collect()
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        encode::encode(call)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        let decoding = call.clone();
        let stream = stream::AnthropicStream::new(Arc::clone(&call.model));
        Box::new(Sniffing::new(stream, move |body, sink| whole::read(body, &decoding, sink)))
    }

    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if sniff::is_event_stream(body) {
            return sniff::read_stream(self.stream_decoder(call), body, sink);
        }
        whole::read(body, call, sink)
    }

    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure {
        errors::answered(answer)
    }

    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure> {
        models::read(body)
    }

    fn begins_with_made_up_counts(&self) -> bool {
        true
    }

    fn keeps_proofs(&self) -> bool {
        true
    }
}
