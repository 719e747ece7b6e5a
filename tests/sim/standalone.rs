//! The simulated provider as a program of its own, for the scripts of the official SDKs: prints its URL and runs until its input ends.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test tool: it owns its threads and speaks to a script"
)]
#![allow(dead_code, unused_imports, reason = "tests use the rest of the simulation")]

#[path = "mod.rs"]
mod sim;

use std::io::Read as _;

fn main() {
    let provider = sim::Provider::start();
    println!("{}", provider.url());
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}
