//! The soak: many requests of every sort, and a look from outside, again and again, at what grows. Of ten requests one is a stream, one a stream that
//! the provider breaks off, one a stream that the client leaves after its first text; the others are answered whole.

use crate::client::{Client, Until};
use crate::figures::percentile;
use crate::server::{Kind, Server, Stage};
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Requests at once.
const AT_ONCE: usize = 32;
/// Lines of the report.
const LINES: u64 = 40;
/// Whole answers at either end whose latency is compared.
const ENDS: usize = 10_000;

/// How much worse than after the first tenth it may be before the run fails. Wide: the machine is not ours alone.
const MORE_MEMORY: f64 = 16.0 * 1024.0;
const MORE_DESCRIPTORS: usize = 64;
const SLOWER: f64 = 3.0;

#[derive(Default)]
struct State {
    begun: u64,
    wrong: u64,
    /// Times of whole answers since the last line, in nanoseconds.
    recent: Vec<u64>,
    first: Vec<u64>,
    last: std::collections::VecDeque<u64>,
}

/// What was seen of the server.
#[derive(Clone, Copy)]
struct Look {
    memory: f64,
    descriptors: usize,
}

fn look(server: &Server) -> Look {
    Look { memory: server.memory(), descriptors: server.descriptors() }
}

/// Serves `requests` and prints how it went.
pub async fn run(stage: &Stage, requests: u64) -> ExitCode {
    let server = stage.start(Kind::Haia);
    actix_rt::time::sleep(Duration::from_secs(1)).await;
    println!(
        "{:>10} {:>9} {:>11} {:>11} {:>9} {:>9} {:>6}",
        "requests", "seconds", "memory MiB", "descriptors", "p50 µs", "p99 µs", "wrong"
    );
    let state = Rc::new(RefCell::new(State::default()));
    let begun = Instant::now();
    let workers: Vec<_> =
        (0..AT_ONCE).map(|_| actix_rt::spawn(work(Sorts::of(&server), Rc::clone(&state), requests))).collect();
    let mut warm = None;
    let mut most = Look { memory: 0.0, descriptors: 0 };
    let mut line = 1;
    while !workers.iter().all(actix_rt::task::JoinHandle::is_finished) {
        actix_rt::time::sleep(Duration::from_millis(50)).await;
        if state.borrow().begun < requests * line / LINES {
            continue;
        }
        let seen = look(&server);
        print_line(&mut state.borrow_mut(), begun, seen);
        if line >= LINES / 10 {
            let warm = warm.get_or_insert(seen);
            most = Look {
                memory: most.memory.max(seen.memory - warm.memory),
                descriptors: most.descriptors.max(seen.descriptors.saturating_sub(warm.descriptors)),
            };
        }
        line = state.borrow().begun * LINES / requests.max(1) + 1;
    }
    for worker in workers {
        worker.await.expect("a client does not crash");
    }
    // What was left open closes, and what was freed goes back.
    actix_rt::time::sleep(Duration::from_secs(3)).await;
    let end = look(&server);
    print_line(&mut state.borrow_mut(), begun, end);
    let mut state = state.borrow_mut();
    let (first, last) = (percentile(&mut state.first, 99.0), percentile(state.last.make_contiguous(), 99.0));
    let slower = last / first.max(1.0);
    let warm = warm.unwrap_or(end);
    println!(
        "\nafter the first tenth: memory at most {:+.1} MiB, in the end {:+.1} MiB; descriptors at most {:+}, in the end {}; \
         p99 of the last {ENDS} whole answers {slower:.2} times the first {ENDS}'s; {} wrong",
        most.memory / 1024.0,
        (end.memory - warm.memory) / 1024.0,
        most.descriptors,
        end.descriptors,
        state.wrong
    );
    let good = end.memory - warm.memory <= MORE_MEMORY
        && end.descriptors <= warm.descriptors + MORE_DESCRIPTORS
        && slower <= SLOWER
        && state.wrong == 0;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_line(state: &mut State, begun: Instant, seen: Look) {
    let mut recent = std::mem::take(&mut state.recent);
    let [p50, p99] = [50.0, 99.0].map(|percent| percentile(&mut recent, percent) / 1e3);
    println!(
        "{:>10} {:>9.1} {:>11.1} {:>11} {p50:>9.0} {p99:>9.0} {:>6}",
        state.begun,
        begun.elapsed().as_secs_f64(),
        seen.memory / 1024.0,
        seen.descriptors,
        state.wrong
    );
}

/// The requests of one worker.
struct Sorts {
    client: Client,
    whole: Vec<u8>,
    short: Vec<u8>,
    cut: Vec<u8>,
    left: Vec<u8>,
}

impl Sorts {
    fn of(server: &Server) -> Self {
        Self {
            client: Client::new(server.address),
            whole: server.request("mock", false),
            short: server.request("short", true),
            cut: server.request("cut", true),
            left: server.request("held", true),
        }
    }

    /// One request. How long a whole answer took; or what went wrong.
    async fn one(&mut self, number: u64) -> Result<Option<u64>, String> {
        let told = |error: std::io::Error| error.to_string();
        match number % 10 {
            1 => match self.client.streamed(&self.short, Until::End).await.map_err(told)? {
                streamed if streamed.is_done && !streamed.has_error => Ok(None),
                _ => Err("a stream was not whole".to_owned()),
            },
            4 => match self.client.streamed(&self.cut, Until::End).await.map_err(told)? {
                streamed if streamed.has_error && !streamed.is_done => Ok(None),
                _ => Err("a stream that broke off did not say so".to_owned()),
            },
            7 => match self.client.streamed(&self.left, Until::FirstText).await.map_err(told)? {
                streamed if streamed.first.is_some() => Ok(None),
                _ => Err("a stream had no text".to_owned()),
            },
            _ => self.client.whole(&self.whole).await.map(Some).map_err(told),
        }
    }
}

async fn work(mut sorts: Sorts, state: Rc<RefCell<State>>, requests: u64) {
    loop {
        let number = state.borrow().begun;
        if number >= requests {
            return;
        }
        state.borrow_mut().begun += 1;
        let outcome = sorts.one(number).await;
        let mut state = state.borrow_mut();
        match outcome {
            Ok(None) => {}
            Ok(Some(took)) => {
                state.recent.push(took);
                if state.first.len() < ENDS {
                    state.first.push(took);
                }
                if state.last.len() >= ENDS {
                    state.last.pop_front();
                }
                state.last.push_back(took);
            }
            Err(wrong) => {
                state.wrong += 1;
                if state.wrong <= 5 {
                    eprintln!("request {number}: {wrong}");
                }
            }
        }
    }
}
