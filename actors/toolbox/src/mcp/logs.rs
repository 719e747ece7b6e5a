//! The newest lines that a server wrote, in bounded memory, without its secrets and without control characters.

use super::environment::Masks;
use super::text::clean_line;
use contract::clock::SharedClock;
use contract::mcp::McpLogLine;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

const LINES: usize = 200;
const LINE_BYTES: usize = 600;

/// The log of one server. It outlives the server's restarts.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Arc<Mutex<VecDeque<McpLogLine>>>,
    clock: SharedClock,
}

impl Log {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { lines: Arc::default(), clock }
    }

    /// Takes a line. `source` is `stderr`, `message` or `haia`.
    pub(crate) fn add(&self, source: &'static str, text: &str, masks: &Masks) {
        let text = clean_line(&masks.apply(text.to_owned()), LINE_BYTES);
        if text.is_empty() {
            return;
        }
        let line = McpLogLine { at: self.clock.now(), source, text };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Every line, the oldest first.
    pub(crate) fn lines(&self) -> Vec<McpLogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The last line that the server wrote to its standard error.
    pub(crate) fn last_word(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().rev().find(|line| line.source == "stderr").map(|line| line.text.clone())
    }
}
