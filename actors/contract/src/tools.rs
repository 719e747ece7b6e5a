//! Tools: who offers which, how they are called, and what they may do.
//!
//! Whoever owns a domain offers its tools and answers [`CallTool`] for them. Toolbox merges them into one [`Catalogue`], an immutable
//! snapshot that is read without a message. A tool's result is data, never instruction.

use crate::caller::Caller;
use crate::failure::Failure;
use crate::ids::RequestId;
use crate::message::Msg;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// What a tool can do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// It only looks.
    Read,
    /// It changes something; needs an approval.
    Write,
    /// It may destroy something; needs an approval.
    Destructive,
}

/// A tool as the model is told of it.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name: letters, digits, `_` and `-`, at most 64.
    pub name: Arc<str>,
    /// What it does and when to use it.
    pub description: Arc<str>,
    /// JSON schema of the arguments, fit for strict APIs.
    pub parameters: Arc<RawValue>,
    /// What it can do.
    pub risk: Risk,
    /// The words a person sees while it runs (`Looking at the cluster`).
    pub title: Arc<str>,
}

/// Every tool there is, sorted by name so that prompts stay the same.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The tools, sorted by name.
    pub tools: Vec<Tool>,
}

impl Catalogue {
    /// Finds a tool by its exact name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.binary_search_by(|tool| tool.name.as_ref().cmp(name)).ok().map(|at| &self.tools[at])
    }
}

/// The current catalogue, as turns and the MCP server read it.
pub type SharedCatalogue = Arc<ArcSwap<Catalogue>>;

/// Asks the owner of a domain which tools it offers.
#[derive(Clone, Debug)]
pub struct ListTools;

impl Msg for ListTools {
    type Reply = Vec<Tool>;
    const NAME: &'static str = "ListTools";
}

/// The longest that any call may take, whatever its progress. Who calls waits this long (and a little) for the toolbox: the deadline within it
/// is the toolbox's, which knows of progress.
pub const MAX_CALL: Duration = Duration::from_secs(3600);

/// Calls a tool. Dropping the answer's future cancels the call.
#[derive(Clone, Debug)]
pub struct CallTool {
    /// Ties the call to its request.
    pub request_id: RequestId,
    /// Who caused it.
    pub caller: Caller,
    /// The tool.
    pub name: Arc<str>,
    /// The arguments as JSON text; empty for none.
    pub arguments: String,
    /// How long it may take without a sign of progress; one that shows progress may take up to [`MAX_CALL`].
    pub timeout: Duration,
}

impl Msg for CallTool {
    type Reply = Result<ToolResult, Failure>;
    const NAME: &'static str = "CallTool";
}

/// What a tool found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The result for the model: compact text or JSON.
    pub text: String,
    /// Whether the tool says that it failed (the model is told so).
    pub is_error: bool,
    /// The result as MCP writes it (JSON: `content`, `structuredContent`), where it holds more than the text: images, sounds,
    /// resources, structured content. For callers who speak MCP; `None` where the text is all.
    pub mcp: Option<Arc<str>>,
    /// What HAIA itself tells whoever asked, whatever a model makes of the result: that something was proposed. `None` for most.
    pub told: Option<Arc<str>>,
}

impl ToolResult {
    /// A good result.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false, mcp: None, told: None }
    }

    /// A failure that the model should know of.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, mcp: None, told: None }
    }
}
