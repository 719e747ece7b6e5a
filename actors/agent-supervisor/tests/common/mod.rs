//! A turn's surroundings, scripted: models that say what a test wrote down, tools that behave in every way, a reader that writes down
//! what it gets.
#![allow(dead_code, reason = "each test crate uses its part of the bench")]
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

pub mod cluster;

use agent_supervisor::{AgentSupervisor, Config, Prompts, Settings, SharedSettings, TurnPorts, Turns};
use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::approvals::DecideProposal;
use contract::caller::{Caller, Origin, Scope};
use contract::chat::{
    Agent, Answer, ChatRequest, Event, EventSink, EventStream, FinishReason, Message, OpaquePart, Role, TurnRequest,
    Usage,
};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::Lane;
use contract::provider::{CallBody, Called, ModelAnswer, ModelCall, Models, Target};
use contract::status::Gauges;
use contract::tools::{CallTool, Catalogue, Risk, SharedCatalogue, Tool, ToolResult};
use runtime::world::World;
use runtime::{Context, Handle, Mailbox, Policy, Port, Reply, Service};
use serde_json::value::RawValue;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, ready};
use std::time::Duration;

/// One thing that a scripted model does.
#[derive(Clone)]
pub enum Say {
    Text(&'static str),
    Thinking(&'static str),
    Refusal(&'static str),
    /// id, name, arguments
    Call(&'static str, &'static str, &'static str),
    Opaque(&'static str),
    Usage(u64, u64),
    Finish(FinishReason),
    Sleep(u64),
    Hang,
    Fail(FailureClass),
    Flood(usize),
}

/// What a call of a model leads to.
#[derive(Clone)]
pub enum Script {
    Answer(Vec<Say>),
    Noticed(&'static str, Vec<Say>),
    Refused(FailureClass),
    Builtin,
    Silent,
}

/// A whole answer: what is said, then the end.
pub fn says(mut said: Vec<Say>, finish: FinishReason) -> Script {
    said.push(Say::Finish(finish));
    Script::Answer(said)
}

#[derive(Default)]
pub struct Scripted {
    scripts: RefCell<VecDeque<Script>>,
    pub calls: RefCell<Vec<(ModelCall, Rc<ChatRequest>)>>,
    open: Rc<Cell<i64>>,
}

struct Open(Rc<Cell<i64>>);

impl Open {
    fn new(count: &Rc<Cell<i64>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Models for Scripted {
    fn call(&self, call: ModelCall) -> LocalBoxFuture<'static, Result<Called, Failure>> {
        let CallBody::Request(request) = &call.body else { panic!("a turn sends requests of its own") };
        // A copy, so that a turn that changes what it sent would be found out.
        let request = Rc::new((**request).clone());
        self.calls.borrow_mut().push((call.clone(), request));
        let script = self.scripts.borrow_mut().pop_front().expect("one more call than the script has");
        let open = Open::new(&self.open);
        Box::pin(async move {
            let (notices, said) = match script {
                Script::Answer(said) => (vec![], said),
                Script::Noticed(notice, said) => (vec![notice.to_owned()], said),
                Script::Refused(class) => return Err(Failure::new(class, "refused")),
                Script::Builtin => {
                    let failure = Failure::new(FailureClass::Unreachable, "down").from_provider("ollama".into());
                    return Ok(Called::Builtin { failures: vec![failure] });
                }
                Script::Silent => std::future::pending().await,
            };
            let events = Box::pin(ScriptStream { said: said.into(), calls: 0, sleep: None, _open: open });
            Ok(Called::Stream(ModelAnswer { events, provider: "p".into(), model: "m".into(), notices }))
        })
    }
}

struct ScriptStream {
    said: VecDeque<Say>,
    calls: u32,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    _open: Open,
}

impl EventStream for ScriptStream {
    fn poll_events(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        let Some(say) = self.said.pop_front() else { return Poll::Ready(None) };
        match say {
            Say::Text(text) => sink.event(Event::Text(text)),
            Say::Thinking(text) => sink.event(Event::Thinking(text)),
            Say::Refusal(text) => sink.event(Event::Refusal(text)),
            Say::Call(id, name, arguments) => {
                let index = self.calls;
                self.calls += 1;
                let id = (!id.is_empty()).then_some(id);
                sink.event(Event::ToolStart { index, id, name });
                let (first, second) = arguments.split_at(arguments.len() / 2);
                sink.event(Event::ToolArguments { index, json: first });
                sink.event(Event::ToolArguments { index, json: second });
                sink.event(Event::ToolEnd { index });
            }
            Say::Opaque(json) => {
                let json = bytes::Bytes::from_static(json.as_bytes());
                sink.event(Event::Opaque(OpaquePart { format: "anthropic", json, call: None }));
            }
            Say::Usage(input, output) => {
                sink.event(Event::Usage(Usage { input: Some(input), output: Some(output), ..Usage::default() }));
            }
            Say::Finish(reason) => sink.event(Event::Finish(reason)),
            Say::Sleep(seconds) => {
                self.sleep = Some(Box::pin(tokio::time::sleep(Duration::from_secs(seconds))));
                return self.poll_events(context, sink);
            }
            Say::Hang => {
                self.said.push_front(Say::Hang);
                return Poll::Pending;
            }
            Say::Fail(class) => return Poll::Ready(Some(Err(Failure::new(class, "broke")))),
            Say::Flood(bytes) => sink.event(Event::Text(&"x".repeat(bytes))),
        }
        Poll::Ready(Some(Ok(())))
    }
}

/// HAIA's tools, in place of Toolbox.
#[derive(Clone, Default)]
pub struct Tools {
    pub called: Arc<Mutex<Vec<CallTool>>>,
    pub running: Arc<AtomicI64>,
}

struct Runs(Arc<AtomicI64>);

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Service for Tools {
    type Observed = ();
    fn observe(&self) {}
}

impl Handle<CallTool> for Tools {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.called.lock().expect("calls").push(call.clone());
        self.running.fetch_add(1, Ordering::Relaxed);
        let runs = Runs(Arc::clone(&self.running));
        Reply::later(async move {
            let _runs = runs;
            match &*call.name {
                "fast" => Ok(ToolResult::ok(format!("fast {}", call.arguments))),
                "slow" => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    Ok(ToolResult::ok("slow"))
                }
                // The toolbox keeps the deadline.
                "hang" => {
                    tokio::time::sleep(call.timeout + Duration::from_secs(1)).await;
                    Ok(ToolResult::error(format!("hang did not answer within {}s", call.timeout.as_secs())))
                }
                // It shows progress all the time, so the toolbox puts the deadline off.
                "long" => {
                    tokio::time::sleep(call.timeout * 4).await;
                    Ok(ToolResult::ok("long"))
                }
                "crash" => panic!("a tool's panic"),
                "large" => Ok(ToolResult::ok("x".repeat(100_000))),
                "get_time" => Ok(ToolResult::ok(include_str!("../../../toolbox/tests/samples/get_time.json"))),
                "get_haia_status" => {
                    Ok(ToolResult::ok(include_str!("../../../toolbox/tests/samples/get_haia_status.json")))
                }
                "fail" => Err(Failure::new(FailureClass::Unreachable, "no cluster")),
                other => Ok(cluster::answer(other, &call.arguments)
                    .unwrap_or_else(|| ToolResult::error(format!("there is no tool named {other:?}")))),
            }
        })
    }
}

pub fn tool(name: &str, risk: Risk) -> Tool {
    let schema = RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).expect("JSON");
    let title = format!("Doing {name}");
    Tool { name: name.into(), description: "d".into(), parameters: Arc::from(schema), risk, title: title.into() }
}

/// What a reader got.
#[derive(Default)]
pub struct Seen {
    pub answer: Answer,
    /// Everything in order, as words.
    pub log: Vec<String>,
}

impl EventSink for Seen {
    fn event(&mut self, event: Event<'_>) {
        self.log.push(match &event {
            Event::Text(text) => format!("text {text}"),
            Event::Thinking(text) => format!("thinking {text}"),
            Event::Refusal(text) => format!("refusal {text}"),
            Event::ToolStart { index, id, name } => format!("call {index} {} {name}", id.unwrap_or("-")),
            Event::ToolArguments { index, json } => format!("arguments {index} {json}"),
            Event::ToolEnd { index } => format!("end {index}"),
            Event::Usage(usage) => format!("usage {:?} {:?}", usage.input.unwrap_or(0), usage.output.unwrap_or(0)),
            Event::Finish(reason) => format!("finish {}", reason.as_str()),
            Event::Status { description, done } => format!("status {description} {done}"),
            Event::KeepAlive => "alive".to_owned(),
            other => format!("{other:?}"),
        });
        self.answer.event(event);
    }
}

pub type Stream = Pin<Box<dyn EventStream>>;

/// Reads a stream to its end.
pub async fn read(stream: &mut Stream) -> (Seen, Result<(), Failure>) {
    let mut seen = Seen::default();
    let ended = loop {
        match poll_fn(|context| stream.as_mut().poll_events(context, &mut seen)).await {
            Some(Ok(())) => {}
            Some(Err(failure)) => break Err(failure),
            None => break Ok(()),
        }
    };
    (seen, ended)
}

/// The actor, its neighbours, and a thread's turns.
pub struct Bench {
    pub supervisor: Mailbox<AgentSupervisor>,
    pub settings: SharedSettings,
    pub turns: Turns,
    pub models: Rc<Scripted>,
    pub tools: Tools,
    pub gauges: Arc<Gauges>,
    pub catalogue: SharedCatalogue,
    /// What the approvals desk, which refuses everything, was asked.
    pub decisions: Arc<Mutex<Vec<DecideProposal>>>,
}

pub fn config() -> Config {
    Config {
        system_prompt: Some("You are HAIA.".into()),
        tool_result_bytes: contract::units::Size(1024),
        ..Config::default()
    }
}

pub fn settings(config: Config) -> Settings {
    assert_eq!(config.validate(), []);
    let prompts = Prompts { system_prompt: config.system_prompt.clone(), profile: None };
    Settings::new(config, &prompts).expect("settings")
}

pub fn bench(world: &World, config: Config, scripts: Vec<Script>) -> Bench {
    let shared: SharedSettings = Arc::new(ArcSwap::from_pointee(settings(config)));
    let gauges = Arc::new(Gauges::default());
    let clock: contract::clock::SharedClock = world.clock.clone();
    let factory = AgentSupervisor::factory(Arc::clone(&shared), Arc::clone(&gauges), Arc::clone(&clock));
    let supervisor = world.supervision.start(&world.thread(), "agent-supervisor", Policy::default(), factory);
    let tools = Tools::default();
    let built = tools.clone();
    let toolbox = world.supervision.start(&world.thread(), "toolbox", Policy::default(), move || built.clone());
    let mut names = vec![
        tool("crash", Risk::Read),
        tool("fail", Risk::Read),
        tool("fast", Risk::Read),
        tool("get_haia_status", Risk::Read),
        tool("get_time", Risk::Read),
        tool("hang", Risk::Read),
        tool("large", Risk::Read),
        tool("slow", Risk::Read),
        tool("write", Risk::Write),
    ];
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let decisions = Arc::<Mutex<Vec<DecideProposal>>>::default();
    let decided = Arc::clone(&decisions);
    let models = Rc::new(Scripted { scripts: RefCell::new(scripts.into()), ..Scripted::default() });
    let catalogue = SharedCatalogue::new(ArcSwap::from_pointee(Catalogue { tools: names }));
    let turns = Turns::new(TurnPorts {
        start_turn: supervisor.port(Lane::Interactive),
        keep_round: supervisor.port(Lane::Interactive),
        call_tool: toolbox.port(Lane::Interactive),
        decide: Port::scripted("approvals-desk", move |asked: DecideProposal| {
            decided.lock().expect("decisions").push(asked);
            Err(Failure::new(FailureClass::Permission, "this needs a key with the scope \"admin\". Nothing was done."))
        }),
        approvals: Arc::default(),
        models: models.clone(),
        catalogue: Arc::clone(&catalogue),
        known_tokens: Rc::new(|_| None),
        clock,
        ids: world.ids.clone(),
    });
    Bench { supervisor, settings: shared, turns, models, tools, gauges, catalogue, decisions }
}

pub fn asks(text: &str) -> ChatRequest {
    ChatRequest {
        model: "haia".into(),
        messages: vec![Message::text(Role::User, text)],
        stream: true,
        ..ChatRequest::default()
    }
}

pub fn with_tools(mut request: ChatRequest, names: &[&str]) -> ChatRequest {
    let spec = |name: &&str| serde_json::from_str(&format!(r#"{{"type":"function","function":{{"name":"{name}"}}}}"#));
    request.tools = names.iter().map(spec).collect::<Result<_, _>>().expect("tools");
    request
}

pub fn by(origin: Origin, target: Target, request: ChatRequest) -> TurnRequest {
    TurnRequest {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: "anna".into(), scope: Scope::Control, origin },
        target,
        request: Rc::new(request),
    }
}

pub fn route() -> Target {
    Target::Route("default".into())
}

pub fn offline() -> Target {
    Target::Model { provider: "builtin".into(), model: "offline".into() }
}

impl Bench {
    pub async fn start(&self, request: ChatRequest) -> Result<Stream, Failure> {
        self.turns.start(by(Origin::Chat, route(), request)).await
    }

    /// Starts a turn and reads it to its end.
    pub async fn ask(&self, request: ChatRequest) -> (Seen, Result<(), Failure>) {
        let mut stream = self.start(request).await.expect("admitted");
        read(&mut stream).await
    }

    /// Like `ask`, for turns that end well.
    pub async fn answer(&self, request: ChatRequest) -> Seen {
        let (seen, ended) = self.ask(request).await;
        assert_eq!(ended, Ok(()));
        seen
    }

    /// The messages of the `at`th call of a model, one line each.
    pub fn sent(&self, at: usize) -> Vec<String> {
        let calls = self.models.calls.borrow();
        calls[at].1.messages.iter().map(line).collect()
    }

    pub fn request(&self, at: usize) -> Rc<ChatRequest> {
        Rc::clone(&self.models.calls.borrow()[at].1)
    }

    /// Asserts that nothing of any turn is left.
    pub async fn assert_idle(&self, world: &World) {
        world.settle().await;
        assert_eq!(self.models.open.get(), 0, "model streams");
        assert_eq!(self.tools.running.load(Ordering::Relaxed), 0, "tool calls");
        assert_eq!(self.counts(), (0, 0), "turns");
    }

    pub fn open_streams(&self) -> i64 {
        self.models.open.get()
    }

    /// Turns that run and wait.
    pub fn counts(&self) -> (i64, i64) {
        (self.gauges.turns_active.get(), self.gauges.turns_queued.get())
    }

    pub fn called(&self) -> Vec<String> {
        self.tools.called.lock().expect("calls").iter().map(|call| call.name.to_string()).collect()
    }
}

fn line(message: &Message) -> String {
    let role = format!("{:?}", message.role).to_lowercase();
    let calls: Vec<String> = message
        .tool_calls
        .iter()
        .map(|call| format!("{}:{}({})", call.id, call.function.name, call.function.arguments))
        .collect();
    let proof: Vec<&str> = message.opaque.iter().filter_map(|part| std::str::from_utf8(&part.json).ok()).collect();
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let text = message.plain_text();
    let text = text.lines().next().unwrap_or_default().to_owned();
    [role, id.to_owned(), text, calls.join(" "), proof.join(" ")]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
