//! The host and the toolbox as the daemon joins them, in real time, with a store in memory.

use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::caller::{Caller, Origin, Scope};
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::mcp::{ListMcpServers, McpServerStatus, McpState, McpTrouble};
use contract::message::{Drain, Lane, Msg, Reconfigure};
use contract::status::{Status, StatusSource};
use contract::store::{AuditRow, AuditSink};
use contract::tools::{CallTool, ListTools, SharedCatalogue, ToolResult};
use runtime::{Handle, Mailbox, Policy, Port, Supervision, SystemClock, SystemIds};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use toolbox::mcp::{Guardian, Host, KeptStates, NamedState, Settings, States};
use toolbox::{Owner, Toolbox};

/// How long any of these tests waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test's future on a thread as actors have it.
pub fn run<R>(future: impl Future<Output = R>) -> R {
    actix_rt::System::new().block_on(future)
}

/// The example program that the guardian's mode is in.
pub fn helper() -> PathBuf {
    let this = std::env::current_exe().expect("a path");
    let beside = this.parent().expect("a folder");
    let helper = beside.parent().expect("a folder").join("examples/mcp-host");
    // Inside the program itself it is started as HAIA starts itself.
    if helper == this { "/proc/self/exe".into() } else { helper }
}

/// Runs `server.py` in one of its kinds.
pub fn python(kind: &[&str]) -> serde_json::Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/server.py");
    let arguments: Vec<&str> = [script].into_iter().chain(kind.iter().copied()).collect();
    serde_json::json!({"command": "python3", "args": arguments, "haia": {"trust": "read"}})
}

/// The text of a file of servers.
pub fn file(servers: impl IntoIterator<Item = (&'static str, serde_json::Value)>) -> String {
    let servers: serde_json::Map<String, serde_json::Value> =
        servers.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect();
    serde_json::json!({"mcpServers": servers}).to_string()
}

/// A store in memory; it cannot be read while the flag says so.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<BTreeMap<Arc<str>, String>>>, pub Arc<AtomicBool>);

impl States for Kept {
    fn load(&self) -> LocalBoxFuture<'static, Result<KeptStates, String>> {
        let kept = self.0.lock().expect("kept").clone();
        let is_broken = self.1.load(Ordering::Relaxed);
        Box::pin(async move { if is_broken { Err("locked".to_owned()) } else { Ok(kept.into_iter().collect()) } })
    }

    fn keep(&self, states: Vec<NamedState>) -> LocalBoxFuture<'static, Result<(), String>> {
        let mut kept = self.0.lock().expect("kept");
        for (name, state) in states {
            match state {
                Some(state) => kept.insert(name, state),
                None => kept.remove(&name),
            };
        }
        Box::pin(async { Ok(()) })
    }
}

/// The audit trail.
#[derive(Default)]
pub struct Rows(pub Mutex<Vec<AuditRow>>);

impl AuditSink for Rows {
    fn record(&self, row: AuditRow) {
        self.0.lock().expect("rows").push(row);
    }
}

struct Quiet;

impl StatusSource for Quiet {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        Box::pin(std::future::pending())
    }
}

/// Everything that a test drives.
pub struct Rig {
    pub host: Mailbox<Host>,
    pub toolbox: Mailbox<Toolbox>,
    pub call: Port<CallTool>,
    pub rows: Arc<Rows>,
    pub catalogue: SharedCatalogue,
    pub kept: Kept,
    pub troubles: Arc<Mutex<Vec<McpTrouble>>>,
    pub supervision: Supervision,
    settings: Settings,
    live: Arc<ArcSwap<Settings>>,
}

impl Rig {
    pub async fn start(servers: &str) -> Self {
        Self::start_with(servers, Kept::default(), toolbox::Config::default()).await
    }

    pub async fn start_with(servers: &str, kept: Kept, config: toolbox::Config) -> Self {
        let path = std::env::var_os("PATH").map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let variables = [("PATH", path.as_str()), ("SECRET_TOKEN", "hush-hush-token"), ("HOME", "/tmp")];
        let settings = Settings {
            config: toolbox::mcp::Config::default(),
            servers: servers.into(),
            environment: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        };
        let supervision = Supervision::new(|event| eprintln!("supervision: {event:?}"));
        let live = Arc::new(ArcSwap::from_pointee(settings.clone()));
        let troubles: Arc<Mutex<Vec<McpTrouble>>> = Arc::default();
        let told = Arc::clone(&troubles);
        let catalogue = SharedCatalogue::default();
        let refresh = Arc::new(OnceLock::new());
        let ports = toolbox::mcp::Ports {
            states: Arc::new(kept.clone()),
            alarm: Arc::new(move |trouble| told.lock().expect("troubles").push(trouble)),
            refresh: Arc::clone(&refresh),
            catalogue: Arc::clone(&catalogue),
            updates: Arc::default(),
            guardian: Guardian { program: helper(), arguments: vec!["guard".into()] },
            clock: Arc::new(SystemClock::real()),
            ids: Arc::new(SystemIds),
        };
        let thread = actix_rt::Arbiter::current();
        let host = supervision.start(&thread, "mcp", Policy::optional(), Host::factory(Arc::clone(&live), ports));
        let rows = Arc::new(Rows::default());
        let ports = toolbox::Ports {
            owners: vec![Owner {
                name: toolbox::mcp::OWNER,
                list: host.port::<ListTools>(Lane::Interactive),
                call: host.port::<CallTool>(Lane::Interactive),
                call_for_mcp: Some(host.port(Lane::Interactive)),
                plan: None,
            }],
            catalogue: Arc::clone(&catalogue),
            everything: SharedCatalogue::default(),
            own: SharedCatalogue::default(),
            audit: rows.clone(),
            clock: Arc::new(SystemClock::real()),
            timezone: jiff::tz::TimeZone::UTC,
            status: Arc::new(Quiet),
            propose: None,
        };
        let config = Arc::new(ArcSwap::from_pointee(config));
        let toolbox = supervision.start(&thread, "toolbox", Policy::default(), Toolbox::factory(config, ports));
        let _ = refresh.set(toolbox.port(Lane::Control));
        let call = toolbox.port(Lane::Interactive);
        Self { host, toolbox, call, rows, catalogue, kept, troubles, supervision, settings, live }
    }

    pub async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        Host: Handle<M>,
    {
        self.host.port(Lane::Control).ask(message, PATIENCE).await.expect("the host answers")
    }

    pub async fn reload(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.live.store(Arc::new(self.settings.clone()));
        self.ask(Reconfigure(self.live.load_full())).await;
    }

    /// Waits for a state of the servers, and gives it.
    pub async fn until(&self, what: &str, is_so: impl Fn(&[McpServerStatus]) -> bool) -> Vec<McpServerStatus> {
        let waited = std::time::Duration::from_millis(20);
        let mut last = Vec::new();
        for _ in 0..PATIENCE.as_millis() / waited.as_millis() {
            last = self.ask(ListMcpServers).await;
            if !last.is_empty() && is_so(&last) {
                return last;
            }
            tokio::time::sleep(waited).await;
        }
        panic!("waited in vain until {what}: {last:#?}");
    }

    pub async fn until_state(&self, server: &str, state: McpState) -> McpServerStatus {
        let what = format!("{server} is {state:?}");
        let servers =
            self.until(&what, |servers| servers.iter().any(|one| &*one.name == server && one.state == state)).await;
        servers.into_iter().find(|one| &*one.name == server).expect("it is there")
    }

    /// Waits until a tool is in the published catalogue, or not.
    pub async fn until_offered(&self, tool: &str, offered: bool) {
        for _ in 0..3000 {
            if self.catalogue.load().get(tool).is_some() == offered {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{tool}: offered is not {offered}: {:?}", self.names());
    }

    /// Waits until a tool can be called, listed or not.
    pub async fn until_known(&self, tool: &str) {
        let list = self.toolbox.port::<ListTools>(Lane::Interactive);
        for _ in 0..1500 {
            if list
                .ask(ListTools, PATIENCE)
                .await
                .expect("the toolbox answers")
                .iter()
                .any(|known| &*known.name == tool)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{tool} is not known");
    }

    pub fn names(&self) -> Vec<String> {
        self.catalogue.load().tools.iter().map(|tool| tool.name.to_string()).collect()
    }

    pub async fn call_as(
        &self,
        caller: &str,
        tool: &str,
        arguments: serde_json::Value,
        timeout: Duration,
    ) -> Result<ToolResult, Failure> {
        let caller = Caller { name: caller.into(), scope: Scope::Control, origin: Origin::Chat };
        self.call
            .ask(CallTool { caller, timeout, ..call(tool, arguments) }, PATIENCE)
            .await
            .expect("the toolbox answers")
    }

    pub async fn call(&self, tool: &str, arguments: serde_json::Value) -> Result<ToolResult, Failure> {
        self.call_as("anna", tool, arguments, Duration::from_secs(30)).await
    }

    /// The text of a good result.
    pub async fn text(&self, tool: &str, arguments: serde_json::Value) -> String {
        let result = self.call(tool, arguments).await.expect("a result");
        assert!(!result.is_error, "{result:?}");
        result.text
    }

    /// What a failed call says.
    pub async fn refusal(&self, tool: &str, arguments: serde_json::Value) -> String {
        match self.call(tool, arguments).await {
            Err(failure) => failure.message.into_owned(),
            Ok(result) => panic!("{tool}: {result:?}"),
        }
    }

    pub async fn drain(&self) {
        self.ask(Drain).await;
    }
}

/// A call of a tool.
pub fn call(tool: &str, arguments: serde_json::Value) -> CallTool {
    CallTool {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: "anna".into(), scope: Scope::Control, origin: Origin::Chat },
        name: tool.into(),
        arguments: arguments.to_string(),
        timeout: PATIENCE,
    }
}

/// Whether a process is alive (a zombie is not).
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
pub async fn until_gone(pid: u32) {
    for _ in 0..1500 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {pid} is still alive");
}
