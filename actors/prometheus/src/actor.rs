//! The actor: offers the tools of the servers that are configured, and runs their calls beside itself.

use crate::client::Server;
use crate::config::Config;
use crate::tools::{Of, ReadTool, Surroundings, TOOLS, told};
use arc_swap::ArcSwap;
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::message::{Drain, Msg, Reconfigure};
use contract::tools::{CallTool, ListTools, Tool, ToolResult};
use runtime::{Context, Handle, Reply, Service};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// The configuration as the composition root publishes it: a crashed actor starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// What a call leaves of its time for its answer to get back.
const MARGIN: Duration = Duration::from_millis(500);

/// What the actor needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
}

/// The actor.
pub struct Prometheus {
    ports: Ports,
    prometheus: Option<Server>,
    alertmanager: Option<Server>,
    calls: u64,
}

impl Prometheus {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let mut actor = Self { ports: ports.clone(), prometheus: None, alertmanager: None, calls: 0 };
            actor.take_over(&config.load());
            actor
        }
    }

    fn take_over(&mut self, config: &Config) {
        let clock = &self.ports.clock;
        let server = |name, config| Server::new(name, config, Arc::clone(clock));
        self.prometheus = config.prometheus.as_ref().map(|config| server("Prometheus", config));
        self.alertmanager = config.alertmanager.as_ref().map(|config| server("Alertmanager", config));
    }

    fn server(&self, of: Of) -> Option<&Server> {
        match of {
            Of::Prometheus => self.prometheus.as_ref(),
            Of::Alertmanager => self.alertmanager.as_ref(),
        }
    }

    fn offered(&self) -> impl Iterator<Item = &'static ReadTool> + '_ {
        TOOLS.iter().filter(|tool| self.server(tool.of).is_some())
    }
}

/// What the actor tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Tools on offer.
    tools: usize,
    /// Calls since it was built.
    calls: u64,
}

impl Service for Prometheus {
    type Observed = Observed;

    fn observe(&self) -> Observed {
        Observed { tools: self.offered().count(), calls: self.calls }
    }
}

impl Handle<ListTools> for Prometheus {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(self.offered().map(ReadTool::offer).collect())
    }
}

impl Handle<CallTool> for Prometheus {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.calls += 1;
        let found = self.offered().find(|tool| tool.name == &*call.name);
        let Some((tool, server)) = found.and_then(|tool| Some((tool, self.server(tool.of)?))) else {
            let said = format!("{} is not offered now: its server is not configured", call.name);
            return Reply::Now(Ok(ToolResult::error(said)));
        };
        let within = call.timeout.checked_sub(MARGIN).unwrap_or(call.timeout);
        let surroundings = Surroundings { server: server.clone(), now: self.ports.clock.now(), within };
        match (tool.begin)(surroundings, &call.arguments) {
            Ok(begun) => Reply::later(async move { Ok(told(begun.await)) }),
            Err(said) => Reply::Now(Ok(ToolResult::error(said))),
        }
    }
}

impl Handle<Reconfigure<Config>> for Prometheus {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, _: &Context<Self>) -> Reply<()> {
        self.take_over(&config);
        Reply::Now(())
    }
}

impl Handle<Drain> for Prometheus {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        Reply::Now(())
    }
}

/// Asks both servers whether they can be used: for `haia check`.
#[derive(Clone, Debug)]
pub struct ProbeServers;

impl Msg for ProbeServers {
    type Reply = Vec<(&'static str, Result<String, String>)>;
    const NAME: &'static str = "ProbeServers";
}

/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(10);

impl Handle<ProbeServers> for Prometheus {
    fn handle(&mut self, _: ProbeServers, _: &Context<Self>) -> Reply<Vec<(&'static str, Result<String, String>)>> {
        let (prometheus, alertmanager) = (self.prometheus.clone(), self.alertmanager.clone());
        Reply::later(async move {
            let mut found = Vec::new();
            if let Some(server) = prometheus {
                let answer = server.get("/api/v1/status/buildinfo", &[], PROBE).await;
                let version = answer.map(|answer| answer["data"]["version"].as_str().unwrap_or("?").to_owned());
                found.push(("prometheus", version.map_err(|trouble| trouble.to_string())));
            }
            if let Some(server) = alertmanager {
                let answer = server.get("/api/v2/status", &[], PROBE).await;
                let version = answer.map(|answer| answer["versionInfo"]["version"].as_str().unwrap_or("?").to_owned());
                found.push(("alertmanager", version.map_err(|trouble| trouble.to_string())));
            }
            found
        })
    }
}
