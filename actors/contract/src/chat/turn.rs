//! A turn of the agent: one question, as many rounds of model and tools as it takes, one answer.
//!
//! AgentSupervisor admits turns by message ([`StartTurn`]); the turn itself then runs on the thread that asked, as an [`EventStream`]:
//! a scheduled investigation is the same message as a chat, with another origin, lane and sink.

use super::event::{EventStream, OpaquePart};
use super::request::ChatRequest;
use crate::LocalBoxFuture;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::ids::RequestId;
use crate::message::Msg;
use crate::provider::Target;
use std::any::Any;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a caller asks of the agent.
#[derive(Clone)]
pub struct TurnRequest {
    /// Ties everything the turn causes together.
    pub request_id: RequestId,
    /// Who asks.
    pub caller: Caller,
    /// Which route answers, or the built-in model alone.
    pub target: Target,
    /// The conversation.
    pub request: Rc<ChatRequest>,
}

/// Runs turns on the calling thread.
pub trait Agent {
    /// Admits a turn and starts it. Resolves when the turn may run; its first event may be much later.
    fn start(&self, request: TurnRequest) -> LocalBoxFuture<'static, Result<Pin<Box<dyn EventStream>>, Failure>>;
}

/// Asks AgentSupervisor to admit a turn.
#[derive(Clone, Debug)]
pub struct StartTurn {
    /// The request.
    pub request_id: RequestId,
    /// Who asks.
    pub caller: Caller,
    /// The caller's tool calls that the conversation holds results for: AgentSupervisor may keep own results that belong beside them.
    pub call_ids: Vec<String>,
}

impl Msg for StartTurn {
    type Reply = Result<TurnGrant, Failure>;
    const NAME: &'static str = "StartTurn";
}

/// The right to run one turn, with everything it needs that only AgentSupervisor knows.
#[derive(Debug)]
pub struct TurnGrant {
    /// Holds the turn's place; given back when dropped.
    pub permit: TurnPermit,
    /// Prompt and limits.
    pub defaults: Arc<TurnDefaults>,
    /// Own calls and results of earlier mixed rounds of this conversation.
    pub kept: Vec<KeptRound>,
}

/// A place among the running turns. What is inside belongs to AgentSupervisor: dropping it gives the place back.
pub struct TurnPermit(Box<dyn Any + Send>);

impl TurnPermit {
    /// Wraps whatever gives the place back when dropped.
    pub fn new(guard: impl Any + Send) -> Self {
        Self(Box::new(guard))
    }
}

impl std::fmt::Debug for TurnPermit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = &self.0;
        f.write_str("TurnPermit")
    }
}

/// Prompt and limits of a turn, as configured.
#[derive(Clone, Debug)]
pub struct TurnDefaults {
    /// The system prompt with the homelab's profile.
    pub system_prompt: Arc<str>,
    /// The limits.
    pub limits: TurnLimits,
}

/// The limits of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnLimits {
    /// Rounds of tool calls before the model must answer.
    pub max_tool_rounds: u32,
    /// How long one tool may take.
    pub tool_timeout: Duration,
    /// The newest messages kept of a longer history, system messages aside.
    pub context_messages: usize,
    /// Tokens for history and tools; 0: what the model is known to take.
    pub context_tokens: usize,
    /// The most bytes of one tool's result that the model gets to see.
    pub tool_result_bytes: usize,
    /// How long the whole turn may take.
    pub turn_timeout: Duration,
}

/// What a caller cannot bring back of a round that ended with calls to its tools: HAIA's own calls and results, proofs of thinking, the thinking
/// itself. Kept until the caller returns.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRound {
    /// The caller's calls of that round, by the ids the caller knows.
    pub caller_calls: Vec<String>,
    /// Every call of that round in order: id, name, arguments, and the result for HAIA's own.
    pub calls: Vec<KeptCall>,
    /// Provider parts of that round.
    pub opaque: Vec<OpaquePart>,
    /// What the model thought in that round, for providers that want it back.
    pub thinking: String,
}

/// One call of a mixed round.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptCall {
    /// The id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text.
    pub arguments: String,
    /// The result, for HAIA's own calls.
    pub result: Option<String>,
}

/// Runs a whole turn for something that is no chat, and answers its text: an investigation by the clock, the explanation of an alert, a
/// question from a message channel. Whoever stops waiting for the answer cancels the turn. What the built-in responder cannot answer is a
/// failure, never a text.
#[derive(Clone, Debug)]
pub struct RunTurn {
    /// Ties everything the turn causes together.
    pub request_id: RequestId,
    /// Who asks: its origin decides which tools are offered.
    pub caller: Caller,
    /// Which route answers; `None`: the agent's own.
    pub route: Option<Arc<str>>,
    /// The question. Text of guests or alerts in it must stand between marks that say so.
    pub question: String,
    /// What the built-in responder is asked instead, where no model answers: it understands short questions only. `None`: the question.
    pub offline: Option<String>,
    /// What to add to the system prompt (`Answer in two or three sentences.`).
    pub instructions: Option<String>,
    /// Limits below the configured ones: rounds of tools, and the tokens of an answer.
    pub max_tool_rounds: Option<u32>,
    /// The most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// How long it may take, in real time.
    pub timeout: Duration,
}

impl Msg for RunTurn {
    type Reply = Result<TurnText, Failure>;
    const NAME: &'static str = "RunTurn";
}

/// What a turn said.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnText {
    /// The answer.
    pub text: String,
    /// The model that gave it, as far as told, else the route; `builtin/offline` where none could.
    pub model: Arc<str>,
    /// What was looked at, in order, in the words that people see while a tool runs.
    pub tools: Vec<Arc<str>>,
    /// Tokens, where known.
    pub usage: Option<super::event::Usage>,
}

/// Tells AgentSupervisor to keep a mixed round.
#[derive(Clone, Debug)]
pub struct KeepRound(pub KeptRound);

impl Msg for KeepRound {
    type Reply = ();
    const NAME: &'static str = "KeepRound";
}
