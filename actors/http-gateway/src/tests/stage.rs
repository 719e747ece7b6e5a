//! A gateway among scripted neighbours: players for agent and models, a store in memory, a daemon that does as told.

use super::players::Players;
use crate::config::Config;
use crate::gateway::{HttpGateway, RefreshKeys};
use crate::metrics::Metrics;
use crate::ports::{DaemonControl, Ports, ThreadPorts};
use crate::published::Shared;
use crate::server::app;
use crate::thread::{Gateway, Thread};
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use contract::BoxFuture;
use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::message::{Fault, Lane};
use contract::provider::{
    ListModels, ModelEntry, ModelList, ProbeProvider, ProviderState, ProviderStatus, Quantiles, Readiness, RouteEntry,
    RouteReadiness,
};
use contract::status::{ActorStatus, ConnectionCounts, Gauges, Status, StatusSource, StreamCounts, TurnCounts};
use contract::store::{
    AddKey, AuditRow, AuditSink, ListKeys, ReadAudit, RevokeKey, StoreError, StoreReport, StoredKey,
};
use contract::usage::{KeyStatus, LimitStatus, ModelUsage, ReadUsage, UsageFigures, UsageReport};
use runtime::world::World;
use runtime::{Mailbox, Policy, Port};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The daemon and the store, as told.
#[derive(Default)]
pub(crate) struct Props {
    pub(crate) keys: Mutex<Vec<StoredKey>>,
    pub(crate) store_broken: AtomicBool,
    pub(crate) audit: Mutex<Vec<AuditRow>>,
    pub(crate) faults: AtomicBool,
    pub(crate) actors_down: AtomicBool,
    pub(crate) readiness: Mutex<Option<Readiness>>,
    pub(crate) reload: Mutex<Option<Vec<String>>>,
    pub(crate) crashed: Mutex<Vec<String>>,
    /// How often a worker thread asked for what it has of its own.
    pub(crate) threads: AtomicI64,
}

impl Props {
    fn store<T>(&self, answer: impl FnOnce(&mut Vec<StoredKey>) -> T) -> Result<T, StoreError> {
        if self.store_broken.load(Ordering::SeqCst) {
            return Err(StoreError("the disk is full".into()));
        }
        Ok(answer(&mut self.keys.lock().expect("keys")))
    }
}

struct Cue(Arc<Props>);

impl AuditSink for Cue {
    fn record(&self, row: AuditRow) {
        self.0.audit.lock().expect("audit").push(row);
    }
}

impl StatusSource for Cue {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        Box::pin(async { status() })
    }
}

impl DaemonControl for Cue {
    fn reload(&self) -> BoxFuture<'static, Result<u64, Vec<String>>> {
        let outcome = self.0.reload.lock().expect("reload").clone().map_or(Ok(2), Err);
        Box::pin(async move { outcome })
    }

    fn crash(&self, actor: &str) -> Option<Result<(), Fault>> {
        (actor == "store").then(|| {
            self.0.crashed.lock().expect("crashed").push(actor.to_owned());
            Ok(())
        })
    }

    fn faults_enabled(&self) -> bool {
        self.0.faults.load(Ordering::SeqCst)
    }

    fn required_actors_running(&self) -> Result<(), String> {
        if self.0.actors_down.load(Ordering::SeqCst) { Err("store is restarting".into()) } else { Ok(()) }
    }

    fn default_route(&self) -> Arc<str> {
        "default".into()
    }
}

/// Ports to scripted neighbours.
pub(crate) fn ports(props: &Arc<Props>, players: &Players, clock: SharedClock, ids: contract::ids::SharedIds) -> Ports {
    let with = |props: &Arc<Props>| Arc::clone(props);
    let (list, add, revoke, audit) = (with(props), with(props), with(props), with(props));
    let (ready, threads) = (with(props), with(props));
    let cue = Arc::new(Cue(with(props)));
    let players = players.clone();
    Ports {
        keys: Port::scripted("store", move |_: ListKeys| list.store(|keys| keys.clone())),
        add_key: Port::scripted("store", move |AddKey(key): AddKey| add.store(|keys| keys.push(key))),
        revoke_key: Port::scripted("store", move |RevokeKey { name }: RevokeKey| {
            revoke.store(|keys| {
                let before = keys.len();
                keys.retain(|key| *key.name != name);
                keys.len() < before
            })
        }),
        audit: Port::scripted("store", move |wanted: ReadAudit| {
            let rows = audit.audit.lock().expect("audit").clone();
            audit.store(|_| {
                rows.into_iter()
                    .rev()
                    .filter(|row| wanted.request_id.as_ref().is_none_or(|id| **id == *row.request_id))
                    .filter(|row| wanted.kind.is_none_or(|kind| kind == row.kind))
                    .take(wanted.limit as usize)
                    .collect()
            })
        }),
        usage: Port::scripted("store", |_: ReadUsage| Ok(Vec::new())),
        audit_sink: cue.clone(),
        models: Port::scripted("provider-pool", |_: ListModels| Arc::new(models())),
        readiness: Port::scripted("provider-pool", move |_: RouteReadiness| {
            ready.readiness.lock().expect("readiness").clone().unwrap_or(Readiness::Ready)
        }),
        probe: Port::scripted("provider-pool", |ProbeProvider { provider }: ProbeProvider| {
            if &*provider == "openai" {
                Ok(models().models)
            } else {
                Err(Failure::new(contract::failure::FailureClass::Authentication, "the provider refuses the key"))
            }
        }),
        watch: super::watching::ports(),
        tools: super::mcp::tools(props),
        mcp: super::mcp::servers(),
        approvals: super::approvals::ports(),
        status: cue.clone(),
        control: cue,
        clock,
        ids,
        gauges: Arc::new(Gauges::default()),
        spool: std::env::temp_dir().into(),
        threads: Arc::new(move || {
            threads.threads.fetch_add(1, Ordering::SeqCst);
            ThreadPorts {
                agent: Rc::new(players.clone()),
                models: Rc::new(players.clone()),
                direct: Rc::new(players.clone()),
            }
        }),
    }
}

/// Two routes and two models.
pub(crate) fn models() -> ModelList {
    let route = |name: &str| RouteEntry { name: name.into(), entries: Vec::new() };
    let model = |provider: &str, model: &str, created| ModelEntry {
        provider: provider.into(),
        model: model.into(),
        created,
        context_tokens: Some(8192),
        tools: None,
        abilities: contract::provider::Abilities { vision: Some(true), ..Default::default() },
    };
    ModelList {
        routes: vec![route("default"), route("fast")],
        models: vec![model("openai", "gpt-4o", Some(1_700_000_000)), model("openrouter", "meta/llama:free", None)],
    }
}

/// A status with something of everything.
pub(crate) fn status() -> Status {
    let ms = Quantiles { p50: 1.0, p99: 2.0, max: 3.0 };
    let figures = UsageFigures {
        calls: 3,
        errors: 1,
        cancelled: 0,
        uncounted: 1,
        input_tokens: Some(10),
        output_tokens: Some(20),
        cached_tokens: None,
        reasoning_tokens: None,
        cost: Some(0.5),
        first_token_ms: Some(40.0),
        total_ms: Some(900.0),
    };
    Status {
        version: "0.1.0",
        uptime_s: 5,
        generation: 1,
        reload_error: None,
        turns: TurnCounts { active: 1, queued: 0 },
        streams: StreamCounts { open: 2 },
        provider_connections: ConnectionCounts { active: 1 },
        actors: vec![ActorStatus {
            name: "store",
            state: "running",
            required: true,
            restarts: 0,
            mailbox_depth: 0,
            handled: 7,
            dead_letters: 0,
            wait_ms: ms,
            handle_ms: ms,
            detail: None,
        }],
        providers: vec![ProviderStatus {
            name: "we\"ird\\".into(),
            state: ProviderState::Failing,
            circuit: "closed",
            kind: "openai",
            models: Vec::new(),
            requests: 3,
            errors: 1,
            last_error: None,
            last_error_at: None,
            first_token_ms: ms,
            total_ms: ms,
            input_tokens: Some(10),
            output_tokens: Some(20),
            cached_tokens: Some(4),
            reasoning_tokens: Some(5),
            cost: Some(0.5),
            active: 0,
            waiting: 1,
            usage: UsageReport { today: figures, month: figures },
            usage_by_model: vec![ModelUsage {
                name: "gpt".into(),
                usage: UsageReport { today: figures, month: figures },
            }],
        }],
        keys: vec![KeyStatus {
            name: "tablet".into(),
            state: "limited",
            usage: UsageReport { today: figures, month: figures },
            limits: vec![LimitStatus {
                name: "tokens_per_day",
                limit: 100.0,
                used: 120.0,
                resets_at: jiff::Timestamp::UNIX_EPOCH,
            }],
        }],
        clusters: Vec::new(),
        alerts: Vec::new(),
        alert_counts: None,
        heartbeats: Vec::new(),
        jobs: Vec::new(),
        channels: Vec::new(),
        mcp_servers: Vec::new(),
        store: Some(StoreReport {
            path: "haia.db".into(),
            schema: 1,
            problem: None,
            bytes: 4096,
            audit_waiting: 0,
            audit_lost: 0,
        }),
    }
}

/// A gateway in a world, called without sockets.
pub(crate) struct Stage {
    pub(crate) players: Players,
    pub(crate) props: Arc<Props>,
    pub(crate) mailbox: Mailbox<HttpGateway>,
    pub(crate) gateway: Arc<Gateway>,
    thread: Rc<Thread>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The members of the error object that programs look at, after checking its shape.
    pub(crate) fn error(&self) -> (String, Option<String>, Option<String>) {
        let json = self.json();
        let error = json["error"].as_object().unwrap_or_else(|| panic!("no error object: {}", self.body));
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/json");
        assert!(!self.header("x-request-id").is_empty());
        let text = |name: &str| error[name].as_str().map(str::to_owned);
        (text("type").unwrap_or_default(), text("code"), text("param"))
    }
}

impl Stage {
    pub(crate) async fn new(world: &World, config: Config) -> Self {
        let (players, props) = (Players::default(), Arc::<Props>::default());
        let ports = ports(&props, &players, world.clock.clone(), world.ids.clone());
        Self::with(world, config, players, props, ports).await
    }

    pub(crate) async fn with(world: &World, config: Config, players: Players, props: Arc<Props>, ports: Ports) -> Self {
        let listen = "127.0.0.1:8000".parse().expect("address");
        let shared = Shared::new(config, listen, Some("tower".to_owned()));
        let (state, keys, clock) = (shared.clone(), ports.keys.clone(), ports.clock.clone());
        let mailbox = world.supervision.start(&world.thread(), "http-gateway", Policy::default(), move || {
            HttpGateway::new(state.clone(), keys.clone(), clock.clone())
        });
        let refresh = mailbox.port::<RefreshKeys>(Lane::Interactive);
        refresh.ask(RefreshKeys, Duration::from_secs(1)).await.expect("asked").expect("known");
        let own = (ports.threads)();
        let gateway = Arc::new(Gateway { shared, ports, refresh, metrics: Arc::<Metrics>::default() });
        let thread = Rc::new(Thread { gateway: gateway.clone(), own });
        Self { players, props, mailbox, gateway, thread }
    }

    /// Sends a request from this machine and reads the whole answer.
    pub(crate) async fn send(&self, request: TestRequest) -> Reply {
        let (status, headers, body) = self.head(request).await;
        let body = to_bytes(body).await.expect("bodies do not fail");
        Reply { status, headers, body: String::from_utf8(body.to_vec()).expect("UTF-8") }
    }

    /// Sends a request and returns the head with the body yet to be polled.
    pub(crate) async fn head(&self, request: TestRequest) -> (u16, HeaderMap, BoxBody) {
        let service = actix_web::test::init_service(app(Rc::clone(&self.thread))).await;
        let request = request.peer_addr("127.0.0.1:5".parse().expect("address")).to_request();
        let response = service.call(request).await.map(ServiceResponse::into_parts);
        let response = match response {
            Ok((_, response)) => response,
            Err(error) => error.error_response(),
        };
        (response.status().as_u16(), response.headers().clone(), response.into_body())
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(get(path)).await
    }

    pub(crate) async fn chat(&self, body: &str) -> Reply {
        self.send(chat(body)).await
    }
}

pub(crate) fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("host", "localhost:8000"))
}

pub(crate) fn post(path: &str, body: &str) -> TestRequest {
    TestRequest::post().uri(path).insert_header(("host", "localhost:8000")).set_payload(body.to_owned())
}

pub(crate) fn chat(body: &str) -> TestRequest {
    post("/v1/chat/completions", body).insert_header(("content-type", "application/json"))
}

/// A chat request to `model`.
pub(crate) fn question(model: &str, stream: bool) -> String {
    format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#)
}
