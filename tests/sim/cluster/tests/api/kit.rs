//! What the tests share: a simulation with a clock by hand, and questions to it.

use crate::client::{Connection, Response};
use contract::clock::SharedClock;
use serde_json::Value;
use sim_cluster::{HandClock, Incident, SimCluster, SimConfig, SimHandle};
use std::sync::Arc;
use std::time::Duration;

pub struct Stage {
    pub sim: SimHandle,
    pub clock: Arc<HandClock>,
}

pub const WEB: u32 = 101;

impl Stage {
    pub fn homelab() -> Self {
        Self::of(SimConfig::default())
    }

    pub fn of(config: SimConfig) -> Self {
        let clock = HandClock::new();
        let shared: SharedClock = clock.clone();
        let sim = SimCluster::start(config, shared).expect("a simulation on loopback");
        Self { sim, clock }
    }

    pub fn connect(&self) -> Connection {
        Connection::open(&self.sim, 0).expect("a connection")
    }

    /// Asks the first endpoint.
    pub fn ask(&self, path: &str) -> Response {
        self.connect().get(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The data of a call that must go well.
    pub fn data(&self, path: &str) -> Value {
        let response = self.ask(path);
        assert_eq!((response.status, response.reason.as_str()), (200, "OK"), "{path}");
        response.data()
    }

    pub fn rows(&self, path: &str) -> Vec<Value> {
        self.data(path).as_array().cloned().unwrap_or_else(|| panic!("{path} is no list"))
    }

    /// A row of `/cluster/resources`.
    pub fn row(&self, id: &str) -> Value {
        let rows = self.rows("/cluster/resources");
        rows.into_iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no row {id}"))
    }

    pub fn happen(&self, incident: Incident) {
        self.sim.incident(incident).expect("an incident that can happen");
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Tasks of the cluster about this id, newest first.
    pub fn tasks_of(&self, id: &str) -> Vec<Value> {
        self.rows("/cluster/tasks").into_iter().filter(|task| task["id"] == id).collect()
    }

    /// A task's log as lines.
    pub fn log(&self, task: &Value) -> Vec<String> {
        let (node, upid) = (text(&task["node"]), text(&task["upid"]).replace(':', "%3A"));
        let rows = self.rows(&format!("/nodes/{node}/tasks/{upid}/log?limit=0"));
        rows.iter().map(|row| text(&row["t"])).collect()
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
