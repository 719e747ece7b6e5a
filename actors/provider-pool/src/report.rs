//! What `/status` says of a provider: its standing, and the sums of its calls. Pure but for the figures it reads.

use crate::meter::Meter;
use crate::provider::Provider;
use contract::provider::{ModelEntry, ProviderStatus};
use contract::usage::usd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How a provider does.
pub(crate) fn status(provider: &Provider, models: &[ModelEntry], meter: &Meter, now: Duration) -> ProviderStatus {
    let health = &provider.standing.health;
    let models = models.iter().filter(|entry| entry.provider == provider.name);
    let last_error = health.last_error();
    let priced = provider.config.model.values().any(|model| model.price.is_some());
    let took = health.took();
    // As long as nobody answered, nothing is what was used; later a figure that nobody tells is not known.
    let nobody_answered = took.calls == took.errors + took.cancelled && took.uncounted == 0;
    let known = |figure: Option<u64>| figure.or(nobody_answered.then_some(0));
    let (usage, usage_by_model) = meter.provider(&provider.name);
    ProviderStatus {
        name: Arc::clone(&provider.name),
        state: health.state(),
        circuit: provider.standing.circuit.state(now),
        kind: provider.kind,
        models: models.map(|entry| Arc::clone(&entry.model)).collect(),
        requests: health.requests.load(Relaxed),
        errors: health.errors.load(Relaxed),
        last_error_at: last_error.as_ref().map(|(at, _)| *at),
        last_error: last_error.map(|(_, text)| text),
        first_token_ms: health.first_token.quantiles_ms(),
        total_ms: health.total.quantiles_ms(),
        input_tokens: known(took.input),
        output_tokens: known(took.output),
        cached_tokens: took.cached_input,
        reasoning_tokens: took.reasoning,
        cost: took.cost_nanos.or((priced && nobody_answered).then_some(0)).map(usd),
        active: health.active.load(Relaxed),
        waiting: provider.standing.waiting() as u64,
        usage,
        usage_by_model,
    }
}
