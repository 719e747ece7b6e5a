//! `/api/mcp`: the MCP servers that HAIA attaches: how they do, their switches, what they wrote, and their changed definitions.

use super::operate::read;
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::mcp::{
    ApproveMcpServer, ListMcpServers, McpError, McpLogLine, McpServerStatus, ReadMcpLogs, ToggleMcpServer,
    ToggleMcpTool,
};
use contract::message::Msg;
use runtime::Port;
use serde::Serialize;

const SERVER: (&str, &str, &str) = ("path", "server", "The server's name");
const TOOL: (&str, &str, &str) = ("path", "tool", "The tool, by the server's own name or by its name in the catalogue");

const fn endpoint(
    method: Verb,
    path: &'static str,
    scope: Scope,
    handler: fn(Call) -> Answer,
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str)],
    gives: &'static str,
) -> Endpoint {
    let about = About { summary, parameters, takes: None, gives: ("application/json", Some(gives)), status: 200 };
    Endpoint { method, path, scope: Some(scope), starts_work: matches!(method, Verb::Post), handler, about }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        Verb::Get,
        "/api/mcp",
        Scope::Read,
        |call| Box::pin(list(call)),
        "Every attached MCP server",
        &[],
        "McpServers",
    ),
    endpoint(
        Verb::Post,
        "/api/mcp/{server}/enable",
        Scope::Control,
        |call| Box::pin(toggle(call, true)),
        "Switches a server on, over restarts and over what its entry says",
        &[SERVER],
        "Object",
    ),
    endpoint(
        Verb::Post,
        "/api/mcp/{server}/disable",
        Scope::Control,
        |call| Box::pin(toggle(call, false)),
        "Switches a server off, over restarts and over what its entry says",
        &[SERVER],
        "Object",
    ),
    endpoint(
        Verb::Post,
        "/api/mcp/{server}/tools/{tool}/enable",
        Scope::Control,
        |call| Box::pin(toggle_tool(call, true)),
        "Switches a tool of a server on, over restarts",
        &[SERVER, TOOL],
        "Object",
    ),
    endpoint(
        Verb::Post,
        "/api/mcp/{server}/tools/{tool}/disable",
        Scope::Control,
        |call| Box::pin(toggle_tool(call, false)),
        "Switches a tool of a server off, over restarts",
        &[SERVER, TOOL],
        "Object",
    ),
    endpoint(
        Verb::Get,
        "/api/mcp/{server}/logs",
        Scope::Read,
        |call| Box::pin(logs(call)),
        "The newest lines that a server wrote, and what HAIA noted of it",
        &[SERVER],
        "McpLog",
    ),
    endpoint(
        Verb::Post,
        "/api/mcp/{server}/approve",
        Scope::Admin,
        |call| Box::pin(approve(call)),
        "Releases the tools of a server that are held back because their definition changed",
        &[SERVER],
        "McpReleased",
    ),
];

/// Asks the host of the servers.
async fn ask<M, T>(port: &Port<M>, message: M) -> Result<T, Refusal>
where
    M: Msg<Reply = Result<T, McpError>>,
{
    read(port, message).await?.map_err(|McpError(said)| Refusal::not_found(said))
}

#[derive(Serialize)]
struct Servers {
    servers: Vec<McpServerStatus>,
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let servers = read(&call.ports().mcp.list, ListMcpServers).await?;
    answers::json(&Servers { servers })
}

#[derive(Serialize)]
struct Switched<'a> {
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    enabled: bool,
}

fn word(enabled: bool) -> &'static str {
    if enabled { "enable" } else { "disable" }
}

async fn toggle(call: Call, enabled: bool) -> Result<HttpResponse, Refusal> {
    let name = call.path_part("server");
    ask(&call.ports().mcp.toggle, ToggleMcpServer { name: name.clone(), enabled }).await?;
    record(&call, &format!("mcp {} {name}", word(enabled)), "ok");
    answers::json(&Switched { server: &name, tool: None, enabled })
}

async fn toggle_tool(call: Call, enabled: bool) -> Result<HttpResponse, Refusal> {
    let (server, tool) = (call.path_part("server"), call.path_part("tool"));
    let message = ToggleMcpTool { server: server.clone(), tool: tool.clone(), enabled };
    ask(&call.ports().mcp.toggle_tool, message).await?;
    record(&call, &format!("mcp {} {server} {tool}", word(enabled)), "ok");
    answers::json(&Switched { server: &server, tool: Some(&tool), enabled })
}

#[derive(Serialize)]
struct Log {
    lines: Vec<McpLogLine>,
}

async fn logs(call: Call) -> Result<HttpResponse, Refusal> {
    let lines = ask(&call.ports().mcp.logs, ReadMcpLogs { name: call.path_part("server") }).await?;
    answers::json(&Log { lines })
}

#[derive(Serialize)]
struct Released {
    released: Vec<String>,
}

async fn approve(call: Call) -> Result<HttpResponse, Refusal> {
    let name = call.path_part("server");
    let released = ask(&call.ports().mcp.approve, ApproveMcpServer { name: name.clone() }).await?;
    record(&call, &format!("mcp approve {name}"), "ok");
    answers::json(&Released { released })
}
