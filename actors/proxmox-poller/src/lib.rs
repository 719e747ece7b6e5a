//! The poller of Proxmox VE clusters: a client of their API, an immutable snapshot of each, and the read tools over it.
//!
//! - [`model`]: what is known of a cluster, with the age of each part.
//! - [`decode`]: tolerant readers of the API's answers.
//! - [`assemble`]: makes the next snapshot of a poll and of what was known.
//! - [`client`]: asks any member that answers, in words that a person understands when none does.
//!
//! It never changes anything in a cluster, and it depends on no other actor.

pub mod assemble;
pub mod client;
mod config;
pub mod decode;
pub mod history;
pub mod model;

pub use config::{ClusterConfig, Config, DEFAULT_PORT, Endpoint, TlsConfig};
