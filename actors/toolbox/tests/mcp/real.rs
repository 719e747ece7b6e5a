//! Servers that people really use, from the package indexes. They have to be installed first, in one folder:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install mcp-server-time mcp-server-git
//! npm install @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory
//! MCP_SERVERS=$PWD cargo test -p toolbox --test mcp real -- --ignored --nocapture
//! ```

use crate::rig::{Rig, run};
use contract::mcp::{ListMcpServers, McpState};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

#[test]
#[ignore = "needs servers from the package indexes"]
fn real_servers_attach_and_answer() {
    let folder = PathBuf::from(std::env::var_os("MCP_SERVERS").expect("MCP_SERVERS names the folder"));
    let work = tempfile::tempdir().expect("a folder");
    let repository = work.path().join("repository");
    assert!(Command::new("git").arg("init").arg("-q").arg(&repository).status().expect("git").success());
    std::fs::write(work.path().join("note.txt"), "remember the milk").expect("written");
    let node = |name: &str| folder.join("node_modules/.bin").join(name);
    let python = |name: &str| folder.join("venv/bin").join(name);
    let haia = json!({"trust": "read"});
    let servers = json!({"mcpServers": {
        "everything": {"command": node("mcp-server-everything"), "args": ["stdio"], "haia": haia},
        "filesystem": {"command": node("mcp-server-filesystem"), "args": [work.path()], "haia": haia},
        "memory": {"command": node("mcp-server-memory"), "env": {"MEMORY_FILE_PATH": work.path().join("memory.json")}, "haia": haia},
        "time": {"command": python("mcp-server-time"), "args": ["--local-timezone", "Europe/Paris"], "haia": haia},
        "git": {"command": python("mcp-server-git"), "args": ["--repository", repository], "haia": haia},
        "dies": {"command": node("mcp-server-filesystem"), "args": ["/no/such/folder"], "haia": haia},
    }});
    run(async {
        let rig = Rig::start(&servers.to_string()).await;
        rig.until("all have come or failed", |servers| {
            servers.iter().all(|one| matches!(one.state, McpState::Ready | McpState::Failed))
        })
        .await;
        for server in rig.ask(ListMcpServers).await {
            println!(
                "{}: {:?}, {:?}, {:?}, {} tools, rejected {:?}, {:?}",
                server.name,
                server.state,
                server.era,
                server.software,
                server.tools.len(),
                server.rejected,
                server.last_error
            );
        }
        for (tool, arguments, said) in [
            ("everything__echo", json!({"message": "hello"}), "hello"),
            ("filesystem__read_text_file", json!({"path": work.path().join("note.txt")}), "remember the milk"),
            ("memory__read_graph", json!({}), "entities"),
            ("time__get_current_time", json!({"timezone": "Europe/Paris"}), "Europe/Paris"),
            ("git__git_status", json!({"repo_path": repository}), "No commits yet"),
        ] {
            rig.until_known(tool).await;
            let text = rig.text(tool, arguments).await;
            assert!(text.contains(said), "{tool}: {text}");
        }
        let picture = rig.call("everything__get-tiny-image", json!({})).await.expect("a result");
        assert!(picture.text.contains("[image, image/png") && picture.mcp.is_some(), "{}", picture.text);
        rig.drain().await;
    });
}
