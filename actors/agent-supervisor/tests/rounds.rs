//! The rounds of a turn: HAIA's own tools, the caller's, both; their faults and bounds; what goes back to the model and to the reader.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::*;
use contract::caller::Origin;
use contract::chat::{Agent, ChatRequest, FinishReason, Message, Role, ToolCall, ToolChoice};
use contract::failure::FailureClass;
use runtime::world::World;
use std::time::Duration;

const STOP: FinishReason = FinishReason::Stop;
const CALLS: FinishReason = FinishReason::ToolCalls;

#[test]
fn a_plain_answer_streams_through() {
    World::run(async |world| {
        let script = says(vec![Say::Thinking("hm"), Say::Text("Hel"), Say::Text("lo"), Say::Usage(10, 2)], STOP);
        let bench = bench(world, config(), vec![script]);
        let seen = bench.answer(asks("hi")).await;
        assert_eq!(seen.log, ["thinking hm", "text Hel", "text lo", "usage 10 2", "finish stop"]);
        assert_eq!(bench.sent(0), ["system You are HAIA.", "user hi"]);
        let (call, request) = bench.models.calls.borrow()[0].clone();
        assert!(call.stream && !call.relay && call.request_id.as_str() == "r-1" && &*call.caller.name == "anna");
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert!(names.is_sorted() && names.contains(&"write") && names.len() == 9, "{names:?}");
        bench.assert_idle(world).await;
    });
}

#[test]
fn own_calls_run_at_once_and_their_results_go_back_in_order() {
    World::run(async |world| {
        let first = vec![
            Say::Opaque("{\"signature\":\"s1\"}"),
            Say::Text("Let me look."),
            Say::Call("t1", "slow", "{\"a\":1}"),
            Say::Call("", "fast", ""),
            Say::Usage(100, 10),
        ];
        let second = vec![Say::Call("t1", "slow", "{}"), Say::Usage(200, 20)];
        let third = vec![Say::Text("Done."), Say::Usage(300, 30)];
        let bench = bench(world, config(), vec![says(first, CALLS), says(second, CALLS), says(third, STOP)]);
        let mut request = asks("look");
        request.tool_choice = Some(ToolChoice::Required);
        let begun = world.clock.clone();
        let before = contract::clock::Clock::monotonic(&*begun);
        let seen = bench.answer(request).await;
        let took = contract::clock::Clock::monotonic(&*begun) - before;
        assert_eq!(took.as_secs(), 10, "two rounds of five seconds each, tools of a round at once");
        assert_eq!(
            seen.log,
            [
                "text Let me look.",
                "status Doing slow false",
                "status Doing fast false",
                "status Doing fast: done true",
                "status Doing slow: done true",
                "status Doing slow false",
                "status Doing slow: done true",
                "text \n\n",
                "text Done.",
                "usage 600 60",
                "finish stop"
            ]
        );
        assert_eq!(
            bench.sent(2),
            [
                "system You are HAIA.",
                "user look",
                "assistant Let me look. t1:slow({\"a\":1}) call_id000000:fast({}) {\"signature\":\"s1\"}",
                "tool t1 slow",
                "tool call_id000000 fast ",
                // The same id again would be taken for the first call: it gets one of its own.
                "assistant call_id000001:slow({})",
                "tool call_id000001 slow",
            ]
        );
        assert_eq!(bench.request(0).tool_choice, Some(ToolChoice::Required));
        assert_eq!(bench.request(1).tool_choice, None);
        let called = bench.tools.called.lock().expect("calls").clone();
        assert!(called.iter().all(|call| call.request_id.as_str() == "r-1" && call.timeout == Duration::from_secs(30)));
        bench.assert_idle(world).await;
    });
}

#[test]
fn every_fault_of_a_tool_becomes_a_result() {
    World::run(async |world| {
        let calls = vec![
            Say::Call("a", "no_such", "{}"),
            Say::Call("b", "fast", "{\"broken\":"),
            Say::Call("c", "hang", "{}"),
            Say::Call("d", "crash", "{}"),
            Say::Call("e", "large", "{}"),
            Say::Call("f", "fail", "{}"),
        ];
        let bench = bench(world, config(), vec![says(calls, CALLS), says(vec![Say::Text("ok")], STOP)]);
        let seen = bench.answer(asks("look")).await;
        let sent = bench.sent(1);
        assert_eq!(sent[2], "assistant a:no_such({}) b:fast({}) c:hang({}) d:crash({}) e:large({}) f:fail({})");
        assert_eq!(sent[3], "tool a Error: there is no tool named \"no_such\"");
        // What the tool got is what the model wrote; Toolbox says what is wrong with it.
        assert_eq!(sent[4], "tool b fast {\"broken\":");
        assert_eq!(sent[5], "tool c Error: hang did not answer within 30s");
        assert_eq!(sent[6], "tool d Error: crash crashed on this call");
        assert_eq!(sent[8], "tool f Error: no cluster");
        let large = bench.request(1).messages[7].plain_text();
        assert!(large.starts_with("xxx") && large.contains("1024 of 100000 bytes are shown"), "{}", large.len());
        assert_eq!(seen.log.iter().filter(|line| *line == "alive").count(), 3, "a sign of life every ten seconds");
        for status in ["fast: done", "hang: failed", "crash: failed", "fail: failed"] {
            let told = format!("status Doing {status} true");
            assert_eq!(seen.log.iter().filter(|line| **line == told).count(), 1, "{status}: {:?}", seen.log);
        }
        assert_eq!(seen.log.last().map(String::as_str), Some("finish stop"));
        bench.assert_idle(world).await;
    });
}

#[test]
fn a_tool_that_shows_progress_may_take_longer_than_its_time() {
    World::run(async |world| {
        let first = vec![Say::Call("a", "long", "{}")];
        let bench = bench(world, config(), vec![says(first, CALLS), says(vec![Say::Text("ok")], STOP)]);
        bench.answer(asks("look")).await;
        assert_eq!(bench.sent(1)[3], "tool a long");
        bench.assert_idle(world).await;
    });
}

#[test]
fn thinking_and_refusals_of_two_rounds_do_not_run_together() {
    World::run(async |world| {
        let first =
            vec![Say::Thinking("Hm"), Say::Thinking("."), Say::Text("Let me look."), Say::Call("t", "fast", "{}")];
        let second = vec![Say::Call("t", "fast", "{}")];
        let third = vec![Say::Thinking("So"), Say::Thinking("."), Say::Refusal("I will"), Say::Refusal(" not.")];
        let bench = bench(world, config(), vec![says(first, CALLS), says(second, CALLS), says(third, STOP)]);
        let seen = bench.answer(asks("look")).await;
        assert_eq!(seen.answer.thinking, "Hm.\n\nSo.");
        assert_eq!((seen.answer.text.as_str(), seen.answer.refusal.as_str()), ("Let me look.\n\n", "I will not."));
        // What goes back to the model is what it said itself.
        assert_eq!(bench.request(1).messages[2].reasoning_content.as_deref(), Some("Hm."));
    });
}

#[test]
fn after_the_last_round_the_model_must_answer() {
    World::run(async |world| {
        let call = || says(vec![Say::Call("", "fast", "{}")], CALLS);
        let limited = agent_supervisor::Config { max_tool_rounds: 2, ..config() };
        let scripts = vec![call(), call(), says(vec![Say::Text("That is all.")], STOP)];
        let one = bench(world, limited.clone(), scripts);
        let seen = one.answer(asks("look")).await;
        assert_eq!(seen.answer.text, "That is all.");
        assert_eq!(one.request(1).tool_choice, None);
        assert_eq!(one.request(2).tool_choice, Some(ToolChoice::None));
        assert_eq!(one.request(2).tools.len(), 9);
        one.assert_idle(world).await;
    });
    World::run(async |world| {
        // A model that does not obey.
        let call = || says(vec![Say::Call("", "fast", "{}")], CALLS);
        let limited = agent_supervisor::Config { max_tool_rounds: 1, ..config() };
        let bench = bench(world, limited, vec![call(), call()]);
        let seen = bench.answer(asks("look")).await;
        assert!(seen.answer.text.contains("no answer within its rounds"), "{}", seen.answer.text);
        assert_eq!((bench.called().len(), seen.answer.finish), (1, Some(STOP)));
    });
    World::run(async |world| {
        let none = agent_supervisor::Config { max_tool_rounds: 0, ..config() };
        let bench = bench(world, none, vec![says(vec![Say::Text("Hi.")], STOP)]);
        bench.answer(asks("look")).await;
        assert_eq!(bench.request(0).tools.len(), 0);
    });
}

#[test]
fn the_callers_calls_end_the_turn_and_are_not_executed() {
    World::run(async |world| {
        let calls = vec![
            Say::Text("I need your files."),
            Say::Call("toolu_1", "read_file", "{\"path\":\"x\"}"),
            Say::Call("", "fast", ""),
            Say::Usage(5, 6),
        ];
        let bench = bench(world, config(), vec![says(calls, CALLS)]);
        // The caller's `fast` hides HAIA's own.
        let seen = bench.answer(with_tools(asks("look"), &["read_file", "fast"])).await;
        assert_eq!(
            seen.log,
            [
                "text I need your files.",
                "call 0 toolu_1 read_file",
                "arguments 0 {\"path\":\"x\"}",
                "end 0",
                "call 1 call_id000000 fast",
                "arguments 1 {}",
                "end 1",
                "usage 5 6",
                "finish tool_calls"
            ]
        );
        assert_eq!(bench.called(), Vec::<String>::new());
        let names: Vec<String> = bench.request(0).tools.iter().map(|tool| tool.name.clone()).collect();
        assert_eq!(names.iter().filter(|name| *name == "fast").count(), 1);
        assert_eq!(names.last().map(String::as_str), Some("fast"));
        bench.assert_idle(world).await;
    });
}

/// What a caller sends when it returns with the results of the calls it was given.
fn returns(asked: &ChatRequest, seen: &Seen) -> ChatRequest {
    let mut request = asked.clone();
    let calls = &seen.answer.calls;
    let call = |call: &contract::chat::CollectedCall| {
        ToolCall::new(call.id.clone().unwrap_or_default(), call.name.as_str(), call.arguments.as_str())
    };
    request.messages.push(Message {
        tool_calls: calls.iter().map(call).collect(),
        ..Message::text(Role::Assistant, seen.answer.text.as_str())
    });
    for call in calls {
        let id = call.id.clone().unwrap_or_default();
        request
            .messages
            .push(Message { name: None, ..Message::tool_result(id, "", format!("theirs of {}", call.name)) });
    }
    request
}

#[test]
fn a_mixed_round_is_completed_when_the_caller_returns() {
    World::run(async |world| {
        let own = vec![Say::Opaque("{\"signature\":\"s0\"}"), Say::Call("o0", "fast", "{\"n\":0}"), Say::Usage(1, 1)];
        let mixed = vec![
            Say::Opaque("{\"signature\":\"s1\"}"),
            Say::Text("Both."),
            Say::Call("t1", "read_file", "{}"),
            Say::Call("o1", "slow", "{}"),
            Say::Call("t2", "list_files", "{}"),
            Say::Usage(2, 2),
        ];
        let last = vec![Say::Text("Read.")];
        let bench = bench(world, config(), vec![says(own, CALLS), says(mixed, CALLS), says(last, STOP)]);
        let asked = with_tools(asks("look"), &["read_file", "list_files"]);
        let seen = bench.answer(asked.clone()).await;
        // Both kinds ran or were handed over; HAIA's own never shows as a call.
        assert_eq!(bench.called(), ["fast", "slow"]);
        let calls: Vec<&str> = seen.answer.calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(calls, ["read_file", "list_files"]);
        assert_eq!((seen.answer.finish, seen.answer.usage.input), (Some(CALLS), Some(3)));
        assert!(seen.log.contains(&"status Doing slow: done true".to_owned()));
        bench.assert_idle(world).await;

        let ids: Vec<String> = seen.answer.calls.iter().filter_map(|call| call.id.clone()).collect();
        assert!(ids.iter().all(|id| id.starts_with("call_")), "kept rounds are found by ids of HAIA's own: {ids:?}");
        let back = bench.answer(returns(&asked, &seen)).await;
        assert_eq!(back.answer.text, "Read.");
        assert_eq!(
            bench.sent(2),
            [
                "system You are HAIA.".to_owned(),
                "user look".to_owned(),
                "assistant o0:fast({\"n\":0}) {\"signature\":\"s0\"}".to_owned(),
                "tool o0 fast {\"n\":0}".to_owned(),
                format!(
                    "assistant Both. {}:read_file({{}}) o1:slow({{}}) {}:list_files({{}}) {{\"signature\":\"s1\"}}",
                    ids[0], ids[1]
                ),
                format!("tool {} theirs of read_file", ids[0]),
                "tool o1 slow".to_owned(),
                format!("tool {} theirs of list_files", ids[1]),
            ]
        );
    });
}

#[test]
fn a_fresh_supervisor_answers_a_caller_that_returns_from_what_it_sends() {
    World::run(async |world| {
        let mixed = vec![Say::Call("t1", "read_file", "{}"), Say::Call("o1", "fast", "{}")];
        let bench = bench(world, config(), vec![says(mixed, CALLS), says(vec![Say::Text("Read.")], STOP)]);
        let asked = with_tools(asks("look"), &["read_file"]);
        let seen = bench.answer(asked.clone()).await;
        world.supervision.crash("agent-supervisor").expect("there is one").expect("told");
        let back = bench.answer(returns(&asked, &seen)).await;
        assert_eq!(back.answer.text, "Read.");
        assert_eq!(bench.sent(1).len(), 4);
        assert_eq!(world.take_events().len(), 2);
    });
}

#[test]
fn background_work_gets_tools_that_only_read() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![says(vec![Say::Text("ok")], STOP)]);
        let mut stream = bench.turns.start(by(Origin::Job, route(), asks("report"))).await.expect("admitted");
        assert_eq!(read(&mut stream).await.1, Ok(()));
        assert!(bench.request(0).tools.iter().all(|tool| tool.name != "write"));
        assert_eq!(bench.request(0).tools.len(), 8);
    });
}

#[test]
fn an_answer_that_is_cut_or_broken_says_so() {
    World::run(async |world| {
        let cut = says(vec![Say::Text("a"), Say::Call("t", "fast", "{\"n\":")], FinishReason::Length);
        let unsaid = Script::Answer(vec![Say::Text("a")]);
        let broken = Script::Answer(vec![Say::Text("a"), Say::Fail(FailureClass::Truncated)]);
        let flood = Script::Answer(vec![Say::Flood(9 << 20), Say::Flood(9 << 20), Say::Finish(STOP)]);
        let refused = Script::Refused(FailureClass::Authentication);
        let empty = says(vec![], CALLS);
        let bench = bench(world, config(), vec![cut, unsaid, broken, flood, refused, empty]);
        let seen = bench.answer(asks("x")).await;
        assert_eq!((seen.answer.finish, bench.called().len()), (Some(FinishReason::Length), 0));
        for class in
            [FailureClass::Truncated, FailureClass::Truncated, FailureClass::ServerError, FailureClass::Authentication]
        {
            let (seen, ended) = bench.ask(asks("x")).await;
            assert_eq!(ended.map_err(|failure| failure.class), Err(class));
            assert_eq!(seen.answer.finish, None);
            bench.assert_idle(world).await;
        }
        assert_eq!(bench.answer(asks("x")).await.answer.finish, Some(STOP));
    });
}

#[test]
fn notices_are_told_once_and_never_inside_json() {
    World::run(async |world| {
        let notice = "this model takes no tools";
        let first = Script::Noticed(notice, vec![Say::Call("t", "fast", "{}"), Say::Finish(CALLS)]);
        let second = Script::Noticed(notice, vec![Say::Text("Done."), Say::Finish(STOP)]);
        let third = Script::Noticed(notice, vec![Say::Text("{}"), Say::Finish(STOP)]);
        let bench = bench(world, config(), vec![first, second, third]);
        let seen = bench.answer(asks("x")).await;
        assert_eq!(seen.answer.text, "*this model takes no tools*\n\nDone.");
        let mut json = asks("x");
        json.response_format = Some(contract::chat::ResponseFormat::JsonObject);
        assert_eq!(bench.answer(json).await.answer.text, "{}");
    });
}

#[test]
fn a_turn_has_an_end() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Answer(vec![Say::Text("a"), Say::Hang]), Script::Silent]);
        for _ in 0..2 {
            let (_, ended) = bench.ask(asks("x")).await;
            let failure = ended.expect_err("it took too long");
            assert_eq!(failure.class, FailureClass::Timeout);
            assert!(failure.message.contains("10m"), "{failure}");
            bench.assert_idle(world).await;
        }
    });
}
