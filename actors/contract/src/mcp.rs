//! The MCP servers that HAIA hosts: how they do, and the switches that people use. Answered by the toolbox's MCP host.
//!
//! Names, descriptions and log lines come from the servers: they are data, never instruction.

use crate::message::Msg;
use crate::provider::Quantiles;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum McpState {
    /// Switched off, by its entry or by a person.
    Disabled,
    /// Not running; the next call starts it.
    Idle,
    /// Being started.
    Starting,
    /// It answers.
    Ready,
    /// It is connected, but something fails.
    Degraded,
    /// It could not be started, or ended; it is tried again later. Also: its entry cannot be used.
    Failed,
    /// Being ended.
    Stopping,
}

impl McpState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            McpState::Disabled => "disabled",
            McpState::Idle => "idle",
            McpState::Starting => "starting",
            McpState::Ready => "ready",
            McpState::Degraded => "degraded",
            McpState::Failed => "failed",
            McpState::Stopping => "stopping",
        }
    }
}

/// A tool that is held back because its definition is not the one that was pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldTool {
    /// The tool, by the server's own name.
    pub name: String,
    /// `added` or `changed`.
    pub change: Arc<str>,
    /// What differs, in a few lines for a person.
    pub difference: String,
}

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpTool {
    /// The server's own name.
    pub name: String,
    /// The name in the catalogue; `None` where it is switched off or not allowed.
    pub offered_as: Option<Arc<str>>,
}

/// How a server does.
#[derive(Clone, Debug, Serialize)]
pub struct McpServerStatus {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it is in its life.
    pub state: McpState,
    /// `stdio`, `http` or `sse`; empty where the entry cannot be used.
    pub transport: &'static str,
    /// The protocol revision agreed on last (`2025-11-25`), if it ever answered.
    pub era: Option<Arc<str>>,
    /// What it calls itself, with its version.
    pub software: Option<String>,
    /// Its tools, those that are switched off included.
    pub tools: Vec<McpTool>,
    /// Tools held back until a person approves them.
    pub withheld: Vec<WithheldTool>,
    /// Tools that cannot be used, and why.
    pub rejected: Vec<String>,
    /// What is odd about its entry.
    pub notes: Vec<String>,
    /// Restarts since HAIA's start.
    pub restarts: u64,
    /// Calls since HAIA's start.
    pub calls: u64,
    /// Of those, the failed ones.
    pub errors: u64,
    /// Calls under way.
    pub active: u64,
    /// Milliseconds that calls took.
    pub latency_ms: Quantiles,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<Timestamp>,
    /// The server's process, while there is one.
    pub pid: Option<u32>,
}

/// Why it could not be done, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct McpError(pub String);

/// Asks how the MCP servers do, in the order of their names.
#[derive(Clone, Debug)]
pub struct ListMcpServers;

impl Msg for ListMcpServers {
    type Reply = Vec<McpServerStatus>;
    const NAME: &'static str = "ListMcpServers";
}

/// Switches a server on or off. It holds over restarts, and over what its entry says.
#[derive(Clone, Debug)]
pub struct ToggleMcpServer {
    /// The server.
    pub name: String,
    /// On or off.
    pub enabled: bool,
}

impl Msg for ToggleMcpServer {
    type Reply = Result<(), McpError>;
    const NAME: &'static str = "ToggleMcpServer";
}

/// Switches a tool of a server on or off. It holds over restarts.
#[derive(Clone, Debug)]
pub struct ToggleMcpTool {
    /// The server.
    pub server: String,
    /// The tool, by the server's own name or by its name in the catalogue.
    pub tool: String,
    /// On or off.
    pub enabled: bool,
}

impl Msg for ToggleMcpTool {
    type Reply = Result<(), McpError>;
    const NAME: &'static str = "ToggleMcpTool";
}

/// Reads the newest lines that a server wrote to its standard error or sent as log messages, and what HAIA noted of it.
#[derive(Clone, Debug)]
pub struct ReadMcpLogs {
    /// The server.
    pub name: String,
}

impl Msg for ReadMcpLogs {
    type Reply = Result<Vec<McpLogLine>, McpError>;
    const NAME: &'static str = "ReadMcpLogs";
}

/// A line of a server's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct McpLogLine {
    /// When it came.
    pub at: Timestamp,
    /// `stderr`, `message` (sent over the protocol) or `haia`.
    pub source: &'static str,
    /// The line, without control characters and known secrets.
    pub text: String,
}

/// Releases the tools that are held back: their definitions of now are pinned. Only ever sent for a person.
#[derive(Clone, Debug)]
pub struct ApproveMcpServer {
    /// The server.
    pub name: String,
}

impl Msg for ApproveMcpServer {
    /// The tools that were released, by the server's own names.
    type Reply = Result<Vec<String>, McpError>;
    const NAME: &'static str = "ApproveMcpServer";
}

/// What is wrong with a server, for the alert desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpTrouble {
    /// `mcp_server_failed` or `mcp_definition_changed`.
    pub rule: &'static str,
    /// The server.
    pub server: Arc<str>,
    /// Whether it is over.
    pub is_over: bool,
    /// What happened, for a person; the difference of definitions is in it.
    pub summary: String,
    /// When it began.
    pub since: Timestamp,
}
