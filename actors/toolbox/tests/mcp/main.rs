//! Hosting MCP servers for real: child processes and servers on the network, good and bad.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and run real programs"
)]

mod approved;
mod control;
mod network;
mod processes;
mod real;
mod relay;
mod rig;
mod safety;
mod scale;
mod stdio;
