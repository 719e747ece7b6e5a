//! Accounting: what calls of models took, summed by day, caller, provider and model; and the limits of a caller's key.
//!
//! What a provider did not tell is unknown, and stays so in every sum: a sum of nothing known is `None`, never 0.

use crate::message::Msg;
use crate::store::StoreError;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a sum is kept for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageSlot {
    /// The day in HAIA's time zone on which the calls ended.
    pub day: Date,
    /// The caller: a key's name, `loopback`, `socket`, `job:` and a job's name, or `alerts`.
    pub who: Arc<str>,
    /// The provider's name in the configuration.
    pub provider: Arc<str>,
    /// The model by the provider's own name.
    pub model: Arc<str>,
}

/// A sum over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Calls that have ended.
    pub calls: u64,
    /// Of those, the failed ones.
    pub errors: u64,
    /// Of those, the ones that the caller left.
    pub cancelled: u64,
    /// Of those, the ones that were answered, or left, without any token count: the sums below miss them.
    pub uncounted: u64,
    /// Tokens read, cached ones included.
    pub input: Option<u64>,
    /// Tokens written, thinking included.
    pub output: Option<u64>,
    /// Of `input`, those that came from the provider's cache.
    pub cached_input: Option<u64>,
    /// Of `output`, those spent on thinking.
    pub reasoning: Option<u64>,
    /// Cost in billionths of a USD.
    pub cost_nanos: Option<u64>,
    /// Streamed calls that began to answer. When a whole answer began, nobody can tell.
    pub answered: u64,
    /// Their times to the first event, in microseconds, summed.
    pub first_token_us: u64,
    /// The times to the end of all calls, in microseconds, summed.
    pub total_us: u64,
    /// Tokens beyond those above that are guessed of calls whose provider did not tell: for limits, and never shown as used.
    pub guessed_tokens: u64,
    /// Their cost, and that of calls whose cost is not known otherwise, in billionths of a USD: for limits too.
    pub guessed_nanos: u64,
}

impl UsageTotals {
    /// Adds another sum.
    pub fn add(&mut self, other: &Self) {
        let known = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.uncounted = self.uncounted.saturating_add(other.uncounted);
        self.input = known(self.input, other.input);
        self.output = known(self.output, other.output);
        self.cached_input = known(self.cached_input, other.cached_input);
        self.reasoning = known(self.reasoning, other.reasoning);
        self.cost_nanos = known(self.cost_nanos, other.cost_nanos);
        self.answered = self.answered.saturating_add(other.answered);
        self.first_token_us = self.first_token_us.saturating_add(other.first_token_us);
        self.total_us = self.total_us.saturating_add(other.total_us);
        self.guessed_tokens = self.guessed_tokens.saturating_add(other.guessed_tokens);
        self.guessed_nanos = self.guessed_nanos.saturating_add(other.guessed_nanos);
    }

    /// Tokens read and written, as far as they are known.
    pub fn tokens(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    /// What counts towards a limit in tokens.
    pub fn counted_tokens(&self) -> u64 {
        self.tokens().saturating_add(self.guessed_tokens)
    }

    /// What counts towards a limit in money, in billionths of a USD.
    pub fn counted_nanos(&self) -> u64 {
        self.cost_nanos.unwrap_or(0).saturating_add(self.guessed_nanos)
    }

    /// The sum as `/status` shows it.
    pub fn figures(&self) -> UsageFigures {
        let mean = |sum: u64, count: u64| {
            // Microseconds summed, milliseconds shown, to three places.
            (count > 0).then(|| (sum as f64 / count as f64).round() / 1000.0)
        };
        UsageFigures {
            calls: self.calls,
            errors: self.errors,
            cancelled: self.cancelled,
            uncounted: self.uncounted,
            input_tokens: self.input,
            output_tokens: self.output,
            cached_tokens: self.cached_input,
            reasoning_tokens: self.reasoning,
            cost: self.cost_nanos.map(usd),
            first_token_ms: mean(self.first_token_us, self.answered),
            total_ms: mean(self.total_us, self.calls),
        }
    }
}

/// Billionths of a USD as USD.
pub fn usd(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A sum as people and programs read it. `None` (null) is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct UsageFigures {
    /// Calls that have ended.
    pub calls: u64,
    /// Of those, the failed ones.
    pub errors: u64,
    /// Of those, the ones that the caller left.
    pub cancelled: u64,
    /// Of those, the ones that were answered, or left, without any token count.
    pub uncounted: u64,
    /// Tokens read, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens written, thinking included.
    pub output_tokens: Option<u64>,
    /// Of the tokens read, those from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// Of the tokens written, those spent on thinking.
    pub reasoning_tokens: Option<u64>,
    /// USD.
    pub cost: Option<f64>,
    /// Milliseconds to the first event of streamed answers, the mean.
    pub first_token_ms: Option<f64>,
    /// Milliseconds to the end, the mean.
    pub total_ms: Option<f64>,
}

/// Today's and this month's sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct UsageReport {
    /// Since midnight.
    pub today: UsageFigures,
    /// Since the first of the month, today included.
    pub month: UsageFigures,
}

/// The sums of one model of a provider, for `/status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelUsage {
    /// The model by the provider's own name.
    pub name: Arc<str>,
    /// Its sums.
    #[serde(flatten)]
    pub usage: UsageReport,
}

/// A caller and what its calls took, for `/status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyStatus {
    /// The key's name, `loopback`, `socket`, `job:` and a job's name, or `alerts`.
    pub name: Arc<str>,
    /// `ok`, or `limited` while a limit is reached.
    pub state: &'static str,
    /// Its sums.
    #[serde(flatten)]
    pub usage: UsageReport,
    /// Its limits; none for most.
    pub limits: Vec<LimitStatus>,
}

/// A limit and how much of it is used, for `/status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitStatus {
    /// The limit as the configuration names it: `tokens_per_day`, …
    pub name: &'static str,
    /// The most: tokens or USD.
    pub limit: f64,
    /// Used so far: tokens or USD, with an estimate of the calls whose provider did not tell.
    pub used: f64,
    /// When it begins anew.
    pub resets_at: jiff::Timestamp,
}

/// The limits of one key. A call is let in while what is known to be used is below them, so calls that run at once may go a little beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Tokens read and written, each day.
    pub tokens_per_day: Option<u64>,
    /// Tokens read and written, each calendar month.
    pub tokens_per_month: Option<u64>,
    /// USD, each day.
    pub usd_per_day: Option<f64>,
    /// USD, each calendar month.
    pub usd_per_month: Option<f64>,
}

impl KeyLimits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes sums off the hot path. The store's implementation adds them up and writes them in batches; a kill -9 may lose the last second.
pub trait UsageSink: Send + Sync + 'static {
    /// Adds to a sum. Never waits for a disk and never fails.
    fn record(&self, slot: &UsageSlot, more: &UsageTotals);
}

/// The accounts as actors hold them.
pub type SharedUsage = Arc<dyn UsageSink>;

/// Reads the sums that the store holds from a day on. What was recorded since the start is not among them: nothing is written before this
/// was answered once.
#[derive(Clone, Debug)]
pub struct LoadUsage {
    /// The first day.
    pub since: Date,
}

impl Msg for LoadUsage {
    type Reply = Result<Vec<(UsageSlot, UsageTotals)>, StoreError>;
    const NAME: &'static str = "LoadUsage";
}

/// Reads the sums from a day on as they are now, those of the last second included.
#[derive(Clone, Debug)]
pub struct ReadUsage {
    /// The first day.
    pub since: Date,
}

impl Msg for ReadUsage {
    type Reply = Result<Vec<(UsageSlot, UsageTotals)>, StoreError>;
    const NAME: &'static str = "ReadUsage";
}

/// Asks what each caller's calls took.
#[derive(Clone, Debug)]
pub struct ListKeyUsage;

impl Msg for ListKeyUsage {
    type Reply = Vec<KeyStatus>;
    const NAME: &'static str = "ListKeyUsage";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_nothing_known_is_unknown() {
        let untold = UsageTotals { calls: 1, uncounted: 1, total_us: 2_000, ..UsageTotals::default() };
        let mut sum = UsageTotals::default();
        sum.add(&untold);
        assert_eq!((sum.input, sum.cost_nanos, sum.uncounted), (None, None, 1));
        assert_eq!(sum.figures().first_token_ms, None);
        let told = UsageTotals {
            calls: 1,
            input: Some(10),
            output: Some(5),
            cost_nanos: Some(1_500_000_000),
            answered: 1,
            first_token_us: 1_234,
            total_us: 4_000,
            ..UsageTotals::default()
        };
        sum.add(&told);
        sum.add(&untold);
        let figures = sum.figures();
        assert_eq!((figures.input_tokens, figures.cached_tokens, figures.cost), (Some(10), None, Some(1.5)));
        assert_eq!((figures.calls, figures.uncounted, sum.tokens()), (3, 2, 15));
        assert_eq!((figures.first_token_ms, figures.total_ms), (Some(1.234), Some(2.667)));
    }
}
