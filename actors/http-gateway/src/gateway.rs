//! The HttpGateway actor: owns the configuration and the keys, and publishes them for the worker threads.
//!
//! It takes part in no request: what it publishes stays readable while it is being restarted, and its state is the published state, so
//! a fresh one goes on with the newest configuration.

use crate::config::Config;
use crate::published::{Shared, StoredKeys};
use contract::clock::SharedClock;
use contract::message::{Drain, Lane, Msg, Reconfigure};
use contract::store::{ListKeys, StoredKey};
use runtime::{Context, Handle, Port, Reply, Service};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the store may take to tell its keys.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure the store is asked again.
const RETRY: Duration = Duration::from_secs(5);

/// The gateway's actor.
pub struct HttpGateway {
    shared: Arc<Shared>,
    keys: Port<ListKeys>,
    clock: SharedClock,
    /// Whether a timer will ask the store again.
    retrying: bool,
}

impl HttpGateway {
    /// The actor of `shared`; it asks `keys` for the stored keys.
    pub fn new(shared: Arc<Shared>, keys: Port<ListKeys>, clock: SharedClock) -> Self {
        Self { shared, keys, clock, retrying: false }
    }
}

/// Asks the gateway to read the stored keys again. The answer comes after they are in force; or says why the store could not tell.
/// Ask it once before the server starts, so that no request meets a gateway that does not know its keys.
#[derive(Clone, Debug)]
pub struct RefreshKeys;

impl Msg for RefreshKeys {
    type Reply = Result<(), String>;
    const NAME: &'static str = "RefreshKeys";
}

/// The time to ask the store again has come.
struct RetryKeys;

impl Msg for RetryKeys {
    type Reply = Result<(), String>;
    const NAME: &'static str = "RetryKeys";
}

/// What the store told.
struct TakeKeys(Result<Vec<StoredKey>, String>);

impl Msg for TakeKeys {
    type Reply = Result<(), String>;
    const NAME: &'static str = "TakeKeys";
}

/// What the gateway tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Keys in force, configured and stored.
    keys: usize,
    /// `unasked`, `unreadable` or `known`.
    stored_keys: &'static str,
    /// Why the stored keys cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// The address that is listened on.
    listen: String,
    /// Sessions of MCP clients.
    mcp_sessions: usize,
    /// Streams on which MCP clients listen.
    mcp_streams: usize,
    /// Whether new work is refused because the daemon is about to end.
    draining: bool,
}

impl Service for HttpGateway {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        if let Err(fault) = context.mailbox().port::<RefreshKeys>(Lane::Control).tell(RefreshKeys) {
            tracing::warn!(%fault, "the stored keys were not asked for");
        }
    }

    fn observe(&self) -> Observed {
        let now = self.shared.now();
        let (stored_keys, problem) = match &now.stored {
            StoredKeys::Unasked => ("unasked", None),
            StoredKeys::Unreadable(why) => ("unreadable", Some(why.clone())),
            StoredKeys::Known(_) => ("known", None),
        };
        Observed {
            keys: now.keys.len(),
            stored_keys,
            problem,
            listen: self.shared.listen().to_string(),
            mcp_sessions: self.shared.mcp().sessions.count(self.clock.monotonic(), now.config.mcp.session_timeout.0),
            mcp_streams: self.shared.mcp().listening.load(Ordering::Relaxed),
            draining: self.shared.is_draining(),
        }
    }
}

impl HttpGateway {
    fn read_keys(&self, context: &Context<Self>) -> Reply<Result<(), String>> {
        let keys = self.keys.clone();
        let back = context.mailbox().port::<TakeKeys>(Lane::Control);
        Reply::later(async move {
            let told = match keys.ask(ListKeys, STORE_PATIENCE).await {
                Ok(Ok(keys)) => Ok(keys),
                Ok(Err(error)) => Err(error.to_string()),
                Err(fault) => Err(fault.to_string()),
            };
            back.ask(TakeKeys(told), STORE_PATIENCE).await.unwrap_or_else(|fault| Err(fault.to_string()))
        })
    }
}

impl Handle<RefreshKeys> for HttpGateway {
    fn handle(&mut self, _: RefreshKeys, context: &Context<Self>) -> Reply<Result<(), String>> {
        self.read_keys(context)
    }
}

impl Handle<RetryKeys> for HttpGateway {
    fn handle(&mut self, _: RetryKeys, context: &Context<Self>) -> Reply<Result<(), String>> {
        self.retrying = false;
        self.read_keys(context)
    }
}

impl Handle<TakeKeys> for HttpGateway {
    fn handle(&mut self, TakeKeys(told): TakeKeys, context: &Context<Self>) -> Reply<Result<(), String>> {
        let outcome = told.as_ref().map(|_| ()).map_err(Clone::clone);
        self.shared.publish_stored(told);
        if let Err(why) = &outcome
            && !self.retrying
        {
            tracing::warn!(
                why,
                "the stored keys cannot be read; those known before and those of the configuration stay valid"
            );
            self.retrying = true;
            context.tell_after(RETRY, Lane::Control, RetryKeys);
        }
        Reply::Now(outcome)
    }
}

impl Handle<Reconfigure<Config>> for HttpGateway {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, _: &Context<Self>) -> Reply<()> {
        self.shared.publish_config(config);
        Reply::Now(())
    }
}

impl Handle<Drain> for HttpGateway {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.shared.begin_drain(self.clock.monotonic());
        Reply::Now(())
    }
}
