//! A configured provider, ready to be called: its format, address, headers and limits. Immutable; a reload makes a new one.

use crate::config::{Price, ProviderConfig};
use crate::formats::{self, Format, ModelSettings};
use crate::gate::{Limits, Place, Refused};
use crate::learned::Memory;
use crate::standing::{GUESSED, ModelStanding, Standing};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::provider::ModelEntry;
use contract::secret::Secret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A provider as calls use it.
pub struct Provider {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// The kind in the configuration.
    pub kind: &'static str,
    /// The wire format.
    pub format: &'static dyn Format,
    /// Its configuration.
    pub config: ProviderConfig,
    /// How it does; shared with the provider of the same name before a reload.
    pub standing: Arc<Standing>,
    models: Mutex<BTreeMap<Arc<str>, Arc<Model>>>,
}

/// The places of one call: at the provider, and at the model where that has limits of its own.
#[derive(Debug)]
pub struct Places {
    provider: Place,
    model: Option<Place>,
}

impl Places {
    /// The request goes out.
    pub fn used(&mut self) {
        self.provider.used();
        if let Some(model) = &mut self.model {
            model.used();
        }
    }
}

/// One model of a provider, as calls use it.
pub struct Model {
    /// By the provider's own name.
    pub name: Arc<str>,
    /// `<provider>/<model>`.
    pub id: Arc<str>,
    /// The key for this model.
    pub key: Option<Secret>,
    /// Settings for the encoder.
    pub settings: ModelSettings,
    /// For cost figures.
    pub price: Option<Price>,
    /// How it does; shared with the model of the same name before a reload.
    pub standing: Arc<ModelStanding>,
    /// Whether its key is not the provider's.
    pub has_own_key: bool,
    /// Whether it has limits of its own.
    limited: bool,
    /// What its refusals told.
    pub memory: Memory,
}

impl Provider {
    /// Makes a provider usable. `None` if its kind is unknown, which `Config::validate` has told.
    pub fn new(name: &str, config: &ProviderConfig, standing: Arc<Standing>) -> Option<Self> {
        let kind = crate::kind(&config.kind)?;
        let format = formats::by_kind(kind.format)?;
        standing.gate.allow(Limits {
            concurrent: config.max_concurrent,
            queued: config.max_queued,
            requests_per_minute: config.requests_per_minute,
            tokens_per_minute: config.tokens_per_minute,
        });
        Some(Self {
            name: Arc::from(name),
            kind: kind.name,
            format,
            standing,
            models: Mutex::default(),
            config: config.clone(),
        })
    }

    /// The model of that name. Made on first use: a provider may know models that were not discovered yet. The names come from callers, so
    /// their number is bounded.
    pub fn model(&self, name: &str, known: Option<&ModelEntry>) -> Arc<Model> {
        let is_known = known.is_some()
            || self.config.model.contains_key(name)
            || self.config.models.iter().any(|configured| configured == name);
        let context_tokens = known.and_then(|known| known.context_tokens);
        let tools = known.and_then(|known| known.tools);
        let thinking = known.and_then(|known| known.abilities.thinking);
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(name).filter(|model| {
            let settings = &model.settings;
            settings.context_tokens == self.context(name, context_tokens)
                && settings.tools == tools
                && settings.thinking == thinking
                && (model.standing.is_known() || !is_known)
        }) {
            return Arc::clone(model);
        }
        // A list that says no more of what it takes than was known does not undo what calls found out.
        let same = |model: &&Arc<Model>| model.settings.tools == tools && model.settings.thinking == thinking;
        let learned = models.get(name).filter(same).map(|model| model.memory.learned()).unwrap_or_default();
        if models.len() >= GUESSED {
            models.retain(|_, model| model.standing.is_known());
        }
        let configured = self.config.model.get(name);
        let name: Arc<str> = Arc::from(name);
        let standing = self.standing.model(&name, is_known);
        let limits = configured.map(|model| Limits {
            concurrent: model.max_concurrent.unwrap_or(0),
            queued: self.config.max_queued,
            requests_per_minute: model.requests_per_minute.unwrap_or(0),
            tokens_per_minute: model.tokens_per_minute.unwrap_or(0),
        });
        let limits = limits.unwrap_or_default();
        standing.gate.allow(limits);
        let mut options = self.config.options.clone();
        options.extend(configured.map(|model| model.options.clone()).unwrap_or_default());
        let model = Arc::new(Model {
            id: Arc::from(format!("{}/{name}", self.name)),
            key: configured.and_then(|model| model.api_key.clone()).or_else(|| self.config.api_key.clone()),
            settings: ModelSettings {
                max_tokens: configured.and_then(|model| model.max_tokens),
                temperature: configured.and_then(|model| model.temperature),
                options,
                tools,
                thinking,
                context_tokens: self.context(&name, context_tokens),
                prompt_caching: self.config.prompt_caching,
                ..ModelSettings::default()
            },
            price: configured.and_then(|model| model.price).map(|price| price.at(self.kind)),
            standing,
            has_own_key: configured.is_some_and(|model| model.api_key.is_some()),
            limited: limits.is_any(),
            name,
            memory: Memory::from(learned),
        });
        models.insert(Arc::clone(&model.name), Arc::clone(&model));
        model
    }

    /// Places for a call of `model` by `who`. `patient`: where all are taken, it waits for its turn, within `queue_timeout`.
    ///
    /// # Errors
    /// `RateLimit`: there was none, or none became free in time.
    pub async fn places(
        &self,
        model: &Model,
        who: &Arc<str>,
        patient: bool,
        clock: &SharedClock,
    ) -> Result<Places, Failure> {
        let patience = patient.then_some(self.config.queue_timeout.0);
        let own = match model.limited {
            true => {
                let entered = model.standing.gate.enter(who, patience, clock).await;
                Some(entered.map_err(|refused| self.refusal(&model.id, "of this model ", refused))?)
            }
            false => None,
        };
        let entered = self.standing.gate.enter(who, patience, clock).await;
        let provider = entered.map_err(|refused| self.refusal(&self.name, "", refused))?;
        Ok(Places { provider, model: own })
    }

    /// Whether it has no key, but some of its models have: then what is asked without a model is asked without a key.
    pub fn has_keys_of_models_only(&self) -> bool {
        self.config.api_key.is_none() && self.config.model.values().any(|model| model.api_key.is_some())
    }

    /// Counts the tokens of a call against the minute.
    pub fn debit(&self, model: &Model, tokens: u64, now: Duration) {
        self.standing.gate.debit(tokens, now);
        if model.limited {
            model.standing.gate.debit(tokens, now);
        }
    }

    fn refusal(&self, whom: &str, of: &str, refused: Refused) -> Failure {
        let (message, wait) = match refused {
            Refused::Full => (
                format!("{whom} already works on as many requests {of}as max_concurrent allows"),
                Duration::from_secs(1),
            ),
            Refused::Requests(wait) => {
                (format!("{whom} was asked as often in a minute as requests_per_minute allows"), wait)
            }
            Refused::Tokens(wait) => {
                (format!("{whom} took as many tokens in a minute as tokens_per_minute allows"), wait)
            }
        };
        // HAIA's own limit: another try would wait in the same queue.
        Failure::new(FailureClass::RateLimit, message).with_retry_after(Some(wait)).with_retry(Some(false))
    }

    fn context(&self, model: &str, told: Option<u64>) -> Option<u64> {
        self.config.model.get(model).and_then(|model| model.context_tokens).or(told)
    }

    /// The address of a path of the provider's API.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.base_url())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use runtime::world::World;

    #[test]
    fn a_price_holds_what_its_kind_of_provider_asks() {
        let price = Price { input: 1.0, output: 5.0, cached_input: None, cache_write: None, reasoning: None };
        for (kind, expected) in [("anthropic", Some(1.25)), ("openai", None)] {
            let mut config = ProviderConfig::of_kind(kind);
            config.model.insert("x".to_owned(), ModelConfig { price: Some(price), ..ModelConfig::default() });
            let provider = Provider::new("a", &config, Arc::default()).expect("a known kind");
            assert_eq!(provider.model("x", None).price.and_then(|price| price.cache_write), expected, "{kind}");
        }
    }

    #[test]
    fn invented_names_drive_out_nothing_but_each_other() {
        let mut config = ProviderConfig::of_kind("openai");
        config.model.insert("configured".to_owned(), ModelConfig::default());
        let provider = Provider::new("a", &config, Arc::default()).expect("a known kind");
        let entry = ModelEntry {
            provider: "a".into(),
            model: "discovered".into(),
            created: None,
            context_tokens: None,
            tools: None,
            abilities: contract::provider::Abilities::default(),
        };
        // Asked for before its provider told of it.
        let early = provider.model("discovered", None);
        let known = [provider.model("configured", None), provider.model("discovered", Some(&entry))];
        assert!(Arc::ptr_eq(&early.standing, &known[1].standing));
        for model in &known {
            model.memory.learn(crate::learned::Lesson::NoTools);
        }
        let first = provider.model("invented-0", None);
        for at in 1..2 * GUESSED {
            provider.model(&format!("invented-{at}"), None);
        }
        let again = [provider.model("configured", None), provider.model("discovered", Some(&entry))];
        for (before, after) in known.iter().zip(&again) {
            assert!(Arc::ptr_eq(before, after));
            assert!(Arc::ptr_eq(&before.standing, &provider.standing.model(&before.name, false)), "over a reload too");
        }
        assert!(!Arc::ptr_eq(&first.standing, &provider.model("invented-0", None).standing), "their number is bounded");
        assert!(provider.models.lock().is_ok_and(|models| models.len() <= GUESSED + 2));
    }

    #[test]
    fn what_a_model_was_found_not_to_take_outlives_a_list_that_says_nothing_of_it() {
        use crate::learned::Lesson;
        let provider = Provider::new("a", &ProviderConfig::of_kind("openai"), Arc::default()).expect("a known kind");
        let mut entry = ModelEntry {
            provider: "a".into(),
            model: "m".into(),
            created: None,
            context_tokens: Some(8192),
            tools: None,
            abilities: contract::provider::Abilities::default(),
        };
        provider.model("m", None).memory.learn(Lesson::NoThinking);
        assert!(provider.model("m", Some(&entry)).memory.learned().has(Lesson::NoThinking));
        entry.abilities.thinking = Some(true);
        assert!(provider.model("m", Some(&entry)).memory.learned().is_empty(), "it is told anew what it can do");
    }

    #[test]
    fn a_full_provider_uses_up_no_request_of_its_model() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let limited = ModelConfig { requests_per_minute: Some(1), ..ModelConfig::default() };
            let mut config = ProviderConfig { max_concurrent: 1, ..ProviderConfig::of_kind("ollama") };
            config.model.insert("x".to_owned(), limited);
            let provider = Provider::new("a", &config, Arc::default()).expect("a known kind");
            let (model, other) = (provider.model("x", None), provider.model("y", None));
            let enter = async |model: &Model| provider.places(model, &"me".into(), false, &clock).await;
            let running = enter(&other).await.expect("a place");
            for _ in 0..3 {
                let failure = enter(&model).await.expect_err("the provider is full");
                assert!(failure.message.contains("max_concurrent"), "{failure}");
            }
            drop(running);
            let mut places = enter(&model).await.expect("nothing was sent yet");
            places.used();
            drop(places);
            assert!(enter(&model).await.is_err(), "what was sent counts");
        });
    }
}
