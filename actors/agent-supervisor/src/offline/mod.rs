//! The offline responder `builtin/offline`: answers from HAIA's own tools by recognising what is asked, with no language model.
//!
//! It says what it is in every answer, answers a client's housekeeping in the form that is asked for, and never makes anything up: what it
//! does not recognise it says it cannot answer. Text of tools is shown as data.

mod chores;
mod markdown;
mod question;
mod skills;

use crate::turn::{Asker, PlannedCall, ToolRun};
use crate::turns::TurnPorts;
use contract::chat::{ChatRequest, Event, EventSink, Role, TurnLimits};
use contract::failure::Failure;
use contract::tools::ToolResult;
use question::Question;
use skills::{Skill, recognise};
use std::collections::VecDeque;
use std::task::{Context, Poll};

/// What ends every answer.
const SIGNATURE: &str = "*I am HAIA's offline responder: fixed rules over HAIA's own tools, no language model. \
                         `/help` shows what I can answer.*";

/// An answer under way.
pub(crate) struct Offline {
    stage: Stage,
    introduction: String,
}

enum Stage {
    /// Tools run.
    Looking { run: ToolRun, skill: &'static Skill, question: Question },
    /// The answer is being said, piece by piece.
    Speaking(VecDeque<String>),
}

impl Offline {
    /// Begins an answer. `failures`: why no model answers, if one should have. `is_housekeeping`: see [`crate::housekeeping`].
    pub(crate) fn new(
        ports: &TurnPorts,
        asker: &Asker,
        limits: TurnLimits,
        request: &ChatRequest,
        is_housekeeping: bool,
        failures: &[Failure],
    ) -> Self {
        let said = request.messages.iter().rev().find(|message| message.role == Role::User);
        let said = said.map(contract::chat::Message::plain_text).unwrap_or_default();
        let introduction = introduction(failures);
        if is_housekeeping {
            return Self { stage: Stage::Speaking(VecDeque::from([chores::answer(&said)])), introduction };
        }
        let question = Question::new(&said);
        let Some(skill) = recognise(&question) else {
            return Self { stage: Stage::Speaking(pieces(&introduction, &skills::cannot_answer())), introduction };
        };
        let catalogue = ports.catalogue.load();
        let planned = (skill.plan)(&question).into_iter().map(|call| PlannedCall {
            name: call.tool.into(),
            arguments: call.arguments,
            title: catalogue.get(call.tool).map(|tool| tool.title.clone()),
        });
        let run = ToolRun::start(ports, asker, limits, planned.collect());
        Self { stage: Stage::Looking { run, skill, question }, introduction }
    }

    /// `Ready(true)`: events were handed over. `Ready(false)`: all was said.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<bool> {
        match &mut self.stage {
            Stage::Looking { run, skill, question } => match run.poll(context, sink) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(true),
                Poll::Ready(Some(results)) => {
                    let body = answer(skill, question, &results);
                    self.stage = Stage::Speaking(pieces(&self.introduction, &body));
                    Poll::Ready(true)
                }
            },
            Stage::Speaking(pieces) => match pieces.pop_front() {
                Some(piece) => {
                    sink.event(Event::Text(&piece));
                    Poll::Ready(true)
                }
                None => Poll::Ready(false),
            },
        }
    }
}

/// The answer, or what kept the tools from giving one.
fn answer(skill: &Skill, question: &Question, results: &[ToolResult]) -> String {
    if let Some(failed) = results.iter().find(|result| result.is_error) {
        return format!("I could not look that up: {}.", markdown::inline(failed.text.trim_end_matches('.')));
    }
    (skill.render)(question, results)
        .unwrap_or_else(|problem| format!("I could not read what the tool found ({}).", markdown::inline(&problem)))
}

/// Why no language model answers.
fn introduction(failures: &[Failure]) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let mut reasons: Vec<String> = Vec::new();
    for failure in failures {
        let provider = failure.provider.as_deref().unwrap_or("a model");
        let reason = format!("{}: {}", markdown::inline(provider), failure.class.as_str().replace('_', " "));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    format!("> No language model can be reached ({}). The offline responder answers instead.\n\n", reasons.join("; "))
}

/// The whole answer, cut into paragraphs.
fn pieces(introduction: &str, body: &str) -> VecDeque<String> {
    let whole = format!("{introduction}{}\n\n---\n{SIGNATURE}\n", body.trim_end());
    whole.split_inclusive("\n\n").map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::failure::FailureClass;

    #[test]
    fn says_once_why_no_model_answers() {
        assert_eq!(introduction(&[]), "");
        let failed = |class, provider: &str| Failure::new(class, "m").from_provider(provider.into());
        let told = introduction(&[
            failed(FailureClass::RateLimit, "anthropic"),
            failed(FailureClass::RateLimit, "anthropic"),
            failed(FailureClass::Unreachable, "ollama"),
        ]);
        assert!(
            told.starts_with("> No language model can be reached (anthropic: rate limit; ollama: unreachable)."),
            "{told}"
        );
    }

    #[test]
    fn the_pieces_are_the_whole() {
        let pieces = pieces("> a\n\n", "b\n\n| c |\n");
        assert_eq!(pieces.len(), 4);
        let whole: String = pieces.into_iter().collect();
        assert!(whole.starts_with("> a\n\nb\n\n| c |\n\n---\n*I am HAIA's offline responder"), "{whole}");
    }

    #[test]
    fn a_tool_that_fails_is_quoted() {
        let question = Question::new("what time is it?");
        let skill = recognise(&question).expect("recognised");
        let said = answer(skill, &question, &[ToolResult::error("it *did* not\nanswer.")]);
        assert_eq!(said, "I could not look that up: it \\*did\\* not answer.");
        let said = answer(skill, &question, &[ToolResult::ok("not JSON")]);
        assert!(said.starts_with("I could not read what the tool found"), "{said}");
    }
}
