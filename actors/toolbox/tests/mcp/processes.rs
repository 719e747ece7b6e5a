//! No process outlives its end: not a toggle, not a drain, not a kill -9 of the host, not its guardian.

use crate::rig::{Rig, file, helper, is_alive, python, run, until_gone};
use contract::mcp::{McpState, ToggleMcpServer};
use serde_json::json;
use std::io::BufRead as _;
use std::process::{Command, Stdio};

fn kill(pid: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// The process ids that a server noted: its own and its child's.
fn noted(path: &std::path::Path) -> Vec<u32> {
    let notes = std::fs::read_to_string(path).unwrap_or_default();
    notes
        .lines()
        .filter_map(|line| line.strip_prefix("start ").or_else(|| line.strip_prefix("child ")))
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn deaf(notes: &std::path::Path) -> serde_json::Value {
    let mut entry = python(&["deaf"]);
    entry["env"] = json!({"TEST_NOTES": notes});
    entry
}

#[test]
fn a_deaf_server_and_its_children_end_with_a_toggle_and_a_drain() {
    run(async {
        let notes = tempfile::NamedTempFile::new().expect("a file");
        let rig = Rig::start(&file([("it", deaf(notes.path()))])).await;
        rig.until_state("it", McpState::Ready).await;
        let first = noted(notes.path());
        assert!(first.len() == 2 && first.iter().all(|pid| is_alive(*pid)), "{first:?}");
        rig.ask(ToggleMcpServer { name: "it".to_owned(), enabled: false }).await.expect("off");
        rig.until_state("it", McpState::Disabled).await;
        for pid in &first {
            until_gone(*pid).await;
        }
        rig.ask(ToggleMcpServer { name: "it".to_owned(), enabled: true }).await.expect("on");
        rig.until_state("it", McpState::Ready).await;
        rig.drain().await;
        let all = noted(notes.path());
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(!all.iter().any(|pid| is_alive(*pid)), "a drain is answered when the last process is gone");
    });
}

#[test]
fn a_server_that_still_starts_ends_with_a_drain() {
    run(async {
        let notes = tempfile::NamedTempFile::new().expect("a file");
        let mut entry = python(&["hang"]);
        entry["env"] = json!({"TEST_NOTES": notes.path()});
        let rig = Rig::start(&file([("it", entry)])).await;
        while noted(notes.path()).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        rig.drain().await;
        assert!(!noted(notes.path()).iter().any(|pid| is_alive(*pid)));
    });
}

#[test]
fn a_killed_server_comes_back() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        rig.until_offered("it__slow", true).await;
        let pid = rig.until_state("it", McpState::Ready).await.pid.expect("a process");
        let slow = rig.refusal("it__slow", json!({"seconds": 30}));
        let killed = async {
            rig.until("the call is under way", |servers| servers[0].active == 1).await;
            kill(pid, "-KILL");
        };
        let (said, ()) = tokio::join!(slow, killed);
        assert!(said.contains("ended during the call"), "{said}");
        assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x");
        let status = rig.until_state("it", McpState::Ready).await;
        assert!(status.last_error.expect("an error").contains("signal 9"));

        // A guardian that is killed takes its server along, and both come back.
        let pid = status.pid.expect("a process");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let guardian: u32 = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok())
            .expect("a parent");
        kill(guardian, "-KILL");
        until_gone(pid).await;
        rig.until("it is back", |servers| servers[0].state == McpState::Ready && servers[0].restarts == 2).await;
        rig.drain().await;
    });
}

#[test]
fn nothing_survives_a_kill_of_the_host() {
    let notes = tempfile::NamedTempFile::new().expect("a file");
    let list = tempfile::NamedTempFile::new().expect("a file");
    let quiet = |mut entry: serde_json::Value| {
        entry["env"] = json!({"TEST_NOTES": notes.path()});
        entry
    };
    std::fs::write(list.path(), file([("deaf", deaf(notes.path())), ("good", quiet(python(&["good"])))]))
        .expect("written");
    let mut host = Command::new(helper()).arg("host").arg(list.path()).stdout(Stdio::piped()).spawn().expect("a host");
    let mut line = String::new();
    std::io::BufReader::new(host.stdout.take().expect("output")).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let pids = noted(notes.path());
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    host.kill().expect("killed");
    host.wait().expect("gone");
    run(async {
        for pid in pids {
            until_gone(pid).await;
        }
    });
}

#[test]
fn a_crash_of_the_actor_leaves_no_process() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        let pid = rig.until_state("it", McpState::Ready).await.pid.expect("a process");
        rig.supervision.crash("mcp").expect("there is one").expect("told");
        until_gone(pid).await;
        rig.until_offered("it__echo", true).await;
        assert_eq!(rig.text("it__echo", json!({"text": "again"})).await, "again");
        rig.drain().await;
    });
}
