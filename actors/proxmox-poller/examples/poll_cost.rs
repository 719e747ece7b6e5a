//! What a poll of 32 nodes and 2,000 guests costs: processor time to decode, assemble and record it and to judge it by every rule, and how memory
//! grows over a day of polls. Fails when any is beyond its bound.
//!
//! `cargo run --release -p proxmox-poller --example poll_cost`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measurement that a person reads")]

use contract::clock::Clock as _;
use contract::monitor::RuleBook;
use jiff::{SignedDuration, Timestamp};
use proxmox_poller::assemble::{Polled, assemble};
use proxmox_poller::decode;
use proxmox_poller::history::History;
use proxmox_poller::memory::Memory;
use proxmox_poller::model::Snapshot;
use proxmox_poller::rules::{Scene, judge};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Narrower settings for some guests.
const OVERRIDES: &str = r#"{"rules":{"guest_disk":{"except":[{"name":"*-never"}]}},"overrides":[
    {"match":{"tag":"lab"},"rules":["guest_*"],"set":{"enabled":false}},
    {"match":{"node":"pve7"},"rules":[],"set":{"warning":{"for":"5m"}}},
    {"match":{"vmid":"12*"},"rules":["guest_cpu"],"set":{"warning":{"above":99,"clear":95}}}]}"#;

const NODES: usize = 32;
const GUESTS: usize = 2000;
/// A day of polls, one every ten seconds.
const POLLS: u32 = 8640;
/// The most that a poll may cost on average, in milliseconds of processor time.
const MOST_MS: f64 = 25.0;
/// The most that all rules may cost on average, in milliseconds of processor time.
const MOST_RULES_MS: f64 = 10.0;
/// The most that memory may grow, in megabytes.
const MOST_MB: f64 = 40.0;

fn resources() -> String {
    let mut body = String::from("{\"data\":[");
    for node in 0..NODES {
        let _ = write!(
            body,
            r#"{{"id":"node/pve{node}","type":"node","node":"pve{node}","status":"online","cpu":0.2{node},"maxcpu":64,"mem":123456789012,"maxmem":270582939648,"disk":12345678901,"maxdisk":98765432109,"uptime":1234567,"level":"","cgroup-mode":2}},"#
        );
        for storage in ["local", "local-lvm", "nas", "pbs"] {
            let shared = u8::from(storage == "nas" || storage == "pbs");
            let _ = write!(
                body,
                r#"{{"id":"storage/pve{node}/{storage}","type":"storage","node":"pve{node}","storage":"{storage}","status":"available","shared":{shared},"disk":12345678901,"maxdisk":98765432109,"plugintype":"nfs","content":"backup,images"}},"#
            );
        }
    }
    for guest in 0..GUESTS {
        let kind = if guest % 3 == 0 { "lxc" } else { "qemu" };
        let vmid = 100 + guest;
        let _ = write!(
            body,
            r#"{{"id":"{kind}/{vmid}","type":"{kind}","vmid":{vmid},"node":"pve{}","name":"guest-number-{vmid}.example","status":"running","cpu":0.0{vmid},"maxcpu":4,"mem":2345678901,"memhost":3456789012,"maxmem":8589934592,"disk":1234567890,"maxdisk":34359738368,"netin":1234567890,"netout":987654321,"diskread":5555555,"diskwrite":6666666,"uptime":123456,"template":0,"tags":"prod;web"}},"#,
            guest % NODES
        );
    }
    body.pop();
    body.push_str("]}");
    body
}

/// A figure of this process: the file's word at that place.
fn figure(file: &str, at: usize) -> f64 {
    let text = std::fs::read_to_string(file).expect(file);
    text.split_whitespace().nth(at).and_then(|word| word.parse().ok()).expect(file)
}

/// Memory of this process, in megabytes.
fn resident_mb() -> f64 {
    figure("/proc/self/statm", 1) * 4096.0 / 1e6
}

/// Processor time of this process, in milliseconds. It has one thread.
fn processor_ms() -> f64 {
    figure("/proc/self/schedstat", 0) / 1e6
}

fn main() -> ExitCode {
    let clock = runtime::SystemClock::real();
    let body = resources();
    let status = format!(
        "{{\"data\":[{}]}}",
        (0..NODES)
            .map(|node| format!(r#"{{"type":"node","name":"pve{node}","online":1}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    let (before_mb, before_ms) = (resident_mb(), processor_ms());
    let (name, endpoint): (Arc<str>, Arc<str>) = ("lab".into(), "https://a:8006".into());
    let mut history = History::default();
    let mut snapshot: Option<Arc<Snapshot>> = None;
    let mut memory = Memory::default();
    // As set by nobody, and with exceptions by tag, node and name that every guest has to be held against.
    let books = [RuleBook::default(), serde_json::from_str(OVERRIDES).expect("a rule book")];
    let mut judging_ms = [0.0; 2];
    let mut slowest = Duration::ZERO;
    for poll in 0..POLLS {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_772_366_400 + i64::from(poll) * 10);
        let begun = clock.monotonic();
        let polled = Polled {
            resources: decode::resources(body.as_bytes()).expect("rows"),
            status: decode::cluster_status(status.as_bytes()).map_err(|_| no_rows()),
            tasks: Ok(Vec::new()),
            permissions: None,
            server_time_s: None,
            endpoint: Arc::clone(&endpoint),
            poll_ms: 0,
        };
        let next = assemble(&name, polled, snapshot.as_deref(), now).expect("a snapshot");
        history.record(&next);
        let due = history.due(now, false);
        slowest = slowest.max(clock.monotonic() - begun);
        memory.observe(snapshot.as_deref(), &next);
        for (book, sum_ms) in books.iter().zip(&mut judging_ms) {
            let begun_ms = processor_ms();
            let scene = Scene { snapshot: &next, memory: &memory, history: &history, book, now };
            drop(judge(scene, |_| true));
            *sum_ms += processor_ms() - begun_ms;
        }
        snapshot = Some(Arc::new(next));
        drop(due);
    }
    let polling_ms = processor_ms() - before_ms - judging_ms.iter().sum::<f64>();
    let (each_ms, grown_mb) = (polling_ms / f64::from(POLLS), resident_mb() - before_mb);
    let rules_ms = judging_ms.map(|sum_ms| sum_ms / f64::from(POLLS));
    println!(
        "{NODES} nodes, {GUESTS} guests: an answer of {} kB, {} rows of history",
        body.len() / 1000,
        history.size().0
    );
    println!(
        "a poll costs {each_ms:.1} ms of processor time (at most {MOST_MS}); the slowest took {:.1} ms",
        slowest.as_secs_f64() * 1000.0
    );
    println!(
        "all rules cost {:.2} ms, with overrides {:.2} ms of processor time (at most {MOST_RULES_MS})",
        rules_ms[0], rules_ms[1]
    );
    println!("memory grew by {grown_mb:.1} MB over a day of {POLLS} polls (at most {MOST_MB})");
    if each_ms > MOST_MS || grown_mb > MOST_MB || rules_ms.iter().any(|ms| *ms > MOST_RULES_MS) {
        println!("FAILED: beyond its bound");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn no_rows() -> proxmox_poller::client::ApiError {
    proxmox_poller::client::ApiError::new(proxmox_poller::client::ErrorKind::NotUnderstood, "no rows")
}
