//! A configured provider, ready to be called: its format, address, headers and limits. Immutable; a reload makes a new one.

use crate::config::{Price, ProviderConfig};
use crate::formats::{self, Format, ModelSettings};
use crate::health::Health;
use contract::BoxFuture;
use contract::failure::{Failure, FailureClass};
use contract::secret::Secret;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    gate: Arc<Semaphore>,
    waiting: AtomicUsize,
    models: Mutex<BTreeMap<Arc<str>, Arc<Model>>>,
}

/// The most requests that wait for a place at one provider, as a multiple of its places: beyond, waiting would not end in time.
const QUEUE: usize = 4;

/// Counts one who waits.
struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
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
            waiting: AtomicUsize::new(0),
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

    /// A place among the requests at once. Whoever comes first gets it first; `deadline` bounds the wait, and so does the length of the queue.
    /// `None` for `deadline`: a place now or not at all.
    ///
    /// # Errors
    /// `RateLimit`: no place was free, or became free in time.
    pub async fn place(&self, deadline: Option<BoxFuture<'static, ()>>) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = Arc::clone(&self.gate).try_acquire_owned() {
            return Ok(permit);
        }
        let full = || {
            let message = format!("{} already works on {} requests at once", self.name, self.config.max_concurrent);
            Failure::new(FailureClass::RateLimit, message).with_retry_after(Some(Duration::from_secs(1)))
        };
        let Some(deadline) = deadline else { return Err(full()) };
        if self.waiting.fetch_add(1, Relaxed) >= self.config.max_concurrent.saturating_mul(QUEUE) {
            self.waiting.fetch_sub(1, Relaxed);
            return Err(full());
        }
        let _waiter = Waiter(&self.waiting);
        tokio::select! {
            permit = Arc::clone(&self.gate).acquire_owned() => permit.map_err(|_| full()),
            () = deadline => Err(full()),
        }
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
