//! HAIA's command: reads the command line, does what it asks for, and says with which code the process ends.

mod cli;
mod config;
mod daemon;
mod demo;
mod private;
mod probe;
mod root;
mod status;
mod systemd;
mod telemetry;
mod warden;
mod watch;
mod wiring;

use clap::Parser as _;
use cli::output::Output;
use cli::{Arguments, Exit, Surroundings};
use config::Environment;
use contract::clock::SharedClock;
use runtime::SystemClock;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // The hidden mode that watches over the process of an MCP server: before anything else, because it must stay small.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == wiring::GUARDIAN) {
        return ExitCode::from(u8::try_from(toolbox::mcp::guard(words)).unwrap_or(1));
    }
    let arguments = Arguments::parse();
    let environment = Environment::of_process();
    let mut output = Output::standard(environment.get("NO_COLOR").is_some());
    let clock: SharedClock = Arc::new(SystemClock::real());
    let exit = match std::env::current_dir() {
        Ok(directory) => {
            let surroundings = Surroundings { environment, directory, clock: Arc::clone(&clock) };
            cli::run(arguments, surroundings, &root::Haia { clock }, &mut output)
        }
        Err(error) => {
            output.problem(&format!("the working directory cannot be used: {error}"));
            Exit::Failed
        }
    };
    ExitCode::from(exit.code())
}
