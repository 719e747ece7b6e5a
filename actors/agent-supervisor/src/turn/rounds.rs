//! What follows a round of the model: an answer that stands, tools to run, calls for the caller, or another round.

use super::mixed::{MixedCall, MixedRound, Whose};
use super::round::Round;
use super::tool_run::Beat;
use super::{Phase, PlannedCall, Step, ToolRun, Turn};
use contract::chat::{Event, EventSink, FinishReason, KeepRound, KeptRound, ToolCall};
use contract::failure::{Failure, FailureClass};
use contract::tools::ToolResult;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long AgentSupervisor may take to keep a round. Without it the caller's next request is answered all the same, only without
/// HAIA's own results.
const KEEP_WITHIN: Duration = Duration::from_secs(2);

impl Turn {
    /// A model's answer is whole.
    pub(super) fn answered(&mut self, round: Round, sink: &mut dyn EventSink) -> Step {
        self.usage.add(round.answer.usage);
        let Some(reason) = round.answer.finish else {
            return Step::Failed(Failure::new(
                FailureClass::Truncated,
                "the model's answer ended without saying why; try again",
            ));
        };
        // What was cut off or filtered cannot be trusted to hold whole calls.
        let is_cut = matches!(reason, FinishReason::Length | FinishReason::ContentFilter);
        if is_cut || round.answer.calls.is_empty() || self.offer.is_none() {
            // What HAIA adds is no part of the answer that stopped there.
            let stopped = round.answer.stopped.filter(|_| !is_cut && self.told.is_empty());
            self.tell_proposals(sink);
            if let Some(stop) = stopped {
                sink.event(Event::Stopped(stop));
            }
            return self.conclude(if is_cut { reason } else { FinishReason::Stop }, sink);
        }
        let said_nothing = round.answer.text.is_empty();
        let round = self.sort_calls(round);
        let is_last = self.rounds >= self.limits.max_tool_rounds;
        match (round.has_own(), round.has_callers()) {
            (true, false) if is_last => {
                if said_nothing {
                    self.voice.before_text(sink);
                    sink.event(Event::Text(
                        "*The model has given no answer within its rounds of tool calls; ask for less at once.*",
                    ));
                }
                self.tell_proposals(sink);
                self.conclude(FinishReason::Stop, sink)
            }
            (true, _) if !is_last => {
                self.phase = self.run_tools(round);
                Step::Next
            }
            // Only the caller's calls, or own ones that may not run any more.
            _ if !round.has_more_to_keep() && self.own_rounds.is_empty() => self.hand_over(&round.callers(), sink),
            _ => {
                self.phase = self.keep(round, &[]);
                Step::Next
            }
        }
    }

    /// Tells HAIA's own calls from the caller's, and gives each an id that is its own.
    fn sort_calls(&mut self, round: Round) -> MixedRound {
        let answer = round.answer;
        let is_callers = |name: &str| self.offer.as_ref().is_some_and(|offer| offer.is_callers(name));
        let whose: Vec<Whose> =
            answer.calls.iter().map(|call| if is_callers(&call.name) { Whose::Callers } else { Whose::Own }).collect();
        let is_mixed = whose.contains(&Whose::Own) && whose.contains(&Whose::Callers);
        // What is kept is found again by these ids, so they must be nobody else's: providers' own may be "call_0" every time.
        let has_more = !answer.opaque.is_empty() || !answer.thinking.is_empty();
        let is_kept = is_mixed || has_more || !self.own_rounds.is_empty();
        let calls = answer.calls.into_iter().zip(whose).map(|(call, whose)| {
            let needs_own = is_kept && whose == Whose::Callers;
            let given = call.id.filter(|id| !needs_own && !id.is_empty() && !self.call_ids.contains(id));
            let id = match given {
                Some(id) => id,
                None => format!("call_{}", self.ports.ids.unique()),
            };
            self.call_ids.insert(id.clone());
            MixedCall { id, name: call.name, arguments: call.arguments, whose }
        });
        let calls = calls.collect();
        MixedRound { text: answer.text, thinking: answer.thinking, calls, opaque: answer.opaque }
    }

    fn run_tools(&self, round: MixedRound) -> Phase {
        let planned = round.calls.iter().filter(|call| call.whose == Whose::Own).map(|call| PlannedCall {
            name: call.name.as_str().into(),
            arguments: call.arguments.clone(),
            title: self.offer.as_ref().and_then(|offer| offer.title(&call.name)),
        });
        let run = ToolRun::start(&self.ports, &self.asker, self.limits, planned.collect());
        Phase::Tools { run, round }
    }

    /// HAIA's own tools of a round are done: the next round, or the caller's part of this one.
    pub(super) fn tools_done(&mut self, round: MixedRound, results: Vec<ToolResult>) {
        for told in results.iter().filter_map(|result| result.told.as_ref()) {
            if !self.told.contains(told) {
                self.told.push(Arc::clone(told));
            }
        }
        let results: Vec<String> = results.into_iter().map(written).collect();
        self.rounds += 1;
        if round.has_callers() {
            self.phase = self.keep(round, &results);
            return;
        }
        if self.offer.as_ref().is_some_and(|offer| offer.has_callers()) {
            self.own_rounds.push(round.kept(&results));
        }
        let (assistant, results) = round.into_messages(results);
        self.conversation.add_round(assistant, results);
        if self.rounds >= self.limits.max_tool_rounds {
            self.conversation.must_answer();
        }
        self.phase = self.calling(Some(Beat::new(&self.ports.clock)));
    }

    /// Keeps what belongs beside the caller's calls, then hands these over.
    fn keep(&mut self, round: MixedRound, results: &[String]) -> Phase {
        let calls: Vec<ToolCall> = round.callers();
        let ids: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
        let mut rounds = std::mem::take(&mut self.own_rounds);
        rounds.push(round.kept(results));
        let ports = Rc::clone(&self.ports);
        let request_id = self.asker.request_id.clone();
        let kept = async move {
            for round in rounds {
                let round = KeptRound { caller_calls: ids.clone(), ..round };
                if let Err(fault) = ports.keep_round.ask(KeepRound(round), KEEP_WITHIN).await {
                    tracing::warn!(%request_id, %fault, "own results beside a caller's calls are not kept");
                }
            }
        };
        Phase::Keeping { kept: Box::pin(kept), calls }
    }
}

/// A result as the model reads it. That it is data and no instruction is said in the system prompt.
fn written(result: ToolResult) -> String {
    if result.is_error { format!("Error: {}", result.text) } else { result.text }
}
