//! Hosting MCP servers: what other MCP hosts attach to a model, HAIA attaches to its agent.
//!
//! [`Host`] is an actor beside the toolbox and one of the owners of tools: it keeps the servers of `mcp_config.json` running, knows
//! their tools, and passes calls on. Each server is a small state machine of its own; a fault stays with its server.
//!
//! It never takes a server's word for what a tool may do (risk is the configuration's), never lets a definition change unseen, never
//! samples a model for a server, never shows it files, and never runs a command that is not an entry of the file.

mod approved;
mod attached;
mod begin;
mod calls;
mod check;
mod config;
mod control;
mod definition;
mod ears;
mod entry;
mod environment;
mod events;
mod file;
mod guardian;
mod held;
mod host;
mod life;
mod link;
mod listing;
mod lives;
mod logs;
mod machine;
mod names;
mod net;
mod offers;
mod own;
mod pins;
mod questions;
mod reports;
mod result;
mod schema;
mod server;
mod states;
mod stdio;
mod supervise;
mod text;

pub use config::{Config, Settings};
pub use environment::Environment;
pub use guardian::guard;
pub use host::{Alarm, Host, Observed, Ports, SharedSettings};
pub use states::{KeptStates, NamedState, States};
pub use stdio::Guardian;

/// The name of the owner of all tools that come from MCP servers.
pub const OWNER: &str = "mcp";

pub(crate) use calls::READ_RESULT;
pub(crate) use contract::tools::MAX_CALL;
