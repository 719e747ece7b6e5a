//! The guard against Nagle: how long a request takes to the provider, and the provider's first text to the client, on connections that are
//! kept, one request at a time, through the release binary.
//!
//! `HAIA_BIN=target/release/haia cargo run --example first-text` prints a table and fails where not nine in ten of each make it
//! within twenty milliseconds. It says nothing of throughput.

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
use sim::{Format, Gate, Provider, Step, by_model};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const BAR: Duration = Duration::from_millis(20);
/// Between the provider's first piece and its first text, as a model that thinks: what Nagle delays is a second small piece.
const THINKING: Duration = Duration::from_millis(5);
/// A new connection acknowledges at once for a while, which hides Nagle.
const WARM_UP: usize = 30;
const SAMPLES: usize = 100;

/// Microseconds, sorted: from the client's request to the provider's receipt, and from the provider's write of its first and of its
/// second text to the client's read.
#[derive(Default)]
struct Samples {
    asked: Vec<u128>,
    first: Vec<u128>,
    second: Vec<u128>,
}

impl Samples {
    fn columns(&mut self) -> [&mut Vec<u128>; 3] {
        [&mut self.asked, &mut self.first, &mut self.second]
    }
}

/// A provider whose first and second text wait for the gates of the day.
struct Stage {
    provider: Provider,
    gates: Arc<Mutex<Option<[Gate; 2]>>>,
}

impl Stage {
    fn new() -> Self {
        let (provider, gates) = (Provider::start(), Arc::new(Mutex::new(None::<[Gate; 2]>)));
        let of_script = Arc::clone(&gates);
        provider.script(move |request| {
            let before_text = match request.format()? {
                Format::OpenAi => 1,
                Format::Anthropic => 3,
                Format::Ollama => 0,
            };
            let [first, second] = of_script.lock().unwrap().clone()?;
            let answer = by_model(request).after(before_text + 1, Step::Hold(second));
            Some(answer.after(before_text, Step::Hold(first)))
        });
        Self { provider, gates }
    }

    fn samples(&self, address: SocketAddr, model: &str) -> Samples {
        let (method, path) = ("POST", Format::OpenAi.path());
        let body = json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "Hello?" }] });
        let mut samples = Samples::default();
        let mut call = Call::tcp(address, method, path);
        for at in 0..WARM_UP + SAMPLES {
            self.provider.forget();
            let gates = [self.provider.gate(), self.provider.gate()];
            *self.gates.lock().unwrap() = Some(gates.clone());
            let asking = Instant::now();
            let begun = call.key(CONTROL).json(&body).begin();
            self.provider.wait_for_chats(1);
            let asked = asking.elapsed();
            // The client waits in its read, as clients do: one that reads later acknowledges at once, which hides Nagle too.
            let reading = thread::spawn(move || {
                let mut stream = begun.open().expect("an answer");
                let read = [(), ()].map(|()| {
                    stream.read_until_text();
                    Instant::now()
                });
                stream.skip();
                (stream, read)
            });
            let written = gates.map(|gate| {
                thread::sleep(THINKING);
                let now = Instant::now();
                gate.open();
                now
            });
            let (stream, read) = reading.join().expect("the client reads to the end");
            call = Call::next_after(stream, method, path);
            if at >= WARM_UP {
                let delay = |at: usize| read[at].saturating_duration_since(written[at]);
                for (column, sample) in samples.columns().into_iter().zip([asked, delay(0), delay(1)]) {
                    column.push(sample.as_micros());
                }
            }
        }
        for column in samples.columns() {
            column.sort_unstable();
        }
        samples
    }
}

fn at(sorted: &[u128], percent: usize) -> u128 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn main() -> ExitCode {
    let stage = Stage::new();
    let daemon = Setup::with_sim(&stage.provider).route("text", &["openai/text"]).start();
    let direct = stage.samples(stage.provider.address(), "text");
    println!(
        "{:<16}{:>27}{:>27}{:>8}{:>27}",
        "µs", "request to provider", "first text to client", "", "second text to client"
    );
    let figures = format!("{:>9}{:>9}{:>9}", "p50", "p90", "max");
    println!("{:<16}{figures}{figures}{:>8}{figures}", "", "ratio");
    let row = |name: &str, samples: &mut Samples| {
        let ratio = at(&samples.first, 50) as f64 / at(&direct.first, 50).max(1) as f64;
        let [asked, first, second] =
            samples.columns().map(|sorted| format!("{:>9}{:>9}{:>9}", at(sorted, 50), at(sorted, 90), at(sorted, 100)));
        println!("{name:<16}{asked}{first}{ratio:>8.2}{second}");
        samples.columns().iter().all(|sorted| at(sorted, 90) <= BAR.as_micros())
    };
    row("direct", &mut stage.samples(stage.provider.address(), "text"));
    let mut good = true;
    for model in ["openai/text", "anthropic/text", "ollama/text", "haia/text"] {
        good &= row(model, &mut stage.samples(daemon.address, model));
    }
    if good {
        return ExitCode::SUCCESS;
    }
    println!("nine in ten must take at most {} ms: is TCP_NODELAY set on both sides?", BAR.as_millis());
    ExitCode::FAILURE
}
