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
mod listen;
mod listing;
mod message;
mod methods;
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

/// What all worker threads share of MCP.
#[derive(Default)]
pub(crate) struct McpState {
    /// The sessions.
    pub(crate) sessions: Sessions,
    /// Streams on which clients listen.
    pub(crate) listening: Arc<AtomicUsize>,
    everything: Listings,
    shown: Listings,
}

impl McpState {
    /// The list of tools as it is now: all, or the short one with a search for the rest.
    pub(crate) fn listing(&self, tools: &ToolPorts, is_short: bool) -> Arc<Listing> {
        if is_short { self.shown.of(&tools.shown) } else { self.everything.of(&tools.everything) }
    }
}

/// A part of an address with `%XX` resolved.
fn decoded_part(part: &str) -> String {
    crate::thread::decode(part)
}
