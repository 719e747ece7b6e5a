//! The offline responder `builtin/offline`: answers from HAIA's own tools by recognising what is asked, with no language model.
//!
//! It says what it is in every answer, answers a client's housekeeping in the form that is asked for, and never makes anything up: what it
//! does not recognise it says it cannot answer. Text of tools is shown as data.

mod chores;
mod facts;
mod markdown;
mod question;
mod skills;

use crate::turn::{Asker, PlannedCall, ToolRun};
use crate::turns::TurnPorts;
use contract::chat::{ChatRequest, Event, EventSink, Role, TurnLimits};
use contract::failure::Failure;
use contract::tools::ToolResult;
use question::Question;
use skills::{LOOKS, NO_CLUSTER, Planned, Scope, Skill, recognise};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll};

/// What ends every answer.
const SIGNATURE: &str = "*I am HAIA's offline responder: fixed rules over HAIA's own tools, no language model. \
                         `/help` shows what I can answer.*";

/// The most bytes of one result that is read: no model has to pay for them.
const RESULT_BYTES: usize = 1 << 20;

/// An answer under way.
pub(crate) struct Offline {
    stage: Stage,
    introduction: String,
}

enum Stage {
    /// Tools run.
    Looking(Box<Look>),
    /// The answer is being said, piece by piece.
    Speaking(VecDeque<String>),
}

/// Tools that run for a question, and what was found before.
struct Look {
    ports: Rc<TurnPorts>,
    asker: Asker,
    limits: TurnLimits,
    run: ToolRun,
    skill: &'static Skill,
    question: Question,
    found: Vec<ToolResult>,
    looks: usize,
}

impl Offline {
    /// Begins an answer. `failures`: why no model answers, if one should have. `is_housekeeping`: see [`crate::housekeeping`].
    pub(crate) fn new(
        ports: &Rc<TurnPorts>,
        asker: &Asker,
        limits: TurnLimits,
        request: &ChatRequest,
        is_housekeeping: bool,
        failures: &[Failure],
    ) -> Self {
        let said = request.messages.iter().rev().find(|message| message.role == Role::User);
        let said = said.map(contract::chat::Message::plain_text).unwrap_or_default();
        let introduction = introduction(failures);
        let says = |text: &str| Stage::Speaking(pieces(&introduction, text));
        let has_cluster = skills::has_cluster(&ports.catalogue.load());
        if is_housekeeping {
            let stage = Stage::Speaking(VecDeque::from([chores::answer(&said, has_cluster)]));
            return Self { stage, introduction };
        }
        let question = Question::new(&said);
        let Some((skill, fit)) = recognise(&question, has_cluster) else {
            return Self { stage: says(&skills::cannot_answer(has_cluster)), introduction };
        };
        if skill.scope == Scope::Cluster && !has_cluster {
            return Self { stage: says(NO_CLUSTER), introduction };
        }
        let question = question.about(fit.named, has_cluster);
        let limits = TurnLimits { tool_result_bytes: limits.tool_result_bytes.max(RESULT_BYTES), ..limits };
        let run = start(ports, asker, limits, (skill.plan)(&question));
        let (ports, asker) = (Rc::clone(ports), asker.clone());
        let look = Look { ports, asker, limits, run, skill, question, found: Vec::new(), looks: 1 };
        Self { stage: Stage::Looking(Box::new(look)), introduction }
    }

    /// `Ready(true)`: events were handed over. `Ready(false)`: all was said.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<bool> {
        loop {
            match &mut self.stage {
                Stage::Looking(look) => match look.run.poll(context, sink) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Ready(Some(results)) => {
                        if let Some(body) = look.found(results) {
                            self.stage = Stage::Speaking(pieces(&self.introduction, &body));
                        }
                    }
                },
                Stage::Speaking(pieces) => match pieces.pop_front() {
                    Some(piece) => {
                        sink.event(Event::Text(&piece));
                        return Poll::Ready(true);
                    }
                    None => return Poll::Ready(false),
                },
            }
        }
    }
}

impl Look {
    /// Takes results: the answer, or `None` when more has to be looked at first.
    fn found(&mut self, results: Vec<ToolResult>) -> Option<String> {
        self.found.extend(results);
        let is_stopped = !self.skill.bears_errors && self.found.iter().any(|result| result.is_error);
        if !is_stopped && self.looks < LOOKS {
            let more = (self.skill.then)(&self.question, &self.found);
            if !more.is_empty() {
                self.looks += 1;
                self.run = start(&self.ports, &self.asker, self.limits, more);
                return None;
            }
        }
        Some(answer(self.skill, &self.question, &self.found))
    }
}

/// Starts calls.
fn start(ports: &TurnPorts, asker: &Asker, limits: TurnLimits, calls: Vec<Planned>) -> ToolRun {
    let catalogue = ports.catalogue.load();
    let planned = calls.into_iter().map(|call| PlannedCall {
        name: call.tool.into(),
        arguments: call.arguments,
        title: catalogue.get(call.tool).map(|tool| tool.title.clone()),
    });
    ToolRun::start(ports, asker, limits, planned.collect())
}

/// The answer, or what kept the tools from giving one.
fn answer(skill: &Skill, question: &Question, results: &[ToolResult]) -> String {
    let failed = results.iter().find(|result| result.is_error).filter(|_| !skill.bears_errors);
    if let Some(failed) = failed {
        return refusal(&failed.text);
    }
    (skill.render)(question, results)
        .unwrap_or_else(|problem| format!("I could not read what the tool found ({}).", markdown::inline(&problem)))
}

/// What a tool said instead of a result, for people.
fn refusal(said: &str) -> String {
    if skills::is_no_cluster(said) {
        return NO_CLUSTER.to_owned();
    }
    // What tells a model which tool to call tells a person what to ask.
    let said = said.replace("list_vms shows all guests", "ask \"list all guests\" to see who is there");
    format!("I could not look that up: {}", facts::sentence(&markdown::inline(&said)))
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
        let (skill, _) = recognise(&question, true).expect("recognised");
        let said = answer(skill, &question, &[ToolResult::error("it *did* not\nanswer.")]);
        assert_eq!(said, "I could not look that up: it \\*did\\* not answer.");
        let said = answer(skill, &question, &[ToolResult::error("there is no guest \"x\"; list_vms shows all guests")]);
        assert!(said.ends_with("\"x\"; ask \"list all guests\" to see who is there."), "{said}");
        assert_eq!(answer(skill, &question, &[ToolResult::error("no Proxmox cluster is configured (…)")]), NO_CLUSTER);
        let said = answer(skill, &question, &[ToolResult::ok("not JSON")]);
        assert!(said.starts_with("I could not read what the tool found"), "{said}");
    }
}
