//! What the tests of watching share: clusters whose time runs as fast as the daemon's, a receiver that keeps every message, and the wait for
//! a stretch of HAIA's time.

use crate::daemon::{Call, DEADLINE, Daemon, Setup};
use serde_json::{Value, json};
use sim_cluster::{SimCluster, SimConfig, SimHandle};
use sim_receivers::{Recorder, Server};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A cluster whose clock runs `factor` times as fast as the system's, from now on.
pub fn fast(config: SimConfig, factor: u32) -> SimHandle {
    let clock = runtime::SystemClock::accelerated(jiff::Timestamp::now(), f64::from(factor));
    SimCluster::start(config, Arc::new(clock)).expect("a simulation on loopback")
}

/// `[proxmox.NAME]` for a cluster.
pub fn section(name: &str, sim: &SimHandle, poll: &str) -> String {
    format!(
        "[proxmox.{name}]\npoll_interval = \"{poll}\"\nendpoints = {:?}\ntoken_id = \"{}\"\ntoken_secret = \"{}\"\ntls = {{ fingerprints = [\"{}\"] }}\n",
        sim.endpoints, sim.token_id, sim.token_secret, sim.fingerprint
    )
}

/// A message that a webhook got.
#[derive(Clone, Debug)]
pub struct Told {
    /// Real time since the webhook began to listen.
    pub at: Duration,
    /// The body.
    pub body: Value,
}

impl Told {
    /// `opened`, `resolved`, …
    pub fn kind(&self) -> &str {
        self.body["kind"].as_str().unwrap_or_default()
    }

    /// The line on the lock screen.
    pub fn title(&self) -> &str {
        self.body["title"].as_str().unwrap_or_default()
    }

    /// `rule:object` of each member.
    pub fn members(&self) -> Vec<&str> {
        let members = self.body["members"].as_array().map(Vec::as_slice).unwrap_or_default();
        members.iter().filter_map(|member| member["name"].as_str()).collect()
    }

    /// Whether it is about this cluster.
    pub fn is_about(&self, cluster: &str) -> bool {
        self.members().iter().any(|name| {
            let object = name.split_once(':').map_or("", |(_, object)| object);
            object.split('/').next() == Some(cluster)
        })
    }
}

/// A webhook that takes every message.
pub struct Hook {
    /// The receiver.
    pub server: Server<Recorder>,
    /// When its time began.
    pub begun: Instant,
    /// The same by the wall clock.
    pub begun_at: jiff::Timestamp,
}

impl Hook {
    /// Begins to listen, and finds out when its time began: by a request of which both sides know the moment.
    pub fn start() -> Self {
        let server = Server::start(Recorder::default()).expect("a receiver on loopback");
        assert_eq!(Call::tcp(server.address(), "POST", "/begin").json(&json!({})).send().status, 200);
        let answered = Instant::now();
        let answered_at = jiff::Timestamp::now();
        let since = {
            let mut sim = server.sim();
            sim.attempts.clear();
            sim.receiver.records.remove(0).at
        };
        // The answer took a moment on loopback: whatever is measured counts as late by so much.
        let begun_at = answered_at - jiff::SignedDuration::try_from(since).expect("a short time");
        Self { server, begun: answered - since, begun_at }
    }

    /// `[notify.channels.hook]`.
    pub fn section(&self) -> String {
        format!("[notify.channels.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\n", self.server.url())
    }

    /// Every message, each once, in the order in which they came.
    pub fn told(&self) -> Vec<Told> {
        let sim = self.server.sim();
        let mut seen = std::collections::BTreeSet::new();
        let records = sim.receiver.records.iter();
        let new =
            records.filter(|record| seen.insert(record.request.header("idempotency-key").unwrap_or("").to_owned()));
        new.map(|record| Told { at: record.at, body: record.request.json() }).collect()
    }
}

/// A daemon in fast time before clusters, with a webhook.
pub struct Lookout {
    /// The daemon.
    pub daemon: Daemon,
    /// How many times as fast its time runs.
    pub factor: u32,
    /// The clusters by name.
    pub sims: Vec<(String, SimHandle)>,
    /// Who is told.
    pub hook: Hook,
    /// How long a message may take, in real time.
    pub patience: Duration,
}

impl Lookout {
    /// Starts it before these clusters; `more` is added to its configuration.
    pub fn start(factor: u32, clusters: Vec<(String, SimConfig)>, more: &str) -> Self {
        Self::polling(factor, clusters, "10s", more)
    }

    /// The same with another pace of polls.
    pub fn polling(factor: u32, clusters: Vec<(String, SimConfig)>, poll: &str, more: &str) -> Self {
        let hook = Hook::start();
        let sims: Vec<(String, SimHandle)> =
            clusters.into_iter().map(|(name, config)| (name, fast(config, factor))).collect();
        let mut config = hook.section();
        for (name, sim) in &sims {
            config.push_str(&section(name, sim, poll));
        }
        let _ = write!(config, "[monitor.explain]\nenabled = false\n{more}\n");
        let setup = Setup::new().config(&config).environment("HAIA_TIME_FACTOR", &factor.to_string());
        let daemon = setup.start();
        Self { daemon, factor, sims, hook, patience: DEADLINE }
    }

    /// A cluster.
    pub fn sim(&self, name: &str) -> &SimHandle {
        let found = self.sims.iter().find(|(known, _)| known == name);
        found.map(|(_, sim)| sim).unwrap_or_else(|| panic!("no cluster {name}"))
    }

    /// Waits until every cluster was looked at so many times more: ten seconds each in HAIA's time.
    pub fn look_on(&self, polls: u64) {
        let counts = |status: &Value| -> Vec<u64> {
            let clusters = status["clusters"].as_array().cloned().unwrap_or_default();
            clusters.iter().map(|cluster| cluster["polls"].as_u64().unwrap_or(0)).collect()
        };
        let (before, begun) = (counts(&self.daemon.status()), Instant::now());
        loop {
            let now = counts(&self.daemon.status());
            if now.len() == before.len() && now.iter().zip(&before).all(|(now, before)| *now >= before + polls) {
                return;
            }
            // A busy machine looks less often.
            assert!(
                begun.elapsed() < 5 * DEADLINE,
                "waited in vain for {polls} further polls: {before:?}, now {now:?}"
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Lets a stretch of HAIA's time pass: for what must not happen in it.
    pub fn pass(&self, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds) / self.factor;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
    }

    /// Waits until a message satisfies `condition`, and gives it.
    pub fn until_told(&self, what: &str, condition: impl Fn(&Told) -> bool) -> Told {
        self.is_told_in_time(condition).unwrap_or_else(|| {
            let told = self.hook.told();
            let titles: Vec<&str> = told.iter().map(Told::title).collect();
            let alerts = self.daemon.get("/api/alerts?state=all").text();
            panic!("waited in vain for {what}; told instead: {titles:#?}; alerts: {alerts}")
        })
    }

    /// The same; `None` when it does not come.
    pub fn is_told_in_time(&self, condition: impl Fn(&Told) -> bool) -> Option<Told> {
        let begun = Instant::now();
        loop {
            let found = self.hook.told().into_iter().find(|told| condition(told));
            if found.is_some() || begun.elapsed() > self.patience {
                return found;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Posts alerts as Alertmanager does.
    pub fn alertmanager(&self, alerts: &[Value]) {
        let taken = self.daemon.post("/api/alerts/alertmanager", &payload(alerts));
        assert_eq!(taken.status, 200, "{}", taken.text());
    }
}

/// A payload of Alertmanager, version 4.
pub fn payload(alerts: &[Value]) -> Value {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "haia", "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": alerts,
    })
}

/// An alert of such a payload.
pub fn alert(name: &str, is_firing: bool) -> Value {
    json!({
        "status": if is_firing { "firing" } else { "resolved" }, "labels": { "alertname": name, "severity": "critical" },
        "annotations": { "summary": format!("{name} is out of order") }, "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prom", "fingerprint": format!("fp-{name}"),
    })
}
