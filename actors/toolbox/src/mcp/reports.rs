//! What the servers' lives and calls report: lists, failures, health, rest; and what becomes known of it.

use super::host::{Host, millis};
use super::life::{Report, Reported};
use super::listing::Listing;
use super::machine::{HEALTHY, Input};
use super::own::Start;
use super::server::{Reach, Server};
use contract::mcp::McpState;
use contract::message::{Lane, Msg};
use runtime::{Context, Handle, Reply};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Failures in a row after which the alert desk is told.
const FAILURES_TOLD: u32 = 3;

/// Something happened to a server.
#[derive(Clone)]
pub(super) struct Happened {
    pub(super) server: Arc<str>,
    pub(super) epoch: u64,
    pub(super) input: Input,
}

impl Msg for Happened {
    type Reply = ();
    const NAME: &'static str = "McpHappened";
}

/// Looks whether a lazy server rests.
#[derive(Clone)]
pub(super) struct LookIdle {
    pub(super) server: Arc<str>,
    pub(super) epoch: u64,
    pub(super) generation: u64,
}

impl Msg for LookIdle {
    type Reply = ();
    const NAME: &'static str = "McpLookIdle";
}

impl Host {
    pub(super) fn keep_pins(&self, server: &Server) {
        if let (Some(keeper), Ok(text)) = (&self.keeper, serde_json::to_string(&server.pins)) {
            keeper.keep(format!("pins/{}", server.name), text);
        }
    }

    pub(super) fn keep_switches(&self, server: &Server) {
        if let (Some(keeper), Ok(text)) = (&self.keeper, serde_json::to_string(&server.switches)) {
            keeper.keep(format!("switches/{}", server.name), text);
        }
    }

    fn take_report(&mut self, name: &Arc<str>, generation: u64, report: Report, context: &Context<Self>) {
        let Some(server) = self.servers.get_mut(name) else { return };
        let is_current = server.machine.generation() == generation;
        match report {
            Report::Up { link, listing, peer } if is_current => {
                if server.switches.era != peer.era {
                    server.switches.era = peer.era.clone();
                    if let Some(server) = self.servers.get(name) {
                        self.keep_switches(server);
                    }
                }
                let Some(server) = self.servers.get_mut(name) else { return };
                server.facts = peer;
                server.figures.used.store(millis(self.ports.clock.monotonic()), Relaxed);
                let trouble = self.take_listing(name, listing);
                self.happen(name, Input::Up { generation, trouble: trouble.clone() }, context);
                let Some(server) = self.servers.get_mut(name) else { return };
                if server.machine.is_off() || server.machine.generation() != generation {
                    return;
                }
                if let Some(again) = super::attached::subscribe_again((*link).clone(), &server.figures) {
                    context.spawn(again);
                }
                server.reach.send_replace(Reach::Up(*link));
                tracing::info!(server = &**name, tools = server.tools.len(), "an MCP server is ready");
                let epoch = server.epoch;
                let healthy = Happened { server: Arc::clone(name), epoch, input: Input::Healthy { generation } };
                context.tell_after(HEALTHY, Lane::Control, healthy);
                self.look_idle(LookIdle { server: Arc::clone(name), epoch, generation }, context);
                self.changed(context);
            }
            Report::Listed(listing) if is_current => {
                let trouble = self.take_listing(name, listing);
                self.happen(name, Input::Up { generation, trouble }, context);
                self.changed(context);
            }
            Report::Up { .. } | Report::Listed(_) => {}
            Report::Down(why) => {
                let was_meant = matches!(server.machine.state(), McpState::Stopping);
                server.facts.pid = None;
                if !was_meant && is_current {
                    let now = self.ports.clock.now();
                    tracing::warn!(server = &**name, why, "an MCP server is down");
                    server.last_error = Some((why, now));
                    server.failing.get_or_insert(now);
                }
                self.happen(name, Input::Down { generation }, context);
                self.tell_failing(name);
            }
        }
    }

    fn tell_failing(&mut self, name: &Arc<str>) {
        let Some(server) = self.servers.get_mut(name) else { return };
        if server.machine.failures() < FAILURES_TOLD || server.is_told {
            return;
        }
        server.is_told = true;
        let why = server.last_error.as_ref().map_or_else(String::new, |(why, _)| format!(": {why}"));
        let said = format!("The MCP server {name} has failed {} times in a row{why}", server.machine.failures());
        if let Some(server) = self.servers.get(name) {
            self.alarm(server, "mcp_server_failed", Some(said));
        }
    }

    /// Takes a list, or gives why there is none.
    fn take_listing(&mut self, name: &Arc<str>, listing: Result<Listing, String>) -> Option<String> {
        let now = self.ports.clock.now();
        let server = self.servers.get_mut(name)?;
        match listing {
            Err(why) => {
                server.last_error = Some((why.clone(), now));
                Some(why)
            }
            Ok(listing) => {
                for problem in &listing.rejected {
                    server.log.add("haia", &format!("a tool cannot be used: {problem}"), &server.masks());
                }
                let taken = server.take(listing);
                let server = self.servers.get(name)?;
                if taken.keep {
                    self.keep_pins(server);
                }
                if let Some(summary) = taken.tell {
                    if let Some(summary) = &summary {
                        tracing::warn!(server = &**name, summary, "an MCP server changed its tools");
                    }
                    self.alarm(server, "mcp_definition_changed", summary);
                }
                None
            }
        }
    }

    fn look_idle(&self, look: LookIdle, context: &Context<Self>) {
        let Some(server) = self.servers.get(&look.server) else { return };
        let Some(entry) = server.entry().filter(|entry| entry.own.start == Start::Lazy) else { return };
        let limit = entry.own.idle_stop.unwrap_or(self.settings.config.idle_stop).0;
        let rest = limit.saturating_sub(server.unused_for(self.ports.clock.monotonic()));
        context.tell_after(rest.max(Duration::from_millis(100)), Lane::Control, look);
    }
}

impl Handle<Reported> for Host {
    fn handle(&mut self, reported: Reported, context: &Context<Self>) -> Reply<()> {
        let Reported { server, epoch, generation, report } = reported;
        if self.servers.get(&server).is_some_and(|known| known.epoch == epoch) {
            self.take_report(&server, generation, report, context);
        }
        Reply::Now(())
    }
}

impl Handle<Happened> for Host {
    fn handle(&mut self, Happened { server, epoch, input }: Happened, context: &Context<Self>) -> Reply<()> {
        let is_current = self.servers.get(&server).is_some_and(|known| known.epoch == epoch);
        if !is_current || (self.is_draining && matches!(input, Input::Retry { .. } | Input::Wanted)) {
            return Reply::Now(());
        }
        let (is_healthy, is_silent) = (matches!(input, Input::Healthy { .. }), matches!(input, Input::Answered { .. }));
        let before = self.servers.get(&server).map(|known| known.machine.state());
        self.happen(&server, input, context);
        let Some(known) = self.servers.get_mut(&server) else { return Reply::Now(()) };
        let state = known.machine.state();
        if is_healthy && matches!(state, McpState::Ready | McpState::Degraded) && known.machine.failures() == 0 {
            if known.is_well_again()
                && let Some(known) = self.servers.get(&server)
            {
                self.alarm(known, "mcp_server_failed", None);
            }
        } else if state == McpState::Stopping && before != Some(state) {
            let why = if is_silent { "it answers no calls in time" } else { "calls do not reach it" };
            let now = self.ports.clock.now();
            tracing::warn!(server = &*server, why, "an MCP server is started anew");
            known.last_error = Some((why.to_owned(), now));
            known.failing.get_or_insert(now);
        }
        Reply::Now(())
    }
}

impl Handle<LookIdle> for Host {
    fn handle(&mut self, look: LookIdle, context: &Context<Self>) -> Reply<()> {
        let Some(server) = self.servers.get(&look.server) else { return Reply::Now(()) };
        if server.epoch != look.epoch || server.machine.generation() != look.generation {
            return Reply::Now(());
        }
        let Some(entry) = server.entry().filter(|entry| entry.own.start == Start::Lazy) else { return Reply::Now(()) };
        let limit = entry.own.idle_stop.unwrap_or(self.settings.config.idle_stop).0;
        if server.unused_for(self.ports.clock.monotonic()) >= limit {
            let name = Arc::clone(&server.name);
            self.happen(&name, Input::Idle { generation: look.generation }, context);
        } else {
            self.look_idle(look, context);
        }
        Reply::Now(())
    }
}
