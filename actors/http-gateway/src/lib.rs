//! The HTTP face: OpenAI's protocol for chats, and HAIA's own routes for operators and the command line.
//!
//! Requests are answered on worker threads of their own, one for each core; a streamed answer is polled by the very connection that it
//! goes out on. What the threads must agree on (keys, origins, limits) the [`HttpGateway`] actor publishes as an immutable snapshot.
//!
//! This crate runs no turn and calls no provider: it asks the agent and the models of its [`Ports`], and it writes to no store but by
//! message.

mod access_log;
mod answering;
mod answers;
mod anthropic;
mod arriving;
mod audit;
mod auth;
mod body;
mod config;
mod cors;
mod direct_body;
mod encoder;
mod entry;
mod exchange;
mod fields;
mod form;
mod gateway;
mod hosts;
mod mcp;
mod metrics;
mod openai;
mod path;
mod ports;
mod published;
mod pulse;
mod request_id;
mod responses;
mod routes;
mod server;
mod spool;
mod stream_body;
#[cfg(test)]
mod tests;
mod thread;

pub use config::{Config, KeyConfig, Problem};
pub use gateway::{HttpGateway, Observed, RefreshKeys};
pub use hosts::host_name;
pub use mcp::McpConfig;
pub use ports::{ApprovalPorts, DaemonControl, McpPorts, Ports, ThreadFactory, ThreadPorts, ToolPorts, WatchPorts};
pub use published::{DRAIN_PATIENCE, Shared};
pub use server::{Listeners, Running, Stopper, bind, serve};
