//! One turn: as many rounds of model and tools as it takes, as a stream of events that its reader polls.
//!
//! A hand-written state machine, so that a model's words go straight from its stream to the reader's sink. Whatever is under way lives in
//! the current phase: dropping the turn drops the model's stream and every tool call at once, and gives the place back.
//!
//! HAIA's own calls are never shown as calls; the caller's calls are never executed.

mod conversation;
mod mixed;
mod offer;
mod round;
mod rounds;
mod tool_run;
mod typed;

pub(crate) use offer::Usual;
pub(crate) use tool_run::{PlannedCall, ToolRun};

use crate::housekeeping::is_housekeeping;
use crate::offline::{Manner, Offline, Said};
use crate::turns::TurnPorts;
use contract::LocalBoxFuture;
use contract::caller::Caller;
use contract::chat::{
    Event, EventSink, EventStream, FinishReason, KeptRound, ResponseFormat, ToolCall, TurnGrant, TurnLimits,
    TurnPermit, TurnRequest, Usage,
};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::provider::{BUILTIN, CallBody, Called, ModelAnswer, ModelCall, Target};
use contract::units::Span;
use conversation::Conversation;
use mixed::MixedRound;
use offer::Offer;
use round::{Round, RoundSink, Voice};
use std::collections::HashSet;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tool_run::Beat;

/// Who asks, and under which id: goes with everything that the turn causes.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) request_id: RequestId,
    pub(crate) caller: Caller,
}

/// A turn under way.
pub(crate) struct Turn {
    ports: Rc<TurnPorts>,
    asker: Asker,
    target: Target,
    limits: TurnLimits,
    /// How the offline responder speaks, should it have to.
    manner: Manner,
    permit: Option<TurnPermit>,
    too_late: LocalBoxFuture<'static, ()>,
    conversation: Conversation,
    /// Which tools are whose; `None` for housekeeping, which is answered plainly.
    offer: Option<Offer>,
    phase: Phase,
    voice: Voice,
    /// Rounds of HAIA's own tools so far.
    rounds: u32,
    usage: Usage,
    /// HAIA's own rounds so far, for a caller who may have to come back to them.
    own_rounds: Vec<KeptRound>,
    /// Ids of calls so far.
    call_ids: HashSet<String>,
    /// Notices told so far.
    notices: HashSet<String>,
    /// What HAIA itself has to tell of the tools' work: what was proposed.
    told: Vec<Arc<str>>,
}

/// What is under way.
enum Phase {
    /// A model is being called.
    Calling { call: LocalBoxFuture<'static, Result<Called, Failure>>, beat: Option<Beat> },
    /// A model answers.
    Streaming { events: Pin<Box<dyn EventStream>>, round: Round },
    /// HAIA's own tools of a round run.
    Tools { run: ToolRun, round: MixedRound },
    /// What the caller will come back to is being kept.
    Keeping { kept: LocalBoxFuture<'static, ()>, calls: Vec<ToolCall> },
    /// The offline responder answers.
    Offline(Box<Offline>),
    /// A decision that a person typed is being taken; what is said of it is the answer.
    Deciding(LocalBoxFuture<'static, String>),
    /// The turn is over.
    Ended,
}

/// What a step led to.
enum Step {
    /// Something has to happen first.
    Pending,
    /// Events were handed over.
    Handed,
    /// The next step can be taken at once.
    Next,
    /// The turn has failed.
    Failed(Failure),
}

impl Turn {
    /// Begins a turn that was admitted. Its first call is prepared; nothing is sent before it is polled.
    pub(crate) fn begin(
        ports: Rc<TurnPorts>,
        usual: &Usual,
        asked: TurnRequest,
        grant: TurnGrant,
        manner: Manner,
    ) -> Self {
        let TurnRequest { request_id, caller, target, request } = asked;
        let limits = grant.defaults.limits;
        let asker = Asker { request_id, caller };
        let is_plain = is_housekeeping(&request);
        let typed = typed::typed(&request, asker.caller.origin);
        let offline = matches!(&target, Target::Model { provider, .. } if **provider == *BUILTIN);
        let (offer, conversation) = if is_plain {
            (None, Conversation::plain(request))
        } else {
            let with_own = limits.max_tool_rounds > 0;
            let may_write = !asker.caller.origin.is_background() || ports.approvals.load().background;
            let (offer, specs) = Offer::new(ports.catalogue.load_full(), usual, &request, may_write, with_own);
            let conversation = if offline {
                // The offline responder reads the request as it came.
                Conversation::plain(request)
            } else {
                let known = (ports.known_tokens)(&target);
                Conversation::open(request, &grant.defaults.system_prompt, grant.kept, specs, &limits, known)
            };
            (Some(offer), conversation)
        };
        let mut turn = Self {
            too_late: ports.clock.patience(limits.turn_timeout),
            ports,
            asker,
            target,
            limits,
            manner,
            permit: Some(grant.permit),
            conversation,
            offer,
            phase: Phase::Ended,
            voice: Voice::default(),
            rounds: 0,
            usage: Usage::default(),
            own_rounds: Vec::new(),
            call_ids: HashSet::new(),
            notices: HashSet::new(),
            told: Vec::new(),
        };
        turn.phase = match typed {
            Some(typed) => {
                Phase::Deciding(Box::pin(typed::decide(turn.ports.decide.clone(), turn.asker.clone(), typed)))
            }
            None if offline => turn.offline(&[]),
            None => turn.calling(None),
        };
        turn
    }

    fn calling(&self, beat: Option<Beat>) -> Phase {
        let request = self.conversation.request();
        let call = self.ports.models.call(ModelCall {
            request_id: self.asker.request_id.clone(),
            caller: self.asker.caller.clone(),
            target: self.target.clone(),
            stream: request.stream,
            body: CallBody::Request(request),
            relay: false,
            relay_usage: false,
        });
        Phase::Calling { call, beat }
    }

    fn offline(&self, failures: &[Failure]) -> Phase {
        let request = self.conversation.request();
        let is_plain = self.offer.is_none();
        let (ports, asker, manner) = (&self.ports, &self.asker, &self.manner);
        Phase::Offline(Box::new(Offline::new(ports, asker, self.limits, manner, &request, is_plain, failures)))
    }

    fn step(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Step {
        match &mut self.phase {
            Phase::Calling { call, beat } => match call.as_mut().poll(context) {
                Poll::Ready(Ok(called)) => self.called(called, sink),
                Poll::Ready(Err(failure)) => Step::Failed(failure),
                Poll::Pending if beat.as_mut().is_some_and(|beat| beat.is_due(context)) => {
                    sink.event(Event::KeepAlive);
                    Step::Handed
                }
                Poll::Pending => Step::Pending,
            },
            Phase::Streaming { events, round } => {
                let mut taken = RoundSink::new(sink, round, &mut self.voice);
                match events.as_mut().poll_events(context, &mut taken) {
                    Poll::Pending => Step::Pending,
                    Poll::Ready(Some(Err(failure))) => Step::Failed(failure),
                    _ if round.is_too_large() => Step::Failed(Round::too_large()),
                    Poll::Ready(Some(Ok(()))) => Step::Handed,
                    Poll::Ready(None) => {
                        let round = std::mem::take(round);
                        self.answered(round, sink)
                    }
                }
            }
            Phase::Tools { run, round } => match run.poll(context, sink) {
                Poll::Pending => Step::Pending,
                Poll::Ready(None) => Step::Handed,
                Poll::Ready(Some(results)) => {
                    let round = std::mem::take(round);
                    self.tools_done(round, results);
                    Step::Handed
                }
            },
            Phase::Keeping { kept, calls } => match kept.as_mut().poll(context) {
                Poll::Pending => Step::Pending,
                Poll::Ready(()) => {
                    let calls = std::mem::take(calls);
                    self.hand_over(&calls, sink)
                }
            },
            Phase::Offline(offline) => match offline.poll(context, sink) {
                Poll::Pending => Step::Pending,
                Poll::Ready(Said::More) => Step::Handed,
                Poll::Ready(Said::All) => self.conclude(FinishReason::Stop, sink),
                Poll::Ready(Said::Nothing(failure)) => Step::Failed(failure),
            },
            Phase::Deciding(said) => match said.as_mut().poll(context) {
                Poll::Pending => Step::Pending,
                Poll::Ready(said) => {
                    sink.event(Event::Text(&said));
                    self.conclude(FinishReason::Stop, sink)
                }
            },
            Phase::Ended => Step::Pending,
        }
    }

    /// A model begins to answer, or none can.
    fn called(&mut self, called: Called, sink: &mut dyn EventSink) -> Step {
        let answer: ModelAnswer = match called {
            Called::Stream(answer) => answer,
            Called::Builtin { failures } => {
                self.voice.next_round();
                self.voice.before_text(sink);
                self.phase = self.offline(&failures);
                return Step::Handed;
            }
        };
        self.voice.next_round();
        let told = self.tell_notices(&answer.notices, sink);
        self.phase = Phase::Streaming { events: answer.events, round: Round::default() };
        if told { Step::Handed } else { Step::Next }
    }

    /// Tells once what was left out to suit the model; never inside an answer that must be JSON.
    fn tell_notices(&mut self, notices: &[String], sink: &mut dyn EventSink) -> bool {
        if self.answers_in_json() || self.offer.is_none() {
            return false;
        }
        let mut told = false;
        for notice in notices {
            if self.notices.insert(notice.clone()) {
                self.voice.before_text(sink);
                sink.event(Event::Text(&format!("*{}*\n\n", notice.trim())));
                self.voice.has_ended_paragraph();
                told = true;
            }
        }
        told
    }

    fn answers_in_json(&self) -> bool {
        let request = self.conversation.request();
        matches!(request.response_format, Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }))
    }

    /// Tells in HAIA's own words what was proposed in this turn: whatever the model makes of it, the person sees what it is, and that nothing was
    /// done.
    fn tell_proposals(&mut self, sink: &mut dyn EventSink) {
        if self.told.is_empty() || self.answers_in_json() {
            return;
        }
        self.voice.next_round();
        self.voice.before_text(sink);
        let lines: Vec<String> = self.told.drain(..).map(|line| format!("*{line}*")).collect();
        sink.event(Event::Text(&lines.join("\n\n")));
    }

    /// Ends the turn with a whole answer.
    fn conclude(&mut self, reason: FinishReason, sink: &mut dyn EventSink) -> Step {
        if !self.usage.is_empty() {
            sink.event(Event::Usage(self.usage));
        }
        sink.event(Event::Finish(reason));
        self.end();
        Step::Handed
    }

    /// Ends the turn with calls for the caller to execute.
    fn hand_over(&mut self, calls: &[ToolCall], sink: &mut dyn EventSink) -> Step {
        for (index, call) in (0u32..).zip(calls) {
            sink.event(Event::ToolStart { index, id: Some(&call.id), name: &call.function.name });
            sink.event(Event::ToolArguments { index, json: &call.function.arguments });
            sink.event(Event::ToolEnd { index });
        }
        self.conclude(FinishReason::ToolCalls, sink)
    }

    /// Drops whatever is under way and gives the place back.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.permit = None;
    }
}

impl EventStream for Turn {
    fn poll_events(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<(), Failure>>> {
        let turn = self.get_mut();
        if matches!(turn.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        if turn.too_late.as_mut().poll(context).is_ready() {
            turn.end();
            let longest = Span(turn.limits.turn_timeout);
            let message = format!("the answer took longer than {longest}, the most that a turn may take");
            return Poll::Ready(Some(Err(Failure::new(FailureClass::Timeout, message))));
        }
        loop {
            match turn.step(context, sink) {
                Step::Pending => return Poll::Pending,
                Step::Handed => return Poll::Ready(Some(Ok(()))),
                Step::Next => {}
                Step::Failed(failure) => {
                    turn.end();
                    return Poll::Ready(Some(Err(failure)));
                }
            }
        }
    }
}
