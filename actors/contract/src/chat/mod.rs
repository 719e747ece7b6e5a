//! A chat: the request, the events of its answer, and the two ways to get one (a turn of the agent, a plain call of a model).
//!
//! The shapes are OpenAI's chat completions, because that is what clients send; what providers add is carried beside them.

mod answer;
mod content;
mod event;
mod functions;
mod message;
mod request;
mod tooling;
mod turn;

pub use answer::{Answer, CollectedCall};
pub use content::{Content, Part};
pub use event::{Event, EventSink, EventStream, FinishReason, Head, OpaquePart, Relayed, Stop, Usage};
pub use message::{FunctionCall, Message, Role, ToolCall};
pub use request::ChatRequest;
pub use tooling::{Effort, ResponseFormat, ToolChoice, ToolSpec, Tools};
pub use turn::{
    Agent, KeepRound, KeptCall, KeptRound, RunTurn, StartTurn, TurnDefaults, TurnGrant, TurnLimits, TurnPermit,
    TurnRequest, TurnText,
};
