//! What people do with servers: look, switch, read logs, approve; and the end of them all.

use super::host::Host;
use super::lives::Lives;
use super::machine::Input;
use super::server::Server;
use crate::catalogue::near_names;
use contract::mcp::{
    ApproveMcpServer, ListMcpServers, McpError, McpLogLine, McpServerStatus, ReadMcpLogs, ToggleMcpServer,
    ToggleMcpTool,
};
use contract::message::Drain;
use runtime::{Context, Handle, Reply};
use std::sync::Arc;
use std::time::Duration;

/// How long the end of all servers may take: their calls, their connections, their processes.
const DRAIN: Duration = Duration::from_secs(9);

impl Host {
    fn find(&mut self, name: &str) -> Result<&mut Server, McpError> {
        if !self.is_loaded() {
            return Err(McpError(
                "the servers are not known yet: what the store keeps of them could not be read".to_owned(),
            ));
        }
        let shown = super::text::clean_line(name, 64);
        let near = near_names(&shown, self.servers.keys().map(|known| &**known));
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
        let unknown = McpError(format!("there is no MCP server named {shown:?}{hint}"));
        self.servers.get_mut(name).ok_or(unknown)
    }

    /// Answers once the switches are kept.
    fn kept(&self, name: &str) -> Reply<Result<(), McpError>> {
        let server = self.servers.get(name);
        let text = server.and_then(|server| serde_json::to_string(&server.switches).ok());
        let (Some(keeper), Some(text)) = (self.keeper.clone(), text) else { return Reply::Now(Ok(())) };
        let key = format!("switches/{name}");
        Reply::later(async move {
            let failed =
                |error| McpError(format!("it is switched, but that will not outlast a restart of HAIA: {error}"));
            keeper.kept(key, text).await.map_err(failed)
        })
    }
}

impl Handle<ListMcpServers> for Host {
    fn handle(&mut self, _: ListMcpServers, _: &Context<Self>) -> Reply<Vec<McpServerStatus>> {
        self.offers();
        let names = self.names();
        Reply::Now(self.servers.values().map(|server| server.status(names)).collect())
    }
}

impl Handle<ToggleMcpServer> for Host {
    fn handle(&mut self, toggle: ToggleMcpServer, context: &Context<Self>) -> Reply<Result<(), McpError>> {
        let server = match self.find(&toggle.name) {
            Ok(server) => server,
            Err(error) => return Reply::Now(Err(error)),
        };
        if let Err(problem) = &server.entry {
            return Reply::Now(Err(McpError(format!("its entry cannot be used: {problem}"))));
        }
        server.switches.enabled = Some(toggle.enabled);
        let name = Arc::clone(&server.name);
        let waits = toggle.enabled && server.machine.state() == contract::mcp::McpState::Failed;
        if !toggle.enabled
            && server.is_well_again()
            && let Some(server) = self.servers.get(&name)
        {
            self.alarm(server, "mcp_server_failed", None);
        }
        self.settle(&name, context);
        if waits {
            // Whoever switches on what waits for its next try does not want to wait.
            self.happen(&name, Input::Renew, context);
        }
        self.changed(context);
        self.kept(&name)
    }
}

impl Handle<ToggleMcpTool> for Host {
    fn handle(&mut self, toggle: ToggleMcpTool, context: &Context<Self>) -> Reply<Result<(), McpError>> {
        let offered = self.offers().of.get(toggle.tool.as_str()).cloned();
        let server = match self.find(&toggle.server) {
            Ok(server) => server,
            Err(error) => return Reply::Now(Err(error)),
        };
        let own = |server: &Server| {
            let by_own = server.tools.iter().find(|tool| tool.definition.name == toggle.tool);
            let by_offered =
                || offered.as_ref().filter(|(of, _)| *of == server.name).and_then(|(_, at)| server.tools.get(*at));
            by_own.or_else(by_offered).map(|tool| tool.definition.name.clone())
        };
        let Some(tool) = own(server).or_else(|| server.switches.off.get(&toggle.tool).cloned()) else {
            let shown = super::text::clean_line(&toggle.tool, 64);
            let near = near_names(&shown, server.tools.iter().map(|tool| tool.definition.name.as_str()));
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
            return Reply::Now(Err(McpError(format!("{} has no tool named {shown:?}{hint}", server.name))));
        };
        if toggle.enabled {
            server.switches.off.remove(&tool);
        } else {
            server.switches.off.insert(tool);
        }
        let name = Arc::clone(&server.name);
        self.changed(context);
        self.kept(&name)
    }
}

impl Handle<ReadMcpLogs> for Host {
    fn handle(&mut self, read: ReadMcpLogs, _: &Context<Self>) -> Reply<Result<Vec<McpLogLine>, McpError>> {
        Reply::Now(self.find(&read.name).map(|server| server.log.lines()))
    }
}

impl Handle<ApproveMcpServer> for Host {
    fn handle(&mut self, approve: ApproveMcpServer, context: &Context<Self>) -> Reply<Result<Vec<String>, McpError>> {
        let server = match self.find(&approve.name) {
            Ok(server) => server,
            Err(error) => return Reply::Now(Err(error)),
        };
        let released = server.withhold(Vec::new());
        if released.is_empty() {
            return Reply::Now(Ok(Vec::new()));
        }
        server.pins.release(&released);
        server.offer_also(released.iter().map(|(definition, _)| definition.clone()));
        let name = Arc::clone(&server.name);
        let Some(server) = self.servers.get(&name) else { return Reply::Now(Ok(Vec::new())) };
        self.alarm(server, "mcp_definition_changed", None);
        let keeping = serde_json::to_string(&server.pins).ok().zip(self.keeper.clone());
        self.changed(context);
        Reply::later(async move {
            if let Some((text, keeper)) = keeping {
                let failed = |error| {
                    McpError(format!("they are released, but that will not outlast a restart of HAIA: {error}"))
                };
                keeper.kept(format!("pins/{name}"), text).await.map_err(failed)?;
            }
            Ok(released.into_iter().map(|(definition, _)| definition.name).collect())
        })
    }
}

impl Handle<Drain> for Host {
    /// Ends every server, all at once. Answered when the last process is gone.
    fn handle(&mut self, _: Drain, context: &Context<Self>) -> Reply<()> {
        self.is_draining = true;
        let names: Vec<Arc<str>> = self.servers.keys().cloned().collect();
        for name in names {
            self.happen(&name, Input::Disable, context);
        }
        let over = Lives::over(self.lives.clone());
        let deadline = self.ports.clock.pause(DRAIN);
        Reply::later(async move {
            tokio::select! {
                () = over => {}
                () = deadline => tracing::warn!("some MCP servers did not end in time; their guardians end them"),
            }
        })
    }
}
