//! What HAIA costs, measured on this machine: a simulated provider, a load generator, and beside HAIA a plain relay (and nginx, where it is
//! installed) that does nothing but pass bytes on. Figures of two servers from one run can be compared; those of two machines cannot.
//!
//! `cargo build --release && cargo run --release --example bench` prints the table, `-- --soak 1000000` lets HAIA serve a million requests and
//! fails where memory, descriptors or latency grow. `-- --help` lists the options. It says nothing of what real models take.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a measuring tool: it drives processes and threads, reads the clock, and fails by panicking"
)]

mod client;
mod figures;
mod provider;
mod relay;
mod rounds;
mod server;
mod soak;
mod stamp;

use clap::Parser;
use server::Kind;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures HAIA beside a plain relay.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// How often every server is measured; the table shows medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many streams are held open at once for the memory figures
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// Shorter runs: to see that it works, not to compare
    #[arg(long)]
    quick: bool,
    /// Instead of comparing: has HAIA serve so many requests, and watches memory, descriptors and latency
    #[arg(long, value_name = "REQUESTS")]
    soak: Option<u64>,
    /// The servers to compare: relay, nginx, haia, agent
    #[arg(long, value_delimiter = ',', default_value = "relay,nginx,haia,agent")]
    only: Vec<Kind>,
    /// The binary to measure: else HAIA_BIN, else the one built beside this program
    #[arg(long, value_name = "PATH")]
    haia: Option<PathBuf>,
    /// Leaves it to the system on which cores the processes run
    #[arg(long)]
    no_pin: bool,
    /// Runs as the plain relay: what this program starts itself as
    #[arg(long, hide = true, value_name = "PROVIDER")]
    relay: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(provider) = &options.relay {
        relay::run(provider);
        return ExitCode::SUCCESS;
    }
    // Each open stream is a socket of the client's and one of the provider's in this process, and two more in the server's.
    let wanted = 4 * options.streams as u64 + 2000;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit >= wanted => {}
        _ => eprintln!("this process may open too few files for {} streams: ulimit -n {wanted}", options.streams),
    }
    let pinned = !options.no_pin && server::pin_this_process();
    let stage =
        server::Stage::new(options.haia.clone().or_else(|| std::env::var_os("HAIA_BIN").map(PathBuf::from)), pinned);
    actix_rt::System::new().block_on(async {
        match options.soak {
            Some(requests) => soak::run(&stage, requests).await,
            None => rounds::run(&stage, &options).await,
        }
    })
}
