//! Everything the gateway needs of the rest of the daemon: its whole dependency declaration.

use contract::BoxFuture;
use contract::chat::Agent;
use contract::clock::SharedClock;
use contract::direct::Direct;
use contract::ids::SharedIds;
use contract::message::Fault;
use contract::provider::{ListModels, Models, ProbeProvider, RouteReadiness};
use contract::status::{Gauges, StatusSource};
use contract::store::{AddKey, ListKeys, ReadAudit, RevokeKey, SharedAudit};
use runtime::Port;
use std::rc::Rc;
use std::sync::Arc;

/// What the routes use, on every worker thread.
#[derive(Clone)]
pub struct Ports {
    /// The stored keys.
    pub keys: Port<ListKeys>,
    /// Stores a key.
    pub add_key: Port<AddKey>,
    /// Forgets a key.
    pub revoke_key: Port<RevokeKey>,
    /// Reads the audit trail.
    pub audit: Port<ReadAudit>,
    /// Takes the audit rows of administrative requests.
    pub audit_sink: SharedAudit,
    /// The models and routes.
    pub models: Port<ListModels>,
    /// Whether a route can answer.
    pub readiness: Port<RouteReadiness>,
    /// Probes a provider.
    pub probe: Port<ProbeProvider>,
    /// The whole status.
    pub status: Arc<dyn StatusSource>,
    /// The daemon itself.
    pub control: Arc<dyn DaemonControl>,
    /// Time.
    pub clock: SharedClock,
    /// Ids and secrets.
    pub ids: SharedIds,
    /// Figures of running work.
    pub gauges: Arc<Gauges>,
    /// Makes what each worker thread has of its own.
    pub threads: ThreadFactory,
}

/// Called once on each worker thread, before its first request: it may start actors on that thread.
pub type ThreadFactory = Arc<dyn Fn() -> ThreadPorts + Send + Sync>;

/// What one worker thread has of its own: agent and models with that thread's connections.
#[derive(Clone)]
pub struct ThreadPorts {
    /// Runs turns.
    pub agent: Rc<dyn Agent>,
    /// Calls models.
    pub models: Rc<dyn Models>,
    /// Calls providers beside chats.
    pub direct: Rc<dyn Direct>,
}

/// What the gateway may ask of the daemon as a whole.
pub trait DaemonControl: Send + Sync {
    /// Reads the configuration again, all or nothing. The answer is the new generation, or every error found.
    fn reload(&self) -> BoxFuture<'static, Result<u64, Vec<String>>>;
    /// Makes an actor panic. `None` if there is none of that name.
    fn crash(&self, actor: &str) -> Option<Result<(), Fault>>;
    /// Whether faults may be injected (`HAIA_FAULTS`).
    fn faults_enabled(&self) -> bool;
    /// Whether every required actor runs; else which does not.
    ///
    /// # Errors
    /// Says which actor does not run, for people.
    fn required_actors_running(&self) -> Result<(), String>;
    /// The route behind the model id `haia`.
    fn default_route(&self) -> Arc<str>;
}
