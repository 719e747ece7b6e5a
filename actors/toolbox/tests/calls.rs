//! The toolbox in a simulated world: routing, deadlines, refusals, and one audit row for each call however it ends.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::caller::{Caller, Origin, Scope};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::{Fault, Lane, Reconfigure};
use contract::status::{Status, StatusSource};
use contract::store::{AuditRow, AuditSink};
use contract::tools::{CallTool, ListTools, Risk, SharedCatalogue, Tool, ToolResult};
use runtime::world::World;
use runtime::{Context, Handle, Mailbox, Policy, Port, Reply, Service};
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use toolbox::{Config, Owner, Ports, RefreshCatalogue, Toolbox};

#[derive(Default)]
struct Rows(Mutex<Vec<AuditRow>>);

impl AuditSink for Rows {
    fn record(&self, row: AuditRow) {
        self.0.lock().expect("rows").push(row);
    }
}

impl Rows {
    fn take(&self) -> Vec<AuditRow> {
        std::mem::take(&mut self.0.lock().expect("rows"))
    }

    /// Asserts that exactly one row was written, and takes it.
    fn one(&self) -> AuditRow {
        let mut rows = self.take();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }
}

struct Quiet;

impl StatusSource for Quiet {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        Box::pin(async {
            Status {
                version: "9.9.9",
                uptime_s: 5,
                generation: 1,
                reload_error: None,
                turns: Default::default(),
                streams: Default::default(),
                provider_connections: Default::default(),
                actors: vec![],
                providers: vec![],
                keys: vec![],
                clusters: vec![],
                alerts: vec![],
                alert_counts: None,
                heartbeats: vec![],
                jobs: vec![],
                channels: vec![],
                mcp_servers: vec![],
                store: None,
            }
        })
    }
}

/// An owner of a domain with tools that behave in every way.
struct Domain {
    dropped: Arc<Mutex<Vec<&'static str>>>,
}

struct TellDrop(Arc<Mutex<Vec<&'static str>>>);

impl Drop for TellDrop {
    fn drop(&mut self) {
        self.0.lock().expect("drops").push("slow");
    }
}

impl Service for Domain {
    type Observed = ();
    fn observe(&self) {}
}

fn tool(name: &str, risk: Risk) -> Tool {
    let schema = RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).expect("JSON");
    Tool { name: name.into(), description: "d".into(), parameters: Arc::from(schema), risk, title: "t".into() }
}

impl Handle<ListTools> for Domain {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(vec![
            tool("echo", Risk::Read),
            tool("slow", Risk::Read),
            tool("crash", Risk::Read),
            tool("fail", Risk::Read),
            tool("say_error", Risk::Read),
            tool("start_guest", Risk::Write),
            tool("destroy_guest", Risk::Destructive),
            tool("GET_TIME", Risk::Read),
            tool("bad name", Risk::Read),
        ])
    }
}

impl Handle<CallTool> for Domain {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        match &*call.name {
            "echo" => Reply::Now(Ok(ToolResult::ok(call.arguments))),
            "slow" => {
                let told = TellDrop(Arc::clone(&self.dropped));
                Reply::later(async move {
                    let _told = told;
                    std::future::pending().await
                })
            }
            "crash" => Reply::later(async { panic!("a tool's panic") }),
            "fail" => Reply::Now(Err(Failure::new(FailureClass::Unreachable, "no cluster"))),
            "say_error" => Reply::Now(Ok(ToolResult::error("no such guest"))),
            other => panic!("{other} must never be called"),
        }
    }
}

struct Bench {
    toolbox: Mailbox<Toolbox>,
    call: Port<CallTool>,
    rows: Arc<Rows>,
    catalogue: SharedCatalogue,
    config: Arc<ArcSwap<Config>>,
    dropped: Arc<Mutex<Vec<&'static str>>>,
}

async fn bench(world: &World) -> Bench {
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let drops = Arc::clone(&dropped);
    let domain = world
        .supervision
        .start(&world.thread(), "domain", Policy::default(), move || Domain { dropped: Arc::clone(&drops) });
    let owner = Owner {
        name: "domain",
        list: domain.port(Lane::Interactive),
        call: domain.port(Lane::Interactive),
        call_for_mcp: None,
        plan: None,
    };
    bench_with(world, vec![owner], dropped).await
}

async fn bench_with(world: &World, owners: Vec<Owner>, dropped: Arc<Mutex<Vec<&'static str>>>) -> Bench {
    let rows = Arc::new(Rows::default());
    let catalogue = SharedCatalogue::default();
    let config = Arc::new(ArcSwap::from_pointee(Config::default()));
    let ports = Ports {
        owners,
        catalogue: Arc::clone(&catalogue),
        everything: SharedCatalogue::default(),
        own: SharedCatalogue::default(),
        audit: rows.clone(),
        clock: world.clock.clone(),
        timezone: jiff::tz::TimeZone::get("Europe/Paris").expect("a zone"),
        status: Arc::new(Quiet),
        propose: None,
    };
    let factory = Toolbox::factory(Arc::clone(&config), ports);
    let toolbox = world.supervision.start(&world.thread(), "toolbox", Policy::default(), factory);
    toolbox.port(Lane::Interactive).ask(RefreshCatalogue, Duration::from_secs(60)).await.expect("refreshed");
    let call = toolbox.port(Lane::Interactive);
    Bench { toolbox, call, rows, catalogue, config, dropped }
}

fn call(name: &str, arguments: &str) -> CallTool {
    CallTool {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: "anna".into(), scope: Scope::Control, origin: Origin::Chat },
        name: name.into(),
        arguments: arguments.to_owned(),
        timeout: Duration::from_secs(30),
    }
}

impl Bench {
    async fn ask(&self, name: &str, arguments: &str) -> Result<ToolResult, Failure> {
        self.call.ask(call(name, arguments), Duration::from_secs(60)).await.expect("answered")
    }

    async fn error(&self, name: &str, arguments: &str) -> String {
        let result = self.ask(name, arguments).await.expect("a result");
        assert!(result.is_error, "{result:?}");
        result.text
    }

    fn names(&self) -> Vec<String> {
        self.catalogue.load().tools.iter().map(|tool| tool.name.to_string()).collect()
    }
}

#[test]
fn merges_calls_and_audits() {
    World::run(async |world| {
        let bench = bench(world).await;
        assert_eq!(
            bench.names(),
            [
                "crash",
                "destroy_guest",
                "echo",
                "fail",
                "get_haia_status",
                "get_time",
                "say_error",
                "slow",
                "start_guest"
            ]
        );
        let result = bench.ask("echo", "{\"a\":1}").await;
        assert_eq!(result, Ok(ToolResult::ok("{\"a\":1}")));
        let row = bench.rows.one();
        assert_eq!((&*row.what, &*row.who, &*row.request_id, row.origin), ("echo", "anna", "r-1", Origin::Chat));
        assert_eq!((&*row.outcome, row.bytes, row.ms, row.digest.len()), ("ok", 7, 0, 16));

        assert_eq!(bench.error("say_error", "").await, "no such guest");
        let row = bench.rows.one();
        assert_eq!((&*row.outcome, row.digest.as_str()), ("error", ""));

        assert_eq!(bench.ask("fail", "{}").await.map_err(|failure| failure.class), Err(FailureClass::Unreachable));
        assert_eq!(&*bench.rows.one().outcome, "unreachable");
    });
}

#[test]
fn answers_own_tools() {
    World::run(async |world| {
        let bench = bench(world).await;
        let time = bench.ask("get_time", "").await.expect("time").text;
        assert_eq!(time, include_str!("samples/get_time.json").trim_end());
        let time = bench.ask("get_time", r#"{"timezone":"new york"}"#).await.expect("time").text;
        assert!(time.contains(r#""timezone":"America/New_York","date":"2026-03-01","time":"07:00:00""#), "{time}");
        let status = bench.ask("get_haia_status", r#"{"detail":null}"#).await.expect("status").text;
        assert!(status.starts_with(r#"{"version":"9.9.9","uptime_s":5,"#), "{status}");
        assert!(bench.rows.take().iter().all(|row| &*row.outcome == "ok" && row.bytes > 0));
        for (name, arguments, said) in [
            ("get_time", r#"{"timezone":"Mars/Olympus"}"#, "is no time zone"),
            ("get_time", r#"{"zone":"UTC"}"#, "unknown field `zone`"),
            ("get_haia_status", r#"{"detail":"yes"}"#, "expected a boolean"),
            ("get_time", "[]", "must be one JSON object"),
            ("echo", "{", "not valid JSON"),
        ] {
            let error = bench.error(name, arguments).await;
            assert!(error.contains(said) && error.contains(name), "{error}");
            assert_eq!(&*bench.rows.one().outcome, "invalid_arguments", "{name}");
        }
    });
}

#[test]
fn refuses_what_would_change_something() {
    World::run(async |world| {
        let bench = bench(world).await;
        for name in ["start_guest", "destroy_guest"] {
            let error = bench.error(name, "{}").await;
            assert!(error.contains("needs an approval by a person"), "{error}");
            assert_eq!(&*bench.rows.one().outcome, "refused");
        }
    });
}

#[test]
fn names_near_tools_for_unknown_ones() {
    World::run(async |world| {
        let bench = bench(world).await;
        let error = bench.error("get_tiem", "{}").await;
        assert_eq!(error, "there is no tool named \"get_tiem\"; did you mean get_time?");
        assert_eq!(&*bench.rows.one().outcome, "unknown_tool");
        let error = bench.error(&"x\n".repeat(9000), "{}").await;
        assert!(error.len() < 200 && !error.contains('\n'), "{error}");
        assert!(bench.rows.one().what.len() <= 64);
    });
}

#[test]
fn a_slow_tool_is_cut_off_and_a_crash_is_contained() {
    World::run(async |world| {
        let bench = bench(world).await;
        assert_eq!(bench.error("slow", "{}").await, "slow did not answer within 30s");
        let row = bench.rows.one();
        assert_eq!((&*row.outcome, row.ms), ("timeout", 30_000));
        assert_eq!(bench.error("crash", "{}").await, "crash crashed on this call");
        assert_eq!(&*bench.rows.one().outcome, "panicked");
        assert!(bench.ask("echo", "{}").await.is_ok());
        world.settle().await;
        assert_eq!(bench.dropped.lock().expect("drops").len(), 1);
    });
}

#[test]
fn a_call_that_nobody_waits_for_is_dropped_and_audited() {
    World::run(async |world| {
        let bench = bench(world).await;
        let asked = bench.call.ask(call("slow", "{}"), Duration::from_secs(60));
        let given_up = tokio::time::timeout(Duration::from_secs(2), asked).await;
        assert!(given_up.is_err());
        world.settle().await;
        let row = bench.rows.one();
        assert_eq!((&*row.outcome, row.ms), ("cancelled", 2000));
        assert_eq!(*bench.dropped.lock().expect("drops"), ["slow"]);
    });
}

#[test]
fn a_disabled_tool_is_neither_offered_nor_called() {
    World::run(async |world| {
        let bench = bench(world).await;
        let config = Arc::new(Config { disabled: vec!["e*".into(), "slow".into()], ..Config::default() });
        bench.config.store(Arc::clone(&config));
        let reconfigure = bench.toolbox.port(Lane::Control);
        reconfigure.ask(Reconfigure(Arc::clone(&config)), Duration::from_secs(1)).await.expect("taken over");
        assert!(!bench.names().iter().any(|name| name == "echo" || name == "slow"));
        assert!(bench.error("echo", "{}").await.contains("no tool named"));
        // A fresh toolbox starts with the newest configuration, and with what the owners listed before.
        world.supervision.crash("toolbox").expect("there is one").expect("told");
        let again = bench.ask("fail", "{}").await;
        assert!(again.is_err(), "{again:?}");
        assert!(bench.error("echo", "{}").await.contains("no tool named"));
        assert_eq!(world.take_events().len(), 2);
    });
}

#[test]
fn an_owner_that_comes_up_late_is_asked_again() {
    World::run(async |world| {
        let up = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&up);
        /// Lists its tools only once it is up.
        struct Late(Arc<Mutex<bool>>);
        impl Service for Late {
            type Observed = ();
            fn observe(&self) {}
        }
        impl Handle<ListTools> for Late {
            fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
                match *self.0.lock().expect("up") {
                    true => Reply::Now(vec![tool("late", Risk::Read)]),
                    false => Reply::later(std::future::pending()),
                }
            }
        }
        let late = world.supervision.start(&world.thread(), "late", Policy::default(), move || Late(Arc::clone(&seen)));
        let owner = Owner {
            name: "late",
            list: late.port(Lane::Interactive),
            call: Port::scripted("late", |_| Ok(ToolResult::ok("here"))),
            call_for_mcp: None,
            plan: None,
        };
        let bench = bench_with(world, vec![owner], Arc::default()).await;
        assert_eq!(bench.names(), ["get_haia_status", "get_time"]);
        *up.lock().expect("up") = true;
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(bench.names(), ["get_haia_status", "get_time", "late"]);
        assert_eq!(bench.ask("late", "{}").await, Ok(ToolResult::ok("here")));
    });
}

#[test]
fn an_owner_that_is_gone_is_named() {
    World::run(async |world| {
        let bench = bench(world).await;
        world.supervision.stop("domain");
        world.settle().await;
        let error = bench.error("echo", "{}").await;
        assert!(error.contains(&Fault::Closed { actor: "domain" }.to_string()), "{error}");
        assert_eq!(&*bench.rows.one().outcome, "closed");
    });
}

/// An owner of more tools than a model is shown.
struct Many;

impl Service for Many {
    type Observed = ();
    fn observe(&self) {}
}

impl Handle<ListTools> for Many {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        let mut tools: Vec<Tool> = (0..100).map(|at| tool(&format!("srv__t{at:03}"), Risk::Read)).collect();
        tools.extend([tool("srv__wipe", Risk::Destructive), tool("read_result", Risk::Read)]);
        Reply::Now(tools)
    }
}

impl Handle<CallTool> for Many {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        Reply::Now(Ok(ToolResult::ok(format!("{} {}", call.name, call.arguments))))
    }
}

#[test]
fn too_many_tools_are_found_instead_of_listed_and_keep_their_risk() {
    World::run(async |world| {
        let many = world.supervision.start(&world.thread(), "many", Policy::default(), || Many);
        let owner = Owner {
            name: toolbox::mcp::OWNER,
            list: many.port(Lane::Interactive),
            call: many.port(Lane::Interactive),
            call_for_mcp: None,
            plan: None,
        };
        let bench = bench_with(world, vec![owner], Arc::default()).await;
        let listed = ["get_haia_status", "get_time", "read_result", "tools_call", "tools_describe", "tools_search"];
        assert_eq!(bench.names(), listed);
        let found = bench.ask("tools_search", r#"{"query":"srv t042"}"#).await.expect("found").text;
        assert!(found.starts_with(r#"[{"name":"srv__t042""#), "{found}");
        assert_eq!(&*bench.rows.one().what, "tools_search");
        let result = bench.ask("tools_call", r#"{"name":"srv__t042","arguments":{"a":1}}"#).await;
        assert_eq!(result, Ok(ToolResult::ok(r#"srv__t042 {"a":1}"#)));
        assert_eq!(&*bench.rows.one().what, "srv__t042");
        // The detour changes nothing about what needs a person.
        let error = bench.error("tools_call", r#"{"name":"srv__wipe","arguments":{}}"#).await;
        assert!(error.contains("needs an approval by a person"), "{error}");
        let row = bench.rows.one();
        assert_eq!((&*row.what, &*row.outcome), ("srv__wipe", "refused"));
        assert!(bench.error("tools_call", r#"{"nmae":"x"}"#).await.contains("unknown field"));
        assert_eq!(&*bench.rows.one().outcome, "invalid_arguments");

        let config = Arc::new(Config { favourites: vec!["srv__t00*".into()], ..Config::default() });
        let reconfigure = bench.toolbox.port(Lane::Control);
        reconfigure.ask(Reconfigure(config), Duration::from_secs(1)).await.expect("taken over");
        assert_eq!(bench.names().iter().filter(|name| name.starts_with("srv__")).count(), 10);
        let config = Arc::new(Config { max_listed: 1000, ..Config::default() });
        reconfigure.ask(Reconfigure(config), Duration::from_secs(1)).await.expect("taken over");
        assert_eq!(bench.names().len(), 104);
        assert!(bench.error("tools_search", r#"{"query":"x"}"#).await.contains("no tool named"));
        bench.rows.take();
    });
}
