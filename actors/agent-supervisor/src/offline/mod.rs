//! The offline responder `builtin/offline`: answers from HAIA's own tools by recognising what is asked, with no language model.
//!
//! It says what it is in every answer of a chat, answers a client's housekeeping in the form that is asked for, and never makes anything up:
//! what it does not recognise it says it cannot answer, and where its words become a message to somebody else, that is a failure instead.
//! Text of tools is shown as data.

mod chores;
mod clock;
mod facts;
mod markdown;
mod question;
mod skills;

use crate::turn::{Asker, PlannedCall, ToolRun};
use crate::turns::TurnPorts;
use contract::chat::{ChatRequest, Event, EventSink, Head, Role, TurnLimits};
use contract::failure::{Failure, FailureClass};
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

/// The name it answers under where a model's would be told.
const NAME: &str = "builtin/offline";

/// To whom it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// To a person who reads along: with what it is, and why no model answers.
    Chat,
    /// Into a message that is sent to somebody: the bare answer, or none.
    Message {
        /// What it is asked instead of the person's own words.
        question: Option<String>,
    },
}

/// What a look at an answer brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Events were handed over.
    More,
    /// All was said.
    All,
    /// It has no answer, and says nothing.
    Nothing(Failure),
}

/// An answer under way.
pub(crate) struct Offline {
    stage: Stage,
    voice: Voice,
}

enum Stage {
    /// Tools run.
    Looking(Box<Look>),
    /// The answer is being said, piece by piece.
    Speaking(VecDeque<String>),
    /// There is none.
    Silent(Failure),
}

/// An answer in Markdown, or that there is none, in words for a person.
type Body = Result<String, String>;

/// What stands around an answer.
enum Voice {
    /// What is said before it.
    Chat(String),
    /// Why no model answers, and whether the name was told.
    Message { because: String, is_named: bool },
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
        manner: &Manner,
        request: &ChatRequest,
        is_housekeeping: bool,
        failures: &[Failure],
    ) -> Self {
        let said = request.messages.iter().rev().find(|message| message.role == Role::User);
        let said = said.map(contract::chat::Message::plain_text).unwrap_or_default();
        let voice = match manner {
            Manner::Chat => Voice::Chat(introduction(failures)),
            Manner::Message { .. } => Voice::Message { because: reasons(failures), is_named: false },
        };
        let has_cluster = skills::has_cluster(&ports.catalogue.load());
        if is_housekeeping {
            let stage = Stage::Speaking(VecDeque::from([chores::answer(&said, has_cluster)]));
            return Self { stage, voice };
        }
        let question = Question::new(match manner {
            Manner::Message { question: Some(question) } => question,
            _ => &said,
        });
        let Some((skill, fit)) = recognise(&question, has_cluster) else {
            return Self { stage: voice.says(Err(skills::cannot_answer(has_cluster))), voice };
        };
        if skill.scope == Scope::Cluster && !has_cluster {
            return Self { stage: voice.says(Err(NO_CLUSTER.to_owned())), voice };
        }
        let question = question.about(fit.named, has_cluster);
        let limits = TurnLimits { tool_result_bytes: limits.tool_result_bytes.max(RESULT_BYTES), ..limits };
        let run = start(ports, asker, limits, (skill.plan)(&question));
        let (ports, asker) = (Rc::clone(ports), asker.clone());
        let look = Look { ports, asker, limits, run, skill, question, found: Vec::new(), looks: 1 };
        Self { stage: Stage::Looking(Box::new(look)), voice }
    }

    /// Goes on with the answer.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, sink: &mut dyn EventSink) -> Poll<Said> {
        if let Voice::Message { is_named: is_named @ false, .. } = &mut self.voice {
            *is_named = true;
            sink.event(Event::Head(Head { model: Some(NAME.into()), ..Head::default() }));
        }
        loop {
            match &mut self.stage {
                Stage::Looking(look) => match look.run.poll(context, sink) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(Said::More),
                    Poll::Ready(Some(results)) => {
                        if let Some(body) = look.found(results) {
                            self.stage = self.voice.says(body);
                        }
                    }
                },
                Stage::Speaking(pieces) => match pieces.pop_front() {
                    Some(piece) => {
                        sink.event(Event::Text(&piece));
                        return Poll::Ready(Said::More);
                    }
                    None => return Poll::Ready(Said::All),
                },
                Stage::Silent(failure) => return Poll::Ready(Said::Nothing(failure.clone())),
            }
        }
    }
}

impl Voice {
    /// Begins to say an answer. In a chat also that there is none.
    fn says(&self, body: Body) -> Stage {
        match (self, body) {
            (Voice::Chat(introduction), Ok(body) | Err(body)) => Stage::Speaking(pieces(introduction, &body)),
            (Voice::Message { .. }, Ok(body)) => Stage::Speaking(VecDeque::from([body.trim_end().to_owned()])),
            (Voice::Message { because, .. }, Err(why)) => {
                // Only what it says itself: the list of what could be asked instead is for somebody who reads along.
                let why = why.lines().next().unwrap_or_default();
                let why = why.split(" Without a language model").next().unwrap_or(why);
                let message = match because.as_str() {
                    "" => format!("the offline responder has no answer: {why}"),
                    because => format!(
                        "no language model can be reached ({because}), and the offline responder has no answer: {why}"
                    ),
                };
                Stage::Silent(Failure::new(FailureClass::Unreachable, message))
            }
        }
    }
}

impl Look {
    /// Takes results: the answer, or `None` when more has to be looked at first.
    fn found(&mut self, results: Vec<ToolResult>) -> Option<Body> {
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
fn answer(skill: &Skill, question: &Question, results: &[ToolResult]) -> Body {
    let failed = results.iter().find(|result| result.is_error).filter(|_| !skill.bears_errors);
    if let Some(failed) = failed {
        return Err(refusal(&failed.text));
    }
    let unread = |problem: String| match results.iter().find(|result| result.is_error && result.text == problem) {
        Some(failed) => refusal(&failed.text),
        None => format!("I could not read what the tool found ({}).", markdown::inline(&problem)),
    };
    (skill.render)(question, results).map_err(unread)
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
    match reasons(failures).as_str() {
        "" => String::new(),
        reasons => {
            format!("> No language model can be reached ({reasons}). The offline responder answers instead.\n\n")
        }
    }
}

/// What kept each model from answering.
fn reasons(failures: &[Failure]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for failure in failures {
        let provider = failure.provider.as_deref().unwrap_or("a model");
        let reason = format!("{}: {}", markdown::inline(provider), failure.class.as_str().replace('_', " "));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
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
        let answer = |results: &[ToolResult]| answer(skill, &question, results).expect_err("it failed");
        let said = answer(&[ToolResult::error("it *did* not\nanswer.")]);
        assert_eq!(said, "I could not look that up: it \\*did\\* not answer.");
        let said = answer(&[ToolResult::error("there is no guest \"x\"; list_vms shows all guests")]);
        assert!(said.ends_with("\"x\"; ask \"list all guests\" to see who is there."), "{said}");
        assert_eq!(answer(&[ToolResult::error("no Proxmox cluster is configured (…)")]), NO_CLUSTER);
        let said = answer(&[ToolResult::ok("not JSON")]);
        assert!(said.starts_with("I could not read what the tool found"), "{said}");
    }
}
