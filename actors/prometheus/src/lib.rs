//! The agent's tools for Prometheus and Alertmanager: queries, alerts, rules, targets, series.
//!
//! [`Prometheus`] is the actor: it offers the tools of the servers that are configured and runs their calls. It only reads, keeps nothing, and
//! never hands on more than a model can use: every result is capped in series, points and bytes, and says what was cut.

mod actor;
mod client;
mod config;
mod shape;
mod tools;

pub use actor::{Observed, Ports, ProbeServers, Prometheus, SharedConfig};
pub use client::{Server, Trouble};
pub use config::{Config, ServerConfig};
