//! What every worker thread reads of the gateway's state on each request: an immutable snapshot that its actor publishes.
//!
//! Reading takes no lock and no message, so a crashed gateway actor keeps nobody out, and a reload touches no running request.

use crate::auth::{KeyRing, hash_key};
use crate::config::Config;
use crate::hosts::TrustedHosts;
use crate::mcp::McpState;
use arc_swap::ArcSwap;
use contract::caller::{Caller, Origin, Scope};
use contract::clock::Clock;
use contract::store::StoredKey;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long running answers may go on once the daemon drains; then they end with an error event.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(25);

/// The snapshot.
pub(crate) struct Published {
    /// The configuration it was made from.
    pub(crate) config: Arc<Config>,
    /// The configured web origins, in lower case.
    pub(crate) origins: HashSet<String>,
    /// Whether `*` is among the configured origins.
    pub(crate) any_origin: bool,
    /// The hosts that callers without a key may name.
    pub(crate) hosts: TrustedHosts,
    /// Every key there is.
    pub(crate) keys: KeyRing,
    /// What is known of the store's keys.
    pub(crate) stored: StoredKeys,
    /// The caller over the unix socket.
    pub(crate) socket: Caller,
    /// The caller from this machine who needs no key.
    pub(crate) loopback: Caller,
}

/// What is known of the store's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredKeys {
    /// The store was not asked yet: nobody who has no configured key is let in, for that moment.
    Unasked,
    /// The store could not tell since the start; why. Chat goes on without it, as if it held none.
    Unreadable(String),
    /// The store's keys as last read.
    Known(Arc<Vec<StoredKey>>),
}

/// The gateway's state as its actor and all worker threads share it. It outlives crashes of the actor.
pub struct Shared {
    published: ArcSwap<Published>,
    /// When the drain began, in nanoseconds of the monotonic clock; 0: it did not.
    drain_began: AtomicU64,
    listen: SocketAddr,
    host_name: Option<String>,
    mcp: McpState,
}

impl Shared {
    /// The state at the start. `listen` is the address that was really bound, `host_name` this machine's name (see [`crate::host_name`]).
    pub fn new(config: Config, listen: SocketAddr, host_name: Option<String>) -> Arc<Self> {
        let first = build(Arc::new(config), StoredKeys::Unasked, listen, host_name.as_deref());
        Arc::new(Self {
            published: ArcSwap::from_pointee(first),
            drain_began: AtomicU64::new(0),
            listen,
            host_name,
            mcp: McpState::default(),
        })
    }

    /// What worker threads share of MCP.
    pub(crate) fn mcp(&self) -> &McpState {
        &self.mcp
    }

    /// The current snapshot.
    pub(crate) fn now(&self) -> arc_swap::Guard<Arc<Published>> {
        self.published.load()
    }

    /// The current snapshot, to be kept while a request is answered.
    pub(crate) fn now_full(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Publishes a new configuration.
    pub(crate) fn publish_config(&self, config: Arc<Config>) {
        let stored = self.now().stored.clone();
        self.publish(config, stored);
    }

    /// Publishes what the store told of its keys. What was known before outlasts a store that fails later.
    pub(crate) fn publish_stored(&self, told: Result<Vec<StoredKey>, String>) {
        let (config, before) = {
            let now = self.now();
            (Arc::clone(&now.config), now.stored.clone())
        };
        let stored = match (told, before) {
            (Ok(keys), _) => StoredKeys::Known(Arc::new(keys)),
            (Err(_), StoredKeys::Known(keys)) => StoredKeys::Known(keys),
            (Err(why), _) => StoredKeys::Unreadable(why),
        };
        self.publish(config, stored);
    }

    // Only the gateway's actor publishes, one message at a time: reading and storing need not be one step.
    fn publish(&self, config: Arc<Config>, stored: StoredKeys) {
        self.published.store(Arc::new(build(config, stored, self.listen, self.host_name.as_deref())));
    }

    /// The address that was really bound.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Notes that the daemon drains.
    pub(crate) fn begin_drain(&self, now: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).max(1);
        let _ = self.drain_began.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the daemon drains: nothing new is taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.drain_began.load(Ordering::Relaxed) != 0
    }

    /// How long running answers may still go on; `None` while the daemon does not drain.
    pub(crate) fn patience_left(&self, clock: &dyn Clock) -> Option<Duration> {
        let began = self.drain_began.load(Ordering::Relaxed);
        (began != 0).then(|| {
            let passed = clock.monotonic().saturating_sub(Duration::from_nanos(began));
            DRAIN_PATIENCE.saturating_sub(passed)
        })
    }
}

fn build(config: Arc<Config>, stored: StoredKeys, listen: SocketAddr, host_name: Option<&str>) -> Published {
    let mut keys = KeyRing::default();
    for (name, entry) in &config.keys {
        keys.add(name, entry.scope, hash_key(entry.key.expose().as_bytes()));
    }
    if let StoredKeys::Known(stored) = &stored {
        for key in stored.iter() {
            keys.add_stored(key);
        }
    }
    Published {
        origins: config.cors_origins.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
        any_origin: config.cors_origins.iter().any(|origin| origin == "*"),
        hosts: TrustedHosts::new(listen, host_name, &config.allowed_hosts),
        keys,
        stored,
        socket: Caller { name: "socket".into(), scope: Scope::Admin, origin: Origin::Cli },
        loopback: Caller { name: "loopback".into(), scope: Scope::Control, origin: Origin::Chat },
        config,
    }
}
