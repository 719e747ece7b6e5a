//! The messages, domain types and port traits that HAIA's actors share.
//!
//! Grouped by who answers: [`chat`] (agent-supervisor), [`provider`] (provider-pool), [`tools`] (toolbox and every owner of a
//! domain), [`cluster`] (proxmox-poller), [`store`], [`alerts`], [`approvals`], [`mcp`]. Around them stand the ports to the outside world: [`clock`], [`ids`].
//!
//! This crate does no I/O, starts no task, and knows neither actix nor any actor.

pub mod alerts;
pub mod approvals;
pub mod caller;
pub mod chat;
pub mod clock;
pub mod cluster;
pub mod failure;
pub mod ids;
pub mod mcp;
pub mod message;
pub mod provider;
pub mod secret;
pub mod status;
pub mod store;
pub mod tools;
pub mod units;

/// A future that stays on the thread that made it: what the per-thread ports answer with.
pub type LocalBoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + 'a>>;
/// A future that may move between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
