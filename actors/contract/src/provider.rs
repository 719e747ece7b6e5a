//! What the provider pool answers: which models there are, how the providers do, and calls of a model.

use crate::LocalBoxFuture;
use crate::caller::Caller;
use crate::chat::{ChatRequest, EventStream};
use crate::failure::Failure;
use crate::ids::RequestId;
use crate::message::Msg;
use crate::usage::{ModelUsage, UsageReport};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// The provider name of the built-in responder.
pub const BUILTIN: &str = "builtin";
/// The model id of the offline responder.
pub const BUILTIN_OFFLINE: &str = "builtin/offline";

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A route by name: its providers in failover order.
    Route(Arc<str>),
    /// One model of one provider.
    Model {
        /// The provider's name in the configuration.
        provider: Arc<str>,
        /// The model by the provider's own name.
        model: Arc<str>,
    },
}

/// One call of a model.
#[derive(Clone)]
pub struct ModelCall {
    /// Ties the call to its request.
    pub request_id: RequestId,
    /// Who caused it.
    pub caller: Caller,
    /// Where it goes.
    pub target: Target,
    /// What is asked.
    pub body: CallBody,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the reader can use a compatible provider's bytes as they are (see `EventSink::relay`).
    pub relay: bool,
    /// Whether a relayed stream may hold the usage chunk: the client asked for it.
    pub relay_usage: bool,
}

/// What is asked of a model.
#[derive(Clone)]
pub enum CallBody {
    /// The client's own body: OpenAI's JSON, already checked to be a chat request. A compatible provider gets it with the model's
    /// name, `stream` and `stream_options` replaced and all else as it came; other formats parse it.
    Raw(Bytes),
    /// A request that HAIA built: a round of a turn.
    Request(Rc<ChatRequest>),
}

/// What a call led to.
pub enum Called {
    /// A provider answers.
    Stream(ModelAnswer),
    /// Every provider before it failed, and the route's next entry is the built-in responder, which the agent runs itself.
    Builtin {
        /// Why the providers before it failed, in order.
        failures: Vec<Failure>,
    },
}

/// An answer under way.
pub struct ModelAnswer {
    /// The events. Dropping it cancels the provider's request.
    pub events: Pin<Box<dyn EventStream>>,
    /// Who answers.
    pub provider: Arc<str>,
    /// With which model.
    pub model: Arc<str>,
    /// What was left out or changed to suit the model, for the person to know (`this model takes no tools`).
    pub notices: Vec<String>,
}

/// Calls models on the calling thread, with that thread's connections.
pub trait Models {
    /// Goes along the target's candidates until one has begun to answer (streamed: its first event has been decoded; whole: the
    /// answer is there). Dropping the future cancels.
    fn call(&self, call: ModelCall) -> LocalBoxFuture<'static, Result<Called, Failure>>;
}

/// Asks for every model there is.
#[derive(Clone, Debug)]
pub struct ListModels;

impl Msg for ListModels {
    type Reply = Arc<ModelList>;
    const NAME: &'static str = "ListModels";
}

/// Every model and route, as of the last discovery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelList {
    /// The routes by name, `default` among them.
    pub routes: Vec<RouteEntry>,
    /// The models, in the order of the configuration.
    pub models: Vec<ModelEntry>,
}

/// A route as callers may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteEntry {
    /// The name.
    pub name: Arc<str>,
    /// Its `<provider>/<model>` entries in order.
    pub entries: Vec<String>,
}

/// One model of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The model by the provider's own name.
    pub model: Arc<str>,
    /// When the provider made it, in Unix seconds, if told.
    pub created: Option<i64>,
    /// The tokens it takes, if known.
    pub context_tokens: Option<u64>,
    /// Whether it takes tools, if known.
    pub tools: Option<bool>,
    /// What else it can do. Not kept over a restart: the next discovery tells it again.
    #[serde(default)]
    pub abilities: Abilities,
}

/// What a model can do beyond chatting, as far as its provider tells. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// Whether it takes pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it can think before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<bool>,
    /// Whether it makes embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<bool>,
    /// The most tokens that it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
}

/// Whether a provider can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// Nothing was asked of it yet.
    Unknown,
    /// The last thing asked of it worked.
    Ready,
    /// It limits the rate or is overloaded for now.
    Limited,
    /// The last things asked of it failed.
    Failing,
    /// It refuses HAIA's key.
    Refused,
}

/// How a provider does, for `/status`.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderStatus {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Whether it can be used.
    pub state: ProviderState,
    /// Whether routes leave it alone after failures: `closed` (no), `open`, or `half_open` (the next request tries it).
    pub circuit: &'static str,
    /// The wire format.
    pub kind: &'static str,
    /// Its models by name.
    pub models: Vec<Arc<str>>,
    /// Calls since the start.
    pub requests: u64,
    /// Of those, the failed ones.
    pub errors: u64,
    /// The last failure: class and message.
    pub last_error: Option<String>,
    /// When it failed last.
    pub last_error_at: Option<Timestamp>,
    /// Milliseconds to the first event.
    pub first_token_ms: Quantiles,
    /// Milliseconds to the end.
    pub total_ms: Quantiles,
    /// Tokens read since the start, cached ones included; `None` if there were answers and none told.
    pub input_tokens: Option<u64>,
    /// Tokens written, thinking included.
    pub output_tokens: Option<u64>,
    /// Of the tokens read, those from the provider's cache; `None` if no answer told.
    pub cached_tokens: Option<u64>,
    /// Of the tokens written, those spent on thinking; `None` if no answer told.
    pub reasoning_tokens: Option<u64>,
    /// USD since the start, where prices are configured or the provider tells.
    pub cost: Option<f64>,
    /// Calls under way.
    pub active: u64,
    /// Calls that wait for a place.
    pub waiting: u64,
    /// What its calls took by the calendar; survives a restart.
    pub usage: UsageReport,
    /// The same by model, of those that were called this month.
    pub usage_by_model: Vec<ModelUsage>,
}

/// A distribution in three figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Asks how the providers do.
#[derive(Clone, Debug)]
pub struct ListProviders;

impl Msg for ListProviders {
    type Reply = Vec<ProviderStatus>;
    const NAME: &'static str = "ListProviders";
}

/// Asks whether a route can answer now.
#[derive(Clone, Debug)]
pub struct RouteReadiness {
    /// The route.
    pub route: Arc<str>,
}

impl Msg for RouteReadiness {
    type Reply = Readiness;
    const NAME: &'static str = "RouteReadiness";
}

/// Whether a route can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A provider that is not known to fail can answer.
    Ready,
    /// Only the built-in responder can; why.
    Degraded(String),
    /// Nothing can; why.
    NotReady(String),
}

/// Probes one provider for `haia check`.
#[derive(Clone, Debug)]
pub struct ProbeProvider {
    /// The provider's name.
    pub provider: Arc<str>,
}

impl Msg for ProbeProvider {
    type Reply = Result<Vec<ModelEntry>, Failure>;
    const NAME: &'static str = "ProbeProvider";
}
