//! Actions, from a model's call to the cluster and back: proposed at once, approved by a person from wherever the person is, run, followed,
//! on record. Here is what these tests share; each file beside holds one concern.

mod channels;
mod classes;
mod failures;
mod restarts;
mod silence;

use crate::clusters::until_seen;
use crate::daemon::{ADMIN, CONTROL, Daemon, Response, Setup, eventually};
use crate::lookout::{fast, section};
use crate::sim::{Format, Provider};
use serde_json::{Value, json};
use sim_cluster::{SimConfig, SimHandle};

/// How many times as fast HAIA's time and the cluster's run.
pub const FACTOR: u32 = 20;

/// A daemon that may act, its cluster, and a model that does whatever it is told.
pub struct Acting {
    /// The daemon; gone before the cluster is.
    pub daemon: Daemon,
    /// What it was started with.
    pub setup: Setup,
    /// The cluster.
    pub cluster: SimHandle,
    /// The model.
    pub models: Provider,
}

/// What such a daemon starts with.
pub fn setup(models: &Provider, cluster: &SimHandle, more: &str) -> Setup {
    let cluster = section("lab", cluster, "5s");
    Setup::new()
        .provider(Format::OpenAi, "openai", &models.url(), "")
        .route("default", &["openai/obedient"])
        .config(&format!("{cluster}allow_actions = true\n[monitor.explain]\nenabled = false\n{more}\n"))
        .environment("HAIA_TIME_FACTOR", &FACTOR.to_string())
}

impl Acting {
    /// Starts it; `more` is added to its configuration.
    pub fn start(more: &str) -> Self {
        Self::before(fast(SimConfig::acting(), FACTOR), more)
    }

    /// Starts it before this cluster.
    pub fn before(cluster: SimHandle, more: &str) -> Self {
        let models = Provider::start();
        let setup = setup(&models, &cluster, more);
        let daemon = setup.start();
        until_seen(&daemon);
        Self { daemon, setup, cluster, models }
    }

    /// Kills the daemon, and starts it again in the same folder.
    pub fn kill_and_start(mut self) -> Self {
        self.daemon.signal("KILL");
        self.daemon.wait();
        self.daemon = self.setup.start();
        until_seen(&self.daemon);
        self
    }

    /// Says something in a chat with a key, and gives the answer.
    pub fn say(&self, key: &str, text: &str) -> String {
        self.chat(key, json!([{ "role": "user", "content": text }]))
    }

    /// The answer to a conversation.
    pub fn chat(&self, key: &str, messages: Value) -> String {
        let body = json!({ "model": "haia", "messages": messages });
        self.daemon.call("POST", "/v1/chat/completions").key(key).json(&body).send().content()
    }

    /// Has the model propose something, with a key that may chat and no more: the number, which the answer tells at once.
    pub fn propose(&self, order: &str) -> u64 {
        let said = self.say(CONTROL, order);
        assert!(said.contains("Nothing has been done."), "{said}");
        number(&said).unwrap_or_else(|| panic!("no proposal: {said}"))
    }

    /// One proposal.
    pub fn proposal(&self, id: u64) -> Value {
        let shown = self.daemon.get(&format!("/api/approvals/{id}"));
        assert_eq!(shown.status, 200, "{}", shown.text());
        shown.json()
    }

    /// Decides about a proposal through the API.
    pub fn decide(&self, key: &str, id: u64, word: &str) -> Response {
        self.daemon.call("POST", &format!("/api/approvals/{id}/{word}")).key(key).send()
    }

    /// Approves through the API, and waits for the end.
    pub fn approve(&self, id: u64) -> Value {
        let decided = self.decide(ADMIN, id, "approve");
        assert_eq!(decided.status, 200, "{}", decided.text());
        self.ended(id)
    }

    /// Waits until an approved proposal has ended.
    pub fn ended(&self, id: u64) -> Value {
        eventually(&format!("the end of proposal {id}"), || {
            let proposal = self.proposal(id);
            let is_open = matches!(word(&proposal, "state"), "proposed" | "approved" | "running");
            (!is_open).then_some(proposal)
        })
    }

    /// Runs `haia` beside the daemon: exit code, what it wrote, its complaints.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.setup.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The rows of a proposal in the record of actions: what, who, from where. Steps of the work are left out.
    pub fn rows(&self, id: u64) -> Vec<String> {
        let rows = self.daemon.get(&format!("/api/audit/actions?proposal={id}")).json()["rows"].clone();
        let rows = rows.as_array().cloned().unwrap_or_default();
        let rows = rows.iter().filter(|row| row["what"] != "progress");
        rows.map(|row| format!("{} {} {}", word(row, "what"), word(row, "who"), word(row, "via"))).collect()
    }

    /// The record of actions is whole.
    pub fn assert_on_record(&self) {
        let (code, out, error) = self.run(&["audit", "verify"]);
        assert_eq!(code, Some(0), "{out}{error}");
        assert!(out.starts_with("The record is whole: "), "{out}");
    }

    /// What a guest (`qemu/101`) does, as the cluster itself knows.
    pub fn guest(&self, id: &str) -> Value {
        let rows = self.cluster.answer("/cluster/resources").data();
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["id"] == id)).cloned().unwrap_or_default()
    }

    /// The writing requests so far, without `/api2/json/nodes/`.
    pub fn orders(&self) -> Vec<String> {
        let path = |target: &str| target.strip_prefix("/api2/json/nodes/").unwrap_or(target).to_owned();
        self.cluster.writes().iter().map(|request| path(&request.target)).collect()
    }
}

/// A member that is a text.
pub fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The number of the proposal that a text tells of.
pub fn number(said: &str) -> Option<u64> {
    let (before, _) = said.split_once(" was made: ")?;
    before.rsplit(' ').next()?.parse().ok()
}
