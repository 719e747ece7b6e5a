//! HAIA's own calls of one round: all at once, each with its deadline and a bound on its result, told to whoever waits.
//!
//! It ends with a result for each call, whatever happened; dropping it cancels them all.

use super::Asker;
use crate::turns::TurnPorts;
use contract::chat::{Event, EventSink, TurnLimits};
use contract::clock::SharedClock;
use contract::message::Fault;
use contract::tools::{CallTool, MAX_CALL, ToolResult};
use contract::{BoxFuture, LocalBoxFuture};
use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The most calls of one round that are run.
const CALLS: usize = 32;
/// How long nothing may be heard of a connection that waits.
const SILENCE: Duration = Duration::from_secs(10);
/// Toolbox keeps the deadline itself, and puts it off while a tool shows progress; this is for a Toolbox that cannot.
const GRACE: Duration = Duration::from_secs(2);

/// A call to be made.
pub(crate) struct PlannedCall {
    pub(crate) name: Arc<str>,
    pub(crate) arguments: String,
    /// What people see while it runs; `None` shows nothing.
    pub(crate) title: Option<Arc<str>>,
}

/// Tells when a sign of life is due.
pub(crate) struct Beat {
    clock: SharedClock,
    next: BoxFuture<'static, ()>,
}

impl Beat {
    pub(crate) fn new(clock: &SharedClock) -> Self {
        Self { clock: Arc::clone(clock), next: clock.pause(SILENCE) }
    }

    /// Whether one is due now; wakes when the next is.
    pub(crate) fn is_due(&mut self, context: &mut Context<'_>) -> bool {
        let mut is_due = false;
        while self.next.as_mut().poll(context).is_ready() {
            self.next = self.clock.pause(SILENCE);
            is_due = true;
        }
        is_due
    }
}

struct Running {
    at: usize,
    title: Option<Arc<str>>,
    result: LocalBoxFuture<'static, ToolResult>,
}

/// Calls under way.
pub(crate) struct ToolRun {
    running: Vec<Running>,
    results: Vec<Option<ToolResult>>,
    /// Titles under which a call has failed.
    failed: HashSet<Arc<str>>,
    announced: bool,
    beat: Beat,
}

impl ToolRun {
    /// Prepares the calls; they begin with the first poll.
    pub(crate) fn start(ports: &TurnPorts, asker: &Asker, limits: TurnLimits, calls: Vec<PlannedCall>) -> Self {
        let results = (0..calls.len()).map(|at| {
            (at >= CALLS).then(|| ToolResult::error(format!("not called: at most {CALLS} calls of one round are run")))
        });
        let results = results.collect();
        let running = calls.into_iter().enumerate().take(CALLS).map(|(at, call)| {
            let title = call.title.clone();
            Running { at, title, result: Box::pin(run(ports.call_tool.clone(), asker.clone(), limits, call)) }
        });
        Self {
            running: running.collect(),
            results,
            failed: HashSet::new(),
            announced: false,
            beat: Beat::new(&ports.clock),
        }
    }

    /// `Ready(None)`: events were handed over. `Ready(Some(_))`: every call has its result, in the order of the calls.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Vec<ToolResult>>> {
        let mut handed = false;
        if !self.announced {
            self.announced = true;
            let mut told = HashSet::new();
            for title in
                self.running.iter().filter_map(|call| call.title.as_deref()).filter(|title| told.insert(*title))
            {
                sink.event(Event::Status { description: title, done: false });
                handed = true;
            }
        }
        let mut at = 0;
        while at < self.running.len() {
            let Poll::Ready(result) = self.running[at].result.as_mut().poll(context) else {
                at += 1;
                continue;
            };
            let done = self.running.remove(at);
            let is_error = result.is_error;
            self.results[done.at] = Some(result);
            let Some(title) = done.title else { continue };
            if is_error {
                self.failed.insert(Arc::clone(&title));
            }
            if !self.running.iter().any(|call| call.title.as_ref() == Some(&title)) {
                // Readers list every status they got: the same words twice would look like two calls.
                let how = if self.failed.contains(&title) { "failed" } else { "done" };
                sink.event(Event::Status { description: &format!("{title}: {how}"), done: true });
                handed = true;
            }
        }
        if self.running.is_empty() {
            return Poll::Ready(Some(self.results.drain(..).flatten().collect()));
        }
        if self.beat.is_due(context) {
            sink.event(Event::KeepAlive);
            handed = true;
        }
        if handed { Poll::Ready(None) } else { Poll::Pending }
    }
}

async fn run(port: runtime::Port<CallTool>, asker: Asker, limits: TurnLimits, call: PlannedCall) -> ToolResult {
    let PlannedCall { name, arguments, .. } = call;
    let timeout = limits.tool_timeout;
    let message =
        CallTool { request_id: asker.request_id, caller: asker.caller, name: Arc::clone(&name), arguments, timeout };
    let mut result = match port.ask(message, MAX_CALL.saturating_add(GRACE)).await {
        Ok(Ok(result)) => result,
        Ok(Err(failure)) => ToolResult::error(failure.message),
        Err(Fault::Expired { .. }) => ToolResult::error(format!("{name} did not answer in time")),
        Err(Fault::Panicked { .. }) => ToolResult::error(format!("{name} crashed on this call")),
        Err(fault) => ToolResult::error(format!("{name} cannot be called now: {fault}")),
    };
    cap(&mut result.text, limits.tool_result_bytes);
    result
}

/// Cuts a result that is too long, between characters, and says so in it.
fn cap(text: &mut String, most: usize) {
    if text.len() <= most {
        return;
    }
    let whole = text.len();
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&format!("\n[HAIA cut this result: {end} of {whole} bytes are shown. Ask for less at once.]"));
}

#[cfg(test)]
mod tests {
    use super::cap;

    #[test]
    fn long_results_are_cut_between_characters_and_say_so() {
        for (text, most, kept) in [("abc", 3, "abc"), ("äöü", 6, "äöü"), ("", 0, "")] {
            let mut capped = text.to_owned();
            cap(&mut capped, most);
            assert_eq!(capped, kept);
        }
        let mut text = "äöü".to_owned();
        cap(&mut text, 3);
        assert_eq!(text, "ä\n[HAIA cut this result: 2 of 6 bytes are shown. Ask for less at once.]");
    }
}
