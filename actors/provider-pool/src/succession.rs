//! The providers of a configuration, and what they take over from those before a reload.
//!
//! What was said to one account says nothing of another: where the address, the kind or a key is a new one, figures and places go on, but
//! nobody waits for what was told before. It asks nobody anything.

use crate::config::{Config, ProviderConfig};
use crate::provider::Provider;
use crate::standing::Standing;
use std::sync::Arc;

/// Providers of a configuration; those that did not change stay as they are, and those of the same name keep their standing.
pub(crate) fn build(config: &Config, before: &[Arc<Provider>]) -> Vec<Arc<Provider>> {
    let built = config.providers.0.iter().filter_map(|(name, config)| {
        let old = before.iter().find(|old| old.name.as_ref() == name);
        match old {
            Some(old) if old.config == *config => Some(Arc::clone(old)),
            Some(old) => Provider::new(name, config, standing(old, config)).map(Arc::new),
            None => Provider::new(name, config, Arc::default()).map(Arc::new),
        }
    });
    built.collect()
}

/// The standing of a provider whose configuration changed.
fn standing(old: &Provider, new: &ProviderConfig) -> Arc<Standing> {
    let before = &old.config;
    if before.kind != new.kind || before.base_url() != new.base_url() || before.api_key != new.api_key {
        old.standing.health.forget_state();
        return Arc::new(old.standing.anew());
    }
    let key = |config: &ProviderConfig, model: &str| config.model.get(model).and_then(|model| model.api_key.clone());
    for model in before.model.keys().chain(new.model.keys()).filter(|model| key(before, model) != key(new, model)) {
        old.standing.model_anew(model);
    }
    Arc::clone(&old.standing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit::Pass;
    use crate::config::{ModelConfig, Ordered};
    use crate::standing::Manner;
    use contract::failure::{Failure, FailureClass};
    use contract::provider::ProviderState;
    use contract::secret::Secret;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn of(provider: &ProviderConfig) -> Config {
        Config { providers: Ordered(vec![("a".to_owned(), provider.clone())]), ..Config::default() }
    }

    /// A provider that was asked once, then told HAIA to wait, for its models `x` and `y`, and refused its key.
    fn limited(provider: &ProviderConfig) -> Vec<Arc<Provider>> {
        let built = build(&of(provider), &[]);
        let standing = &built[0].standing;
        standing.health.requests.fetch_add(1, Relaxed);
        let refusal = Failure::new(FailureClass::Authentication, "wrong key");
        standing.health.failed(&refusal, false, jiff::Timestamp::UNIX_EPOCH);
        standing.circuit.pause(FailureClass::Authentication, HOUR, false, Duration::ZERO);
        for model in ["x", "y"] {
            let model = standing.model(&model.into(), true);
            model.circuit.pause(FailureClass::RateLimit, HOUR, true, Duration::ZERO);
            model.latency(Manner::Streamed).record(HOUR, Duration::ZERO);
        }
        built
    }

    /// Whether the provider, and its models `x` and `y`, are open to requests.
    fn open(providers: &[Arc<Provider>]) -> [bool; 3] {
        let standing = &providers[0].standing;
        let free = |model: &str| standing.model(&model.into(), true).circuit.ask(Duration::ZERO) == Pass::Free;
        [standing.circuit.ask(Duration::ZERO) == Pass::Free, free("x"), free("y")]
    }

    fn provider() -> ProviderConfig {
        ProviderConfig { api_key: Some(Secret::new("free-tier")), ..ProviderConfig::of_kind("openai") }
    }

    #[test]
    fn a_new_key_or_address_owes_nothing_to_the_old_one() {
        let other_key = ProviderConfig { api_key: Some(Secret::new("paid")), ..provider() };
        let other_place = ProviderConfig { base_url: Some("http://127.0.0.1:1".to_owned()), ..provider() };
        for other in [other_key, other_place] {
            let before = limited(&provider());
            let place = before[0].standing.model(&"x".into(), true).gate.clone();
            let after = build(&of(&other), &before);
            assert_eq!(open(&after), [true; 3]);
            assert_eq!(after[0].standing.health.requests.load(Relaxed), 1, "figures go on");
            assert_eq!(after[0].standing.health.state(), ProviderState::Unknown, "nobody refused this key");
            let model = after[0].standing.model(&"x".into(), true);
            assert!(Arc::ptr_eq(&model.gate, &place) && model.latency(Manner::Streamed).estimate(Duration::ZERO) == 0);
            // What the old key's calls still bring is the old key's.
            before[0].standing.circuit.pause(FailureClass::Authentication, HOUR, false, Duration::ZERO);
            assert_eq!(open(&after), [true; 3]);
        }
    }

    #[test]
    fn what_else_changes_leaves_waits_as_they_are() {
        let before = limited(&provider());
        let after = build(&of(&ProviderConfig { retries: 3, ..provider() }), &before);
        assert!(!Arc::ptr_eq(&before[0], &after[0]));
        assert_eq!(open(&after), [false; 3]);
    }

    #[test]
    fn a_new_key_of_one_model_is_that_models_alone() {
        let before = limited(&provider());
        let own = ModelConfig { api_key: Some(Secret::new("paid")), ..ModelConfig::default() };
        let changed = ProviderConfig { model: [("x".to_owned(), own)].into(), ..provider() };
        assert_eq!(open(&build(&of(&changed), &before)), [false, true, false]);
    }
}
