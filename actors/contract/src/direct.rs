//! Calls of a provider beside chats: embeddings, speech, transcription, counting tokens, and chats in a provider's own format.
//!
//! Only `<provider>/<model>` answers them: there is no route, no agent and no failover here. A request goes to the provider with the
//! model's name replaced, in the provider's own words where those differ from OpenAI's; the answer comes back the same way.

use crate::LocalBoxFuture;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::ids::RequestId;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What is asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirectKind {
    /// `POST /v1/embeddings` in OpenAI's shape, and so is the answer.
    Embeddings,
    /// `POST /v1/audio/speech` in OpenAI's shape; the answer is sound.
    Speech,
    /// `POST /v1/audio/transcriptions`: a form with a file.
    Transcription,
    /// `POST /v1/messages` in Anthropic's shape, for providers that speak it themselves.
    Messages,
    /// `POST /v1/messages/count_tokens` in Anthropic's shape.
    CountTokens,
}

impl DirectKind {
    /// The path that HAIA's callers know it by.
    pub fn path(self) -> &'static str {
        match self {
            DirectKind::Embeddings => "/v1/embeddings",
            DirectKind::Speech => "/v1/audio/speech",
            DirectKind::Transcription => "/v1/audio/transcriptions",
            DirectKind::Messages => "/v1/messages",
            DirectKind::CountTokens => "/v1/messages/count_tokens",
        }
    }
}

/// One such call.
#[derive(Debug)]
pub struct DirectCall {
    /// Ties the call to its request.
    pub request_id: RequestId,
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub kind: DirectKind,
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The model by the provider's own name.
    pub model: Arc<str>,
    /// The caller's body.
    pub body: DirectBody,
    /// Whether the answer is a stream of events ([`DirectKind::Messages`] only).
    pub stream: bool,
    /// The caller's `anthropic-beta` header, for a provider that knows it.
    pub beta: Option<String>,
}

/// The body of a call.
#[derive(Debug)]
pub enum DirectBody {
    /// A JSON object.
    Json(Bytes),
    /// A form with files.
    Form {
        /// Its content type, with the boundary.
        content_type: String,
        /// What comes first, if it is not at hand as bytes. It can be sent once only.
        before: Option<Arriving>,
        /// The bytes before the model's name, and those behind it: the name between them is the call's own.
        around_model: (Bytes, Bytes),
        /// What comes after that, if it is not at hand as bytes. It can be sent once only.
        rest: Option<Arriving>,
    },
}

/// A part of a body that is still arriving, or is kept elsewhere than in memory.
pub struct Arriving {
    /// How many bytes it has, if that is known.
    pub length: Option<u64>,
    /// The bytes. While nobody asks for them the caller has to wait; how long it may take itself is seen to where they come from.
    pub pieces: Pin<Box<dyn Pieces>>,
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arriving({:?} bytes)", self.length)
    }
}

/// What a call led to.
pub enum Directed {
    /// The provider answers.
    Answer(DirectAnswer),
    /// The provider has no such thing; nothing was sent.
    Unsupported {
        /// The kind of provider, as the configuration writes it.
        kind: &'static str,
    },
}

/// An answer under way.
pub struct DirectAnswer {
    /// Its content type.
    pub content_type: String,
    /// The body.
    pub body: DirectAnswerBody,
}

/// The body of an answer.
pub enum DirectAnswerBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes. Dropping it cancels the provider's request.
    Pieces(Pin<Box<dyn Pieces>>),
}

/// A body as it comes: one of type `text/event-stream` in whole events, whatever the network made of them, so that something may be said
/// between any two pieces and after the last. `Ready(Some(Err(_)))` says that it broke off, `Ready(None)` that it is complete. After either it must not be polled
/// again.
pub trait Pieces {
    /// Waits for the next piece.
    fn poll_piece(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>>;
}

/// Calls providers directly on the calling thread, with that thread's connections.
pub trait Direct {
    /// Makes a call. Resolves when the answer has begun, or is there if it comes whole. Dropping the future cancels.
    fn direct(&self, call: DirectCall) -> LocalBoxFuture<'static, Result<Directed, Failure>>;
}
