//! The real binary in a folder of its own, as a test drives it: start, ask over HTTP or the unix socket, signal, read its log.
//!
//! Every wait has a deadline that only failures reach; nothing here measures time.

mod http;
mod log;
mod setup;
mod stream;

pub use http::{Begun, Call, Response};
use log::Log;
pub use setup::{ADMIN, CONTROL, READ, Setup, binary};
pub use stream::{Event, Stream};

use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before its test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running daemon. It is killed when dropped.
pub struct Daemon {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it wrote to stderr.
    pub log: Arc<Log>,
    folder: Arc<TempDir>,
}

impl Daemon {
    /// The folder with its configuration and store.
    pub fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Its configuration file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("haia.toml")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A request to it, with the admin key.
    pub fn call(&self, method: &str, path: &str) -> Call {
        Call::tcp(self.address, method, path).key(ADMIN)
    }

    /// `GET`, whole, with the admin key.
    pub fn get(&self, path: &str) -> Response {
        self.call("GET", path).send()
    }

    /// `POST`, whole, with the admin key.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.call("POST", path).json(body).send()
    }

    /// A chat, whole.
    pub fn chat(&self, body: &Value) -> Response {
        self.post("/v1/chat/completions", body)
    }

    /// A chat, streamed.
    pub fn stream(&self, body: &Value) -> Stream {
        self.call("POST", "/v1/chat/completions").json(body).open()
    }

    /// `/status`.
    pub fn status(&self) -> Value {
        self.get("/status").json()
    }

    /// Waits until `/status` satisfies `condition`, and gives it.
    pub fn status_until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || Some(self.status()).filter(|status| condition(status)))
    }

    /// Waits until nobody is being served.
    pub fn wait_until_idle(&self) {
        self.status_until("no turn, stream or provider connection", |status| {
            status["turns"]["active"] == 0
                && status["turns"]["queued"] == 0
                && status["streams"]["open"] == 0
                && status["provider_connections"]["active"] == 0
        });
    }

    /// One actor of `/status`.
    pub fn actor(&self, name: &str) -> Value {
        let status = self.status();
        let actors = status["actors"].as_array().cloned().unwrap_or_default();
        actors.into_iter().find(|actor| actor["name"] == name).unwrap_or_else(|| panic!("no actor {name} in {status}"))
    }

    /// Its open descriptors, by what they point to; those of the log and the store are among them.
    pub fn descriptors(&self) -> usize {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the process runs");
        entries.count()
    }

    /// Sends a signal by name: `TERM`, `HUP`, `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} failed");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the daemon to end", || self.child.try_wait().expect("the process can be waited for"))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the process can be waited for").is_none()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` finds something.
pub fn eventually<R>(what: &str, mut look: impl FnMut() -> Option<R>) -> R {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited in vain for {what}");
        // Not a wait for something to happen by now: only a pause between two looks.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
