//! HAIA as an MCP server: `/mcp` over streamable HTTP, for both eras of the protocol (sessions up to 2025-11-25, none since 2026-07-28).
//!
//! A request is answered by the worker thread it came in on, and its HTTP body polls the work: whoever leaves cancels. A session is an entry
//! of a table; nothing else is kept between two requests, and no task runs behind any. What a tool may do is not decided here.

mod answer;
mod call;
mod config;
mod door;
mod era;
mod error;
mod line;
mod listen;
mod listing;
mod message;
mod methods;
mod passed;
mod prompts;
mod resources;
mod schema;
mod sessions;

pub use config::McpConfig;
pub(crate) use door::ENDPOINTS;

use crate::ports::ToolPorts;
use listing::{Listing, Listings};
use sessions::Sessions;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Which tools a client is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All.
    Everything,
    /// The short list with a search for the rest: what a model is shown.
    Shown,
    /// HAIA's own.
    Own,
}

impl Choice {
    /// What the configuration lets a client have of what its address asks for (`/mcp?mode=search`).
    fn of(config: &McpConfig, query: &str) -> Self {
        match (config.serve_attached, query.split('&').any(|part| part == "mode=search")) {
            (false, _) => Choice::Own,
            (true, true) => Choice::Shown,
            (true, false) => Choice::Everything,
        }
    }
}

/// What all worker threads share of MCP.
#[derive(Default)]
pub(crate) struct McpState {
    /// The sessions.
    pub(crate) sessions: Sessions,
    /// Streams on which clients listen.
    pub(crate) listening: Arc<AtomicUsize>,
    everything: Listings,
    own: Listings,
    shown: Listings,
}

impl McpState {
    /// The list of tools as it is now.
    pub(crate) fn listing(&self, tools: &ToolPorts, choice: Choice) -> Arc<Listing> {
        match choice {
            Choice::Everything => self.everything.of(&tools.everything),
            Choice::Shown => self.shown.of(&tools.shown),
            Choice::Own => self.own.of(&tools.own),
        }
    }
}

/// A part of an address with `%XX` resolved.
fn decoded_part(part: &str) -> String {
    crate::thread::decode(part)
}
