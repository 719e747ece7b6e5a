//! OpenAI's chat completions, and the many servers that speak them: DeepSeek, Groq, Mistral, vLLM, llama.cpp, Azure, …

mod as_given;
mod calls;
mod chunk;
mod counts;
mod details;
mod encode;
mod failed;
mod finish;
mod models;
mod put_back;
mod relay;
mod results;
mod stream;
mod suited;
mod thought;
mod whole;

use super::sniff::{self, Sniffing};
use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, PutBack, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::provider::CallBody;
use contract::secret::Secret;
use std::borrow::Cow;

pub use encode::encode;
pub use models::read as models;
pub use put_back::put_back;
pub use whole::read as whole;

/// The format `openai`.
pub struct OpenAi;

/// In what the servers that share this format differ.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The name under which proofs of thinking are kept: they go back to where they came from alone.
    pub format: &'static str,
    /// Whether calls of tools are handed on as neutral events always, so that everybody knows their ids.
    pub mends_calls: bool,
    /// Whether `usage.cost` is USD.
    pub tells_cost: bool,
}

const DIALECT: Dialect = Dialect { format: "openai", mends_calls: false, tells_cost: false };

/// The header that carries the key.
pub fn headers(key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
    key.map(|key| ("authorization", Secret::new(format!("Bearer {}", key.expose())))).into_iter().collect()
}

/// A decoder for a streamed answer.
pub fn stream(call: &Decoding, dialect: Dialect) -> impl Decoder + use<> {
    stream::OpenAiStream::new(call, dialect)
}

impl Format for OpenAi {
    fn kind(&self) -> &'static str {
        "openai"
    }

    fn default_base_url(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn chat_path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat/completions")
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        headers(key)
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        encode(call, &DIALECT)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        let decoding = call.clone();
        let stream = stream(call, DIALECT);
        Box::new(Sniffing::new(stream, move |body, sink| whole(body, &decoding, DIALECT, sink)))
    }

    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if sniff::is_event_stream(body) {
            return sniff::read_stream(self.stream_decoder(call), body, sink);
        }
        whole(body, call, DIALECT, sink)
    }

    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure {
        errors::answered(answer)
    }

    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure> {
        models(body)
    }

    fn keeps_thinking(&self) -> bool {
        true
    }

    fn put_back(&self, body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
        put_back(body, proofs)
    }
}
