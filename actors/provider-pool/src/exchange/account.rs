//! The account of one call: counts it, times it, and writes its audit row, however it ends. A call that is dropped counts as cancelled.

use super::estimate::Seen;
use crate::circuit::is_of_model;
use crate::meter::{Charge, Meter};
use crate::outcome::{CallFailed, CallRecovered, chance};
use crate::price::cost_nanos;
use crate::provider::{Model, Places, Provider};
use crate::standing::Manner;
use contract::caller::Caller;
use contract::chat::{Event, EventSink, Relayed, Usage};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::ids::{RequestId, SharedIds};
use contract::status::{Gauge, GaugeGuard, Gauges};
use contract::store::{AuditKind, AuditRow, SharedAudit};
use contract::usage::UsageTotals;
use jiff::Timestamp;
use runtime::Port;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use twox_hash::XxHash3_64;

const OK: &str = "ok";
const CANCELLED: &str = "cancelled";

/// Whom an account tells.
#[derive(Clone)]
pub struct Ledger {
    pub clock: SharedClock,
    pub ids: SharedIds,
    pub audit: SharedAudit,
    pub meter: Arc<Meter>,
    pub gauges: Arc<Gauges>,
    pub failed: Port<CallFailed>,
    pub recovered: Port<CallRecovered>,
}

impl Ledger {
    /// A number from 0 up to, not including, 1.
    pub fn chance(&self) -> f64 {
        chance(&*self.ids)
    }
}

/// One call under way at one provider. It holds its places.
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
    /// Whether an answer came.
    answered: bool,
    /// How the answer shall come.
    pub manner: Manner,
    /// When a streamed answer began, after the call.
    first: Option<Duration>,
    usage: Usage,
    /// What the provider said that it cost, in billionths of a USD.
    cost: Option<u64>,
    /// For a guess where the provider does not tell.
    seen: Seen,
    /// Whether the end came.
    finished: bool,
    settled: bool,
    _places: Places,
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
        mut places: Places,
    ) -> Self {
        places.used();
        provider.standing.health.requests.fetch_add(1, Relaxed);
        provider.standing.health.active.fetch_add(1, Relaxed);
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
            answered: false,
            manner: Manner::Streamed,
            first: None,
            usage: Usage::default(),
            cost: None,
            seen: Seen::of_request(body),
            finished: false,
            settled: false,
            _places: places,
            _connection: Gauge::enter(&ledger.gauges, |gauges| &gauges.provider_connections),
        }
    }

    /// Something of substance came of a streamed answer.
    pub fn answered(&mut self) {
        let now = self.ledger.clock.monotonic();
        let took = now.saturating_sub(self.begun);
        self.answered = true;
        self.first = Some(took);
        self.provider.standing.health.first_token.record(took);
        self.provider.standing.answered(&self.model.standing, Manner::Streamed, took, now);
    }

    /// A whole answer came, and with it the end: when it began, nobody can tell.
    pub fn complete_whole(&mut self) {
        let now = self.ledger.clock.monotonic();
        self.answered = true;
        self.provider.standing.answered(&self.model.standing, Manner::Whole, now.saturating_sub(self.begun), now);
        self.complete_at(now);
    }

    /// Bytes came.
    pub fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The answer is complete.
    pub fn complete(&mut self) {
        self.complete_at(self.ledger.clock.monotonic());
    }

    fn complete_at(&mut self, now: Duration) {
        self.provider.standing.worked(&self.model.standing, now);
        if self.provider.standing.health.answered(now) {
            // The state is set; the message is for the log and for discovery, so a full lane loses nothing of weight.
            let _ = self.ledger.recovered.tell(CallRecovered { provider: Arc::clone(&self.provider.name) });
        }
        self.settle(OK, now);
    }

    /// The call failed.
    pub fn fail(&mut self, failure: &Failure) {
        let standing = &self.provider.standing;
        standing.health.errors.fetch_add(1, Relaxed);
        let (now, chance) = (self.ledger.clock.monotonic(), self.ledger.chance());
        let own_key = self.model.has_own_key;
        // How long an answer went well before it broke off says nothing of how it began.
        let after = if self.answered { Duration::ZERO } else { now.saturating_sub(self.begun) };
        standing.failed(&self.model.standing, failure, own_key, after, now, chance);
        if standing.health.failed(failure, is_of_model(failure.class, own_key), self.ledger.clock.now()) {
            let news = CallFailed { provider: Arc::clone(&self.provider.name), failure: failure.clone() };
            let _ = self.ledger.failed.tell(news);
        }
        self.settle(failure.class.as_str(), now);
    }

    /// Fails the call and gives the failure back, for the way out.
    pub fn refused(&mut self, failure: Failure) -> Failure {
        self.fail(&failure);
        failure
    }

    fn settle(&mut self, outcome: &'static str, now: Duration) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        if !self.finished && self.provider.format.begins_with_made_up_counts() {
            self.usage.output = None;
        }
        let health = &self.provider.standing.health;
        let elapsed = now.saturating_sub(self.begun);
        health.active.fetch_sub(1, Relaxed);
        health.total.record(elapsed);
        if outcome == CANCELLED && !self.answered {
            self.model.standing.latency(self.manner).left(elapsed, now);
        }
        let took = self.took(elapsed, outcome);
        let guessed = self.guessed(&took, outcome);
        health.count(&took);
        self.provider.debit(&self.model, took.tokens().saturating_add(guessed.tokens), now);
        // A name that the provider does not know is no model to keep accounts of.
        if outcome != FailureClass::NotFound.as_str() {
            self.ledger.meter.record(&self.caller.account(), &self.provider.name, &self.model.name, &took, guessed);
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

    /// Whether the provider worked on this call, as far as can be known: it began to answer, or nobody waited until it did.
    fn was_worked_on(&self, outcome: &'static str) -> bool {
        self.answered
            || [CANCELLED, FailureClass::Timeout.as_str(), FailureClass::Truncated.as_str()].contains(&outcome)
    }

    /// What the limits count beyond what the provider told.
    fn guessed(&self, took: &UsageTotals, outcome: &'static str) -> Charge {
        match self.was_worked_on(outcome) {
            true => self.seen.charge(&self.usage, took.cost_nanos.is_some(), self.model.price.as_ref()),
            false => Charge::default(),
        }
    }

    fn took(&self, elapsed: Duration, outcome: &'static str) -> UsageTotals {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let by_price = || self.model.price.as_ref().and_then(|price| cost_nanos(price, &self.usage));
        UsageTotals {
            calls: 1,
            errors: u64::from(outcome != OK && outcome != CANCELLED),
            cancelled: u64::from(outcome == CANCELLED),
            uncounted: u64::from(self.was_worked_on(outcome) && self.usage.is_empty()),
            input: self.usage.input,
            output: self.usage.output,
            cached_input: self.usage.cached_input,
            reasoning: self.usage.reasoning,
            cost_nanos: self.cost.or_else(by_price),
            answered: u64::from(self.first.is_some()),
            first_token_us: self.first.map_or(0, micros),
            total_us: micros(elapsed),
            ..UsageTotals::default()
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(CANCELLED, self.ledger.clock.monotonic());
        }
    }
}

/// The words of outcomes are few; the commonest is shared instead of copied.
fn outcome_word(outcome: &'static str) -> Arc<str> {
    static SHARED: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    if outcome == OK { Arc::clone(SHARED.get_or_init(|| Arc::from(OK))) } else { Arc::from(outcome) }
}

/// XXH3 of a body, 64 bits, in hex. It is made on the path of every call, where SHA-256 of an agent's six kilobytes cost a twelfth of
/// the whole call: the trail ties rows to requests, it is no proof of their content. Of a body of which nothing is at hand there is none.
fn digest(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("{:016x}", XxHash3_64::oneshot(body))
}

/// Passes events on and keeps the counts among them for the account.
pub struct Counting<'a> {
    pub sink: &'a mut dyn EventSink,
    pub usage: Usage,
    pub cost: Option<u64>,
    pub seen: Seen,
    pub finished: bool,
}

impl EventSink for Counting<'_> {
    fn event(&mut self, event: Event<'_>) {
        match &event {
            Event::Usage(usage) => self.usage.update(*usage),
            Event::Cost(nanos) => self.cost = Some(*nanos),
            Event::Finish(_) => self.finished = true,
            event => self.seen.event(event),
        }
        self.sink.event(event);
    }

    fn relay(&mut self, bytes: bytes::Bytes, holds: Relayed) {
        self.seen.relay(&bytes, holds);
        self.finished |= holds.finish;
        self.sink.relay(bytes, holds);
    }

    fn relay_whole(&mut self, body: bytes::Bytes) {
        self.seen.whole(&body);
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
        let Self { usage, cost, seen, finished, .. } = *self;
        let mut counting = Counting { sink, usage, cost, seen, finished };
        let result = decode(&mut counting);
        let Counting { usage, cost, seen, finished, .. } = counting;
        (self.usage, self.cost, self.seen, self.finished) = (usage, cost, seen, finished);
        result
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_the_same_everywhere() {
        // What `xxhsum -H3` says.
        assert_eq!(super::digest(b"a"), "e6c632b61e964e1f");
        assert_eq!(super::digest(b"abc"), "78af5f94892f3950");
        let long = vec![0; 70 << 10];
        assert_ne!(super::digest(&long), super::digest(&long[1..]), "the length of a long one counts");
        assert_eq!(super::digest(b""), "", "what is nothing ties nothing together");
    }
}
