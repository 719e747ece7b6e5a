//! The places at a provider or a model: how many requests at once, how many a minute, how many tokens a minute, and the queue before them.
//!
//! The queue is bounded, and fair between callers: each caller's requests keep their order, and the callers take turns, so that one with
//! many requests keeps nobody out. A lock is held for a few steps at a request's begin and end, never while one waits or is answered.

use contract::clock::SharedClock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest that a request waits for the minute to go on: beyond, its caller is told how long it would take.
const RATE_PATIENCE: Duration = Duration::from_secs(5);
const MINUTE: f64 = 60.0;

/// What is allowed; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests at once.
    pub concurrent: usize,
    /// Requests that wait.
    pub queued: usize,
    /// Requests begun each minute.
    pub requests_per_minute: u64,
    /// Tokens read and written each minute. They are known when an answer ends, so that what runs at once may go beyond.
    pub tokens_per_minute: u64,
}

impl Limits {
    /// Whether anything is limited.
    pub fn is_any(&self) -> bool {
        self.concurrent > 0 || self.requests_per_minute > 0 || self.tokens_per_minute > 0
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every place is taken, and so is the queue, or none became free in time.
    Full,
    /// The minute's requests are used up.
    Requests(Duration),
    /// The minute's tokens are used up.
    Tokens(Duration),
}

/// The places.
#[derive(Debug, Default)]
pub struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    active: usize,
    /// Requests that wait, for the rate or for a place.
    waiting: usize,
    /// The callers that wait for a place, whose turn is next first, each with its own requests in order.
    callers: VecDeque<(Arc<str>, VecDeque<Ticket>)>,
    numbers: u64,
    requests: Bucket,
    tokens: Bucket,
}

impl State {
    /// A request of the minute was not begun after all.
    fn give_back(&mut self) {
        self.requests.used = (self.requests.used - 1.0).max(0.0);
    }
}

#[derive(Debug)]
struct Ticket {
    number: u64,
    place: oneshot::Sender<Place>,
}

/// What is left of a minute's allowance. It fills up as time goes on.
#[derive(Debug, Default)]
struct Bucket {
    /// Used and not yet filled up again.
    used: f64,
    at: Duration,
}

impl Bucket {
    fn flow(&mut self, per_minute: u64, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.used = (self.used - passed * per_minute as f64 / MINUTE).max(0.0);
        self.at = now;
    }

    /// How long until `more` fits in.
    fn wait(&self, per_minute: u64, more: f64) -> Duration {
        let beyond = self.used + more - per_minute as f64;
        if per_minute == 0 || beyond <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(beyond * MINUTE / per_minute as f64).unwrap_or(Duration::MAX)
    }
}

/// A place. Dropping it gives it to whoever is next; and a request of the minute with it, unless the request went out.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    /// The request of the minute that was taken for it.
    taken: Option<Taken>,
}

impl Place {
    /// The request goes out: it counts from now on, whatever becomes of it.
    pub fn used(&mut self) {
        if let Some(taken) = self.taken.take() {
            taken.keep();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.release();
    }
}

/// A request of the minute. Dropping it gives it back.
#[derive(Debug)]
struct Taken(Option<Arc<Gate>>);

impl Taken {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.lock().give_back();
        }
    }
}

/// One who waits; leaves the queue when dropped.
struct Waiting<'a> {
    gate: &'a Gate,
    number: Option<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.waiting = state.waiting.saturating_sub(1);
        if let Some(number) = self.number {
            for (_, tickets) in &mut state.callers {
                tickets.retain(|ticket| ticket.number != number);
            }
            state.callers.retain(|(_, tickets)| !tickets.is_empty());
        }
    }
}

impl Gate {
    /// Sets what is allowed: at the start, and when a reload changes it. What runs goes on.
    pub fn allow(self: &Arc<Self>, limits: Limits) {
        self.lock().limits = limits;
        self.admit();
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// A place, now or within `patience`; `None`: now or not at all.
    ///
    /// # Errors
    /// There is none, or none became free in time.
    pub async fn enter(
        self: &Arc<Self>,
        who: &Arc<str>,
        patience: Option<Duration>,
        clock: &SharedClock,
    ) -> Result<Place, Refused> {
        let wait = self.reserve(|| clock.monotonic(), patience)?;
        let taken = Taken(Some(Arc::clone(self)));
        let mut left = patience;
        if !wait.is_zero() {
            let begun = clock.monotonic();
            let _waiting = Waiting { gate: self, number: None };
            clock.pause(wait).await;
            left = patience.map(|patience| patience.saturating_sub(clock.monotonic().saturating_sub(begun)));
        }
        let mut place = self.place(who, left, clock).await?;
        place.taken = Some(taken);
        Ok(place)
    }

    /// Takes one request of the minute. What is given back is how long to wait before it may be used: whoever waits is counted.
    fn reserve(&self, now: impl Fn() -> Duration, patience: Option<Duration>) -> Result<Duration, Refused> {
        let mut state = self.lock();
        let Limits { queued, requests_per_minute, tokens_per_minute, .. } = state.limits;
        if requests_per_minute == 0 && tokens_per_minute == 0 {
            return Ok(Duration::ZERO);
        }
        let now = now();
        state.requests.flow(requests_per_minute, now);
        state.tokens.flow(tokens_per_minute, now);
        // A token more must fit in: how many it will be, nobody knows yet.
        let (requests, tokens) =
            (state.requests.wait(requests_per_minute, 1.0), state.tokens.wait(tokens_per_minute, 1.0));
        let wait = requests.max(tokens);
        let longest = patience.unwrap_or_default().min(RATE_PATIENCE);
        if !wait.is_zero() && (wait > longest || state.waiting >= queued) {
            return Err(if requests >= tokens { Refused::Requests(wait) } else { Refused::Tokens(wait) });
        }
        // Without a limit it would never flow off, and a limit that a reload brings would find it.
        if requests_per_minute > 0 {
            state.requests.used += 1.0;
        }
        state.waiting += usize::from(!wait.is_zero());
        Ok(wait)
    }

    async fn place(
        self: &Arc<Self>,
        who: &Arc<str>,
        patience: Option<Duration>,
        clock: &SharedClock,
    ) -> Result<Place, Refused> {
        let (ticket, patience, waiting) = {
            let mut state = self.lock();
            let Limits { concurrent, queued, .. } = state.limits;
            if concurrent == 0 || (state.active < concurrent && state.callers.is_empty()) {
                state.active += 1;
                return Ok(Place { gate: Arc::clone(self), taken: None });
            }
            let Some(patience) = patience.filter(|_| state.waiting < queued) else { return Err(Refused::Full) };
            let (place, ticket) = oneshot::channel();
            state.numbers += 1;
            let number = state.numbers;
            let entry = Ticket { number, place };
            match state.callers.iter_mut().find(|(caller, _)| caller == who) {
                Some((_, tickets)) => tickets.push_back(entry),
                None => state.callers.push_back((Arc::clone(who), VecDeque::from([entry]))),
            }
            state.waiting += 1;
            (ticket, patience, Waiting { gate: self, number: Some(number) })
        };
        let deadline = clock.pause(patience);
        let place = tokio::select! {
            biased;
            place = ticket => place.map_err(|_| Refused::Full),
            () = deadline => Err(Refused::Full),
        };
        drop(waiting);
        place
    }

    /// Counts what an answer took.
    pub fn debit(&self, tokens: u64, now: Duration) {
        let mut state = self.lock();
        let per_minute = state.limits.tokens_per_minute;
        if per_minute > 0 {
            state.tokens.flow(per_minute, now);
            state.tokens.used += tokens as f64;
        }
    }

    fn release(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.active = state.active.saturating_sub(1);
        }
        self.admit();
    }

    /// Gives free places to those who wait. A place whose ticket is gone comes back here when it is dropped, so the lock must be free then.
    fn admit(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                if state.limits.concurrent > 0 && state.active >= state.limits.concurrent {
                    return;
                }
                let Some((caller, mut tickets)) = state.callers.pop_front() else { return };
                let ticket = tickets.pop_front();
                if !tickets.is_empty() {
                    state.callers.push_back((caller, tickets));
                }
                state.active += usize::from(ticket.is_some());
                ticket
            };
            if let Some(ticket) = next {
                drop(ticket.place.send(Place { gate: Arc::clone(self), taken: None }));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
