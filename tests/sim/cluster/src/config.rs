//! What cluster is simulated, and what its token may see. It is plain data; `SimCluster::start` checks it.

use crate::access::Access;
use crate::error::SimError;
use crate::script::Script;
use std::time::Duration;

/// Which Proxmox VE the cluster runs: what its answers contain and how they write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 7.4: some numbers of containers are text, no `memhost`, no `available`.
    V7,
    /// 8.4: numbers are numbers; no `memhost`, no `available`, no pressure figures.
    V8,
    /// 9.0: all of it.
    #[default]
    V9,
}

impl Version {
    /// Version and release as `/version` writes them.
    pub(crate) fn numbers(self) -> (&'static str, &'static str) {
        match self {
            Self::V7 => ("7.4-19", "7.4"),
            Self::V8 => ("8.4.14", "8.4"),
            Self::V9 => ("9.0.10", "9.0"),
        }
    }
}

/// A cluster to simulate.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The cluster's name.
    pub name: String,
    /// How many nodes. Up to three with [`SimConfig::guests`] at 0 are the homelab's pve1, pve2, pve3.
    pub nodes: usize,
    /// How many guests to make up; 0: the thirty of the homelab, by name.
    pub guests: usize,
    /// How many endpoints to open; the first is the first node's, and so on.
    pub endpoints: usize,
    /// Which Proxmox VE it runs.
    pub version: Version,
    /// Whether the cluster has Ceph.
    pub ceph: bool,
    /// What the token may see.
    pub access: Access,
    /// Whether requests that want to change something are part of the test. Where they are not, one that came fails the test when the
    /// simulation is dropped, refused or not.
    pub writes_allowed: bool,
    /// `user@realm!token`
    pub token_id: String,
    /// A UUID. It guards nothing but a simulation on loopback.
    pub token_secret: String,
    /// What happens by itself.
    pub script: Script,
    /// The guest whose backup failed last night.
    pub failed_backup: Option<u32>,
    /// How long a refused login waits for its answer: 3 s on a real one, 0 here so that tests need no time.
    pub refused_login_delay: Duration,
    /// After how many requests a keep-alive connection ends politely, with `Connection: close`.
    pub requests_per_connection: u32,
}

impl Default for SimConfig {
    /// The homelab, quiet: three nodes, thirty guests, an auditor's token.
    fn default() -> Self {
        Self {
            name: "homelab".into(),
            nodes: 3,
            guests: 0,
            endpoints: 3,
            version: Version::V9,
            ceph: true,
            access: Access::auditor(),
            writes_allowed: false,
            token_id: "haia@pve!monitor".into(),
            token_secret: "5f0c7d2e-9a41-4c1b-8e57-2d6b1a90c3f4".into(),
            script: Script::quiet(),
            failed_backup: None,
            refused_login_delay: Duration::ZERO,
            requests_per_connection: 100,
        }
    }
}

impl SimConfig {
    /// The homelab with the demo's script, and a backup that failed last night. It is no test: whoever writes to it is refused, and that is all.
    pub fn demo() -> Self {
        Self { script: Script::demo(), failed_backup: Some(104), writes_allowed: true, ..Self::default() }
    }

    /// The homelab with a token that may act on guests, for tests of actions.
    pub fn acting() -> Self {
        Self { access: Access::operator(), writes_allowed: true, ..Self::default() }
    }

    /// A cluster of any size, such as 32 nodes and 2,000 guests. Its guests are named by number.
    pub fn scale(nodes: usize, guests: usize) -> Self {
        Self { name: "datacenter".into(), nodes, guests, ..Self::default() }
    }

    /// What contradicts itself.
    ///
    /// # Errors
    ///
    /// [`SimError::Config`] with what to change.
    pub(crate) fn validate(&self) -> Result<(), SimError> {
        let wrong = |text: String| Err(SimError::Config(text));
        let (nodes, guests, endpoints) = (self.nodes, self.guests, self.endpoints);
        if !(1..=64).contains(&nodes) {
            return wrong(format!("nodes = {nodes}: give 1 to 64"));
        }
        if guests == 0 && nodes != 3 {
            return wrong(format!(
                "the homelab (guests = 0) has 3 nodes, not {nodes}: say how many guests, or 3 nodes"
            ));
        }
        if guests > 20_000 {
            return wrong(format!("guests = {guests}: give at most 20000"));
        }
        if !(1..=nodes).contains(&endpoints) {
            return wrong(format!("endpoints = {endpoints}: give 1 to {nodes}, one per node"));
        }
        if self.requests_per_connection == 0 {
            return wrong("requests_per_connection = 0: give at least 1".into());
        }
        match self.token_id.split_once('!') {
            Some((user, token)) if user.contains('@') && !token.is_empty() => Ok(()),
            _ => wrong(format!("token_id = \"{}\": write user@realm!token", self.token_id)),
        }
    }
}
