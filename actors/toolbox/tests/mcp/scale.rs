//! Many servers, many reconnects, many tools; and how long a call takes. They measure, so they are for a quiet machine:
//! `cargo test -p toolbox --test mcp scale -- --ignored --nocapture --test-threads 1`.

use crate::network::{Server, entry};
use crate::rig::{PATIENCE, Rig, file, python, run};
use contract::mcp::{ListMcpServers, McpState};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

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

/// The middle and the last but one in a hundred.
fn quantiles(mut took: Vec<Duration>) -> (f64, f64) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
    (at(50), at(99))
}

/// Calls a tool of a program without HAIA: a line there, a line back.
fn directly_on_pipes(count: usize) -> Vec<Duration> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/server.py");
    let mut child = Command::new("python3")
        .args([script, "good"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut input = child.stdin.take().expect("input");
    let mut output = BufReader::new(child.stdout.take().expect("output"));
    let mut exchange = |message: serde_json::Value| {
        writeln!(input, "{message}").and_then(|()| input.flush()).expect("it reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("it answers");
    };
    exchange(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}));
    let call = |at| {
        let params = json!({"name": "echo", "arguments": {"text": "x"}});
        json!({"jsonrpc": "2.0", "id": at, "method": "tools/call", "params": params})
    };
    let took = (1..=count).map(|at| {
        let begun = Instant::now();
        exchange(call(at));
        begun.elapsed()
    });
    let took = took.collect();
    let _ = child.kill();
    let _ = child.wait();
    took
}

/// Calls a tool of a server on the network without HAIA, over one kept connection.
fn directly_on_the_network(url: &str, count: usize) -> Vec<Duration> {
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp");
    let mut connection = TcpStream::connect(address).expect("it listens");
    connection.set_nodelay(true).expect("a socket");
    let mut answers = BufReader::new(connection.try_clone().expect("a socket"));
    let params = json!({"name": "echo", "arguments": {"text": "x"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let took = (0..count).map(|_| {
        let begun = Instant::now();
        connection.write_all(request.as_bytes()).expect("it reads");
        let mut length = 0;
        loop {
            let mut line = String::new();
            answers.read_line(&mut line).expect("it answers");
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        answers.read_exact(&mut body).expect("a body");
        begun.elapsed()
    });
    took.collect()
}

#[test]
#[ignore = "measures time: for a quiet machine"]
fn calls_are_passed_on_quickly() {
    const CALLS: usize = 1000;
    run(async {
        let http = Server::start("plain", 0);
        let rig = Rig::start(&file([("pipe", python(&["good"])), ("net", entry(&http.url("/mcp")))])).await;
        rig.until_offered("pipe__echo", true).await;
        rig.until_offered("net__echo", true).await;
        for (tool, direct) in
            [("pipe__echo", directly_on_pipes(CALLS)), ("net__echo", directly_on_the_network(&http.url("/mcp"), CALLS))]
        {
            let mut took = Vec::new();
            for _ in 0..CALLS {
                let begun = Instant::now();
                rig.text(tool, json!({"text": "x"})).await;
                took.push(begun.elapsed());
            }
            let (through, direct) = (quantiles(took), quantiles(direct));
            println!(
                "{tool}: direct p50 {:.2} p99 {:.2} ms, through HAIA p50 {:.2} p99 {:.2} ms, added p50 {:.2} p99 {:.2} ms",
                direct.0,
                direct.1,
                through.0,
                through.1,
                through.0 - direct.0,
                through.1 - direct.1
            );
            assert!(through.0 < 30.0, "no 40 ms step: {} ms", through.0);
        }
        rig.drain().await;
    });
}

#[test]
#[ignore = "takes a minute"]
fn a_hundred_reloads_lose_no_call_of_untouched_servers() {
    run(async {
        let http = Server::start("session", 0);
        let entries = |at: usize| {
            let mut changing = python(&["good", &at.to_string()]);
            changing["haia"] = json!({"trust": "read"});
            let mut servers = serde_json::Map::new();
            servers.insert("pipe".to_owned(), python(&["good"]));
            servers.insert("net".to_owned(), entry(&http.url("/mcp")));
            servers.insert("changing".to_owned(), changing);
            if at.is_multiple_of(2) {
                servers.insert("comes_and_goes".to_owned(), entry(&http.url("/other")));
            }
            json!({"mcpServers": servers}).to_string()
        };
        let mut rig = Rig::start(&entries(0)).await;
        rig.until_offered("pipe__echo", true).await;
        rig.until_offered("net__echo", true).await;
        let over = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let callers = ["pipe__echo", "net__echo", "pipe__echo", "net__echo"].map(|tool| {
            let (call, over, calls) = (rig.call.clone(), Arc::clone(&over), Arc::clone(&calls));
            actix_rt::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let answer = call.ask(crate::rig::call(tool, json!({"text": "x"})), PATIENCE).await;
                    let result = answer.expect("the toolbox answers").expect("a result");
                    assert!(!result.is_error && result.text == "x", "{tool}: {result:?}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        for at in 1..=100 {
            let (text, before) = (entries(at), calls.load(Ordering::Relaxed));
            rig.reload(|settings| settings.servers = text.into()).await;
            let called = || calls.load(Ordering::Relaxed) >= before + callers.len();
            while !called() && !callers.iter().any(JoinHandle::is_finished) {
                tokio::task::yield_now().await;
            }
        }
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("no call was lost");
        }
        println!("{} calls during 100 reloads, none lost", calls.load(Ordering::Relaxed));
        let servers = rig.ask(ListMcpServers).await;
        let restarts = |name: &str| servers.iter().find(|one| &*one.name == name).map(|one| one.restarts);
        assert_eq!((restarts("pipe"), restarts("net")), (Some(0), Some(0)), "they were not touched");
        rig.drain().await;
    });
}
