//! `haia mcp list|enable|disable|logs|approve`: the attached MCP servers, through the running daemon.

use super::Exit;
use super::alerts::{done, list, shown, time, word};
use super::output::Output;
use super::socket::{Socket, encode};
use super::table::{Cell, Table};
use super::text::one_line;
use serde_json::Value;

/// What to do with the attached MCP servers.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum McpAction {
    /// Show every server
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Switch a server, or one of its tools, on
    Enable {
        /// The server's name
        server: String,
        /// One of its tools
        tool: Option<String>,
    },
    /// Switch a server, or one of its tools, off; it stays so over restarts
    Disable {
        /// The server's name
        server: String,
        /// One of its tools
        tool: Option<String>,
    },
    /// Show what a server wrote last
    Logs {
        /// The server's name
        server: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Release tools that are held back because their definition changed
    Approve {
        /// The server's name
        server: String,
    },
}

/// Does what was asked for.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(action: &McpAction, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        McpAction::List { json } => {
            let body = done(socket.ask("GET", "/api/mcp", None)?)?;
            if *json {
                return shown(output, &body);
            }
            let servers: Vec<&Value> = list(&body, "servers").collect();
            if servers.is_empty() {
                output.line("No MCP server is attached: they stand in the file that [mcp] config names.")?;
                return Ok(Exit::Done);
            }
            output.write(&table(&servers).render(output.colour()))?;
            withheld(&servers, output)?;
        }
        McpAction::Enable { server, tool } => switch(socket, output, server, tool.as_deref(), "enable")?,
        McpAction::Disable { server, tool } => switch(socket, output, server, tool.as_deref(), "disable")?,
        McpAction::Logs { server, json } => {
            let body = done(socket.ask("GET", &format!("/api/mcp/{}/logs", encode(server)), None)?)?;
            if *json {
                return shown(output, &body);
            }
            let lines: Vec<&Value> = list(&body, "lines").collect();
            if lines.is_empty() {
                output.line(&format!("{server} has written nothing."))?;
            }
            for line in lines {
                output.line(&format!(
                    "{}  {:<7}  {}",
                    time(&line["at"]),
                    word(line, "source"),
                    one_line(word(line, "text"))
                ))?;
            }
        }
        McpAction::Approve { server } => {
            let body = done(socket.ask("POST", &format!("/api/mcp/{}/approve", encode(server)), None)?)?;
            let released: Vec<String> = list(&body, "released").filter_map(Value::as_str).map(one_line).collect();
            output.line(&match released.len() {
                0 => format!("{server} has no tool that is held back."),
                _ => format!("{server} may be used as it is now: {}", released.join(", ")),
            })?;
        }
    }
    Ok(Exit::Done)
}

fn switch(socket: &Socket, output: &mut Output, server: &str, tool: Option<&str>, verb: &str) -> anyhow::Result<()> {
    let (path, what) = match tool {
        Some(tool) => {
            (format!("/api/mcp/{}/tools/{}/{verb}", encode(server), encode(tool)), format!("{tool} of {server}"))
        }
        None => (format!("/api/mcp/{}/{verb}", encode(server)), server.to_owned()),
    };
    done(socket.ask("POST", &path, None)?)?;
    output.line(&format!("{what} is switched {}.", if verb == "enable" { "on" } else { "off" }))?;
    Ok(())
}

fn table(servers: &[&Value]) -> Table {
    let mut table = Table::new(["SERVER", "STATE", "OVER", "PROTOCOL", "TOOLS", "RESTARTS", "CALLS", "ERRORS", "NOTE"]);
    let count = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |count| count.to_string());
    for server in servers {
        let tools: Vec<&Value> = list(server, "tools").collect();
        let offered = tools.iter().filter(|tool| !tool["offered_as"].is_null()).count();
        let note = list(server, "notes").chain([&server["last_error"]]).filter_map(Value::as_str).last().unwrap_or("");
        table.row([
            Cell::from(word(server, "name")),
            Cell::state(word(server, "state")),
            Cell::from(word(server, "transport")),
            Cell::from(word(server, "era")),
            Cell::from(format!("{offered} of {}", tools.len())),
            Cell::from(count(&server["restarts"])),
            Cell::from(count(&server["calls"])),
            Cell::from(count(&server["errors"])),
            Cell::from(note.chars().take(120).collect::<String>()),
        ]);
    }
    table
}

/// What waits for a person, with its difference.
fn withheld(servers: &[&Value], output: &mut Output) -> anyhow::Result<()> {
    for server in servers {
        for tool in list(server, "withheld") {
            let name = word(server, "name");
            output.line(&format!(
                "\n{} of {name} was {} and is held back:",
                one_line(word(tool, "name")),
                word(tool, "change")
            ))?;
            for line in word(tool, "difference").lines() {
                output.line(&format!("  {}", one_line(line)))?;
            }
            output.line(&format!("\"haia mcp approve {name}\" releases it."))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use serde_json::json;

    fn run_with(action: &McpAction, reply: &Value) -> (String, String) {
        let daemon = Daemon::start(vec![answer("200 OK", &reply.to_string())]);
        let (mut output, out, _) = output();
        run(action, &daemon.socket(), &mut output).expect("done");
        (out.text(), daemon.request())
    }

    #[test]
    fn servers_are_a_table_and_what_is_held_back_is_told() {
        let server = json!({ "name": "files", "state": "ready", "transport": "stdio", "era": "2025-11-25", "restarts": 1, "calls": 7,
            "errors": 0, "tools": [{ "name": "a", "offered_as": "files__a" }, { "name": "b", "offered_as": null }], "notes": [],
            "last_error": null, "withheld": [{ "name": "b", "change": "changed", "difference": "- x\n+ y" }] });
        let (out, _) = run_with(&McpAction::List { json: false }, &json!({ "servers": [server] }));
        let expected = "\
SERVER  STATE  OVER   PROTOCOL    TOOLS   RESTARTS  CALLS  ERRORS  NOTE
files   ready  stdio  2025-11-25  1 of 2  1         7      0

b of files was changed and is held back:
  - x
  + y
\"haia mcp approve files\" releases it.
";
        assert_eq!(out, expected);
        let (out, _) = run_with(&McpAction::List { json: false }, &json!({ "servers": [] }));
        assert!(out.starts_with("No MCP server is attached"), "{out}");
    }

    #[test]
    fn servers_and_tools_are_switched() {
        let tool = Some("read/file".to_owned());
        for (action, path, told) in [
            (McpAction::Enable { server: "a b".into(), tool: None }, "/api/mcp/a%20b/enable", "a b is switched on."),
            (
                McpAction::Disable { server: "f".into(), tool },
                "/api/mcp/f/tools/read%2Ffile/disable",
                "read/file of f is switched off.",
            ),
        ] {
            let (out, request) = run_with(&action, &json!({}));
            assert_eq!(out.trim_end(), told);
            assert!(request.starts_with(&format!("POST {path} ")), "{request}");
        }
        let (out, _) = run_with(&McpAction::Approve { server: "f".into() }, &json!({ "released": ["x", "y"] }));
        assert_eq!(out, "f may be used as it is now: x, y\n");
        let line = json!({ "at": null, "source": "stderr", "text": "up\u{1b}[2J" });
        let (out, _) = run_with(&McpAction::Logs { server: "f".into(), json: false }, &json!({ "lines": [line] }));
        assert!(out.contains("stderr") && !out.contains('\u{1b}'), "{out:?}");
    }
}
