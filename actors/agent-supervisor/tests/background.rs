//! Turns that nobody reads as they come: their text, their limits, their failures, and that giving up the wait cancels them.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use agent_supervisor::{BackgroundTurns, Turns};
use common::*;
use contract::caller::{Caller, Origin, Scope};
use contract::chat::{FinishReason, RunTurn};
use contract::failure::FailureClass;
use contract::ids::RequestId;
use contract::message::Lane;
use contract::provider::Target;
use runtime::world::World;
use runtime::{Policy, Port};
use std::cell::RefCell;
use std::time::Duration;

const STOP: FinishReason = FinishReason::Stop;
const CALLS: FinishReason = FinishReason::ToolCalls;

thread_local! {
    /// The factory may move between threads, the turns of a thread may not: they meet here.
    static TURNS: RefCell<Option<Turns>> = const { RefCell::new(None) };
}

fn start(world: &World, bench: &Bench) -> Port<RunTurn> {
    TURNS.with(|turns| *turns.borrow_mut() = Some(bench.turns.clone()));
    let made = || TURNS.with(|turns| turns.borrow().clone()).expect("the bench's turns");
    let factory = BackgroundTurns::factory(bench.settings.clone(), world.clock.clone(), made);
    world.supervision.start(&world.thread(), "background-turns", Policy::optional(), factory).port(Lane::Background)
}

fn question(origin: Origin) -> RunTurn {
    RunTurn {
        request_id: RequestId::new("job-1"),
        caller: Caller { name: "report".into(), scope: Scope::Read, origin },
        route: None,
        question: "How was the night?".to_owned(),
        offline: None,
        instructions: Some("Be short.".to_owned()),
        max_tool_rounds: None,
        max_tokens: Some(300),
        timeout: Duration::from_secs(60),
    }
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn the_last_round_is_the_answer() {
    World::run(async |world| {
        let first = says(vec![Say::Text("Let me look."), Say::Call("t1", "fast", ""), Say::Usage(10, 1)], CALLS);
        let second = says(vec![Say::Text("All "), Say::Text("quiet."), Say::Usage(20, 2)], STOP);
        let bench = bench(world, config(), vec![first, second]);
        let said = start(world, &bench).ask(question(Origin::Job), LONG).await.expect("asked").expect("answered");
        assert_eq!((said.text.as_str(), said.tools.len()), ("All quiet.", 1));
        assert_eq!(said.usage.and_then(|usage| usage.input), Some(30));
        assert_eq!(bench.sent(0), ["system You are HAIA.", "system Be short.", "user How was the night?"]);
        let request = bench.request(0);
        assert_eq!(request.max_tokens, Some(300));
        assert!(request.tools.iter().all(|tool| tool.name != "write"), "background work is offered what only reads");
        assert_eq!(bench.models.calls.borrow()[0].0.target, Target::Route("default".into()));
        bench.assert_idle(world).await;
    });
}

#[test]
fn rounds_and_time_are_bounded() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![says(vec![Say::Text("No tools.")], STOP), Script::Silent]);
        let port = start(world, &bench);
        let asked = RunTurn { max_tool_rounds: Some(0), ..question(Origin::Alert) };
        assert_eq!(port.ask(asked, LONG).await.expect("asked").expect("answered").text, "No tools.");
        assert!(bench.request(0).tools.is_empty());
        let late = port.ask(question(Origin::Alert), LONG).await.expect("asked").expect_err("silence");
        assert_eq!((late.class, late.message.as_ref()), (FailureClass::Timeout, "the answer took longer than 1m"));
        bench.assert_idle(world).await;
    });
}

#[test]
fn a_failure_comes_back_and_the_built_in_responder_can_be_asked_for() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Refused(FailureClass::Overloaded), says(vec![], STOP)]);
        let port = start(world, &bench);
        let refused = port.ask(question(Origin::Job), LONG).await.expect("asked").expect_err("refused");
        assert_eq!(refused.class, FailureClass::Overloaded);
        let empty = port.ask(question(Origin::Job), LONG).await.expect("asked").expect_err("nothing was said");
        assert_eq!(empty.message.as_ref(), "the model gave an empty answer");
        let asked = RunTurn { route: Some("builtin".into()), question: "/help".to_owned(), ..question(Origin::Job) };
        let said = port.ask(asked, LONG).await.expect("asked").expect("answered");
        assert!(said.text.contains("offline"), "{}", said.text);
        bench.assert_idle(world).await;
    });
}

#[test]
fn where_no_model_answers_the_bare_answer_to_the_short_question_comes_back_or_a_failure() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Builtin, Script::Builtin, Script::Builtin]);
        cluster::offer(&bench);
        let port = start(world, &bench);
        let ask = async |asked: RunTurn| port.ask(asked, LONG).await.expect("asked");
        let told = ask(RunTurn { offline: Some("did vm web-02 crash?".to_owned()), ..question(Origin::Alert) }).await;
        let told = told.expect("answered");
        assert!(told.text.starts_with("web-02 (105) was shut down by anna@pve"), "{}", told.text);
        assert!(!told.text.contains("offline responder") && told.text.trim_end() == told.text, "{}", told.text);
        assert_eq!((&*told.model, told.tools.len()), ("builtin/offline", 1));
        // The person's own words, which nobody understands; and a tool that finds nothing.
        let unknown = ask(RunTurn { question: "Write a poem.".to_owned(), ..question(Origin::Job) }).await;
        assert_eq!(
            unknown.expect_err("no answer").message,
            "no language model can be reached (ollama: unreachable), and the offline responder has no answer: I cannot answer that."
        );
        let gone = ask(RunTurn { question: "did vm web-99 crash?".to_owned(), ..question(Origin::Job) }).await;
        let said = gone.expect_err("no answer").message;
        assert!(said.contains("I could not look that up: there is no guest \"web-99\""), "{said}");
        let asked =
            RunTurn { route: Some("builtin".into()), question: "Write a poem.".to_owned(), ..question(Origin::Job) };
        let said = ask(asked).await.expect_err("no answer").message;
        assert!(said.starts_with("the offline responder has no answer: I cannot answer that."), "{said}");
        bench.assert_idle(world).await;
    });
}

#[test]
fn who_gives_up_waiting_cancels_the_turn() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Silent]);
        let port = start(world, &bench);
        let waiting = port.ask(question(Origin::Job), LONG);
        assert!(tokio::time::timeout(Duration::from_secs(5), waiting).await.is_err());
        world.settle().await;
        assert_eq!(bench.open_streams(), 0);
        bench.assert_idle(world).await;
    });
}
