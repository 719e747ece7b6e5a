//! The provider pool: which models there are, who may answer a call, and the exchange with a provider itself.
//!
//! - [`ProviderPool`] is the one coordinator: it discovers models, keeps the standing of providers, and publishes an immutable [`Table`].
//! - [`Shard`] is an actor on each HTTP worker's own thread: by message it grants a call its candidates.
//! - [`Exchange`] runs the call on the thread that asked, with that thread's connections; what it streams is polled by its reader and
//!   never travels as messages.
//! - [`Meter`] keeps the accounts of callers, providers and models, which all threads write and limits read.
//! - [`formats`] holds the wire formats: pure encoders and decoders.

mod backoff;
mod circuit;
mod config;
mod discovery;
mod exchange;
pub mod formats;
mod gate;
mod health;
mod latency;
mod learned;
mod meter;
mod outcome;
mod pool;
mod price;
mod provider;
mod report;
mod routes;
mod shard;
mod standing;
mod succession;
mod table;

pub use config::{Config, ModelConfig, Ordered, Price, ProviderConfig};
pub use exchange::{Exchange, ExchangePorts, Proofs};
pub use meter::Meter;
pub use outcome::{CallFailed, CallRecovered};
pub use pool::{PoolPorts, ProviderPool};
pub use routes::{RouteConfig, Strategy};
pub use shard::{GrantCall, Shard};
pub use table::{SharedTable, Table};

/// A kind of provider: a name for the configuration, its wire format and its usual address.
pub struct Kind {
    /// As the configuration writes it.
    pub name: &'static str,
    /// The wire format.
    pub format: &'static str,
    /// Its usual address.
    pub base_url: &'static str,
}

/// Every kind of provider.
pub const KINDS: &[Kind] = &[
    Kind { name: "anthropic", format: "anthropic", base_url: "https://api.anthropic.com" },
    Kind { name: "openai", format: "openai", base_url: "https://api.openai.com/v1" },
    Kind { name: "gemini", format: "gemini", base_url: "https://generativelanguage.googleapis.com/v1beta" },
    Kind { name: "openrouter", format: "openrouter", base_url: "https://openrouter.ai/api/v1" },
    Kind { name: "ollama", format: "ollama", base_url: "http://127.0.0.1:11434" },
];

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
