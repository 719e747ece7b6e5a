//! Fuzzes everything behind the decoders: two polls become snapshots with a past, and every read tool answers over them in whole JSON.
//!
//! The input is up to four bodies with a zero byte between them: resources of a first poll, resources of a second, tasks, and what the
//! cluster answers to every further call.

#![no_main]

use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use proxmox_poller::assemble::{Polled, assemble};
use proxmox_poller::client::{ApiClient, Exchange, Transport, TransportError};
use proxmox_poller::decode;
use proxmox_poller::history::History;
use proxmox_poller::model::Snapshot;
use proxmox_poller::tools::{Desk, READ_TOOLS, View};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// When the first poll is, seconds since 1970.
const BEGIN_S: i64 = 1_772_366_400;

/// A cluster that answers the same to everything.
struct Same(Vec<u8>);

impl Transport for Same {
    fn get(&self, _: usize, _: &str, _: Duration) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        let body = self.0.clone().into();
        let answer = Exchange { status: 200, reason: "OK".to_owned(), date_s: Some(BEGIN_S), body };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A poll `seconds` after the first.
fn poll(resources: &[u8], tasks: &[u8], rest: &[u8], before: Option<&Snapshot>, seconds: i64) -> Option<Snapshot> {
    let polled = Polled {
        resources: decode::resources(resources).ok()?,
        status: Ok(decode::cluster_status(rest).unwrap_or_default()),
        tasks: Ok(decode::tasks(tasks).unwrap_or_default()),
        permissions: None,
        server_time_s: decode::server_time(rest).ok().flatten(),
        endpoint: "https://a:8006".into(),
        poll_ms: 1,
    };
    assemble(&"lab".into(), polled, before, at(seconds)).ok()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(BEGIN_S + seconds)
}

/// Arguments for every tool: none, and those about what is there.
fn arguments(snapshot: &Snapshot) -> Vec<String> {
    let quoted = |text: &str| format!("\"{}\"", text.escape_default());
    let mut arguments = vec!["{}".to_owned()];
    arguments.extend(snapshot.guests.iter().take(3).map(|guest| format!("{{\"guest\":{}}}", guest.vmid)));
    arguments.extend(snapshot.nodes.first().map(|node| format!("{{\"node\":{}}}", quoted(&node.name))));
    arguments.extend(snapshot.tasks.iter().take(2).map(|task| format!("{{\"upid\":{}}}", quoted(&task.upid))));
    arguments
}

thread_local! {
    static SYSTEM: (Runtime, SharedClock) = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let clock = Arc::new(runtime::SystemClock::real());
        (runtime, clock)
    };
}

fuzz_target!(|input: &[u8]| {
    let mut bodies = input.splitn(4, |byte| *byte == 0);
    let [first, second, tasks, rest] = [(); 4].map(|()| bodies.next().unwrap_or_default());
    let mut history = History::default();
    let before = poll(first, tasks, rest, None, 0);
    let snapshot = poll(second, tasks, rest, before.as_ref(), 1000).or_else(|| before.clone());
    for snapshot in before.iter().chain(&snapshot) {
        history.record(snapshot);
    }
    if let Some(due) = history.due(at(2000), true) {
        assert!(History::default().restore(&due.slabs), "what was packed cannot be read");
    }
    let Some(snapshot) = snapshot else { return };
    let calls = arguments(&snapshot);
    SYSTEM.with(|(runtime, clock)| {
        let same = Rc::new(Same(rest.to_vec()));
        let client = ApiClient::new(same, vec!["https://a:8006".into()], "haia@pve!monitor".into(), clock.clone());
        let view = View {
            name: "lab".into(),
            snapshot: Some(Arc::new(snapshot)),
            problem: None,
            is_blind: false,
            interval_s: 10,
            client: Some(client),
            history: Rc::new(RefCell::new(history)),
        };
        let desk = Rc::new(Desk { now: at(1005), views: vec![view] });
        for tool in READ_TOOLS {
            for arguments in &calls {
                let Ok(begun) = (tool.begin)(&desk, arguments) else { continue };
                let result = runtime.block_on(begun);
                assert!(result.is_error || result.text.starts_with('{'), "{}: {}", tool.name, result.text);
            }
        }
    });
});
