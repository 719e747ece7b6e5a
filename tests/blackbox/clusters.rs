//! What the tests of clusters share: a simulated cluster, a daemon that looks at it, and questions to its offline responder.

use crate::daemon::{Daemon, Setup};
use serde_json::{Value, json};
use sim_cluster::{SimCluster, SimConfig, SimHandle};
use std::sync::Arc;

/// The homelab, quiet, on the system's clock.
pub fn homelab() -> SimHandle {
    simulated(SimConfig::default())
}

/// A simulated cluster on the system's clock.
pub fn simulated(config: SimConfig) -> SimHandle {
    SimCluster::start(config, Arc::new(runtime::SystemClock::real())).expect("a simulation on loopback")
}

/// `[proxmox.lab]` for a cluster; `replaced`: values to write in place of the right ones.
pub fn section(sim: &SimHandle, replaced: &[(&str, &str)]) -> String {
    let value = |key: &str, right: &str| {
        let other = replaced.iter().find(|(name, _)| *name == key);
        other.map_or_else(|| format!("\"{right}\""), |(_, other)| (*other).to_owned())
    };
    let endpoints = format!("{:?}", sim.endpoints);
    let endpoints = replaced.iter().find(|(name, _)| *name == "endpoints").map_or(endpoints, |(_, o)| (*o).to_owned());
    format!(
        "[proxmox.lab]\nendpoints = {endpoints}\ntoken_id = {}\ntoken_secret = {}\ntls = {{ fingerprints = [{}] }}\npoll_interval = {}\n",
        value("token_id", &sim.token_id),
        value("token_secret", &sim.token_secret),
        value("fingerprint", &sim.fingerprint),
        value("poll_interval", "1s"),
    )
}

/// A daemon that looks at the cluster every second, and has nothing else.
pub fn watching(sim: &SimHandle) -> Setup {
    Setup::new().config(&section(sim, &[]))
}

/// Waits until the cluster is seen so, and gives its status.
pub fn until(daemon: &Daemon, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    daemon.status_until(what, |status| condition(&status["clusters"][0]))["clusters"][0].clone()
}

/// Waits until all of the cluster is seen.
pub fn until_seen(daemon: &Daemon) -> Value {
    until(daemon, "the cluster to be seen", |cluster| cluster["state"] == "ok")
}

/// Waits until so many further polls have begun.
pub fn until_polled(daemon: &Daemon, further: u64) {
    let before = daemon.status()["clusters"][0]["polls"].as_u64().expect("a count");
    until(daemon, "further polls", |cluster| cluster["polls"].as_u64() >= Some(before + further));
}

/// What the offline responder answers.
pub fn offline(daemon: &Daemon, question: &str) -> String {
    let messages = json!([{ "role": "user", "content": question }]);
    daemon.chat(&json!({ "model": "builtin/offline", "messages": messages })).content()
}
