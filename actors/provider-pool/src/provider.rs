//! A configured provider, ready to be called: its format, address, headers and limits. Immutable; a reload makes a new one.

use crate::config::{Price, ProviderConfig};
use crate::formats::{self, Format, ModelSettings};
use crate::health::Health;
use contract::secret::Secret;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

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
    /// The address of chat calls.
    pub chat_url: String,
    /// How it does; shared with the provider of the same name before a reload.
    pub health: Arc<Health>,
    /// One permit per request at once.
    pub gate: Arc<Semaphore>,
    models: Mutex<BTreeMap<Arc<str>, Arc<Model>>>,
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
    /// Learned from an answer: the model refuses tools.
    refuses_tools: AtomicBool,
}

impl Provider {
    /// Makes a provider usable. `None` if its kind is unknown, which `Config::validate` has told.
    pub fn new(name: &str, config: &ProviderConfig, health: Arc<Health>) -> Option<Self> {
        let kind = crate::kind(&config.kind)?;
        let format = formats::by_kind(kind.format)?;
        Some(Self {
            name: Arc::from(name),
            kind: kind.name,
            format,
            chat_url: format!("{}{}", config.base_url(), format.chat_path()),
            health,
            gate: Arc::new(Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS))),
            models: Mutex::default(),
            config: config.clone(),
        })
    }

    /// The model of that name. Made on first use: a provider may know models that were not discovered yet. The names come from callers, so
    /// their number is bounded.
    pub fn model(&self, name: &str, context_tokens: Option<u64>, tools: Option<bool>) -> Arc<Model> {
        const KEPT: usize = 1000;
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(name).filter(|model| {
            model.settings.context_tokens == self.context(name, context_tokens) && model.settings.tools == tools
        }) {
            return Arc::clone(model);
        }
        if models.len() >= KEPT {
            models.clear();
        }
        let configured = self.config.model.get(name);
        let model = Arc::new(Model {
            name: Arc::from(name),
            id: Arc::from(format!("{}/{name}", self.name)),
            key: configured.and_then(|model| model.api_key.clone()).or_else(|| self.config.api_key.clone()),
            settings: ModelSettings {
                max_tokens: configured.and_then(|model| model.max_tokens),
                temperature: configured.and_then(|model| model.temperature),
                options: self.config.options.clone(),
                tools,
                context_tokens: self.context(name, context_tokens),
            },
            price: configured.and_then(|model| model.price),
            refuses_tools: AtomicBool::new(false),
        });
        models.insert(Arc::clone(&model.name), Arc::clone(&model));
        model
    }

    fn context(&self, model: &str, told: Option<u64>) -> Option<u64> {
        self.config.model.get(model).and_then(|model| model.context_tokens).or(told)
    }

    /// The address of a path of the provider's API.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.base_url())
    }
}

impl Model {
    /// Remembers that the model refuses tools.
    pub fn refuse_tools(&self) {
        self.refuses_tools.store(true, Relaxed);
    }

    /// Whether an answer told that the model refuses tools.
    pub fn refuses_tools(&self) -> bool {
        self.refuses_tools.load(Relaxed)
    }
}
