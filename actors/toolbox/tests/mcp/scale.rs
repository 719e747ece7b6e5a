//! Many servers, many reconnects, many tools; and how long a call takes. They measure, so they are for a quiet machine:
//! `cargo test -p toolbox --test mcp scale -- --ignored --nocapture --test-threads 1`.

use crate::network::{Server, entry};
use crate::rig::{Rig, file, python, run};
use contract::mcp::{ListMcpServers, McpState};
use serde_json::json;
use std::time::{Duration, Instant};

/// Kilobytes in memory, and open files, of this process.
fn footprint() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes = line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).expect("a number");
    (kilobytes, std::fs::read_dir("/proc/self/fd").expect("fds").count())
}

fn many(http: &Server, count: usize, programs: usize) -> String {
    let kinds = ["good", "hang", "die", "endless", "odd", "noisy", "deaf", "no_list", "good", "good"];
    let mut servers = serde_json::Map::new();
    for at in 0..count {
        let entry =
            if at < programs { python(&[kinds[at % kinds.len()]]) } else { entry(&http.url(&format!("/mcp/{at}"))) };
        servers.insert(format!("s{at:03}"), entry);
    }
    json!({"mcpServers": servers}).to_string()
}

#[test]
#[ignore = "measures time: for a quiet machine"]
fn healthy_servers_do_not_wait_for_faulty_ones() {
    for (count, programs) in [(100, 10), (300, 20)] {
        run(async {
            let http = Server::start("plain", 0);
            let begun = Instant::now();
            let rig = Rig::start(&many(&http, count, programs)).await;
            let healthy = |at: usize| at >= programs || [0, 8, 9].contains(&(at % 10));
            rig.until("every healthy one is listed", |servers| {
                servers.iter().enumerate().filter(|(at, _)| healthy(*at)).all(|(_, one)| one.state == McpState::Ready)
            })
            .await;
            let listed = begun.elapsed();
            let (kilobytes, files) = footprint();
            let before = cpu();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let idle = (cpu() - before) / 5.0 * 100.0;
            let servers = rig.ask(ListMcpServers).await;
            let tools: usize = servers.iter().map(|one| one.tools.len()).sum();
            println!(
                "{count} servers ({programs} programs): healthy after {listed:?}, {tools} tools, {kilobytes} KiB, {files} files, idle {idle:.2} % CPU"
            );
            let ending = Instant::now();
            rig.drain().await;
            println!("drained in {:?}", ending.elapsed());
        });
    }
}

/// Seconds of processor time of this process, without its children.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime");
    ticks / 100.0
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_reconnects_leave_nothing_behind() {
    run(async {
        let http = Server::start("session", 0);
        let mut rig = Rig::start(&file([("it", entry(&http.url("/mcp/0")))])).await;
        rig.until_state("it", McpState::Ready).await;
        let mut after_warm_up = (0, 0);
        for at in 1..=1000 {
            let text = file([("it", entry(&http.url(&format!("/mcp/{at}"))))]);
            rig.reload(|settings| settings.servers = text.into()).await;
            rig.until("it is there again", |servers| servers[0].state == McpState::Ready && servers[0].restarts == at)
                .await;
            if at == 100 {
                after_warm_up = footprint();
            }
        }
        let end = footprint();
        println!("after 100 reconnects {after_warm_up:?}, after 1000 {end:?} (KiB, files)");
        assert!(end.1 <= after_warm_up.1 + 4 && end.0 < after_warm_up.0 + 8192, "{after_warm_up:?} {end:?}");

        let mut rig = Rig::start(&file([("it", python(&["good", "0"]))])).await;
        rig.until_state("it", McpState::Ready).await;
        let before = footprint();
        for at in 1..=50 {
            let text = file([("it", python(&["good", &at.to_string()]))]);
            rig.reload(|settings| settings.servers = text.into()).await;
            rig.until("it is there again", |servers| servers[0].state == McpState::Ready && servers[0].restarts == at)
                .await;
        }
        let end = footprint();
        println!("programs: before {before:?}, after 50 restarts {end:?} (KiB, files)");
        assert!(end.1 <= before.1 + 4, "{before:?} {end:?}");
        rig.drain().await;
    });
}

#[test]
#[ignore = "measures time: for a quiet machine"]
fn calls_are_passed_on_quickly() {
    run(async {
        let http = Server::start("plain", 0);
        let rig = Rig::start(&file([("pipe", python(&["good"])), ("net", entry(&http.url("/mcp")))])).await;
        rig.until_offered("pipe__echo", true).await;
        rig.until_offered("net__echo", true).await;
        for tool in ["pipe__echo", "net__echo"] {
            for _ in 0..500 {
                rig.text(tool, json!({"text": "x"})).await;
            }
        }
        for server in rig.ask(ListMcpServers).await {
            println!("{}: {:?} ms over {} calls", server.name, server.latency_ms, server.calls);
        }
        rig.drain().await;
    });
}
