//! The poller of Proxmox VE clusters: a client of their API, an immutable snapshot of each, and the read tools over it.
//!
//! - [`model`]: what is known of a cluster, with the age of each part.
//! - [`decode`]: tolerant readers of the API's answers.
//! - [`client`]: asks any member that answers, in words that a person understands when none does.
//! - [`assemble`](mod@assemble): makes the next snapshot of a poll and of what was known.
//! - [`history`]: the figures of the last hours and days.
//! - [`rules`]: what is wrong, one file per rule; [`memory`]: what they remember.
//! - [`tools`]: what models and people ask.
//! - [`ProxmoxPoller`]: the actor around them.
//!
//! - [`actions`]: what a person may have done to guests.
//!
//! It changes nothing in a cluster but what a person approved, and it depends on no other actor.

pub mod actions;
pub mod assemble;
pub mod client;
mod config;
pub mod decode;
pub mod history;
pub mod memory;
pub mod model;
mod poller;
pub mod rules;
pub mod tools;
mod verdict;

pub use config::{ClusterConfig, Config, DEFAULT_PORT, Endpoint, TlsConfig};
pub use poller::{Observed, Ports, ProxmoxPoller, SharedConfig, SharedRuleBook, SharedSnapshots};
pub use rules::{rule_infos, validate_rules};
