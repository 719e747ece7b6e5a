//! What people and programs ask of the desk: proposing, deciding, lists, the tool, reload and drain.

use super::{ApprovalsDesk, DRAIN_PATIENCE, STORE_DEADLINE, seen};
use crate::approvals::config::Config;
use crate::approvals::desk::{Answer, Desk, Input};
use crate::approvals::moves::unknown;
use crate::approvals::{tool, words};
use contract::approvals::{
    ActionProgress, DecideProposal, Decided, ListProposals, ProposalView, Propose, Proposed, ShowProposal,
};
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Reconfigure};
use contract::store::{ReadProposals, StoreError};
use contract::tools::{CallTool, ListTools, Tool, ToolResult};
use runtime::{Context, Handle, Port, Reply};
use std::sync::Arc;

/// Proposals where nothing is said.
const LISTED: u32 = 100;

fn lost() -> Failure {
    Failure::new(
        FailureClass::Internal,
        "the approvals desk was built afresh meanwhile; see what became of it in its list",
    )
}

/// It is open, and not this desk's: HAIA answers one command only, or could not read it.
fn not_held(id: u64) -> Failure {
    let message =
        format!("this HAIA does not hold proposal {id}; decide about it where the daemon runs. Nothing was done.");
    Failure::new(FailureClass::Overloaded, message)
}

/// Asks the store, in words for whoever waits.
async fn stored(port: &Port<ReadProposals>, asked: ReadProposals) -> Result<Vec<ProposalView>, Failure> {
    let answer = port.ask(asked, STORE_DEADLINE).await;
    let records = answer
        .unwrap_or_else(|fault| Err(StoreError(fault.to_string())))
        .map_err(|error| Failure::new(FailureClass::Overloaded, format!("the store does not answer: {error}")))?;
    Ok(records.iter().filter_map(seen).collect())
}

async fn one(port: &Port<ReadProposals>, id: u64) -> Result<ProposalView, Failure> {
    let found = stored(port, ReadProposals { id: Some(id), states: Vec::new(), limit: 1 }).await?;
    found.into_iter().next().ok_or_else(|| unknown(id))
}

/// The newest ones: what the store has, with what is newer in memory in its place.
async fn newest(
    port: &Port<ReadProposals>,
    live: Vec<ProposalView>,
    asked: ListProposals,
) -> Result<Vec<ProposalView>, Failure> {
    let limit = if asked.limit == 0 { LISTED } else { asked.limit };
    let is_wanted = |view: &ProposalView| asked.states.is_empty() || asked.states.contains(&view.state);
    let mut views = stored(port, ReadProposals { id: None, states: asked.states.clone(), limit }).await?;
    views.retain(|view| !live.iter().any(|newer| newer.id == view.id));
    views.extend(live);
    views.retain(is_wanted);
    views.sort_by_key(|view| std::cmp::Reverse(view.id));
    views.truncate(limit as usize);
    Ok(views)
}

fn live(desk: &Desk) -> Vec<ProposalView> {
    desk.views().cloned().collect()
}

impl Handle<Propose> for ApprovalsDesk {
    fn handle(&mut self, asked: Propose, context: &Context<Self>) -> Reply<Result<Proposed, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(asked, context);
        }
        let answer = self.ask(|ticket| Input::Propose { ticket, asked: Box::new(asked) }, context);
        Reply::later(async move {
            match answer.await {
                Ok(Answer::Proposed(answer)) => answer,
                _ => Err(lost()),
            }
        })
    }
}

impl Handle<DecideProposal> for ApprovalsDesk {
    fn handle(&mut self, asked: DecideProposal, context: &Context<Self>) -> Reply<Result<Decided, Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(asked, context) };
        let id = asked.id;
        let is_known = desk.view(id).is_some();
        let (port, zone) = (self.ports.read.clone(), self.ports.timezone.clone());
        let answer = self.ask(|ticket| Input::Decide { ticket, asked }, context);
        Reply::later(async move {
            match answer.await {
                // What is over and forgotten here, the store knows: who decided then is said.
                Ok(Answer::Decided(Err(failure))) if failure.class == FailureClass::NotFound && !is_known => {
                    let proposal = one(&port, id).await?;
                    if proposal.state.is_open() {
                        return Err(not_held(id));
                    }
                    Ok(Decided { counted: false, said: words::stands(&proposal, &zone), proposal })
                }
                Ok(Answer::Decided(answer)) => answer,
                _ => Err(lost()),
            }
        })
    }
}

impl Handle<ListProposals> for ApprovalsDesk {
    fn handle(&mut self, asked: ListProposals, context: &Context<Self>) -> Reply<Result<Vec<ProposalView>, Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(asked, context) };
        let (port, live) = (self.ports.read.clone(), live(desk));
        Reply::later(async move { newest(&port, live, asked).await })
    }
}

impl Handle<ShowProposal> for ApprovalsDesk {
    fn handle(&mut self, asked: ShowProposal, context: &Context<Self>) -> Reply<Result<ProposalView, Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(asked, context) };
        if let Some(view) = desk.view(asked.id) {
            return Reply::Now(Ok(view.clone()));
        }
        let port = self.ports.read.clone();
        Reply::later(async move { one(&port, asked.id).await })
    }
}

impl Handle<ActionProgress> for ApprovalsDesk {
    fn handle(&mut self, step: ActionProgress, context: &Context<Self>) -> Reply<()> {
        self.take(Input::Progress(step), context);
        Reply::Now(())
    }
}

impl Handle<ListTools> for ApprovalsDesk {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(vec![tool::offer()])
    }
}

impl Handle<CallTool> for ApprovalsDesk {
    fn handle(&mut self, call: CallTool, context: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        if &*call.name != tool::NAME {
            return Reply::Now(Ok(ToolResult::error("the approvals desk has no such tool")));
        }
        let wanted = match tool::read(&call.arguments) {
            Ok(wanted) => wanted,
            Err(said) => return Reply::Now(Ok(ToolResult::error(said))),
        };
        let Some(desk) = &self.desk else { return self.when_ready(call, context) };
        let (port, live, zone) = (self.ports.read.clone(), live(desk), self.ports.timezone.clone());
        Reply::later(async move {
            let found = match wanted {
                Some(id) => match live.into_iter().find(|view| view.id == id) {
                    Some(view) => Ok(vec![view]),
                    None => one(&port, id).await.map(|view| vec![view]),
                },
                None => newest(&port, live, ListProposals { states: Vec::new(), limit: tool::LISTED }).await,
            };
            match found {
                Ok(views) => Ok(tool::result(&views, &zone)),
                Err(failure) if failure.class == FailureClass::NotFound => Ok(ToolResult::error(failure.message)),
                Err(failure) => Err(failure),
            }
        })
    }
}

impl Handle<Reconfigure<Config>> for ApprovalsDesk {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, _: &Context<Self>) -> Reply<()> {
        self.config = config;
        if let Some(desk) = &mut self.desk {
            desk.reconfigure(Arc::clone(&self.config));
        }
        Reply::Now(())
    }
}

impl Handle<Drain> for ApprovalsDesk {
    /// Nothing new is begun; what runs may end, for a moment.
    fn handle(&mut self, _: Drain, context: &Context<Self>) -> Reply<()> {
        self.take(Input::Drain, context);
        let (mut is_idle, too_late) = (self.is_idle.subscribe(), self.ports.clock.pause(DRAIN_PATIENCE));
        Reply::later(async move {
            tokio::select! {
                biased;
                _ = is_idle.wait_for(|idle| *idle) => {}
                () = too_late => {}
            }
        })
    }
}
