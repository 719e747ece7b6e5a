//! OpenRouter: OpenAI's chat completions with additions of its own.
//!
//! What it adds: `reasoning_details`, the proof of thinking that must go back; what an answer cost, in its usage; errors of the servers behind
//! it in the middle of a stream, beside a finish reason; a list of models that tells what each can do. Calls of tools are never relayed as
//! they came, because the proof that belongs to them is kept by their ids.

use super::openai::{self, Dialect};
use super::sniff::{self, Sniffing};
use super::{Decoder, Decoding, Encode, Encoded, ErrorAnswer, Format, ModelsPage, PutBack, errors};
use bytes::Bytes;
use contract::chat::EventSink;
use contract::failure::Failure;
use contract::provider::CallBody;
use contract::secret::Secret;
use std::borrow::Cow;

/// The format `openrouter`.
pub struct OpenRouter;

/// What it says otherwise than OpenAI.
const DIALECT: Dialect = Dialect { format: "openrouter", mends_calls: true, tells_cost: true };

impl Format for OpenRouter {
    fn kind(&self) -> &'static str {
        "openrouter"
    }

    fn default_base_url(&self) -> &'static str {
        "https://openrouter.ai/api/v1"
    }

    fn chat_path(&self, _: &str, _: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat/completions")
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn key_path(&self) -> Option<&'static str> {
        Some("/key")
    }

    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)> {
        openai::headers(key)
    }

    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure> {
        openai::encode(call, &DIALECT)
    }

    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder> {
        let decoding = call.clone();
        let stream = openai::stream(call, DIALECT);
        Box::new(Sniffing::new(stream, move |body, sink| openai::whole(body, &decoding, DIALECT, sink)))
    }

    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
        if sniff::is_event_stream(body) {
            return sniff::read_stream(self.stream_decoder(call), body, sink);
        }
        openai::whole(body, call, DIALECT, sink)
    }

    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure {
        errors::answered(answer)
    }

    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure> {
        openai::models(body)
    }

    fn keeps_proofs(&self) -> bool {
        true
    }

    fn put_back(&self, body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
        openai::put_back(body, proofs)
    }
}
