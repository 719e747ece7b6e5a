//! The account of one call: counts it, times it, and writes its audit row, however it ends. A call that is dropped counts as cancelled.

use crate::outcome::{CallFailed, CallRecovered};
use crate::provider::{Model, Provider};
use contract::caller::Caller;
use contract::chat::{Event, EventSink, Relayed, Usage};
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::status::{Gauge, GaugeGuard, Gauges};
use contract::store::{AuditKind, AuditRow, SharedAudit};
use jiff::Timestamp;
use runtime::Port;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Whom an account tells.
#[derive(Clone)]
pub struct Ledger {
    pub clock: SharedClock,
    pub audit: SharedAudit,
    pub gauges: Arc<Gauges>,
    pub failed: Port<CallFailed>,
    pub recovered: Port<CallRecovered>,
}

/// One call under way at one provider. It holds the provider's permit.
pub struct Account {
    ledger: Ledger,
    provider: Arc<Provider>,
    model: Arc<Model>,
    request_id: RequestId,
    caller: Caller,
    digest: String,
    at: Timestamp,
    begun: Duration,
    bytes: u64,
    usage: Usage,
    settled: bool,
    _permit: OwnedSemaphorePermit,
    _connection: GaugeGuard,
}

impl Account {
    /// Opens an account as the request is about to be sent.
    pub fn open(
        ledger: &Ledger,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        request_id: &RequestId,
        caller: &Caller,
        body: &[u8],
        permit: OwnedSemaphorePermit,
    ) -> Self {
        provider.health.requests.fetch_add(1, Relaxed);
        provider.health.active.fetch_add(1, Relaxed);
        Self {
            ledger: ledger.clone(),
            provider: Arc::clone(provider),
            model: Arc::clone(model),
            request_id: request_id.clone(),
            caller: caller.clone(),
            digest: digest(body),
            at: ledger.clock.now(),
            begun: ledger.clock.monotonic(),
            bytes: 0,
            usage: Usage::default(),
            settled: false,
            _permit: permit,
            _connection: Gauge::enter(&ledger.gauges, |gauges| &gauges.provider_connections),
        }
    }

    /// Time since the call began.
    pub fn elapsed(&self) -> Duration {
        self.ledger.clock.monotonic().saturating_sub(self.begun)
    }

    /// Something of substance came.
    pub fn answered(&self) {
        self.provider.health.first_token.record(self.elapsed());
    }

    /// Bytes came.
    pub fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer is complete.
    pub fn complete(&mut self) {
        if self.provider.health.worked() {
            // The state is set; the message is for the log and for discovery, so a full lane loses nothing of weight.
            let _ = self.ledger.recovered.tell(CallRecovered { provider: Arc::clone(&self.provider.name) });
        }
        self.settle("ok");
    }

    /// The call failed.
    pub fn fail(&mut self, failure: &Failure) {
        self.provider.health.errors.fetch_add(1, Relaxed);
        if self.provider.health.failed(failure, self.ledger.clock.now()) {
            let news = CallFailed { provider: Arc::clone(&self.provider.name), failure: failure.clone() };
            let _ = self.ledger.failed.tell(news);
        }
        self.settle(failure.class.as_str());
    }

    /// Fails the call and gives the failure back, for the way out.
    pub fn refused(&mut self, failure: Failure) -> Failure {
        self.fail(&failure);
        failure
    }

    fn settle(&mut self, outcome: &'static str) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let health = &self.provider.health;
        let elapsed = self.elapsed();
        health.active.fetch_sub(1, Relaxed);
        health.total.record(elapsed);
        let (input, output) = (self.usage.input.unwrap_or(0), self.usage.output.unwrap_or(0));
        health.input_tokens.fetch_add(input, Relaxed);
        health.output_tokens.fetch_add(output, Relaxed);
        if let Some(price) = self.model.price {
            // USD per million tokens is the same number as millionths of a USD per token.
            let micros = price.input * input as f64 + price.output * output as f64;
            health.cost_micros.fetch_add(micros.round().max(0.0) as u64, Relaxed);
        }
        tracing::debug!(request_id = %self.request_id, model = %self.model.id, outcome, ms = elapsed.as_millis() as u64, "provider call");
        self.ledger.audit.record(AuditRow {
            at: self.at,
            kind: AuditKind::Provider,
            request_id: self.request_id.shared(),
            who: Arc::clone(&self.caller.name),
            origin: self.caller.origin,
            what: Arc::clone(&self.model.id),
            digest: std::mem::take(&mut self.digest),
            bytes: self.bytes,
            ms: elapsed.as_millis() as u64,
            outcome: outcome_word(outcome),
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.settle("cancelled");
    }
}

/// The words of outcomes are few; the commonest is shared instead of copied.
fn outcome_word(outcome: &'static str) -> Arc<str> {
    static OK: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    if outcome == "ok" { Arc::clone(OK.get_or_init(|| Arc::from("ok"))) } else { Arc::from(outcome) }
}

/// The first 16 hex digits of the SHA-256 of a body. Of a body over 64 KiB (pictures) only the first 64 KiB and its length count: the
/// trail ties rows to requests, it is no proof of their content.
fn digest(body: &[u8]) -> String {
    const COUNTED: usize = 64 << 10;
    let mut hash = Sha256::new();
    hash.update(&body[..body.len().min(COUNTED)]);
    if body.len() > COUNTED {
        hash.update((body.len() as u64).to_be_bytes());
    }
    let mut text = String::with_capacity(16);
    for byte in &hash.finalize()[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Passes events on and keeps the counts among them for the account.
pub struct Counting<'a> {
    pub sink: &'a mut dyn EventSink,
    pub usage: Usage,
}

impl EventSink for Counting<'_> {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Usage(usage) = &event {
            self.usage.update(*usage);
        }
        self.sink.event(event);
    }

    fn relay(&mut self, bytes: bytes::Bytes, holds: Relayed) {
        self.sink.relay(bytes, holds);
    }

    fn relay_whole(&mut self, body: bytes::Bytes) {
        self.sink.relay_whole(body);
    }

    fn relays(&self) -> bool {
        self.sink.relays()
    }

    fn relays_usage(&self) -> bool {
        self.sink.relays_usage()
    }
}

impl Account {
    /// Runs `decode` with a sink that also keeps the token counts.
    pub fn counting<R>(&mut self, sink: &mut dyn EventSink, decode: impl FnOnce(&mut dyn EventSink) -> R) -> R {
        let mut counting = Counting { sink, usage: self.usage };
        let result = decode(&mut counting);
        self.usage = counting.usage;
        result
    }
}
