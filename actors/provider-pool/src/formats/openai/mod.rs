//! OpenAI's chat completions, and the many servers that speak them: OpenRouter, DeepSeek, Groq, Mistral, vLLM, llama.cpp, Azure, …

mod calls;
mod chunk;
mod details;
mod encode;
mod models;
mod relay;
mod stream;
mod whole;

use super::sniff::{self, Sniffing};
use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::secret::Secret;
use std::sync::Arc;

/// The format `openai`.
pub struct OpenAi;

impl Format for OpenAi {
    fn kind(&self) -> &'static str {
        "openai"
    }

    fn default_base_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn chat_path(&self) -> &'static str {
        "/chat/completions"
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        key.map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).into_iter().collect()
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        encode::encode(call)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        let decoding = call.clone();
        let stream = stream::OpenAiStream::new(Arc::clone(&call.model));
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
}
