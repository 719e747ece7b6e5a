//! What the daemon wrote to stderr: lines of JSON, collected while it runs.

use super::DEADLINE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

/// The lines so far.
#[derive(Default)]
pub struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

impl Log {
    /// Collects `source` until its end, on a thread of its own.
    pub fn collect(source: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let of_thread = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                of_thread.lock().lines.push(line);
                of_thread.changed.notify_all();
            }
            of_thread.lock().ended = true;
            of_thread.changed.notify_all();
        });
        log
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for an event.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = |state: &State| -> Option<Value> {
            state.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find(|event| is_it(event))
        };
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), DEADLINE, |state| found(state).is_none() && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        found(&state).unwrap_or_else(|| panic!("the log never told of {what}:\n{}", state.lines.join("\n")))
    }

    /// Waits for the address it listens on.
    pub fn wait_for_address(&self) -> SocketAddr {
        let address = |event: &Value| -> Option<SocketAddr> { field(event, "address")?.as_str()?.parse().ok() };
        let event = self.wait_for("the address", |event| {
            field(event, "message").is_some_and(|message| message == "listening") && address(event).is_some()
        });
        address(&event).expect("just seen")
    }
}

/// A field of a log event, flattened or not.
pub fn field<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    event.get(name).or_else(|| event.get("fields")?.get(name))
}
