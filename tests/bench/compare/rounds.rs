//! The comparison: every server goes through the same scenes, several rounds of them, one server at a time.

use crate::client::{Client, Until};
use crate::figures::{self, Round, percentile};
use crate::server::{Kind, Server, Stage};
use crate::{Options, provider};
use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Runs the rounds and prints the table.
pub async fn run(stage: &Stage, options: &Options) -> ExitCode {
    let kinds: Vec<Kind> = options.only.iter().copied().filter(|kind| stage.has(*kind)).collect();
    let mut table: Vec<(String, Vec<Round>)> = kinds.iter().map(|kind| (kind.name().to_owned(), Vec::new())).collect();
    for round in 1..=options.rounds.max(1) {
        for (kind, (name, rounds)) in kinds.iter().zip(&mut table) {
            eprintln!("round {round} of {}: {name}", options.rounds.max(1));
            let server = stage.start(*kind);
            rounds.push(measure(&server, options).await);
        }
    }
    let base = kinds.iter().position(|kind| *kind == Kind::Nginx).unwrap_or(0);
    figures::print(&table, base);
    let failed = table.iter().flat_map(|(_, rounds)| rounds).any(|round| round.get("failed").is_some_and(|n| *n > 0.0));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn measure(server: &Server, options: &Options) -> Round {
    let mut round = Round::new();
    let failed = Rc::new(Cell::new(0.0));
    let whole = server.request("mock", false);
    first_answer(server, &whole).await;
    round.insert("start", server.began.elapsed().as_secs_f64() * 1e3);
    let seconds = |full: f64| Duration::from_secs_f64(if options.quick { full / 5.0 } else { full });

    load(server, 8, seconds(1.0), &failed).await;
    streams(server, 8, 16, &failed).await;
    round.insert("memory warm", server.memory() / 1024.0);

    let mut took = load(server, 1, seconds(2.0), &failed).await;
    round.insert("c1 p50", percentile(&mut took, 50.0) / 1e3);
    round.insert("c1 p99", percentile(&mut took, 99.0) / 1e3);

    let (cpu, begun) = (server.cpu(), Instant::now());
    let mut took = load(server, 64, seconds(3.0), &failed).await;
    round.insert("c64 rps", took.len() as f64 / begun.elapsed().as_secs_f64());
    round.insert("c64 p99", percentile(&mut took, 99.0) / 1e3);
    round.insert("request cpu", (server.cpu() - cpu) / took.len().max(1) as f64 * 1e6);

    for (at_once, count, names) in [
        (1, 10, ["s1 first p50", "", "s1 delay p50", ""]),
        (16, 96, ["s16 first p50", "", "s16 delay p50", "s16 delay p99"]),
        (100, 500, ["s100 first p50", "s100 first p99", "s100 delay p50", "s100 delay p99"]),
    ] {
        let count = if options.quick { count / 5 } else { count };
        let cpu = server.cpu();
        let [mut first, mut delays] = streams(server, at_once, count, &failed).await;
        if at_once == 100 {
            round.insert("stream cpu", (server.cpu() - cpu) / count as f64 * 1e6);
        }
        let samples = [(50.0, true), (99.0, true), (50.0, false), (99.0, false)];
        for (name, (percent, is_first)) in names.into_iter().zip(samples).filter(|(name, _)| !name.is_empty()) {
            round.insert(name, percentile(if is_first { &mut first } else { &mut delays }, percent) / 1e3);
        }
    }
    hold(server, options.streams, &mut round, &failed).await;
    round.insert("failed", failed.get());
    round
}

/// Asks until the first answer comes: a server that has just begun to listen may not know its keys yet.
async fn first_answer(server: &Server, request: &[u8]) {
    loop {
        match Client::new(server.address).whole(request).await {
            Ok(_) => return,
            Err(error) => {
                assert!(server.began.elapsed() < Duration::from_secs(30), "no answer: {error}");
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn told(failed: &Cell<f64>, error: &dyn std::fmt::Display) {
    if failed.replace(failed.get() + 1.0) < 3.0 {
        eprintln!("failed: {error}");
    }
}

/// Whole answers, so many at a time. How long each took, in nanoseconds.
async fn load(server: &Server, at_once: usize, time: Duration, failed: &Rc<Cell<f64>>) -> Vec<u64> {
    let request = Rc::new(server.request("mock", false));
    let until = Instant::now() + time;
    let took = Rc::new(RefCell::new(Vec::new()));
    let clients = (0..at_once).map(|_| {
        let (mut client, request) = (Client::new(server.address), Rc::clone(&request));
        let (took, failed) = (Rc::clone(&took), Rc::clone(failed));
        actix_rt::spawn(async move {
            while Instant::now() < until {
                match client.whole(&request).await {
                    Ok(time) => took.borrow_mut().push(time),
                    Err(error) => told(&failed, &error),
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client does not crash");
    }
    took.take()
}

/// Streams, so many at a time, spread over half a second. Times to the first text, and delays of the pieces, in nanoseconds.
async fn streams(server: &Server, at_once: usize, count: usize, failed: &Rc<Cell<f64>>) -> [Vec<u64>; 2] {
    let request = Rc::new(server.request("mock", true));
    let left = Rc::new(Cell::new(count));
    let samples: Rc<RefCell<[Vec<u64>; 2]>> = Rc::default();
    let clients = (0..at_once).map(|at| {
        let (mut client, request) = (Client::new(server.address), Rc::clone(&request));
        let (samples, failed, left) = (Rc::clone(&samples), Rc::clone(failed), Rc::clone(&left));
        let pause = Duration::from_millis(500) * at as u32 / at_once as u32;
        actix_rt::spawn(async move {
            actix_rt::time::sleep(pause).await;
            while left.get() > 0 {
                left.set(left.get() - 1);
                match client.streamed(&request, Until::End).await {
                    Ok(streamed) if streamed.is_done && streamed.delays.len() == provider::WORDS => {
                        let mut samples = samples.borrow_mut();
                        samples[0].extend(streamed.first);
                        samples[1].extend(streamed.delays);
                    }
                    Ok(streamed) => told(&failed, &format!("a stream ended after {} pieces", streamed.delays.len())),
                    Err(error) => told(&failed, &error),
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client does not crash");
    }
    samples.take()
}

/// Many streams at once, and what they leave behind.
async fn hold(server: &Server, count: usize, round: &mut Round, failed: &Rc<Cell<f64>>) {
    let before = server.memory();
    let request = server.request("held", true);
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        match Client::new(server.address).held(&request).await {
            Ok(stream) => open.push(stream),
            Err(error) => told(failed, &error),
        }
    }
    actix_rt::time::sleep(Duration::from_secs(2)).await;
    let during = server.memory();
    round.insert("memory open", during / 1024.0);
    round.insert("memory stream", (during - before) / open.len().max(1) as f64);
    drop(open);
    actix_rt::time::sleep(Duration::from_secs(3)).await;
    round.insert("memory after", server.memory() / 1024.0);
}
