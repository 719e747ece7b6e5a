//! Callers who speak MCP themselves: what they send beside a call, what they hear of it while it runs, and what they can be asked. And what
//! attached servers offer beside tools: resources, prompts, completions.
//!
//! Everything in here is what a server or a caller wrote, as JSON: data, passed on, never instruction.

use crate::BoxFuture;
use crate::caller::Caller;
use crate::failure::Failure;
use crate::message::Msg;
use crate::tools::{CallTool, ToolResult};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A caller who speaks MCP.
#[derive(Clone)]
pub struct McpCaller {
    /// What it can do, as the object `capabilities` of the protocol.
    pub capabilities: Arc<RawValue>,
    /// Whether it takes a result that asks for input as it is, and comes back with the answers (2026-07-28). Else it is asked over its line.
    pub takes_questions: bool,
    /// The answers that it came back with, as JSON; absent at first.
    pub answers: Option<Arc<RawValue>>,
    /// What the server gave it to bring back with them.
    pub state: Option<Arc<str>>,
    /// The least level of log messages that it wants to hear; `None`: none at all.
    pub log_level: Option<Arc<str>>,
    /// The way back to it while the call runs.
    pub line: Arc<dyn McpLine>,
}

impl Debug for McpCaller {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("McpCaller").field("takes_questions", &self.takes_questions).finish_non_exhaustive()
    }
}

/// The way back to a caller while its call runs.
pub trait McpLine: Send + Sync {
    /// Tells it something. Never waits: what does not fit is lost.
    fn tell(&self, news: McpNews);

    /// Asks it; `None` if it cannot be asked or does not answer. Dropping the future gives the question up.
    fn ask(&self, method: String, params: Box<RawValue>) -> BoxFuture<'static, Option<Box<RawValue>>>;
}

/// What a server tells while a call runs.
#[derive(Clone, Debug)]
pub enum McpNews {
    /// How far it is.
    Progress {
        /// How much is done.
        progress: f64,
        /// Of how much.
        total: Option<f64>,
        /// In words.
        message: Option<String>,
    },
    /// A log message: the parameters of the notification.
    Log {
        /// Its level.
        level: String,
        /// The parameters.
        params: Box<RawValue>,
    },
}

/// Calls a tool for a caller who speaks MCP.
#[derive(Clone, Debug)]
pub struct CallForMcp {
    /// The call.
    pub call: CallTool,
    /// The caller's own side of it.
    pub from: McpCaller,
}

impl Msg for CallForMcp {
    type Reply = Result<ToolResult, Failure>;
    const NAME: &'static str = "CallForMcp";
}

/// Asks what attached servers offer beside tools.
#[derive(Clone, Debug)]
pub struct ListMcpOffers {
    /// For whom: some servers are kept for certain keys.
    pub caller: Caller,
}

impl Msg for ListMcpOffers {
    type Reply = McpOffers;
    const NAME: &'static str = "ListMcpOffers";
}

/// What attached servers offer beside tools: descriptions as the protocol writes them.
#[derive(Clone, Debug, Default)]
pub struct McpOffers {
    /// Resources.
    pub resources: Vec<Arc<RawValue>>,
    /// Templates of resources.
    pub templates: Vec<Arc<RawValue>>,
    /// Prompts, under names that are unique.
    pub prompts: Vec<Arc<RawValue>>,
}

/// What can be asked of an attached server beside calling its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum McpMethod {
    /// `resources/read`
    ReadResource,
    /// `resources/subscribe`
    Subscribe,
    /// `resources/unsubscribe`
    Unsubscribe,
    /// `prompts/get`
    GetPrompt,
    /// `completion/complete`
    Complete,
}

impl McpMethod {
    /// The method as the protocol writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            McpMethod::ReadResource => "resources/read",
            McpMethod::Subscribe => "resources/subscribe",
            McpMethod::Unsubscribe => "resources/unsubscribe",
            McpMethod::GetPrompt => "prompts/get",
            McpMethod::Complete => "completion/complete",
        }
    }
}

/// Asks the attached server whose resource or prompt it is.
#[derive(Clone, Debug)]
pub struct AskAttached {
    /// Who asks.
    pub caller: Caller,
    /// What.
    pub method: McpMethod,
    /// The parameters, without `_meta`.
    pub params: Arc<RawValue>,
    /// The caller's own side of it.
    pub from: McpCaller,
    /// How long it may take.
    pub timeout: Duration,
}

impl Msg for AskAttached {
    type Reply = Result<Box<RawValue>, McpRefusal>;
    const NAME: &'static str = "AskAttached";
}

/// The most resources whose updates are counted.
const COUNTED: usize = 4096;

/// How often subscribed resources were updated: attached servers tell it, and whoever listens looks.
#[derive(Debug, Default)]
pub struct ResourceUpdates(Mutex<HashMap<Arc<str>, u64>>);

impl ResourceUpdates {
    /// Notes that a resource was updated.
    pub fn tell(&self, uri: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(uri) {
            *count += 1;
        } else if counts.len() < COUNTED {
            counts.insert(uri.into(), 1);
        }
    }

    /// How often a resource was updated so far.
    pub fn count(&self, uri: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uri).copied().unwrap_or_default()
    }
}

/// A refusal in the protocol's own form.
#[derive(Clone, Debug)]
pub struct McpRefusal {
    /// The code; `None`: no attached server has such a resource or prompt.
    pub code: Option<i32>,
    /// One sentence.
    pub message: String,
    /// More for programs, as JSON.
    pub data: Option<Box<RawValue>>,
}
