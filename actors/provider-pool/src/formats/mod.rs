//! The wire formats: how a chat request is written for a provider, and how its answer is read.
//!
//! Everything here is a function of its input: bytes in, events or bytes out. Nothing here opens a connection, reads a clock or knows a
//! provider's address beyond its usual one. A format is one module with an encoder and a decoder, and one line in [`by_kind`].
//!
//! What a decoder promises beyond [`Event`](contract::chat::Event)'s own order:
//!
//! - [`Event::Head`](contract::chat::Event::Head) comes before everything else, relayed bytes included.
//! - `Finish` comes when the provider's end mark came, so that an answer that fails at the very end has no finish reason.
//! - Relayed bytes carry `delta.role` before any text unless neutral text, thinking, a refusal or a tool call came before them: whoever
//!   prints neutral events gives the role with the first of those.
//! - A tool call whose beginning was relayed gets no `ToolEnd`; if it came without arguments, `{}` follows as `ToolArguments`.

mod address;
mod anthropic;
mod call_ids;
pub mod direct;
mod document;
pub(crate) mod errors;
mod gemini;
mod ndjson;
mod ollama;
mod openai;
mod openrouter;
mod prompt;
mod refused;
mod sampling;
mod sniff;
mod waits;
mod wire;
mod wording;

pub use errors::ErrorAnswer;
pub(crate) use prompt::picture_type;

use bytes::Bytes;
use contract::chat::{EventSink, OpaquePart, ToolCall};
use contract::failure::Failure;
use contract::provider::{CallBody, ModelEntry};
use contract::secret::Secret;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::{self, Debug, Formatter};
use std::rc::Rc;
use std::sync::Arc;

/// The most bytes of one event of a stream, or of what is kept of one answer: more is a fault of the provider.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// A wire format.
pub trait Format: Send + Sync + 'static {
    /// The format's name: `openai`, `anthropic`, `gemini`, `openrouter`, `ollama`.
    fn kind(&self) -> &'static str;

    /// The usual address: with `/v1` for `openai` and `openrouter`, with `/v1beta` for `gemini`, the root for `anthropic` and `ollama`.
    fn default_base_url(&self) -> &'static str;

    /// Where chats with this model go, streamed or whole, after the base URL.
    fn chat_path(&self, model: &str, stream: bool) -> Cow<'static, str>;

    /// Where the models are listed, after the base URL: a GET, the probe that costs nothing.
    fn models_path(&self) -> &'static str;

    /// Where the key is checked, after the base URL, for an API that lists its models to everybody: a GET that costs nothing.
    fn key_path(&self) -> Option<&'static str> {
        None
    }

    /// The headers that carry the key, and those the provider insists on.
    fn headers(&self, key: Option<&Secret>) -> Vec<(&'static str, Secret)>;

    /// Writes the request's body.
    ///
    /// # Errors
    /// `InvalidRequest` with `param` where the format cannot express what is asked.
    fn encode(&self, call: &Encode<'_>) -> Result<Encoded, Failure>;

    /// A decoder for one streamed answer.
    fn stream_decoder(&self, call: &Decoding) -> Box<dyn Decoder>;

    /// Reads a whole answer and hands its events to `sink`.
    ///
    /// # Errors
    /// The failure that the body tells, whatever its HTTP status; `Truncated` if the body is not an answer.
    fn decode_whole(&self, body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure>;

    /// What an answer with an error status means. Reads any body.
    fn failure(&self, answer: &ErrorAnswer<'_>) -> Failure;

    /// Reads one page of the list of models. The entries' `provider` is empty: the format does not know it.
    ///
    /// # Errors
    /// `Truncated` if the body is not such a list.
    fn decode_models(&self, body: &[u8]) -> Result<ModelsPage, Failure>;

    /// Whether answers hold proofs of thinking ([`Event::Opaque`](contract::chat::Event::Opaque)) that belong to calls of tools.
    fn keeps_proofs(&self) -> bool {
        false
    }

    /// Whether the first count of the output that a stream tells is made up, as long as its end has not come.
    fn begins_with_made_up_counts(&self) -> bool {
        false
    }

    /// Whether what a model thought before it called tools is told to [`Decoding::thoughts`], because some servers want it back.
    fn keeps_thinking(&self) -> bool {
        false
    }

    /// Puts kept proofs or thinking back into the messages that they came with. `None` if the body cannot be read: the encoder will say why.
    fn put_back(&self, body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
        prompt::put_back(body, proofs)
    }

    /// Whether the API fetches the picture behind this http(s) address itself. What it does not must be in the request.
    fn fetches_picture(&self, url: &str) -> bool {
        let _ = url;
        true
    }

    /// How to ask what a model can do, where the list does not tell: path after the base URL and body of a POST.
    fn describe_model(&self, model: &str) -> Option<(&'static str, Bytes)> {
        let _ = model;
        None
    }

    /// The context that a model is run with unless another is asked for, in tokens, where the answer to [`Format::describe_model`] tells.
    fn decode_context(&self, body: &[u8]) -> Option<u64> {
        let _ = body;
        None
    }

    /// Where the models that are loaded now are listed, after the base URL: a GET.
    fn loaded_path(&self) -> Option<&'static str> {
        None
    }

    /// The loaded models, each with the context that it has, in tokens. What is not told, or unreadably, is not in it.
    fn decode_loaded(&self, body: &[u8]) -> Vec<(String, u64)> {
        let _ = body;
        Vec::new()
    }

    /// Adds what the answer to [`Format::describe_model`] tells. What it does not tell, or tells unreadably, stays as it was.
    fn decode_description(&self, body: &[u8], entry: &mut ModelEntry) {
        let _ = (body, entry);
    }
}

/// The format of that name.
pub fn by_kind(kind: &str) -> Option<&'static dyn Format> {
    match kind {
        "openai" => Some(&openai::OpenAi),
        "anthropic" => Some(&anthropic::Anthropic),
        "gemini" => Some(&gemini::Gemini),
        "openrouter" => Some(&openrouter::OpenRouter),
        "ollama" => Some(&ollama::Ollama),
        _ => None,
    }
}

/// What is to be written.
pub struct Encode<'a> {
    /// What is asked.
    pub body: &'a CallBody,
    /// The model by the provider's own name.
    pub model: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// What is known and configured of the model.
    pub settings: &'a ModelSettings,
}

/// What is known and configured of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSettings {
    /// The most tokens to write, where the caller gives none.
    pub max_tokens: Option<u64>,
    /// Sampling temperature, where the caller gives none.
    pub temperature: Option<f64>,
    /// Members of the request, as configured, added where the caller has none of that name; for `ollama` members of its `options`, but
    /// for `keep_alive` and `think`.
    pub options: Map<String, Value>,
    /// `Some(false)`: the model refuses tools, so it is offered none.
    pub tools: Option<bool>,
    /// `Some(false)`: the model cannot think, so it is not asked to.
    pub thinking: Option<bool>,
    /// The model does not know the caller's word for how hard to think: a more common one is written, or none (`openai`, `ollama`,
    /// `gemini`).
    pub other_effort: bool,
    /// The server refuses `stream_options` (`openai`).
    pub no_stream_options: bool,
    /// The model wants back what it thought (`openai`).
    pub reasoning_back: bool,
    /// The model takes ids of tool calls of nine letters and digits only (`openai`).
    pub short_call_ids: bool,
    /// The model takes no `temperature` (`openai`, `anthropic`).
    pub no_temperature: bool,
    /// The model takes no `top_p` (`openai`, `anthropic`).
    pub no_top_p: bool,
    /// The model takes `temperature` or `top_p`, not both (`openai`, `anthropic`).
    pub one_of_sampling: bool,
    /// The model wants `max_completion_tokens` in place of `max_tokens` (`openai`).
    pub completion_tokens: bool,
    /// The tokens it takes, if known.
    pub context_tokens: Option<u64>,
    /// The context that it has already, in tokens: asking for less would load it anew (`ollama`).
    pub context_loaded: u64,
    /// Whether to mark the parts of a prompt that are worth keeping, for APIs that want to be told (`anthropic`).
    pub prompt_caching: bool,
}

/// Proofs of thinking for one message of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// The message, by its place.
    pub message: usize,
    /// The proofs; `call` is the place of a call in this message.
    pub parts: Vec<OpaquePart>,
}

/// A request as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The body: JSON.
    pub body: Bytes,
    /// What was left out or changed to suit the model, for the person to know.
    pub notices: Vec<String>,
    /// The context that it asks for, in tokens; 0: it leaves that to the server.
    pub context: u64,
}

/// What an answer is read for.
#[derive(Clone)]
pub struct Decoding {
    /// The model that was asked, for answers that do not name theirs.
    pub model: Arc<str>,
    /// Whom to tell what was thought before calls of tools; `None` where no tools were offered, or nobody will ask for it.
    pub thoughts: Option<Rc<dyn Thoughts>>,
}

impl Debug for Decoding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decoding").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Takes what a model thought before it called tools.
pub trait Thoughts {
    /// Told once at most: when the answer is complete, before its end is handed on. `thinking` is a JSON string, as it came.
    fn take(&self, calls: &[ToolCall], thinking: OpaquePart);
}

/// Reads one streamed answer, fed as the bytes arrive, in pieces of any size.
pub trait Decoder {
    /// Takes the next bytes and hands the events in them to `sink`.
    ///
    /// # Errors
    /// The failure that the stream tells, or `Truncated` if it was not understood. The events before it were handed over; nothing may be
    /// fed after it.
    fn feed(&mut self, bytes: &Bytes, sink: &mut dyn EventSink) -> Result<(), Failure>;

    /// The connection ended. What is still held back is handed over.
    ///
    /// # Errors
    /// `Truncated` unless the provider's end mark was seen.
    fn end(&mut self, sink: &mut dyn EventSink) -> Result<(), Failure>;

    /// Whether the end mark was seen: nothing more will come, and the connection's end need not be waited for.
    fn is_complete(&self) -> bool;

    /// Whether the answer has begun with something of which nothing need be shown for long: thinking that stays hidden, a tool of the
    /// provider's own. The wait for the first token is over then.
    fn is_at_work(&self) -> bool {
        false
    }
}

/// A page of the list of models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelsPage {
    /// The models, in the provider's order, their `provider` empty.
    pub entries: Vec<ModelEntry>,
    /// Where the next page is, after the base URL.
    pub next: Option<String>,
}
