//! The real binary against simulated providers, over real sockets: what a client, an operator and a provider see of it.
//!
//! One file per concern. Tests wait for conditions, never for time, and share nothing: each has a daemon, a folder and a provider of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test drives processes and threads, and fails by panicking"
)]

mod accounts;
mod actions;
mod adversaries;
mod agent;
mod attached;
mod audit;
mod buttons;
mod cancellation;
mod chat;
mod cluster;
mod cluster_faults;
mod clusters;
mod config;
mod connections;
mod delivery;
mod demo;
mod endings;
mod endpoints;
mod failures;
mod faults;
mod inputs;
mod jobs;
mod kept_thinking;
mod lessons;
mod lifecycle;
mod lookout;
mod mcp;
mod provider_faults;
mod recorded;
mod relayed;
mod reload;
mod routes;
mod tools;
mod uploads;
mod watching;

#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../sim/mod.rs"]
mod sim;

use serde_json::{Value, json};

/// A chat of one message.
fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "What is going on?" }] })
}

/// A tool that only the caller has.
fn callers_tool() -> Value {
    let city = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    json!({ "type": "function", "function": { "name": "look_outside", "description": "Weather.", "parameters": city } })
}
