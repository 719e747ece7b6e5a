//! HAIA as an MCP server, over real sockets and over `haia mcp`: who may what, real calls, sessions, changes, leaving.

use crate::clusters::{homelab, until_seen, watching};
use crate::daemon::{CONTROL, Call, Daemon, Event, READ, Response, Setup, binary, eventually};
use serde_json::{Value, json};
use sim_cluster::{Fault, FaultRule};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

fn post(daemon: &Daemon, key: &str, body: &Value) -> Call {
    Call::tcp(daemon.address, "POST", "/mcp")
        .key(key)
        .header("accept", "application/json, text/event-stream")
        .json(body)
}

fn request(id: u32, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn initialize() -> Value {
    request(
        0,
        "initialize",
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }),
    )
}

fn open(daemon: &Daemon, key: &str) -> String {
    let response = post(daemon, key, &initialize()).send();
    assert_eq!(response.status, 200, "{}", response.text());
    response.header("mcp-session-id").expect("a session").to_owned()
}

fn ask(daemon: &Daemon, key: &str, session: &str, method: &str, params: Value) -> Response {
    post(daemon, key, &request(1, method, params)).header("mcp-session-id", session).send()
}

/// A request of the era without sessions.
fn modern(daemon: &Daemon, key: &str, method: &str, mut params: Value) -> Call {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().or(params["uri"].as_str()).unwrap_or_default().to_owned();
    post(daemon, key, &request(1, method, params))
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
        .header("mcp-name", &name)
}

fn names(response: &Response) -> Vec<String> {
    let body = response.json();
    let tools = body["result"]["tools"].as_array().unwrap_or_else(|| panic!("{body}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn text(response: &Response) -> String {
    let body = response.json();
    let text = body["result"]["content"][0]["text"].as_str().or(body["result"]["contents"][0]["text"].as_str());
    text.unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// Sessions and listening streams, as the gateway counts them.
fn figures(daemon: &Daemon) -> (u64, u64) {
    let detail = daemon.actor("http-gateway")["detail"].clone();
    let count = |name: &str| detail[name].as_u64().unwrap_or_else(|| panic!("no {name} in {detail}"));
    (count("mcp_sessions"), count("mcp_streams"))
}

#[test]
fn keys_and_hosts_decide_who_comes_in() {
    let daemon = Setup::new().config("[mcp]\nallowed_hosts = ['haia.lan']\n").start();
    assert_eq!(post(&daemon, "", &initialize()).send().status, 401);
    assert_eq!(post(&daemon, "wrong", &initialize()).send().status, 401);
    for (host, origin, status) in [
        ("localhost:1", "", 200),
        ("haia.lan", "", 200),
        ("10.1.2.3:8000", "", 200),
        ("evil.example", "", 403),
        ("evil.example", "http://evil.example", 403),
        ("localhost", "http://evil.example", 403),
        ("localhost:7", "http://localhost:7", 200),
    ] {
        let call = post(&daemon, CONTROL, &initialize()).header("host", host).header("origin", origin);
        assert_eq!(call.send().status, status, "{host} {origin}");
    }
    let session = open(&daemon, READ);
    assert!(names(&ask(&daemon, READ, &session, "tools/list", json!({}))).contains(&"get_time".to_owned()));
    let refused = ask(&daemon, READ, &session, "tools/call", json!({ "name": "get_time" }));
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (403, &json!(-32000)));
    assert_eq!(ask(&daemon, CONTROL, &session, "ping", json!({})).status, 404, "another key's session");

    let off = Setup::new().config("[mcp]\nserve = false\n").start();
    assert_eq!(post(&off, CONTROL, &initialize()).send().status, 404);
}

#[test]
fn tools_and_resources_tell_of_the_cluster_in_both_eras() {
    let cluster = homelab();
    let daemon = watching(&cluster).start();
    until_seen(&daemon);
    let arguments = json!({ "name": "get_vm_status", "arguments": { "guest": "web-01" } });
    let session = open(&daemon, CONTROL);
    let called = post(&daemon, CONTROL, &request(1, "tools/call", arguments.clone()))
        .header("mcp-session-id", &session)
        .header("x-request-id", "from-a-host")
        .send();
    assert!(text(&called).contains("web-01"), "{}", called.text());
    assert_eq!(called.header("x-request-id"), Some("from-a-host"));
    assert!(text(&modern(&daemon, CONTROL, "tools/call", arguments).send()).contains("web-01"));
    for (uri, expected) in [
        ("haia://cluster", "lab"),
        ("haia://guests/web-01", "web-01"),
        ("haia://storage", "nas-nfs"),
        ("haia://alerts", "\"alerts\""),
        ("haia://alerts/history", "\"events\""),
    ] {
        let told = text(&ask(&daemon, READ, &open(&daemon, READ), "resources/read", json!({ "uri": uri })));
        assert!(told.contains(expected), "{uri}: {told}");
        let told = text(&modern(&daemon, READ, "resources/read", json!({ "uri": uri })).send());
        assert!(told.contains(expected), "{uri}: {told}");
    }
    let rows = eventually("the call's row of the audit trail", || {
        let rows = daemon.get("/api/audit?kind=tool&request_id=from-a-host").json()["rows"].clone();
        rows.as_array().filter(|rows| !rows.is_empty()).cloned()
    });
    assert_eq!(
        (rows.len(), &rows[0]["what"], &rows[0]["who"], &rows[0]["outcome"]),
        (1, &json!("get_vm_status"), &json!("control"), &json!("ok"))
    );
    cluster.assert_read_only();
}

#[test]
fn a_session_that_rests_is_forgotten() {
    let daemon = Setup::new().config("[mcp]\nsession_timeout = '1s'\n").start();
    let sessions: Vec<String> = (0..20).map(|_| open(&daemon, CONTROL)).collect();
    eventually("all sessions to be forgotten", || (figures(&daemon).0 == 0).then_some(()));
    for session in sessions {
        assert_eq!(ask(&daemon, CONTROL, &session, "ping", json!({})).status, 404);
    }
}

#[test]
fn a_listener_hears_of_tools_that_come_and_go() {
    let setup = Setup::new().config("[tools]\ndisabled = []\n");
    let daemon = setup.start();
    let session = open(&daemon, CONTROL);
    let listen = || Call::tcp(daemon.address, "GET", "/mcp").key(CONTROL).header("accept", "text/event-stream");
    let mut stream = listen().header("mcp-session-id", &session).open();
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream")));
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let mut subscription = modern(&daemon, CONTROL, "subscriptions/listen", wanted).open();
    subscription.read_until(
        "the subscription to be acknowledged",
        |event| matches!(event, Event::Data(data) if data["method"] == "notifications/subscriptions/acknowledged"),
    );
    eventually("two listeners", || (figures(&daemon).1 == 2).then_some(()));
    let file = std::fs::read_to_string(daemon.config_path()).expect("the configuration");
    std::fs::write(daemon.config_path(), file.replace("disabled = []", "disabled = ['get_time']")).expect("written");
    assert_eq!(daemon.post("/api/config/reload", &json!({})).status, 200);
    let changed =
        |event: &Event| matches!(event, Event::Data(data) if data["method"] == "notifications/tools/list_changed");
    stream.read_until("the session to hear of it", changed);
    subscription.read_until("the subscription to hear of it", changed);
    assert!(!names(&ask(&daemon, CONTROL, &session, "tools/list", json!({}))).contains(&"get_time".to_owned()));
    drop((stream, subscription));
    eventually("nobody to listen", || (figures(&daemon).1 == 0).then_some(()));
    let again = listen().header("mcp-session-id", "nonsense").send();
    assert_eq!(again.status, 404);
}

#[test]
fn whoever_leaves_takes_the_call_back() {
    let cluster = homelab();
    let daemon = watching(&cluster).start();
    until_seen(&daemon);
    let session = open(&daemon, CONTROL);
    // What is asked of the cluster itself hangs.
    cluster.fault_rule(FaultRule { path: "/nodes".to_owned(), ..FaultRule::always(Fault::Hang) });
    let call = |id: &str| {
        let arguments = json!({ "guest": "web-01" });
        let params = json!({ "name": "list_snapshots", "arguments": arguments, "_meta": { "progressToken": id } });
        post(&daemon, CONTROL, &request(5, "tools/call", params))
            .header("mcp-session-id", &session)
            .header("x-request-id", id)
    };
    let progress = |event: &Event| matches!(event, Event::Data(data) if data["method"] == "notifications/progress");
    let outcome = |id: &str| {
        let row = || {
            daemon.get(&format!("/api/audit?kind=tool&request_id={id}")).json()["rows"][0]["outcome"]
                .as_str()
                .map(str::to_owned)
        };
        eventually(&format!("the row of {id}"), row)
    };
    let mut left = call("left").open();
    left.read_until("the call to be under way", progress);
    drop(left);
    assert_eq!(outcome("left"), "cancelled");
    let mut taken_back = call("taken-back").open();
    taken_back.read_until("the second call to be under way", progress);
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } });
    assert_eq!(post(&daemon, CONTROL, &cancel).header("mcp-session-id", &session).send().status, 202);
    taken_back.read_until("its end", |event| {
        matches!(event, Event::Data(data) if data["error"]["message"].as_str().is_some_and(|said| said.contains("cancelled")))
    });
    assert_eq!(outcome("taken-back"), "cancelled");
    cluster.clear_faults();
    let stays = call("stays").header("accept", "application/json").send();
    assert_eq!(stays.json()["result"]["isError"], false, "{}", stays.text());
    daemon.wait_until_idle();
}

/// `haia mcp` with its input and output.
struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Bridge {
    fn start(setup: &Setup) -> Self {
        let mut child = Command::new(binary())
            .env_clear()
            .args(["--config".as_ref(), setup.path().as_os_str(), "mcp".as_ref()])
            .current_dir(setup.path().parent().expect("a folder"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (send, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")));
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    fn send(&mut self, message: &Value) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{message}").expect("it reads");
        input.flush().expect("it reads");
    }

    /// The next message that `wanted` wants.
    fn next(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(crate::daemon::DEADLINE);
            let line = line.unwrap_or_else(|error| panic!("{error}: waited in vain for {what}"));
            if wanted(&line) {
                return line;
            }
        }
    }

    fn ask(&mut self, id: u32, method: &str, params: Value) -> Value {
        self.send(&request(id, method, params));
        self.next(method, |line| line["id"] == id)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_bridge_passes_both_eras_on_and_outlives_the_daemon() {
    let setup = Setup::new().config("[tools]\ndisabled = []\n");
    let mut daemon = setup.start();
    let mut bridge = Bridge::start(&setup);
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let opened = bridge.ask(1, "initialize", params);
    assert_eq!(opened["result"]["serverInfo"]["name"], "haia");
    bridge.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let called = bridge.ask(2, "tools/call", json!({ "name": "get_time" }));
    assert_eq!(called["result"]["isError"], false, "{called}");
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let called = bridge.ask(3, "tools/call", json!({ "name": "get_time", "_meta": meta }));
    assert_eq!((&called["result"]["resultType"], &called["result"]["isError"]), (&json!("complete"), &json!(false)));

    eventually("the bridge to listen", || (figures(&daemon).1 == 1).then_some(()));
    let file = std::fs::read_to_string(daemon.config_path()).expect("the configuration");
    std::fs::write(daemon.config_path(), file.replace("disabled = []", "disabled = ['get_time']")).expect("written");
    assert_eq!(daemon.post("/api/config/reload", &json!({})).status, 200);
    bridge.next("news", |line| line["method"] == "notifications/tools/list_changed");

    daemon.signal("TERM");
    daemon.wait();
    let refused = bridge.ask(4, "tools/list", json!({}));
    assert!(refused["error"]["message"].as_str().is_some_and(|said| said.contains("haia serve")), "{refused}");
    let again = setup.folder(daemon.folder()).start();
    let listed = bridge.ask(5, "tools/list", json!({}));
    assert!(listed["result"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{listed}");
    drop(bridge.input.take());
    let status = eventually("the bridge to end", || bridge.child.try_wait().expect("it can be waited for"));
    assert_eq!(status.code(), Some(0));
    eventually("its session to be ended", || (figures(&again).0 == 0).then_some(()));
}

/// The resident memory of a process, in KiB.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).expect("a number")
}

#[test]
#[ignore = "takes minutes: .ci/long runs it"]
fn ten_thousand_abandoned_sessions_leave_nothing_behind() {
    let daemon = Setup::new().config("[mcp]\nsession_timeout = '5s'\n").start();
    let visit = |count: usize| {
        for _ in 0..count {
            let session = open(&daemon, CONTROL);
            let _ = names(&ask(&daemon, CONTROL, &session, "tools/list", json!({})));
        }
    };
    visit(200);
    eventually("the first sessions to be forgotten", || (figures(&daemon).0 == 0).then_some(()));
    let before = resident(daemon.pid());
    visit(10_000);
    eventually("every session to be forgotten", || (figures(&daemon).0 == 0).then_some(()));
    let after = resident(daemon.pid());
    println!("{before} KiB before, {after} KiB after 10,000 sessions");
    assert!(after < before + (20 << 10), "{before} KiB before, {after} KiB after");
}
