//! The messages, domain types and port traits that HAIA's actors share.
//!
//! Grouped by who answers: [`chat`] (agent-supervisor), [`provider`] and [`direct`] (provider-pool), [`tools`] (toolbox and every owner of a
//! domain), [`cluster`] (proxmox-poller), [`store`], [`alerts`] (alert-desk), [`notify`] (notifier), [`jobs`] (scheduler), [`approvals`],
//! [`usage`] (provider-pool and store), [`mcp`] and [`relay`] (toolbox's host of MCP servers). Around them stand the ports to the outside world: [`clock`], [`ids`];
//! [`json`] is how the path of a chat reads and prints JSON.
//!
//! This crate does no I/O, starts no task, and knows neither actix nor any actor.

pub mod alerts;
pub mod approvals;
pub mod caller;
pub mod chat;
pub mod clock;
pub mod cluster;
pub mod direct;
pub mod failure;
pub mod ids;
pub mod jobs;
pub mod json;
pub mod mcp;
pub mod message;
pub mod monitor;
pub mod notify;
pub mod provider;
pub mod relay;
pub mod secret;
pub mod status;
pub mod store;
pub mod tools;
pub mod units;
pub mod usage;

/// A future that stays on the thread that made it: what the per-thread ports answer with.
pub type LocalBoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + 'a>>;
/// A future that may move between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
