//! The port through which the gateway and background work get a turn: one per thread.

use crate::approvals;
use crate::config::LONGEST_TURN;
use crate::offline::Manner;
use crate::turn::{Turn, Usual};
use contract::LocalBoxFuture;
use contract::approvals::DecideProposal;
use contract::chat::{Agent, ChatRequest, EventStream, KeepRound, StartTurn, TurnRequest};
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::ids::SharedIds;
use contract::provider::{Models, Target};
use contract::tools::{CallTool, SharedCatalogue};
use runtime::Port;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long AgentSupervisor may take to admit a turn: it bounds the wait for a place itself, by `turn_timeout`.
const ADMIT_WITHIN: Duration = LONGEST_TURN.saturating_add(Duration::from_secs(10));

/// Tells how many tokens a target's model is known to take (see [`crate::known_tokens`]).
pub type KnownTokens = Rc<dyn Fn(&Target) -> Option<u64>>;

/// Everything a turn needs of others.
#[derive(Clone)]
pub struct TurnPorts {
    /// Admits turns. Its lane is the lane of the turns: interactive for people, background for jobs.
    pub start_turn: Port<StartTurn>,
    /// Keeps rounds that a caller will come back to.
    pub keep_round: Port<KeepRound>,
    /// Calls HAIA's own tools.
    pub call_tool: Port<CallTool>,
    /// Takes the decisions that people type in a chat.
    pub decide: Port<DecideProposal>,
    /// `[approvals]`: whether turns in the background are offered tools that change something.
    pub approvals: approvals::SharedConfig,
    /// Calls models with this thread's connections.
    pub models: Rc<dyn Models>,
    /// HAIA's own tools.
    pub catalogue: SharedCatalogue,
    /// What models are known to take.
    pub known_tokens: KnownTokens,
    /// The time.
    pub clock: SharedClock,
    /// Where ids of tool calls come from.
    pub ids: SharedIds,
}

/// Starts turns on its thread.
#[derive(Clone)]
pub struct Turns {
    ports: Rc<TurnPorts>,
    usual: Rc<Usual>,
}

impl Turns {
    /// The turns of one thread.
    pub fn new(ports: TurnPorts) -> Self {
        Self { ports: Rc::new(ports), usual: Rc::default() }
    }
}

impl Agent for Turns {
    fn start(&self, request: TurnRequest) -> LocalBoxFuture<'static, Result<Pin<Box<dyn EventStream>>, Failure>> {
        let turns = self.clone();
        Box::pin(async move { Ok(turns.begin(request, None, Manner::Chat).await? as Pin<Box<dyn EventStream>>) })
    }
}

impl Turns {
    /// Starts a turn that nobody reads as it comes, perhaps with fewer rounds of tools than configured. `offline`: what the offline responder
    /// is asked instead, where no model answers.
    pub(crate) async fn start_unread(
        &self,
        request: TurnRequest,
        max_tool_rounds: Option<u32>,
        offline: Option<String>,
    ) -> Result<Pin<Box<dyn EventStream>>, Failure> {
        let manner = Manner::Message { question: offline };
        Ok(self.begin(request, max_tool_rounds, manner).await? as Pin<Box<dyn EventStream>>)
    }

    async fn begin(
        &self,
        request: TurnRequest,
        max_tool_rounds: Option<u32>,
        manner: Manner,
    ) -> Result<Pin<Box<Turn>>, Failure> {
        let message = StartTurn {
            request_id: request.request_id.clone(),
            caller: request.caller.clone(),
            call_ids: answered_calls(&request.request),
        };
        let mut grant = self.ports.start_turn.try_ask(message, ADMIT_WITHIN).await??;
        if let Some(most) = max_tool_rounds.filter(|most| *most < grant.defaults.limits.max_tool_rounds) {
            Arc::make_mut(&mut grant.defaults).limits.max_tool_rounds = most;
        }
        Ok(Box::pin(Turn::begin(Rc::clone(&self.ports), &self.usual, request, grant, manner)))
    }
}

/// The calls that the conversation holds results for.
fn answered_calls(request: &ChatRequest) -> Vec<String> {
    request.messages.iter().filter_map(|message| message.tool_call_id.clone()).collect()
}
