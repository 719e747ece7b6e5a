//! One line for each request, written when its answer ended or was given up: at target `access`, never with a query, a header or a body.

use crate::metrics::Metrics;
use actix_web::http::Method;
use contract::clock::SharedClock;
use contract::ids::RequestId;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer is complete.
    Done,
    /// The client left before.
    Cancelled,
    /// The answer broke off with an error event.
    Failed,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed => "failed",
        }
    }
}

/// What nginx made customary for a client that left before the head was sent.
const CLIENT_LEFT: u16 = 499;

/// The line of one request while it is being answered. The request's future holds it, a streamed body too; whoever lets go last writes it.
pub(crate) struct Access {
    pub(crate) request_id: RequestId,
    method: Method,
    path: String,
    /// The pattern of the route, for metrics; `unmatched` where there is none.
    pub(crate) route: Cell<&'static str>,
    /// Whether the path's clients are Anthropic's, who look for errors in their own shape.
    pub(crate) anthropic: Cell<bool>,
    pub(crate) caller: RefCell<Option<Arc<str>>>,
    pub(crate) model: RefCell<Option<Rc<str>>>,
    status: Cell<u16>,
    head_after: Cell<Option<Duration>>,
    bytes: Cell<u64>,
    outcome: Cell<Outcome>,
    begun: Duration,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

impl Access {
    /// A request that has just arrived.
    pub(crate) fn new(
        request_id: RequestId,
        method: Method,
        path: &str,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            request_id,
            method,
            path: path.to_owned(),
            route: Cell::new("unmatched"),
            anthropic: Cell::new(false),
            caller: RefCell::default(),
            model: RefCell::default(),
            status: Cell::new(CLIENT_LEFT),
            head_after: Cell::new(None),
            bytes: Cell::new(0),
            outcome: Cell::new(Outcome::Cancelled),
            begun: clock.monotonic(),
            clock,
            metrics,
        }
    }

    /// The head is ready.
    pub(crate) fn head(&self, status: u16) {
        self.status.set(status);
        self.head_after.set(Some(self.clock.monotonic().saturating_sub(self.begun)));
    }

    /// More of the body was handed over.
    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_add(bytes as u64));
    }

    /// The answer has ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.outcome.set(outcome);
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let now = self.clock.monotonic().saturating_sub(self.begun);
        let head = self.head_after.get().unwrap_or(now);
        let status = self.status.get();
        self.metrics.count(self.route.get(), status, head);
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        tracing::info!(
            target: "access",
            method = self.method.as_str(),
            path = self.path,
            status,
            ms = milliseconds(head),
            total_ms = milliseconds(now),
            request_id = self.request_id.as_str(),
            caller = self.caller.get_mut().as_deref(),
            model = self.model.get_mut().as_deref(),
            bytes = self.bytes.get(),
            outcome = self.outcome.get().as_str(),
        );
    }
}
