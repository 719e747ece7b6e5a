//! Starts the simulation and steers it while it runs. Dropping the handle ends it: its thread, its sockets, its connections.

use crate::access::Access;
use crate::api::Answer;
use crate::certificate::Identity;
use crate::cluster::Cluster;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::fault::{Fault, FaultRule};
use crate::incidents::Incident;
use crate::record::Request;
use crate::server::{Running, Shared};
use crate::task_rule::TaskRule;
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
        let mut cluster = Cluster::new(config, clock.now())?;
        let names: Vec<String> = cluster.model.nodes.iter().map(|node| node.name.clone()).collect();
        let identity = Identity::new(&names)?;
        cluster.model.fingerprint.clone_from(&identity.fingerprint);
        let (token_id, token_secret) = (cluster.config.token_id.clone(), cluster.config.token_secret.clone());
        let shared = Arc::new(Shared::new(cluster, clock));
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
        self.shared.state(|cluster| cluster.incident(incident))
    }

    /// Switches a fault on for every request, until [`SimHandle::clear_faults`].
    pub fn fault(&self, fault: Fault) {
        self.fault_rule(FaultRule::always(fault));
    }

    /// Switches a fault on where and as often as the rule says.
    pub fn fault_rule(&self, rule: FaultRule) {
        self.shared.state(|cluster| cluster.fault_rule(rule));
    }

    /// Switches all faults off. What hangs goes on hanging until its client leaves, as on a real cluster.
    pub fn clear_faults(&self) {
        self.shared.state(Cluster::clear_faults);
    }

    /// Says how tasks end that requests begin from now on. The first rule that fits counts.
    pub fn task_rule(&self, rule: TaskRule) {
        self.shared.state(|cluster| cluster.task_rule(rule));
    }

    /// Tasks end as they were asked for again.
    pub fn clear_task_rules(&self) {
        self.shared.state(Cluster::clear_task_rules);
    }

    /// What the first endpoint would answer to a GET, without a socket. `path` is written without `/api2/json`.
    pub fn answer(&self, path: &str) -> Answer {
        self.shared.state(|cluster| cluster.answer(path))
    }

    /// Looks at or steers the cluster behind the sockets, after it has caught up with the clock.
    pub fn with<R>(&self, look: impl FnOnce(&mut Cluster) -> R) -> R {
        self.shared.state(look)
    }

    /// Changes what the token may see and do.
    pub fn set_access(&self, access: Access) {
        self.shared.state(|cluster| cluster.set_access(access));
    }

    /// The newest requests, oldest first; at most 10,000.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state(|cluster| cluster.requests())
    }

    /// How many requests came since the start.
    pub fn request_count(&self) -> u64 {
        self.shared.state(|cluster| cluster.request_count())
    }

    /// Forgets the requests so far; the count and the writing ones stay.
    pub fn forget_requests(&self) {
        self.shared.state(Cluster::forget_requests);
    }

    /// Every request that wanted to change something, whether it did or was refused.
    pub fn writes(&self) -> Vec<Request> {
        self.shared.state(|cluster| cluster.writes())
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
        self.shared.state(|cluster| cluster.accepted())
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
        // Here, in the test's own thread, where a failure is seen.
        self.shared.state(Cluster::settle_record);
    }
}
