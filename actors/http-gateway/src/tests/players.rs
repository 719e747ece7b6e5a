//! An agent and models that follow a plan.

use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::chat::{Agent, Event, EventSink, EventStream, FinishReason, Relayed, TurnRequest};
use contract::direct::{
    Arriving, Direct, DirectAnswer, DirectAnswerBody, DirectBody, DirectCall, DirectKind, Directed, Pieces,
};
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::provider::{Called, ModelAnswer, ModelCall, Models, Target};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

/// One thing that a scripted answer does.
pub(crate) enum Act {
    Say(&'static str),
    Tell(Event<'static>),
    Relay(&'static str, Relayed),
    Whole(&'static str),
    Wait(Duration),
    Fail(Failure),
    Panic,
    Hang,
}

impl Act {
    pub(crate) fn tell(event: Event<'static>) -> Self {
        Act::Tell(event)
    }

    pub(crate) fn stop() -> Self {
        Act::tell(Event::Finish(FinishReason::Stop))
    }
}

/// How one call goes.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) open_after: Option<Duration>,
    pub(crate) refuse: Option<Failure>,
    pub(crate) notices: Vec<String>,
    pub(crate) acts: Vec<Act>,
}

impl Plan {
    pub(crate) fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: acts.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn refused(failure: Failure) -> Self {
        Self { refuse: Some(failure), ..Self::default() }
    }
}

/// How a provider answers directly: `whole`, or piece by piece; `Say` gives a piece.
#[derive(Default)]
pub(crate) struct DirectPlan {
    pub(crate) open_after: Duration,
    pub(crate) content_type: &'static str,
    pub(crate) whole: Option<&'static str>,
    pub(crate) pieces: Vec<Act>,
}

/// What a scripted agent or model was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) by: &'static str,
    pub(crate) target: Target,
    pub(crate) caller: String,
    pub(crate) request_id: String,
    pub(crate) stream: bool,
    pub(crate) relay_usage: bool,
}

/// What a provider was asked directly.
pub(crate) struct DirectAsked {
    pub(crate) request_id: RequestId,
    pub(crate) caller: Arc<str>,
    pub(crate) kind: DirectKind,
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) stream: bool,
    pub(crate) beta: Option<String>,
    pub(crate) body: AskedBody,
}

/// Its body, read to the end.
pub(crate) enum AskedBody {
    Json(Bytes),
    Form {
        content_type: String,
        around_model: (Bytes, Bytes),
        /// What came before that, and after it: its length, if that was told, and its bytes.
        before: Option<(Option<u64>, Vec<u8>)>,
        rest: Option<(Option<u64>, Vec<u8>)>,
    },
}

impl DirectAsked {
    async fn read(call: DirectCall) -> Result<Self, Failure> {
        let DirectCall { request_id, caller, kind, provider, model, body, stream, beta } = call;
        let body = match body {
            DirectBody::Json(json) => AskedBody::Json(json),
            DirectBody::Form { content_type, before, around_model, rest } => {
                let (before, rest) = (part(before).await?, part(rest).await?);
                AskedBody::Form { content_type, around_model, before, rest }
            }
        };
        Ok(Self { request_id, caller: caller.name, kind, provider, model, stream, beta, body })
    }
}

async fn part(part: Option<Arriving>) -> Result<Option<(Option<u64>, Vec<u8>)>, Failure> {
    let Some(Arriving { length, mut pieces }) = part else { return Ok(None) };
    let mut read = Vec::new();
    while let Some(piece) = poll_fn(|context| pieces.as_mut().poll_piece(context)).await {
        read.extend_from_slice(&piece?);
    }
    Ok(Some((length, read)))
}

/// Agent and models in one: each call takes the next plan.
#[derive(Clone, Default)]
pub(crate) struct Players {
    pub(crate) plans: Arc<Mutex<VecDeque<Plan>>>,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    /// Calls and answers that were neither ended nor dropped.
    pub(crate) alive: Arc<AtomicI64>,
    /// Direct calls: what was asked, and the answers to come. Without one the provider has nothing of the kind.
    pub(crate) directed: Arc<Mutex<Vec<DirectAsked>>>,
    pub(crate) direct_plans: Arc<Mutex<VecDeque<Result<DirectPlan, Failure>>>>,
    /// Whether the next call panics before it gives a future.
    pub(crate) crash: Arc<AtomicBool>,
}

struct Alive(Arc<AtomicI64>);

impl Alive {
    fn new(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Script {
    acts: VecDeque<Act>,
    wait: Option<Pin<Box<tokio::time::Sleep>>>,
    _alive: Alive,
}

impl EventStream for Script {
    fn poll_events(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                if wait.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.wait = None;
            }
            match self.acts.pop_front() {
                None => return Poll::Ready(None),
                Some(Act::Say(text)) => sink.event(Event::Text(text)),
                Some(Act::Tell(event)) => sink.event(event),
                Some(Act::Relay(bytes, holds)) => sink.relay(bytes.into(), holds),
                Some(Act::Whole(body)) => sink.relay_whole(body.into()),
                Some(Act::Fail(failure)) => return Poll::Ready(Some(Err(failure))),
                Some(Act::Panic) => panic!("a scripted panic"),
                Some(Act::Wait(time)) => {
                    self.wait = Some(Box::pin(tokio::time::sleep(time)));
                    continue;
                }
                Some(Act::Hang) => {
                    self.acts.push_front(Act::Hang);
                    return Poll::Pending;
                }
            }
            return Poll::Ready(Some(Ok(())));
        }
    }
}

impl Players {
    pub(crate) fn plan(&self, plan: Plan) {
        self.plans.lock().expect("plans").push_back(plan);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("asked"))
    }

    pub(crate) fn alive(&self) -> i64 {
        self.alive.load(Ordering::SeqCst)
    }

    async fn play(self) -> Result<(Pin<Box<dyn EventStream>>, Vec<String>), Failure> {
        let alive = Alive::new(&self.alive);
        let plan = self.plans.lock().expect("plans").pop_front().expect("a plan for every call");
        if let Some(time) = plan.open_after {
            tokio::time::sleep(time).await;
        }
        match plan.refuse {
            Some(failure) => Err(failure),
            None => {
                let script = Script { acts: plan.acts.into(), wait: None, _alive: alive };
                Ok((Box::pin(script), plan.notices))
            }
        }
    }

    fn note(&self, by: &'static str, asked: Asked) {
        assert!(!self.crash.swap(false, Ordering::SeqCst), "a scripted crash");
        self.asked.lock().expect("asked").push(Asked { by, ..asked });
    }
}

impl Agent for Players {
    fn start(&self, request: TurnRequest) -> LocalBoxFuture<'static, Result<Pin<Box<dyn EventStream>>, Failure>> {
        self.note(
            "agent",
            Asked {
                by: "",
                target: request.target,
                caller: request.caller.name.to_string(),
                request_id: request.request_id.to_string(),
                stream: request.request.stream,
                relay_usage: false,
            },
        );
        let players = self.clone();
        Box::pin(async move { players.play().await.map(|(events, _)| events) })
    }
}

impl Models for Players {
    fn call(&self, call: ModelCall) -> LocalBoxFuture<'static, Result<Called, Failure>> {
        self.note(
            "models",
            Asked {
                by: "",
                target: call.target,
                caller: call.caller.name.to_string(),
                request_id: call.request_id.to_string(),
                stream: call.stream,
                relay_usage: call.relay_usage,
            },
        );
        let players = self.clone();
        Box::pin(async move {
            let (events, notices) = players.play().await?;
            Ok(Called::Stream(ModelAnswer { events, provider: "p".into(), model: "m".into(), notices }))
        })
    }
}

impl Pieces for Script {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<bytes::Bytes, Failure>>> {
        match self.acts.front() {
            Some(Act::Say(text)) => {
                let piece = bytes::Bytes::from_static(text.as_bytes());
                self.acts.pop_front();
                Poll::Ready(Some(Ok(piece)))
            }
            Some(Act::Fail(failure)) => Poll::Ready(Some(Err(failure.clone()))),
            Some(Act::Hang) => Poll::Pending,
            Some(Act::Panic) => panic!("a scripted panic"),
            Some(_) => {
                // What has no bytes: waits, above all.
                let mut ignored = contract::chat::Answer::default();
                match self.as_mut().poll_events(context, &mut ignored) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(_) => self.poll_piece(context),
                }
            }
            None => Poll::Ready(None),
        }
    }
}

impl Direct for Players {
    fn direct(&self, call: DirectCall) -> LocalBoxFuture<'static, Result<Directed, Failure>> {
        let directed = Arc::clone(&self.directed);
        let plan = self.direct_plans.lock().expect("plans").pop_front();
        let alive = Alive::new(&self.alive);
        Box::pin(async move {
            let asked = DirectAsked::read(call).await?;
            directed.lock().expect("directed").push(asked);
            let Some(plan) = plan else { return Ok(Directed::Unsupported { kind: "openai" }) };
            let plan = plan?;
            tokio::time::sleep(plan.open_after).await;
            let script = Script { acts: plan.pieces.into(), wait: None, _alive: alive };
            let body = match plan.whole {
                Some(whole) => DirectAnswerBody::Whole(whole.into()),
                None => DirectAnswerBody::Pieces(Box::pin(script)),
            };
            Ok(Directed::Answer(DirectAnswer { content_type: plan.content_type.to_owned(), body }))
        })
    }
}
