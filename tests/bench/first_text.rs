//! The guard against Nagle: how long the first text takes from the provider's write to the client's read, through the release binary.
//!
//! `HAIA_BIN=target/release/haia cargo run --example first-text` prints a table and fails where nine in ten requests, one at a
//! time, do not make it within five milliseconds. It says nothing of throughput.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool: it drives processes and threads, and fails by panicking"
)]
#![allow(dead_code, unused_imports, reason = "the tests use the rest of both modules")]

#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../sim/mod.rs"]
mod sim;

use daemon::{CONTROL, Call, Setup};
use serde_json::json;
use sim::{Format, Provider};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const BAR: Duration = Duration::from_millis(5);
const WARM_UP: usize = 10;
const SAMPLES: usize = 100;

/// Microseconds from the provider's first write of the body to the client's first text, sorted.
fn samples(provider: &Provider, address: SocketAddr, path: &str, model: &str) -> Vec<u128> {
    let body = json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "Hello?" }] });
    let mut taken = Vec::new();
    for at in 0..WARM_UP + SAMPLES {
        provider.forget();
        let mut stream = Call::tcp(address, "POST", path).key(CONTROL).json(&body).open();
        stream.read_until_text();
        let read = Instant::now();
        while stream.next().expect("the stream ends properly").is_some() {}
        let written = provider.chats().last().and_then(|chat| chat.first_sent).expect("the provider has answered");
        if at >= WARM_UP {
            taken.push(read.saturating_duration_since(written).as_micros());
        }
    }
    taken.sort_unstable();
    taken
}

fn main() -> ExitCode {
    let provider = Provider::start();
    let daemon = Setup::with_sim(&provider).route("text", &["openai/text"]).start();
    let direct = samples(&provider, provider.address(), Format::OpenAi.path(), "text");
    let median = |sorted: &[u128]| sorted[sorted.len() / 2];
    println!("{:<24}{:>9}{:>9}{:>9}{:>8}", "first text, µs", "p50", "p90", "max", "ratio");
    let row = |name: &str, sorted: &[u128]| {
        let p90 = sorted[sorted.len() * 9 / 10];
        let (p50, max) = (median(sorted), sorted[sorted.len() - 1]);
        println!("{name:<24}{p50:>9}{p90:>9}{max:>9}{:>8.2}", p50 as f64 / median(&direct).max(1) as f64);
        p90 <= BAR.as_micros()
    };
    row("direct", &direct);
    let mut good = true;
    for model in ["openai/text", "anthropic/text", "ollama/text", "haia/text"] {
        good &= row(model, &samples(&provider, daemon.address, "/v1/chat/completions", model));
    }
    if good {
        return ExitCode::SUCCESS;
    }
    println!("over {} ms: is TCP_NODELAY set on both sides?", BAR.as_millis());
    ExitCode::FAILURE
}
