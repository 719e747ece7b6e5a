//! The actor that runs turns which nobody reads as they come: investigations by the clock, explanations of alerts, questions from message
//! channels. The same turns as a chat's, admitted by the same gate on the background lane, on this actor's own thread.
//!
//! It keeps nothing of what is said. Dropping the answer's future cancels the turn and everything it causes.

use crate::settings::SharedSettings;
use crate::turns::Turns;
use contract::chat::{
    Answer, ChatRequest, Event, EventSink, FinishReason, Message, Role, RunTurn, TurnRequest, TurnText,
};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::provider::{BUILTIN, Target};
use contract::units::Span;
use runtime::{Context, Handle, Reply, Service};
use serde::Serialize;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

/// The longest text that is handed on, in bytes: what channels show is far less.
const MOST_TEXT: usize = 64 << 10;

/// The actor.
pub struct BackgroundTurns {
    settings: SharedSettings,
    turns: Turns,
    clock: SharedClock,
    begun: u64,
}

impl BackgroundTurns {
    /// What supervision builds the actor with. `turns` makes the turns of its thread, with that thread's connections.
    pub fn factory(
        settings: SharedSettings,
        clock: SharedClock,
        turns: impl Fn() -> Turns + Send + 'static,
    ) -> impl Fn() -> Self + Send + 'static {
        move || Self { settings: Arc::clone(&settings), turns: turns(), clock: Arc::clone(&clock), begun: 0 }
    }
}

/// What the actor tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Turns begun since it was built.
    begun: u64,
}

impl Service for BackgroundTurns {
    type Observed = Observed;

    fn observe(&self) -> Observed {
        Observed { begun: self.begun }
    }
}

impl Handle<RunTurn> for BackgroundTurns {
    fn handle(&mut self, asked: RunTurn, _: &Context<Self>) -> Reply<Result<TurnText, Failure>> {
        self.begun += 1;
        let route = asked.route.clone().unwrap_or_else(|| self.settings.load().config().route.as_str().into());
        let too_late = self.clock.pause(asked.timeout);
        let (turns, timeout) = (self.turns.clone(), asked.timeout);
        Reply::later(async move {
            tokio::select! {
                biased;
                said = run(turns, asked, route) => said,
                () = too_late => {
                    let message = format!("the answer took longer than {}", Span(timeout));
                    Err(Failure::new(FailureClass::Timeout, message))
                }
            }
        })
    }
}

async fn run(turns: Turns, asked: RunTurn, route: Arc<str>) -> Result<TurnText, Failure> {
    let mut messages: Vec<Message> = Vec::new();
    messages.extend(asked.instructions.map(|text| Message::text(Role::System, text)));
    messages.push(Message::text(Role::User, asked.question));
    let request = ChatRequest {
        model: format!("haia/{route}"),
        messages,
        stream: true,
        max_tokens: asked.max_tokens.map(u64::from),
        ..ChatRequest::default()
    };
    let target = match &*route {
        BUILTIN => Target::Model { provider: BUILTIN.into(), model: "offline".into() },
        _ => Target::Route(Arc::clone(&route)),
    };
    let request = TurnRequest { request_id: asked.request_id, caller: asked.caller, target, request: Rc::new(request) };
    let mut events = turns.start_unread(request, asked.max_tool_rounds, asked.offline).await?;
    let mut heard = Heard::default();
    while let Some(step) = poll_fn(|context| events.as_mut().poll_events(context, &mut heard)).await {
        step?;
    }
    heard.finish(route)
}

/// What is heard of a turn: the text of its last round. What a model says before it calls tools is no answer.
#[derive(Default)]
struct Heard {
    answer: Answer,
    tools: Vec<Arc<str>>,
}

impl EventSink for Heard {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Status { description, done: false } => {
                self.answer.text.clear();
                if self.tools.last().is_none_or(|last| **last != *description) {
                    self.tools.push(description.into());
                }
            }
            Event::Text(text) if self.answer.text.len() + text.len() > MOST_TEXT => {}
            other => self.answer.event(other),
        }
    }
}

impl Heard {
    fn finish(self, route: Arc<str>) -> Result<TurnText, Failure> {
        let text = self.answer.text.trim();
        let text = if text.is_empty() { self.answer.refusal.trim() } else { text };
        if text.is_empty() {
            let why = match self.answer.finish {
                Some(FinishReason::ContentFilter) => "the model refused to answer",
                Some(FinishReason::Length) => "the model used up its tokens before it said anything",
                _ => "the model gave an empty answer",
            };
            return Err(Failure::new(FailureClass::ServerError, why));
        }
        let usage = (!self.answer.usage.is_empty()).then_some(self.answer.usage);
        Ok(TurnText { text: text.to_owned(), model: self.answer.head.model.unwrap_or(route), tools: self.tools, usage })
    }
}
