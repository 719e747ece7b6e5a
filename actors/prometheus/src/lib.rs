//! The agent's tools for Prometheus and Alertmanager: queries, alerts, rules, targets, series.
//!
//! [`Prometheus`] is the actor: it offers the tools of the servers that are configured and runs their calls. Its tools only read; it keeps nothing,
//! and never hands on more than a model can use: every result is capped in series, points and bytes, and says what was cut. The one thing that
//! it can change is a silence in Alertmanager, and only from a person's approval: see `silence`.

mod actor;
mod client;
mod config;
mod shape;
mod silence;
mod tools;

pub use actor::{Observed, Ports, ProbeServers, Prometheus, SharedConfig};
pub use client::{Server, Trouble};
pub use config::{AlertmanagerConfig, Config, ServerConfig};
