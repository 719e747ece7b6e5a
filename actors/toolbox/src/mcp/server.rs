//! One server as the host keeps it: its entry, its life, its tools, its figures. Nothing here waits.

use super::definition::{Definition, SCHEMA_BYTES};
use super::entry::Entry;
use super::environment::Masks;
use super::life::PeerFacts;
use super::link::Link;
use super::listing::{Beside, Listing};
use super::logs::Log;
use super::machine::Machine;
use super::pins::Pins;
use super::schema;
use contract::mcp::{McpServerStatus, McpState, McpTool, WithheldTool};
use jiff::Timestamp;
use runtime::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Where calls of a server go.
#[derive(Clone)]
pub(crate) enum Reach {
    /// Nowhere; why.
    Down(Arc<str>),
    /// It comes soon.
    Coming,
    /// Here.
    Up(Link),
}

/// A tool that is ready to be offered under any name.
pub(crate) struct ServerTool {
    pub(crate) definition: Definition,
    pub(crate) description: Arc<str>,
    pub(crate) parameters: Arc<RawValue>,
    pub(crate) title: Arc<str>,
}

impl ServerTool {
    pub(crate) fn new(server: &str, definition: Definition) -> Self {
        let schema = schema::portable(definition.schema(), SCHEMA_BYTES);
        let parameters = RawValue::from_string(schema.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Self {
            description: definition.description(server),
            parameters: Arc::from(parameters),
            title: format!("{}: {}", super::text::clean_line(server, 40), definition.title()).into(),
            definition,
        }
    }
}

/// What a person switched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Switches {
    /// Over the entry's own word.
    pub(crate) enabled: Option<bool>,
    /// Tools that are off, by the server's own names.
    pub(crate) off: BTreeSet<String>,
    /// The revision agreed on last.
    pub(crate) era: Option<Arc<str>>,
}

/// Figures that calls write.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) calls: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) active: AtomicU64,
    /// Milliseconds of the monotonic clock when it was used last.
    pub(crate) used: AtomicU64,
    /// Whether the last call got no answer in time.
    pub(crate) is_silent: AtomicBool,
    pub(crate) latency: Histogram,
    /// Resources that somebody subscribed to: a connection that is made anew knows of none.
    pub(crate) subscribed: Mutex<BTreeSet<String>>,
    /// Tools that are held back, by the server's own names: a call that waited for the server's start must not slip through.
    pub(crate) withheld: Mutex<BTreeSet<String>>,
}

impl Figures {
    pub(crate) fn withholds(&self, tool: &str) -> bool {
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }
}

/// A server.
pub(crate) struct Server {
    pub(crate) name: Arc<str>,
    /// Tells it from an earlier one of the same name.
    pub(crate) epoch: u64,
    pub(crate) entry: Result<Arc<Entry>, String>,
    pub(crate) notes: Vec<String>,
    pub(crate) machine: Machine,
    pub(crate) switches: Switches,
    pub(crate) pins: Pins,
    pub(crate) tools: Vec<Arc<ServerTool>>,
    pub(crate) withheld: Vec<(Definition, WithheldTool)>,
    pub(crate) rejected: Vec<String>,
    /// What it offered beside tools when it was up last.
    pub(crate) beside: Beside,
    pub(crate) facts: PeerFacts,
    pub(crate) log: Log,
    pub(crate) figures: Arc<Figures>,
    pub(crate) reach: watch::Sender<Reach>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) last_error: Option<(String, Timestamp)>,
    /// Whether the alert desk was told that it fails, and since when it does.
    pub(crate) failing: Option<Timestamp>,
    pub(crate) is_told: bool,
    /// Whether it was seen not to fail since it was made.
    pub(crate) was_well: bool,
}

/// What a new list led to.
pub(crate) struct Taken {
    pub(crate) keep: bool,
    /// What the alert desk must hear: held back (what), or nothing any more.
    pub(crate) tell: Option<Option<String>>,
}

impl Server {
    pub(crate) fn new(
        name: Arc<str>,
        epoch: u64,
        entry: Result<Arc<Entry>, String>,
        notes: Vec<String>,
        log: Log,
    ) -> Self {
        Self {
            name,
            epoch,
            entry,
            notes,
            machine: Machine::default(),
            switches: Switches::default(),
            pins: Pins::default(),
            tools: Vec::new(),
            withheld: Vec::new(),
            rejected: Vec::new(),
            beside: Beside::default(),
            facts: PeerFacts::default(),
            log,
            figures: Arc::default(),
            reach: watch::Sender::new(Reach::Down("it was not started yet".into())),
            stop: None,
            last_error: None,
            failing: None,
            is_told: false,
            was_well: false,
        }
    }

    /// Notes that it does not fail any more. Whether the alert desk must hear of it: after a start too, for what a run before left open.
    pub(crate) fn is_well_again(&mut self) -> bool {
        self.failing = None;
        let was_well = std::mem::replace(&mut self.was_well, true);
        std::mem::take(&mut self.is_told) || !was_well
    }

    pub(crate) fn entry(&self) -> Option<&Arc<Entry>> {
        self.entry.as_ref().ok()
    }

    /// Whether it shall run.
    pub(crate) fn is_wanted(&self) -> bool {
        self.entry().is_some_and(|entry| self.switches.enabled.unwrap_or(!entry.is_disabled))
    }

    pub(crate) fn masks(&self) -> Masks {
        self.entry().map(|entry| entry.masks()).unwrap_or_default()
    }

    /// Whether a tool is offered, of those that the pins let pass.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.is_wanted()
            && !self.machine.is_off()
            && !self.switches.off.contains(tool)
            && self.entry().is_some_and(|entry| entry.own.allows(tool))
    }

    /// Takes a list of tools.
    pub(crate) fn take(&mut self, listing: Listing) -> Taken {
        let pinning = self.entry().is_none_or(|entry| entry.own.pin);
        let was_told = self.pins.told.is_some();
        let judged = self.pins.judge(listing.tools, pinning);
        self.set_tools(judged.offered);
        self.withhold(judged.withheld);
        self.rejected = listing.rejected;
        self.beside = listing.beside;
        let tell = if judged.tell {
            Some(Some(self.told_of_withheld()))
        } else {
            (was_told && self.withheld.is_empty()).then_some(None)
        };
        Taken { keep: judged.keep, tell }
    }

    /// Holds these tools back, and no others.
    pub(crate) fn withhold(&mut self, withheld: Vec<(Definition, WithheldTool)>) -> Vec<(Definition, WithheldTool)> {
        let names = withheld.iter().map(|(definition, _)| definition.name.clone()).collect();
        *self.figures.withheld.lock().unwrap_or_else(PoisonError::into_inner) = names;
        std::mem::replace(&mut self.withheld, withheld)
    }

    /// Offers what the pins know, before the server has run.
    pub(crate) fn take_known(&mut self) {
        let known = self.pins.known();
        self.set_tools(known);
    }

    fn set_tools(&mut self, offered: Vec<Definition>) {
        let mut before: BTreeMap<String, Arc<ServerTool>> =
            self.tools.drain(..).map(|tool| (tool.definition.name.clone(), tool)).collect();
        let server = &self.name;
        let keep_or_make = |definition: Definition| match before.remove(&definition.name) {
            Some(same) if same.definition == definition => same,
            _ => Arc::new(ServerTool::new(server, definition)),
        };
        self.tools = offered.into_iter().map(keep_or_make).collect();
    }

    /// Offers tools beside those that are offered already, in place of those of the same names.
    pub(crate) fn offer_also(&mut self, definitions: impl Iterator<Item = Definition>) {
        for definition in definitions {
            self.tools.retain(|tool| tool.definition.name != definition.name);
            self.tools.push(Arc::new(ServerTool::new(&self.name, definition)));
        }
    }

    /// Whether a call has to start it first.
    pub(crate) fn wants_start(&self) -> bool {
        matches!(self.machine.state(), McpState::Idle | McpState::Stopping)
    }

    fn told_of_withheld(&self) -> String {
        const MOST: usize = 5;
        let mut said = format!(
            "The MCP server {} defines {} differently from what was used so far. They are held back until a person approves them (haia mcp approve {}).",
            self.name,
            if self.withheld.len() == 1 { "one tool".to_owned() } else { format!("{} tools", self.withheld.len()) },
            self.name
        );
        for (_, tool) in self.withheld.iter().take(MOST) {
            said.push_str(&format!(
                "\n{} ({}): {}",
                tool.name,
                tool.change,
                super::text::shorten(&tool.difference, 600)
            ));
        }
        if self.withheld.len() > MOST {
            said.push_str(&format!("\nand {} more", self.withheld.len() - MOST));
        }
        said
    }

    /// Publishes where calls go, after the machine has stepped.
    pub(crate) fn publish_reach(&self) {
        let now = match self.machine.state() {
            // `Up` is published with its link.
            McpState::Ready | McpState::Degraded => return,
            // The first restart after a crash comes within a second or two: calls wait for it.
            McpState::Failed if self.machine.failures() <= 1 => Reach::Coming,
            _ if self.machine.is_usable() => Reach::Coming,
            _ => Reach::Down(self.why_down().into()),
        };
        self.reach.send_replace(now);
    }

    fn why_down(&self) -> String {
        if let Err(problem) = &self.entry {
            return format!("its entry cannot be used: {problem}");
        }
        if self.machine.is_off() {
            return "it is switched off".to_owned();
        }
        match &self.last_error {
            Some((error, _)) => format!("it is down and will be tried again: {error}"),
            None => "it is down and will be tried again".to_owned(),
        }
    }

    /// How long it was not used.
    pub(crate) fn unused_for(&self, now: Duration) -> Duration {
        if self.figures.active.load(Relaxed) > 0 {
            return Duration::ZERO;
        }
        now.saturating_sub(Duration::from_millis(self.figures.used.load(Relaxed)))
    }

    pub(crate) fn status(&self, names: &BTreeMap<(String, String), Arc<str>>) -> McpServerStatus {
        let state = if self.entry.is_err() { McpState::Failed } else { self.machine.state() };
        let tools = self.tools.iter().map(|tool| {
            let name = tool.definition.name.clone();
            McpTool {
                offered_as: names.get(&(self.name.to_string(), name.clone())).cloned(),
                name: super::text::clean_line(&name, 128),
            }
        });
        let entry_error = self.entry.as_ref().err().map(|problem| format!("its entry cannot be used: {problem}"));
        let is_running = self.machine.is_running();
        McpServerStatus {
            name: Arc::clone(&self.name),
            state,
            transport: self.entry().map_or("", |entry| entry.way.kind()),
            era: self.facts.era.clone().or_else(|| self.switches.era.clone()),
            software: self.facts.software.clone(),
            tools: tools.collect(),
            withheld: self.withheld.iter().map(|(_, tool)| tool.clone()).collect(),
            rejected: self.rejected.clone(),
            notes: self.notes.clone(),
            restarts: self.machine.restarts(),
            calls: self.figures.calls.load(Relaxed),
            errors: self.figures.errors.load(Relaxed),
            active: self.figures.active.load(Relaxed),
            latency_ms: self.figures.latency.quantiles_ms(),
            last_error: entry_error.or_else(|| self.last_error.as_ref().map(|(error, _)| error.clone())),
            last_error_at: self.last_error.as_ref().map(|(_, at)| *at),
            pid: self.facts.pid.filter(|_| is_running),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desk_hears_of_the_first_that_is_well_and_of_each_end_of_a_failure() {
        let log = Log::new(Arc::new(runtime::SystemClock::real()));
        let mut server = Server::new("it".into(), 0, Err("unused".to_owned()), Vec::new(), log);
        assert!(server.is_well_again(), "a run before may have left an alert");
        assert!(!server.is_well_again());
        (server.is_told, server.failing) = (true, Some(Timestamp::UNIX_EPOCH));
        assert!(server.is_well_again());
        assert_eq!((server.is_told, server.failing), (false, None));
    }
}
