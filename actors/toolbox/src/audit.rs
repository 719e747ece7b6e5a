//! One audit row per call, however the call ends: an [`Entry`] that is dropped unclosed writes its row all the same.
//!
//! The row holds the digest and sizes of what was said, never the words.

use contract::clock::SharedClock;
use contract::store::{AuditKind, AuditRow, SharedAudit};
use contract::tools::CallTool;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// The longest tool name in a row: a model can make up any.
const NAME_BYTES: usize = 64;

/// The row of a call that is under way.
pub(crate) struct Entry {
    row: Option<AuditRow>,
    audit: SharedAudit,
    clock: SharedClock,
    begun: Duration,
}

impl Entry {
    /// Opens the row of a call.
    pub(crate) fn open(call: &CallTool, audit: &SharedAudit, clock: &SharedClock) -> Self {
        let row = AuditRow {
            at: clock.now(),
            kind: AuditKind::Tool,
            request_id: call.request_id.shared(),
            who: Arc::clone(&call.caller.name),
            origin: call.caller.origin,
            what: shortened(&call.name),
            digest: digest(&call.arguments),
            bytes: 0,
            ms: 0,
            outcome: Arc::from(""),
        };
        Self { row: Some(row), audit: Arc::clone(audit), clock: Arc::clone(clock), begun: clock.monotonic() }
    }

    /// Writes the row: how the call ended, and the size of its result.
    pub(crate) fn close(mut self, outcome: &str, bytes: usize) {
        self.write(outcome, bytes);
    }

    fn write(&mut self, outcome: &str, bytes: usize) {
        if let Some(mut row) = self.row.take() {
            row.outcome = Arc::from(outcome);
            row.bytes = bytes as u64;
            let took = self.clock.monotonic().saturating_sub(self.begun);
            row.ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            self.audit.record(row);
        }
    }
}

impl Drop for Entry {
    /// Unclosed: nobody waited for the result any more, or the tool crashed.
    fn drop(&mut self) {
        self.write(if std::thread::panicking() { "panicked" } else { "cancelled" }, 0);
    }
}

fn shortened(name: &Arc<str>) -> Arc<str> {
    if name.len() <= NAME_BYTES {
        return Arc::clone(name);
    }
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    Arc::from(&name[..ends.take_while(|end| *end <= NAME_BYTES).last().unwrap_or(0)])
}

/// SHA-256 in hex, the first 16 digits; empty where there were no arguments.
fn digest(arguments: &str) -> String {
    let mut digits = String::new();
    if !arguments.is_empty() {
        for byte in Sha256::digest(arguments.as_bytes()).iter().take(8) {
            let _ = write!(digits, "{byte:02x}");
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_beginning_of_sha256() {
        assert_eq!(digest(""), "");
        assert_eq!(digest("abc"), "ba7816bf8f01cfea");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(&*shortened(&Arc::from("get_time")), "get_time");
        assert_eq!(shortened(&Arc::from("ü".repeat(40))).len(), 64);
        assert_eq!(shortened(&Arc::from(format!("x{}", "ü".repeat(40)))).len(), 63);
    }
}
