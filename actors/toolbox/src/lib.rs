//! The catalogue of tools, and the one way by which a tool is called.
//!
//! Whoever owns a domain offers its tools; [`Toolbox`] merges them with its own into one catalogue, sees to it that each call has a
//! deadline and leaves exactly one row in the audit trail, and makes a proposal for a person of whatever could change something.
//!
//! [`mcp`] hosts MCP servers, whose tools enter the catalogue like any other owner's.
//!
//! It never runs a tool of risk write or destructive, never reads a result, and never puts arguments or results into logs or audit rows.

mod arguments;
mod audit;
mod catalogue;
mod config;
pub mod mcp;
mod proposal;
mod search;
mod toolbox;
mod tools;

pub use config::Config;
pub use toolbox::{Owner, Ports, RefreshCatalogue, SharedConfig, Toolbox};
