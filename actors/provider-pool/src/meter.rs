//! The accounts in memory: what calls took today and this month by caller, provider and model; and whether a key's limit is reached.
//!
//! It outlives the coordinator, as the published table does. The lock is taken when a call begins under a limit and when one ends, never
//! while it is answered; what is recorded goes on to the store's queue.

mod period;

use crate::meter::period::{Period, Turned};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::usage::{
    KeyLimits, KeyStatus, LimitStatus, ModelUsage, SharedUsage, UsageReport, UsageSlot, UsageTotals, usd,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most sums kept of one month; beyond, a provider's further models are summed as [`OTHER`].
const MOST: usize = 10_000;
const OTHER: &str = "(other)";

/// The limits by key.
pub type LimitsByKey = BTreeMap<String, KeyLimits>;

/// The accounts.
pub struct Meter {
    clock: SharedClock,
    timezone: TimeZone,
    sink: SharedUsage,
    state: Mutex<State>,
}

struct State {
    period: Period,
    sums: BTreeMap<Whose, Sums>,
    callers: HashMap<Arc<str>, Sums, foldhash::fast::RandomState>,
    loaded: bool,
    /// The clock was ahead: what the store holds counts instead of what is here.
    begun_anew: bool,
}

/// Caller, provider, model.
type Whose = (Arc<str>, Arc<str>, Arc<str>);

/// What counts towards a limit although nobody told it: the guess of a call whose provider did not say what it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Tokens.
    pub tokens: u64,
    /// Billionths of a USD.
    pub cost_nanos: u64,
}

/// Today's sum, and the month's.
#[derive(Clone, Copy, Default)]
struct Sums {
    today: UsageTotals,
    month: UsageTotals,
}

impl Sums {
    fn add(&mut self, more: &UsageTotals, today: bool) {
        self.month.add(more);
        if today {
            self.today.add(more);
        }
    }

    fn next_day(&mut self) {
        self.today = UsageTotals::default();
    }

    fn add_all(&mut self, other: &Self) {
        self.today.add(&other.today);
        self.month.add(&other.month);
    }

    fn report(&self) -> UsageReport {
        UsageReport { today: self.today.figures(), month: self.month.figures() }
    }
}

impl Meter {
    /// Empty accounts. Days and months are those of `timezone`; what is recorded also goes to `sink`.
    pub fn new(clock: SharedClock, timezone: TimeZone, sink: SharedUsage) -> Self {
        let period = Period::at(clock.now(), &timezone);
        let state =
            State { period, sums: BTreeMap::new(), callers: HashMap::default(), loaded: false, begun_anew: false };
        Self { clock, timezone, sink, state: Mutex::new(state) }
    }

    /// Counts a call that has ended, and what is guessed of it: that counts towards limits, and nowhere else.
    pub fn record(&self, who: &Arc<str>, provider: &Arc<str>, model: &Arc<str>, took: &UsageTotals, guessed: Charge) {
        let mut state = self.now();
        let day = state.period.today();
        let key = (Arc::clone(who), Arc::clone(provider), Arc::clone(model));
        let took = UsageTotals { guessed_tokens: guessed.tokens, guessed_nanos: guessed.cost_nanos, ..*took };
        state.add(key, &took, true);
        // The queue's own lock is held for a moment inside this one, and never the other way round.
        let slot = UsageSlot { day, who: Arc::clone(who), provider: Arc::clone(provider), model: Arc::clone(model) };
        self.sink.record(&slot, &took);
    }

    /// The first day whose sums are of use, while those of earlier runs were not taken over yet.
    pub fn wants(&self) -> Option<Date> {
        let state = self.now();
        (!state.loaded).then(|| state.period.today().first_of_month())
    }

    /// Takes over the sums of earlier runs, once; and again after the clock was ahead, together with those of this one.
    pub fn load(&self, sums: Vec<(UsageSlot, UsageTotals)>) {
        let mut state = self.now();
        if std::mem::replace(&mut state.loaded, true) {
            return;
        }
        if std::mem::take(&mut state.begun_anew) {
            state.sums.clear();
            state.callers.clear();
        }
        let today = state.period.today();
        // A clock that was ahead leaves days that are yet to come.
        let days = today.first_of_month()..=today;
        for (slot, sum) in sums.into_iter().filter(|(slot, _)| days.contains(&slot.day)) {
            state.add((slot.who, slot.provider, slot.model), &sum, slot.day == today);
        }
    }

    /// Whether a caller may begin another call under these limits.
    ///
    /// # Errors
    /// `RateLimit` with code `key_limit_reached`: a limit is reached; says which, and when it begins anew.
    pub fn check(&self, who: &Arc<str>, limits: &KeyLimits) -> Result<(), Failure> {
        let state = self.now();
        let Some(sums) = state.callers.get(who) else { return Ok(()) };
        let reached = statuses(limits, sums, &state.period).filter(|limit| limit.used >= limit.limit);
        // Of several the last to begin anew: coming back before it would be in vain.
        let Some(limit) = reached.max_by_key(|limit| limit.resets_at) else { return Ok(()) };
        let (unit, span) = if limit.name.starts_with("usd") { ("USD", limit.name) } else { ("tokens", limit.name) };
        let span = if span.ends_with("day") { "day" } else { "month" };
        let wait = limit.resets_at.duration_since(self.clock.now()).max(SignedDuration::ZERO);
        let resets = limit.resets_at.to_zoned(self.timezone.clone()).strftime("%Y-%m-%d %H:%M %Z");
        let message = format!(
            "the key {who:?} has used its {} {unit} of this {span} (its limits.{} under [server]); it may go on at {resets}",
            limit.limit, limit.name
        );
        let wait = Duration::try_from(wait).unwrap_or_default();
        Err(Failure::new(FailureClass::RateLimit, message).with_code("key_limit_reached").with_retry_after(Some(wait)))
    }

    /// Every caller with a limit or with calls this month, by name.
    pub fn keys(&self, limits: &LimitsByKey) -> Vec<KeyStatus> {
        let state = self.now();
        let mut names: Vec<Arc<str>> = state.callers.keys().cloned().collect();
        names.extend(
            limits.keys().filter(|name| !state.callers.contains_key(name.as_str())).map(|name| name.as_str().into()),
        );
        names.sort_unstable();
        let status = |name: Arc<str>| {
            let sums = state.callers.get(&name).copied().unwrap_or_default();
            let own = limits.get(name.as_ref()).copied().unwrap_or_default();
            let limits: Vec<LimitStatus> = statuses(&own, &sums, &state.period).collect();
            let reached = limits.iter().any(|limit| limit.used >= limit.limit);
            KeyStatus { name, state: if reached { "limited" } else { "ok" }, usage: sums.report(), limits }
        };
        names.into_iter().map(status).collect()
    }

    /// The sums of a provider, as a whole and by model.
    pub fn provider(&self, name: &str) -> (UsageReport, Vec<ModelUsage>) {
        let state = self.now();
        let mut whole = Sums::default();
        let mut models: BTreeMap<&Arc<str>, Sums> = BTreeMap::new();
        for ((_, _, model), sums) in state.sums.iter().filter(|((_, provider, _), _)| provider.as_ref() == name) {
            whole.add_all(sums);
            models.entry(model).or_default().add_all(sums);
        }
        let models = models.into_iter().map(|(name, sums)| ModelUsage { name: Arc::clone(name), usage: sums.report() });
        (whole.report(), models.collect())
    }

    /// The state of this day: what is over is let go first.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.period.turn(self.clock.now(), &self.timezone) {
            Turned::Not => {}
            Turned::Day => {
                let State { sums, callers, .. } = &mut *state;
                sums.values_mut().chain(callers.values_mut()).for_each(Sums::next_day);
            }
            Turned::Month => {
                state.sums.clear();
                state.callers.clear();
            }
            Turned::Back => {
                tracing::warn!(today = %state.period.today(), "the clock was ahead: the accounts are read anew");
                state.sums.clear();
                state.callers.clear();
                // What was not read yet is read only once.
                state.begun_anew = state.loaded;
                state.loaded = false;
            }
        }
        state
    }
}

impl State {
    fn add(&mut self, (who, provider, model): Whose, sum: &UsageTotals, today: bool) {
        self.callers.entry(Arc::clone(&who)).or_default().add(sum, today);
        let key = (who, provider, model);
        if let Some(known) = self.sums.get_mut(&key) {
            return known.add(sum, today);
        }
        let (who, provider, model) = key;
        let model = if self.sums.len() < MOST { model } else { OTHER.into() };
        self.sums.entry((who, provider, model)).or_default().add(sum, today);
    }
}

/// Each limit that is set, and how much of it is used.
fn statuses(limits: &KeyLimits, sums: &Sums, period: &Period) -> impl Iterator<Item = LimitStatus> {
    let (day, month): (Timestamp, Timestamp) = (period.day_ends(), period.month_ends());
    let tokens = |totals: &UsageTotals| totals.counted_tokens() as f64;
    let cost = |totals: &UsageTotals| usd(totals.counted_nanos());
    let Sums { today, month: this_month } = sums;
    [
        ("tokens_per_day", limits.tokens_per_day.map(|most| most as f64), tokens(today), day),
        ("tokens_per_month", limits.tokens_per_month.map(|most| most as f64), tokens(this_month), month),
        ("usd_per_day", limits.usd_per_day, cost(today), day),
        ("usd_per_month", limits.usd_per_month, cost(this_month), month),
    ]
    .into_iter()
    .filter_map(|(name, limit, used, resets_at)| limit.map(|limit| LimitStatus { name, limit, used, resets_at }))
}

#[cfg(test)]
mod tests;
