//! Makes the servers what the file says, and does what their state machines order.

use super::entry::{Entry, Way};
use super::file;
use super::host::Host;
use super::life::{Life, Reported};
use super::logs::Log;
use super::machine::{Input, Order};
use super::own::Start;
use super::reports::Happened;
use super::server::{Reach, Server};
use contract::mcp::McpTrouble;
use contract::message::Lane;
use runtime::Context;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Host {
    /// Makes the servers what the settings say. Untouched ones stay as they are.
    pub(super) fn apply(&mut self, context: &Context<Self>) {
        if self.is_draining || !self.is_loaded() {
            return;
        }
        let settings = Arc::clone(&self.settings);
        let listed = match file::read(&settings.servers, &settings.environment) {
            Ok(listed) => listed,
            Err(problem) => {
                tracing::warn!(problem, file = %settings.config.config.display(), "the file of MCP servers cannot be read; what was read before stays");
                self.file_problem = Some(problem);
                return;
            }
        };
        self.file_problem = None;
        let gone: Vec<Arc<str>> = self.servers.keys().filter(|name| !listed.contains_key(*name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
        for (name, file::Listed { entry, notes }) in listed {
            for note in &notes {
                tracing::info!(server = &*name, note, "an entry of an MCP server");
            }
            if let Err(problem) = &entry {
                tracing::warn!(server = &*name, problem, "an entry of an MCP server cannot be used");
            }
            let known = self.servers.get_mut(&name);
            match (known, entry) {
                (Some(server), Ok(entry)) if server.entry.is_ok() => {
                    server.notes = notes;
                    let entry = Arc::new(entry);
                    let before = server.entry.replace_with(&entry);
                    if let Some(before) = before.filter(|before| *before != entry) {
                        self.is_stale = true;
                        let renewed = !before.reaches_the_same(&entry);
                        let was_begun = !server.machine.is_off();
                        self.settle(&name, context);
                        if renewed && was_begun {
                            self.happen(&name, Input::Renew, context);
                        }
                    }
                }
                (Some(server), Err(problem)) if server.entry.as_ref().err() == Some(&problem) => server.notes = notes,
                (known, entry) => {
                    if known.is_some() {
                        self.remove(&name);
                    }
                    self.add(&name, entry.map(Arc::new), notes, context);
                }
            }
        }
        self.changed(context);
    }

    fn add(&mut self, name: &Arc<str>, entry: Result<Arc<Entry>, String>, notes: Vec<String>, context: &Context<Self>) {
        self.epochs += 1;
        let log = Log::new(Arc::clone(&self.ports.clock));
        let mut server = Server::new(Arc::clone(name), self.epochs, entry, notes, log);
        if let Some((pins, switches)) = self.kept.as_ref().and_then(|kept| kept.get(&**name)) {
            server.pins = pins.clone();
            server.switches = switches.clone();
            server.take_known();
        }
        self.servers.insert(Arc::clone(name), server);
        self.settle(name, context);
    }

    /// Forgets a server; its life ends by itself when nobody holds its end any more.
    fn remove(&mut self, name: &Arc<str>) {
        if let Some(server) = self.servers.remove(name) {
            server.reach.send_replace(Reach::Down("it was removed from the configuration".into()));
            self.remember(&server);
            self.all_clear(&server);
            self.is_stale = true;
        }
    }

    /// What is known of a server stays known while HAIA runs, also if its entry comes and goes.
    fn remember(&mut self, server: &Server) {
        if let Some(kept) = &mut self.kept {
            kept.insert(server.name.to_string(), (server.pins.clone(), server.switches.clone()));
        }
    }

    fn all_clear(&self, server: &Server) {
        if server.is_told {
            self.alarm(server, "mcp_server_failed", None);
        }
        if !server.withheld.is_empty() {
            self.alarm(server, "mcp_definition_changed", None);
        }
    }

    pub(super) fn alarm(&self, server: &Server, rule: &'static str, summary: Option<String>) {
        let since = server.failing.unwrap_or_else(|| self.ports.clock.now());
        (self.ports.alarm)(McpTrouble {
            rule,
            server: Arc::clone(&server.name),
            is_over: summary.is_none(),
            summary: summary.unwrap_or_default(),
            since,
        });
    }

    /// Switches a server's machine to what its entry and its switches want.
    pub(super) fn settle(&mut self, name: &Arc<str>, context: &Context<Self>) {
        let Some(server) = self.servers.get(name) else { return };
        let is_lazy = server.entry().is_some_and(|entry| entry.own.start == Start::Lazy) && !server.tools.is_empty();
        let input = if server.is_wanted() { Input::Enable { lazy: is_lazy } } else { Input::Disable };
        self.happen(name, input, context);
    }

    /// Takes a step of a server's life, and does what it orders.
    pub(super) fn happen(&mut self, name: &Arc<str>, input: Input, context: &Context<Self>) {
        let jitter = self.jitter();
        let Some(server) = self.servers.get_mut(name) else { return };
        let state = server.machine.state();
        let order = server.machine.step(input, jitter);
        if server.machine.state() != state {
            tracing::debug!(
                server = &**name,
                from = state.as_str(),
                to = server.machine.state().as_str(),
                "an MCP server"
            );
        }
        match order {
            Some(Order::Start { generation }) => self.start(name, generation, context),
            Some(Order::Stop { .. }) => server.stop = None,
            Some(Order::RetryAfter { generation, wait }) => {
                let again =
                    Happened { server: Arc::clone(name), epoch: server.epoch, input: Input::Retry { generation } };
                context.tell_after(wait, Lane::Control, again);
            }
            None => {}
        }
        if let Some(server) = self.servers.get(name) {
            server.publish_reach();
        }
    }

    fn jitter(&self) -> f64 {
        let mut byte = [0];
        self.ports.ids.secret(&mut byte);
        f64::from(byte[0]) / 255.0
    }

    fn start(&mut self, name: &Arc<str>, generation: u64, context: &Context<Self>) {
        let Some(server) = self.servers.get_mut(name) else { return };
        let Ok(entry) = &server.entry else { return };
        let (sender, stop) = oneshot::channel();
        server.stop = Some(sender);
        let config = &self.settings.config;
        let places = if matches!(entry.way, Way::Stdio { .. }) { &self.programs } else { &self.connections };
        let life = Life {
            server: Arc::clone(name),
            epoch: server.epoch,
            generation,
            entry: Arc::clone(entry),
            era: server.switches.era.clone(),
            log: server.log.clone(),
            environment: self.settings.environment.clone(),
            guardian: self.ports.guardian.clone(),
            net: self.net.clone(),
            clock: Arc::clone(&self.ports.clock),
            starting: Arc::clone(places),
            start_timeout: entry.own.start_timeout.unwrap_or(config.start_timeout).0,
            max_tools: config.max_tools,
            concurrent: entry.own.concurrent.unwrap_or(config.concurrent_calls),
            updates: Arc::clone(&self.ports.updates),
            reports: context.mailbox().port::<Reported>(Lane::Control),
            stop,
        };
        let guard = self.lives.enter();
        context.spawn(async move {
            let _guard = guard;
            life.run().await;
        });
    }
}

/// Puts a new entry in the place of the old one.
trait ReplaceWith {
    fn replace_with(&mut self, entry: &Arc<Entry>) -> Option<Arc<Entry>>;
}

impl ReplaceWith for Result<Arc<Entry>, String> {
    fn replace_with(&mut self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        std::mem::replace(self, Ok(Arc::clone(entry))).ok()
    }
}
