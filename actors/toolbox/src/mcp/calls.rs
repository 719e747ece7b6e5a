//! Passing calls on: who may call, which server, with what, how long, and what the model sees of the result.

use super::check;
use super::entry::Entry;
use super::host::{Host, millis};
use super::link::{Bounds, CallError, Link};
use super::machine::Input;
use super::reports::Happened;
use super::result;
use super::server::{Figures, Reach, Server, ServerTool};
use super::text::clean_line;
use contract::failure::{Failure, FailureClass};
use contract::message::Lane;
use contract::relay::{CallForMcp, McpCaller};
use contract::tools::{CallTool, ListTools, Risk, Tool, ToolResult};
use contract::units::Span;
use runtime::{Context, Handle, Port, Reply};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;

/// Reads on in a long result.
pub(crate) const READ_RESULT: &str = "read_result";

const READ_RESULT_SCHEMA: &str = r#"{"type":"object","properties":{"id":{"type":"string","description":"The id that the shortened result names."},"offset":{"type":"integer","description":"The byte to read on from."}},"required":["id","offset"],"additionalProperties":false}"#;

pub(super) fn read_result_tool() -> Tool {
    let parameters = RawValue::from_string(READ_RESULT_SCHEMA.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
    Tool {
        name: READ_RESULT.into(),
        description: "Reads on in a tool's result that was too long to be shown at once. Its note tells id and offset."
            .into(),
        parameters: Arc::from(parameters),
        risk: Risk::Read,
        title: "Reading on".into(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadOn {
    id: String,
    offset: usize,
}

/// A tool as a plan shows it.
pub(super) struct Known {
    pub(super) server: Arc<str>,
    pub(super) risk: Risk,
    pub(super) described: String,
    /// Changes when the server's definition does.
    pub(super) definition: String,
    pub(super) timeout: Duration,
    pub(super) tool: Arc<ServerTool>,
}

/// A call that may be made.
struct Admitted {
    server: Arc<str>,
    epoch: u64,
    entry: Arc<Entry>,
    tool: Arc<ServerTool>,
    arguments: Option<serde_json::Map<String, Value>>,
    bounds: Bounds,
    most: usize,
    reach: watch::Receiver<Reach>,
    figures: Arc<Figures>,
}

fn failure(class: FailureClass, said: String) -> Failure {
    Failure::new(class, said)
}

impl Host {
    /// The tool that a call means, for a plan; refused like the call itself.
    pub(super) fn tool_of(&mut self, call: &CallTool) -> Result<Known, Failure> {
        let admitted = self.admit(call, false)?;
        let tool = Arc::clone(&admitted.tool);
        let found = self.offers().tools.iter().find(|tool| tool.name == call.name);
        Ok(Known {
            server: admitted.server,
            risk: found.map_or(Risk::Destructive, |tool| tool.risk),
            described: found.map(|tool| tool.description.to_string()).unwrap_or_default(),
            definition: tool.definition.fingerprint(),
            timeout: admitted.bounds.total,
            tool,
        })
    }

    /// Makes a call that a person has approved: who may use the server was asked when it was proposed.
    pub(super) fn call_approved(
        &mut self,
        call: CallTool,
        context: &Context<Self>,
    ) -> Reply<Result<ToolResult, Failure>> {
        self.call(call, None, true, context)
    }

    fn admit(&mut self, call: &CallTool, is_approved: bool) -> Result<Admitted, Failure> {
        let shown = clean_line(&call.name, 64);
        let Some((server, at)) = self.offers().of.get(&call.name).cloned() else {
            return Err(failure(FailureClass::NotFound, format!("no MCP server offers a tool named {shown:?}")));
        };
        let config = &self.settings.config;
        let found = self.servers.get(&server).and_then(|server| Some((server, server.entry()?, server.tools.get(at)?)));
        let Some((server, entry, tool)) = found else {
            return Err(failure(FailureClass::NotFound, format!("{shown} is not offered any more")));
        };
        if self.is_draining {
            return Err(failure(
                FailureClass::ShuttingDown,
                format!("{shown} cannot be called: HAIA is shutting down"),
            ));
        }
        if !is_approved && !entry.own.admits(&call.caller.name) {
            let said = format!(
                "{shown} may not be used by {:?}: the MCP server {} is kept for others",
                call.caller.name, server.name
            );
            return Err(failure(FailureClass::Permission, said));
        }
        let arguments = read_arguments(&call.arguments, tool)
            .map_err(|said| failure(FailureClass::InvalidRequest, format!("{shown}: {said}")))?;
        let silent = entry.own.timeout.unwrap_or(config.call_timeout).0.min(call.timeout);
        let total = entry.own.max_timeout.unwrap_or(config.max_call_timeout).0.max(silent).min(super::MAX_CALL);
        Ok(Admitted {
            server: Arc::clone(&server.name),
            epoch: server.epoch,
            entry: Arc::clone(entry),
            tool: Arc::clone(tool),
            arguments,
            bounds: Bounds { silent, total },
            most: entry.own.max_result.unwrap_or(config.max_result).0,
            reach: server.reach.subscribe(),
            figures: Arc::clone(&server.figures),
        })
    }

    fn read_on(&self, call: &CallTool) -> Result<ToolResult, Failure> {
        let read: Result<ReadOn, String> = crate::arguments::read(&call.arguments);
        let ReadOn { id, offset } =
            read.map_err(|said| failure(FailureClass::InvalidRequest, format!("{READ_RESULT}: {said}")))?;
        let now = self.ports.clock.monotonic();
        let most = self.settings.config.max_result.0;
        match self.held.borrow_mut().read(&id, offset, most, &call.caller, now) {
            Ok(text) => Ok(ToolResult::ok(text)),
            Err(said) => Ok(ToolResult::error(said)),
        }
    }
}

/// The arguments as an object, checked against the server's own schema.
pub(super) fn read_arguments(text: &str, tool: &ServerTool) -> Result<Option<serde_json::Map<String, Value>>, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    crate::arguments::check_object(text)?;
    let mut arguments: Value =
        serde_json::from_str(text).map_err(|error| format!("the arguments are not valid JSON: {error}"))?;
    check::leave_out_nulls(tool.definition.schema(), &mut arguments);
    if let Some(problem) = check::problem(tool.definition.schema(), &arguments) {
        return Err(format!("the arguments are wrong: {problem}"));
    }
    match arguments {
        Value::Object(map) => Ok(Some(map)),
        _ => Ok(None),
    }
}

impl Handle<ListTools> for Host {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        // What others offer may have changed meanwhile, and with it the names that are free.
        self.is_stale_now();
        Reply::Now(self.offers().tools.clone())
    }
}

impl Handle<CallTool> for Host {
    fn handle(&mut self, call: CallTool, context: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.call(call, None, false, context)
    }
}

impl Handle<CallForMcp> for Host {
    fn handle(&mut self, asked: CallForMcp, context: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.call(asked.call, Some(asked.from), false, context)
    }
}

impl Host {
    fn call(
        &mut self,
        call: CallTool,
        from: Option<McpCaller>,
        is_approved: bool,
        context: &Context<Self>,
    ) -> Reply<Result<ToolResult, Failure>> {
        if &*call.name == READ_RESULT {
            return Reply::Now(self.read_on(&call));
        }
        let admitted = match self.admit(&call, is_approved) {
            Ok(admitted) => admitted,
            Err(failure) => return Reply::Now(Err(failure)),
        };
        let name = Arc::clone(&admitted.server);
        if self.servers.get(&name).is_some_and(Server::wants_start) {
            self.happen(&name, Input::Wanted, context);
        }
        let clock = Arc::clone(&self.ports.clock);
        let ids = Arc::clone(&self.ports.ids);
        let held = std::rc::Rc::clone(&self.held);
        let happened = context.mailbox().port::<Happened>(Lane::Control);
        Reply::later(async move {
            let shown = clean_line(&call.name, 64);
            let begun = clock.monotonic();
            let active = Active::enter(&admitted.figures);
            let outcome = admitted.call(&clock, from.as_ref()).await;
            let now = clock.monotonic();
            drop(active);
            let figures = &admitted.figures;
            figures.calls.fetch_add(1, Relaxed);
            figures.used.store(millis(now), Relaxed);
            figures.latency.record(now.saturating_sub(begun));
            admitted.tell(&outcome, &happened);
            let masks = admitted.entry.masks();
            let answer = match outcome {
                // Who speaks MCP is told what the server asks or refuses in the protocol's own form.
                Ok((_, value)) if from.is_some() && result::asks(&value) => {
                    let mcp = Some(masks.apply(value.to_string()).into());
                    return Ok(ToolResult { mcp, ..ToolResult::ok("it asks for input") });
                }
                Err((_, NoResult::Call(CallError::Refused(refused)))) if from.is_some() && refused.code.is_some() => {
                    figures.errors.fetch_add(1, Relaxed);
                    let told =
                        json!({ "error": { "code": refused.code, "message": refused.message, "data": refused.data } });
                    let mcp = Some(masks.apply(told.to_string()).into());
                    let said = clean_line(&masks.apply(refused.message), 600);
                    return Ok(ToolResult { mcp, ..ToolResult::error(said) });
                }
                Ok((_, value)) => {
                    result::show(&value).map_err(|said| failure(FailureClass::ServerError, format!("{shown}: {said}")))
                }
                Err((_, error)) => Err(told(&shown, &admitted.server, error, &masks)),
            };
            if answer.as_ref().map_or(true, |shown| shown.is_error) {
                figures.errors.fetch_add(1, Relaxed);
            }
            let answer = answer?;
            let text = held.borrow_mut().fit(answer.text, admitted.most, || short_id(ids.as_ref()), &call.caller, now);
            Ok(ToolResult { text, is_error: answer.is_error, mcp: answer.original.map(Into::into), told: None })
        })
    }
}

/// An id that a model can copy without a slip.
fn short_id(ids: &dyn contract::ids::Ids) -> String {
    let mut bytes = [0; 5];
    ids.secret(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Active(Arc<Figures>);

impl Active {
    fn enter(figures: &Arc<Figures>) -> Self {
        figures.active.fetch_add(1, Relaxed);
        Self(Arc::clone(figures))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}

type Outcome = Result<(u64, Value), (Option<u64>, NoResult)>;

/// Why there is no result.
pub(super) enum NoResult {
    /// The server cannot be called now.
    Down(Arc<str>),
    /// It did not come up in time.
    NotUp(Duration),
    /// Its definition is not the one that was pinned.
    Withheld,
    /// The call itself failed.
    Call(CallError),
}

impl Admitted {
    async fn call(&self, clock: &contract::clock::SharedClock, from: Option<&McpCaller>) -> Outcome {
        let link = self.link(clock).await.map_err(|error| (None, error))?;
        if self.figures.withholds(&self.tool.definition.name) {
            return Err((None, NoResult::Withheld));
        }
        let result = link.call(&self.tool.definition.name, self.arguments.clone(), self.bounds, from).await;
        match result {
            Ok(value) => Ok((link.generation, value)),
            Err(error) => Err((Some(link.generation), NoResult::Call(error))),
        }
    }

    /// The connection, once there is one.
    async fn link(&self, clock: &contract::clock::SharedClock) -> Result<Link, NoResult> {
        reached(self.reach.clone(), self.bounds.silent, clock).await
    }

    /// Tells the server's machine what it must know of.
    fn tell(&self, outcome: &Outcome, happened: &Port<Happened>) {
        let input = match outcome {
            Ok((generation, _)) | Err((Some(generation), NoResult::Call(CallError::Refused(_)))) => {
                if !self.figures.is_silent.swap(false, Relaxed) {
                    return;
                }
                Input::Answered { generation: *generation, in_time: true }
            }
            Err((Some(generation), NoResult::Call(CallError::TooLate(_)))) => {
                self.figures.is_silent.store(true, Relaxed);
                Input::Answered { generation: *generation, in_time: false }
            }
            Err((Some(generation), NoResult::Call(CallError::Broken(_)))) => Input::Broken { generation: *generation },
            Err(_) => return,
        };
        let message = Happened { server: Arc::clone(&self.server), epoch: self.epoch, input };
        if let Err(fault) = happened.tell(message) {
            tracing::debug!(%fault, "the host of MCP servers was not told of a call's end");
        }
    }
}

/// The connection of a server, once there is one.
pub(super) async fn reached(
    mut reach: watch::Receiver<Reach>,
    within: Duration,
    clock: &contract::clock::SharedClock,
) -> Result<Link, NoResult> {
    let mut deadline = clock.pause(within);
    loop {
        let now = reach.borrow_and_update().clone();
        match now {
            // A connection that has just ended is replaced in a moment: the host hears of it, too.
            Reach::Up(link) if link.peer.is_transport_closed() => {}
            Reach::Up(link) => return Ok(link),
            Reach::Down(why) => return Err(NoResult::Down(why)),
            Reach::Coming => {}
        }
        tokio::select! {
            changed = reach.changed() => if changed.is_err() {
                return Err(NoResult::Down("it was removed".into()));
            },
            () = &mut deadline => return Err(NoResult::NotUp(within)),
        }
    }
}

pub(super) fn told(tool: &str, server: &str, error: NoResult, masks: &super::environment::Masks) -> Failure {
    let (class, said) = match error {
        NoResult::Down(why) => (FailureClass::Unreachable, format!("the MCP server {server} cannot be called: {why}")),
        NoResult::NotUp(within) => {
            (FailureClass::Timeout, format!("the MCP server {server} did not come up within {}", Span(within)))
        }
        NoResult::Withheld => (
            FailureClass::Permission,
            format!(
                "{tool} is held back: the MCP server {server} changed its definition, and nobody has approved that yet"
            ),
        ),
        NoResult::Call(CallError::TooLate(within)) => {
            (FailureClass::Timeout, format!("{tool} did not answer within {}", Span(within)))
        }
        // What was under way may have been done: [`FailureClass::Truncated`] tells it from what never began.
        NoResult::Call(CallError::Closed) => (
            FailureClass::Truncated,
            format!("the MCP server {server} ended during the call; whether {tool} did its work is not known"),
        ),
        NoResult::Call(CallError::Broken(why)) => {
            (FailureClass::Truncated, format!("the MCP server {server} cannot be reached: {why}"))
        }
        NoResult::Call(CallError::Refused(refused)) => {
            (FailureClass::ServerError, format!("{tool} was refused by its server: {}", refused.message))
        }
        NoResult::Call(CallError::Invalid(why)) => {
            (FailureClass::InvalidRequest, format!("{tool} cannot be called so: {why}"))
        }
    };
    failure(class, clean_line(&masks.apply(said), 600))
}
