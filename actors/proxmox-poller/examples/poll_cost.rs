//! What a poll of 32 nodes and 2,000 guests costs: time to decode, assemble and record it, and how memory grows over a day of polls.
//!
//! `cargo run --release -p proxmox-poller --example poll_cost`
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a measurement that a person reads")]

use contract::clock::Clock as _;
use jiff::{SignedDuration, Timestamp};
use proxmox_poller::assemble::{Polled, assemble};
use proxmox_poller::decode;
use proxmox_poller::history::History;
use proxmox_poller::model::Snapshot;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

const NODES: usize = 32;
const GUESTS: usize = 2000;

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

fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096.0 / f64::from(1 << 20)
}

fn main() {
    let clock = runtime::SystemClock::real();
    let body = resources();
    let status = format!(
        "{{\"data\":[{}]}}",
        (0..NODES)
            .map(|node| format!(r#"{{"type":"node","name":"pve{node}","online":1}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    let before = resident_mib();
    let (name, endpoint): (Arc<str>, Arc<str>) = ("lab".into(), "https://a:8006".into());
    let mut history = History::default();
    let mut snapshot: Option<Arc<Snapshot>> = None;
    let (polls, mut spent, mut slowest) = (8640, Duration::ZERO, Duration::ZERO);
    for poll in 0..polls {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_772_366_400 + poll * 10);
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
        let took = clock.monotonic() - begun;
        spent += took;
        slowest = slowest.max(took);
        snapshot = Some(Arc::new(next));
        drop(due);
    }
    println!("answer {} kB, rows of history {}", body.len() / 1000, history.size().0);
    println!(
        "per poll {:.2} ms, slowest {:.2} ms",
        spent.as_secs_f64() * 1000.0 / polls as f64,
        slowest.as_secs_f64() * 1000.0
    );
    println!("memory grew by {:.1} MiB over a day of polls", resident_mib() - before);
}

fn no_rows() -> proxmox_poller::client::ApiError {
    proxmox_poller::client::ApiError::new(proxmox_poller::client::ErrorKind::NotUnderstood, "no rows")
}
