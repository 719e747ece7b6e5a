//! The actor: keeps the catalogue up to date and routes each call to whoever runs the tool.
//!
//! It waits for nobody in a handler; owners are asked from detached futures, each with a deadline.

use crate::arguments;
use crate::audit::Entry;
use crate::catalogue::{Find, Merged, Rejected, Runner, listed, merge, near_names};
use crate::config::Config;
use crate::proposal;
use crate::tools::{OWN, Surroundings};
use crate::{mcp, search};
use arc_swap::ArcSwap;
use contract::approvals::{PlanAction, Propose};
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::message::{Fault, Lane, Msg, Reconfigure};
use contract::relay::{CallForMcp, McpCaller};
use contract::status::StatusSource;
use contract::store::SharedAudit;
use contract::tools::{CallTool, Catalogue, ListTools, Risk, SharedCatalogue, Tool, ToolResult};
use contract::units::Span;
use futures_util::future::join_all;
use jiff::tz::TimeZone;
use runtime::{Context, Handle, Port, Reply, Service};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How long an owner may take to list its tools.
const LIST_WITHIN: Duration = Duration::from_secs(5);
/// When to ask again an owner that did not list its tools.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// The configuration as the composition root publishes it: a crashed toolbox starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// Somebody else who offers tools.
#[derive(Clone)]
pub struct Owner {
    /// The owner's name, for logs and `/status`.
    pub name: &'static str,
    /// Which tools it offers.
    pub list: Port<ListTools>,
    /// Calls one of them.
    pub call: Port<CallTool>,
    /// Calls one for a caller who speaks MCP; `None`: it is called as for any other.
    pub call_for_mcp: Option<Port<CallForMcp>>,
    /// Plans those that change something; `None`: they are refused.
    pub plan: Option<Port<PlanAction>>,
}

/// Everything the toolbox needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Who offers tools beside the toolbox, in order of precedence: of two tools with one name the earlier owner's stays, and the
    /// toolbox's own come first.
    pub owners: Vec<Owner>,
    /// Where the catalogue is published as a model is shown it: everything, or a part and a search for the rest.
    pub catalogue: SharedCatalogue,
    /// Where everything is published, for those who have room for it.
    pub everything: SharedCatalogue,
    /// Where the part of it is published that is HAIA's own: without the tools of attached servers.
    pub own: SharedCatalogue,
    /// Takes one row per call.
    pub audit: SharedAudit,
    /// The time.
    pub clock: SharedClock,
    /// HAIA's own time zone.
    pub timezone: TimeZone,
    /// How HAIA does.
    pub status: Arc<dyn StatusSource>,
    /// Takes proposals; `None`: whatever would change something is refused.
    pub propose: Option<Port<Propose>>,
}

/// Asks the toolbox to ask every owner again. Answered when the new catalogue is published.
#[derive(Clone, Debug)]
pub struct RefreshCatalogue;

impl Msg for RefreshCatalogue {
    type Reply = ();
    const NAME: &'static str = "RefreshCatalogue";
}

/// What the owners answered, in their order.
struct Listed(Vec<Result<Vec<Tool>, Fault>>);

impl Msg for Listed {
    type Reply = ();
    const NAME: &'static str = "Listed";
}

/// What each owner listed last. Immutable and published, so that a crash of the toolbox does not forget it.
type Offers = Arc<ArcSwap<Vec<Vec<Tool>>>>;

/// The actor.
pub struct Toolbox {
    config: Arc<Config>,
    ports: Ports,
    surroundings: Surroundings,
    own: Vec<Tool>,
    offers: Offers,
    silent: Vec<&'static str>,
    /// Whether a timer to ask silent owners again is set.
    asks_again: bool,
    merged: Merged,
    /// Tools that are not listed to a model but found by search.
    hidden: usize,
}

impl Toolbox {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        let offers = Offers::new(ArcSwap::from_pointee(vec![Vec::new(); ports.owners.len()]));
        move || {
            let surroundings = Surroundings {
                clock: Arc::clone(&ports.clock),
                timezone: ports.timezone.clone(),
                status: Arc::clone(&ports.status),
            };
            Self {
                config: config.load_full(),
                ports: ports.clone(),
                surroundings,
                own: OWN.iter().map(crate::tools::OwnTool::offer).collect(),
                offers: Arc::clone(&offers),
                silent: Vec::new(),
                asks_again: false,
                merged: Merged::default(),
                hidden: 0,
            }
        }
    }

    /// Merges what is known of everybody's tools and publishes what a model is shown of it.
    fn publish(&mut self) {
        let offers = self.offers.load();
        let own = self.own.iter().enumerate().map(|(at, tool)| ("toolbox", Runner::Own(at), tool));
        let others = self.ports.owners.iter().zip(offers.iter()).enumerate();
        let others =
            others.flat_map(|(at, (owner, tools))| tools.iter().map(move |tool| (owner.name, Runner::Owner(at), tool)));
        let merged = merge(own.chain(others), |name| self.config.disables(name));
        for Rejected { owner, tool, reason } in merged.rejected.iter().filter(|new| !self.merged.rejected.contains(new))
        {
            tracing::warn!(owner, tool, reason, "a tool cannot be offered");
        }
        let is_searchable = |runner| match runner {
            Runner::Owner(at) => self.ports.owners.get(at).is_some_and(|owner| owner.name == mcp::OWNER),
            Runner::Own(_) | Runner::Find(_) => false,
        };
        let (mut shown, hidden) = listed(&merged, &self.config, is_searchable);
        if hidden > 0 {
            shown.tools.extend(search::offers(hidden).into_iter().filter(|tool| !self.config.disables(&tool.name)));
            shown.tools.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let is_own = |tool: &&Tool| merged.runners.get(&tool.name).is_some_and(|runner| !is_searchable(*runner));
        let own = merged.catalogue.tools.iter().filter(is_own).cloned().collect();
        self.ports.own.store(Arc::new(Catalogue { tools: own }));
        self.ports.everything.store(Arc::new(merged.catalogue.clone()));
        self.ports.catalogue.store(Arc::new(shown));
        self.hidden = hidden;
        self.merged = merged;
    }

    /// Asks every owner, and tells the toolbox itself what they said.
    fn gather(&self, context: &Context<Self>) -> impl Future<Output = ()> + 'static {
        let owners = self.ports.owners.clone();
        let listed = context.mailbox().port::<Listed>(Lane::Control);
        async move {
            let answers = join_all(owners.iter().map(|owner| owner.list.ask(ListTools, LIST_WITHIN))).await;
            if let Err(fault) = listed.ask(Listed(answers), LIST_WITHIN).await {
                tracing::warn!(%fault, "the catalogue of tools could not be refreshed");
            }
        }
    }

    /// To whom a call of a tool that changes something can be proposed.
    fn way(&self, runner: Runner) -> Option<proposal::Way> {
        let Runner::Owner(at) = runner else { return None };
        let owner = self.ports.owners.get(at)?;
        Some(proposal::Way { owner: owner.name, plan: owner.plan.clone()?, propose: self.ports.propose.clone()? })
    }

    /// Who runs the call, or to whom it is proposed; or why nobody does: the outcome for the audit trail, and the sentence for the model.
    fn admit(&self, call: &CallTool) -> Result<(Runner, Option<proposal::Way>), (&'static str, String)> {
        let name = shown(&call.name);
        if self.hidden > 0 && !self.config.disables(&name) {
            match &*name {
                search::SEARCH => return Ok((Runner::Find(Find::Search), None)),
                search::DESCRIBE => return Ok((Runner::Find(Find::Describe), None)),
                _ => {}
            }
        }
        let Some((runner, tool)) = self.merged.runners.get(&call.name).zip(self.merged.catalogue.get(&call.name))
        else {
            let near = near_names(&name, self.merged.runners.keys().map(|name| &**name));
            let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
            return Err(("unknown_tool", format!("there is no tool named \"{name}\"{hint}")));
        };
        let way = if tool.risk == Risk::Read { None } else { self.way(*runner) };
        if tool.risk != Risk::Read && way.is_none() {
            return Err((
                "refused",
                format!(
                    "{name} would change something, so it needs an approval by a person; HAIA cannot give one here. Nothing was done."
                ),
            ));
        }
        let most = self.config.max_arguments;
        if call.arguments.len() > most.0 {
            return Err(("invalid_arguments", format!("the arguments of {name} are longer than {most}")));
        }
        match arguments::check_object(&call.arguments) {
            Ok(()) => Ok((*runner, way)),
            Err(said) => Err(("invalid_arguments", format!("{name}: {said}"))),
        }
    }
}

/// A tool's name for a sentence: whoever calls can make up any.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// How a call ended: the outcome for the audit trail, and the answer.
type Ended = (&'static str, Result<ToolResult, Failure>);

fn of_tool(result: ToolResult) -> Ended {
    (if result.is_error { "error" } else { "ok" }, Ok(result))
}

fn failed(outcome: &'static str, said: String) -> Ended {
    (outcome, Ok(ToolResult::error(said)))
}

fn too_late(name: &str, timeout: Duration) -> Ended {
    failed("timeout", format!("{name} did not answer within {}", Span(timeout)))
}

async fn call_own(at: usize, surroundings: Surroundings, arguments: String) -> Ended {
    let Some(tool) = OWN.get(at) else { return failed("unknown_tool", "there is no such tool".to_owned()) };
    match (tool.begin)(&surroundings, &arguments) {
        Ok(begun) => of_tool(begun.await),
        Err(said) => failed("invalid_arguments", format!("{}: {said}", tool.name)),
    }
}

async fn call_owner(owner: Owner, call: CallTool, from: Option<McpCaller>, timeout: Duration) -> Ended {
    let name = Arc::clone(&call.name);
    let answer = match (&owner.call_for_mcp, from) {
        (Some(port), Some(from)) => port.ask(CallForMcp { call, from }, timeout).await,
        _ => owner.call.ask(call, timeout).await,
    };
    match answer {
        Ok(Ok(result)) => of_tool(result),
        Ok(Err(failure)) => (failure.class.as_str(), Err(failure)),
        Err(Fault::Expired { .. }) => too_late(&name, timeout),
        Err(fault @ Fault::Panicked { .. }) => failed(fault.reason(), format!("{name} crashed on this call")),
        Err(fault) => failed(fault.reason(), format!("{name} cannot be called now: {fault}")),
    }
}

/// Answers a question for tools.
fn find(how: Find, catalogue: &Catalogue, arguments: &str) -> Ended {
    let (name, answer) = match how {
        Find::Search => (search::SEARCH, search::search(catalogue, arguments)),
        Find::Describe => (search::DESCRIBE, search::describe(catalogue, arguments)),
    };
    match answer {
        Ok(text) => of_tool(ToolResult::ok(text)),
        Err(said) => failed("invalid_arguments", format!("{name}: {said}")),
    }
}

impl Handle<CallTool> for Toolbox {
    fn handle(&mut self, call: CallTool, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.call(call, None)
    }
}

impl Handle<CallForMcp> for Toolbox {
    fn handle(&mut self, asked: CallForMcp, _: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        self.call(asked.call, Some(asked.from))
    }
}

impl Toolbox {
    fn call(&mut self, mut call: CallTool, from: Option<McpCaller>) -> Reply<Result<ToolResult, Failure>> {
        // From here on the call is the one that is meant: its own name in the audit trail, its own risk.
        if self.hidden > 0 && &*call.name == search::CALL && !self.config.disables(search::CALL) {
            match search::unwrap_call(&call.arguments) {
                Ok((name, arguments)) => (call.name, call.arguments) = (name, arguments),
                Err(said) => {
                    let said = format!("{}: {said}", search::CALL);
                    Entry::open(&call, &self.ports.audit, &self.ports.clock).close("invalid_arguments", said.len());
                    return Reply::Now(Ok(ToolResult::error(said)));
                }
            }
        }
        let entry = Entry::open(&call, &self.ports.audit, &self.ports.clock);
        let (runner, way) = match self.admit(&call) {
            Ok(admitted) => admitted,
            Err((outcome, said)) => {
                entry.close(outcome, said.len());
                return Reply::Now(Ok(ToolResult::error(said)));
            }
        };
        // A call of an MCP server may go on for as long as it shows progress; its host holds it to the caller's time otherwise.
        let is_extended = matches!(runner, Runner::Owner(at) if self.ports.owners.get(at).is_some_and(|owner| owner.name == mcp::OWNER));
        let timeout = if is_extended { mcp::MAX_CALL } else { call.timeout };
        let deadline = self.ports.clock.pause(timeout);
        let name = Arc::clone(&call.name);
        let work: contract::LocalBoxFuture<'static, Ended> = match (way, runner) {
            (Some(way), _) => Box::pin(async move { proposal::result(proposal::make(way, call).await) }),
            (None, Runner::Own(at)) => Box::pin(call_own(at, self.surroundings.clone(), call.arguments)),
            (None, Runner::Find(how)) => {
                Box::pin(std::future::ready(find(how, &self.merged.catalogue, &call.arguments)))
            }
            (None, Runner::Owner(at)) => match self.ports.owners.get(at) {
                Some(owner) => Box::pin(call_owner(owner.clone(), call, from, timeout)),
                None => Box::pin(std::future::ready(failed("unknown_tool", format!("there is no tool named {name}")))),
            },
        };
        Reply::later(async move {
            let (outcome, answer) = tokio::select! {
                biased;
                ended = work => ended,
                () = deadline => too_late(&name, timeout),
            };
            entry.close(outcome, answer.as_ref().map_or(0, |result| result.text.len()));
            answer
        })
    }
}

impl Handle<ListTools> for Toolbox {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(self.merged.catalogue.tools.clone())
    }
}

impl Handle<RefreshCatalogue> for Toolbox {
    fn handle(&mut self, _: RefreshCatalogue, context: &Context<Self>) -> Reply<()> {
        self.asks_again = false;
        Reply::later(self.gather(context))
    }
}

impl Handle<Listed> for Toolbox {
    fn handle(&mut self, Listed(answers): Listed, context: &Context<Self>) -> Reply<()> {
        let mut offers = (**self.offers.load()).clone();
        self.silent.clear();
        for ((owner, offer), answer) in self.ports.owners.iter().zip(&mut offers).zip(answers) {
            match answer {
                Ok(tools) => *offer = tools,
                // What it listed before stays on offer: calls are answered by the owner itself, or with its fault.
                Err(fault) => {
                    tracing::warn!(owner = owner.name, %fault, "tools could not be listed; asking again");
                    self.silent.push(owner.name);
                }
            }
        }
        self.offers.store(Arc::new(offers));
        self.publish();
        if !self.silent.is_empty() && !self.asks_again {
            self.asks_again = true;
            context.tell_after(LIST_AGAIN, Lane::Background, RefreshCatalogue);
        }
        Reply::Now(())
    }
}

impl Handle<Reconfigure<Config>> for Toolbox {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, _: &Context<Self>) -> Reply<()> {
        self.config = config;
        self.publish();
        Reply::Now(())
    }
}

/// What the toolbox tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Tools on offer.
    tools: usize,
    /// Of those, the ones that are found by search instead of listed.
    hidden: usize,
    /// Tools that cannot be offered, and why.
    rejected: Vec<Rejected>,
    /// Owners that did not list their tools when last asked.
    silent: Vec<&'static str>,
}

impl Service for Toolbox {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        self.publish();
        if !self.ports.owners.is_empty() {
            context.spawn(self.gather(context));
        }
    }

    fn observe(&self) -> Observed {
        Observed {
            tools: self.merged.catalogue.tools.len(),
            hidden: self.hidden,
            rejected: self.merged.rejected.clone(),
            silent: self.silent.clone(),
        }
    }
}
