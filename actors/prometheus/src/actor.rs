//! The actor: offers the tools of the servers that are configured, and runs their calls beside itself; and a silence in Alertmanager, from a
//! person's approval.

use crate::client::Server;
use crate::config::Config;
use crate::silence::{self, Wish};
use crate::tools::{Of, ReadTool, Surroundings, TOOLS, told};
use arc_swap::ArcSwap;
use contract::approvals::{ActionOutcome, ActionPlan, PlanAction, RunAction};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
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
    /// Whether silences may be proposed.
    takes_actions: bool,
    calls: u64,
}

impl Prometheus {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let mut actor =
                Self { ports: ports.clone(), prometheus: None, alertmanager: None, takes_actions: false, calls: 0 };
            actor.take_over(&config.load());
            actor
        }
    }

    fn take_over(&mut self, config: &Config) {
        let clock = &self.ports.clock;
        let server = |name, config: &crate::config::ServerConfig| Server::new(name, config, Arc::clone(clock));
        self.prometheus = config.prometheus.as_ref().map(|config| server("Prometheus", config));
        let alertmanager = config.alertmanager.as_ref();
        self.alertmanager = alertmanager.map(|config| server("Alertmanager", &config.server()));
        self.takes_actions = alertmanager.is_some_and(|config| config.allow_actions);
    }

    /// Where silences are made, if they may be.
    fn silences(&self) -> Result<Server, Failure> {
        let server = self.alertmanager.clone().filter(|_| self.takes_actions);
        server.ok_or_else(|| {
            let message = "silences in Alertmanager are not allowed (allow_actions in [alertmanager] of haia.toml). Nothing was done.";
            Failure::new(FailureClass::Permission, message)
        })
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
        let silence = self.silences().ok().map(|_| silence::offer());
        Reply::Now(self.offered().map(ReadTool::offer).chain(silence).collect())
    }
}

impl Handle<CallTool> for Prometheus {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.calls += 1;
        if &*call.name == silence::NAME {
            let said = "alertmanager_silence changes something, so it is never called: it has to be proposed, and approved by a person. Nothing was done.";
            return Reply::Now(Ok(ToolResult::error(said)));
        }
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

impl Handle<PlanAction> for Prometheus {
    /// Looks and changes nothing.
    fn handle(&mut self, PlanAction { call }: PlanAction, _: &Context<Self>) -> Reply<Result<ActionPlan, Failure>> {
        let asked = self.silences().and_then(|server| {
            Wish::read(&call.name, &call.arguments)
                .map(|wish| (server, wish))
                .map_err(|said| Failure::new(FailureClass::InvalidRequest, said))
        });
        match asked {
            Ok((server, wish)) => {
                let within = call.timeout.checked_sub(MARGIN).unwrap_or(call.timeout);
                Reply::later(async move { silence::plan(&server, &wish, within).await })
            }
            Err(failure) => Reply::Now(Err(failure)),
        }
    }
}

impl Handle<RunAction> for Prometheus {
    /// Makes an approved silence, once.
    fn handle(&mut self, asked: RunAction, _: &Context<Self>) -> Reply<Result<ActionOutcome, Failure>> {
        let server = match self.silences() {
            Ok(server) => server,
            Err(failure) => return Reply::Now(Err(failure)),
        };
        let clock = Arc::clone(&self.ports.clock);
        Reply::later(async move { silence::run(&server, &clock, asked).await })
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
