//! A cluster without sockets for the tests: time passes when they say so.

use serde_json::Value;
use sim_cluster::{Answer, Cluster, HandClock, Incident, Request, SimConfig};
use std::time::Duration;

pub struct Boxed(pub Cluster);

impl Boxed {
    pub fn homelab() -> Self {
        Self::of(SimConfig::default())
    }

    /// With every privilege that actions need.
    pub fn operated() -> Self {
        Self::of(SimConfig::acting())
    }

    pub fn of(config: SimConfig) -> Self {
        Self(Cluster::new(config, HandClock::ORIGIN).expect("a sound configuration"))
    }

    pub fn pass(&mut self, seconds: u64) {
        self.0.advance(Duration::from_secs(seconds));
    }

    pub fn happen(&mut self, incident: Incident) {
        self.0.incident(incident).expect("an incident that can happen");
    }

    pub fn data(&mut self, path: &str) -> Value {
        let answer = self.0.answer(path);
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"), "{path}");
        answer.data()
    }

    pub fn rows(&mut self, path: &str) -> Vec<Value> {
        self.data(path).as_array().cloned().unwrap_or_else(|| panic!("{path} is no list"))
    }

    /// A row of `/cluster/resources`.
    pub fn row(&mut self, id: &str) -> Value {
        self.find(id).unwrap_or_else(|| panic!("no row {id}"))
    }

    pub fn find(&mut self, id: &str) -> Option<Value> {
        self.rows("/cluster/resources").into_iter().find(|row| row["id"] == id)
    }

    pub fn status(&mut self, id: &str) -> String {
        self.row(id)["status"].as_str().unwrap_or_default().to_owned()
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.0.request(0, "POST", path, body)
    }

    /// Begins a task that must be accepted.
    pub fn begin(&mut self, path: &str, body: &str) -> String {
        let answer = self.post(path, body);
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"), "{path} {body}");
        answer.data().as_str().expect("a UPID").to_owned()
    }

    /// What a task says of itself: `running`, or its exit status.
    pub fn task(&mut self, upid: &str) -> String {
        let node = upid.split(':').nth(1).expect("a UPID").to_owned();
        let data = self.data(&format!("/nodes/{node}/tasks/{upid}/status"));
        let text = if data["status"] == "running" { &data["status"] } else { &data["exitstatus"] };
        text.as_str().unwrap_or_default().to_owned()
    }

    pub fn log(&mut self, upid: &str) -> Vec<String> {
        let node = upid.split(':').nth(1).expect("a UPID").to_owned();
        let rows = self.rows(&format!("/nodes/{node}/tasks/{upid}/log?limit=0"));
        rows.iter().map(|row| row["t"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Tasks of the cluster about this id, newest first.
    pub fn tasks_of(&mut self, id: &str) -> Vec<Value> {
        self.rows("/cluster/tasks").into_iter().filter(|task| task["id"] == id).collect()
    }

    pub fn last_write(&self) -> Request {
        self.0.writes().last().cloned().expect("a writing request")
    }
}
