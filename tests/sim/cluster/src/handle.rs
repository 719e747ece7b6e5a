//! Starts the simulation and steers it while it runs. Dropping the handle ends it: its thread, its sockets, its connections.

use crate::access::Access;
use crate::build;
use crate::certificate::Identity;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::fault::{Fault, FaultRule};
use crate::incidents::{Effect, Incident, happen};
use crate::record::Request;
use crate::server::{Running, Shared};
use contract::clock::SharedClock;
use std::sync::Arc;

/// A simulated cluster.
#[derive(Debug)]
pub struct SimCluster;

impl SimCluster {
    /// Starts a cluster on loopback, on free ports, in a thread of its own. Its figures and its script follow `clock`.
    ///
    /// # Errors
    ///
    /// [`SimError`] when the configuration contradicts itself, or the system refuses a socket or the thread.
    pub fn start(config: SimConfig, clock: SharedClock) -> Result<SimHandle, SimError> {
        config.validate()?;
        let mut cluster = build::cluster(&config, clock.now().as_second());
        let names: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
        let identity = Identity::new(&names)?;
        cluster.fingerprint.clone_from(&identity.fingerprint);
        let (token_id, token_secret) = (config.token_id.clone(), config.token_secret.clone());
        let shared = Arc::new(Shared::new(config, cluster, names, clock));
        let running = Running::start(&shared, &identity)?;
        Ok(SimHandle {
            endpoints: running.ports.iter().map(|port| format!("https://127.0.0.1:{port}")).collect(),
            fingerprint: identity.fingerprint,
            certificate: identity.pem,
            token_id,
            token_secret,
            shared,
            running: Some(running),
        })
    }
}

/// A running simulation.
pub struct SimHandle {
    /// `https://127.0.0.1:PORT`, one per node from the first on.
    pub endpoints: Vec<String>,
    /// SHA-256 of the certificate that all endpoints show, in pairs of capitals with colons.
    pub fingerprint: String,
    /// That certificate in PEM: as a CA file it makes the endpoints trusted.
    pub certificate: String,
    /// `user@realm!token`
    pub token_id: String,
    /// The token's secret.
    pub token_secret: String,
    shared: Arc<Shared>,
    running: Option<Running>,
}

impl SimHandle {
    /// Lets an incident happen now.
    ///
    /// # Errors
    ///
    /// [`SimError`] when it names something unknown, or cannot happen as things are.
    pub fn incident(&self, incident: Incident) -> Result<(), SimError> {
        self.shared.state(|state| {
            happen(&mut state.cluster, Effect::Incident(incident))?;
            let now = state.cluster.now;
            state.cluster.advance(now);
            Ok(())
        })
    }

    /// Switches a fault on for every request, until [`SimHandle::clear_faults`].
    pub fn fault(&self, fault: Fault) {
        self.fault_rule(FaultRule::always(fault));
    }

    /// Switches a fault on where and as often as the rule says.
    pub fn fault_rule(&self, rule: FaultRule) {
        self.shared.state(|state| state.faults.add(rule));
    }

    /// Switches all faults off. What hangs goes on hanging until its client leaves, as on a real cluster.
    pub fn clear_faults(&self) {
        self.shared.state(|state| state.faults.clear());
    }

    /// Changes what the token may see.
    pub fn set_access(&self, access: Access) {
        self.shared.state(|state| state.access = access);
    }

    /// The newest requests, oldest first; at most 10,000.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state(|state| state.record.requests())
    }

    /// How many requests came since the start.
    pub fn request_count(&self) -> u64 {
        self.shared.state(|state| state.record.count())
    }

    /// Forgets the requests so far; the count and the writing ones stay.
    pub fn forget_requests(&self) {
        self.shared.state(|state| state.record.forget());
    }

    /// Every request that wanted to change something. Each was refused.
    pub fn writes(&self) -> Vec<Request> {
        self.shared.state(|state| state.record.writes())
    }

    /// For tests: fails when a writing request ever came.
    ///
    /// # Panics
    ///
    /// When there was one.
    #[track_caller]
    pub fn assert_read_only(&self) {
        let writes = self.writes();
        assert!(writes.is_empty(), "writing requests reached the simulated cluster: {writes:?}");
    }

    /// How many connections were accepted since the start, of all endpoints.
    pub fn connections(&self) -> u64 {
        self.shared.state(|state| state.accepted)
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}
