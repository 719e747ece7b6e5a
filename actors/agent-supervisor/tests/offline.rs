//! The offline responder in whole turns: asked directly, as the end of a route, and for a client's housekeeping; and housekeeping by a
//! model.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::*;
use contract::caller::Origin;
use contract::chat::{Agent, ChatRequest, FinishReason, Message, Role};
use contract::failure::FailureClass;
use runtime::world::World;

const TITLE: &str = "### Task:\nMake a title.\n### Output:\nJSON format: { \"title\": \"t\" }\n### Chat History:\n\
                     <chat_history>\nUSER: how are you?\n</chat_history>";

async fn ask_offline(bench: &Bench, request: ChatRequest) -> Seen {
    let mut stream = bench.turns.start(by(Origin::Chat, offline(), request)).await.expect("admitted");
    let (seen, ended) = read(&mut stream).await;
    assert_eq!(ended, Ok(()));
    seen
}

fn texts(seen: &Seen) -> usize {
    seen.log.iter().filter(|line| line.starts_with("text ")).count()
}

#[test]
fn answers_from_tools_in_a_few_pieces() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![]);
        let seen = ask_offline(&bench, asks("What time is it?")).await;
        assert_eq!(seen.log[..2], ["status Doing get_time false", "status Doing get_time: done true"]);
        assert!(seen.answer.text.starts_with("It is **13:00:00** on **Sunday, 2026-03-01**"), "{}", seen.answer.text);
        assert!(seen.answer.text.contains("I am HAIA's offline responder"), "{}", seen.answer.text);
        assert!(texts(&seen) > 1);
        assert_eq!((seen.answer.finish, seen.answer.usage.is_empty()), (Some(FinishReason::Stop), true));
        let seen = ask_offline(&bench, ChatRequest { stream: false, ..asks("how are you") }).await;
        assert!(seen.answer.text.starts_with("HAIA itself has **4 problems**"), "{}", seen.answer.text);
        let seen = ask_offline(&bench, with_tools(asks("write me a poem"), &["read_file"])).await;
        assert!(seen.answer.text.starts_with("I cannot answer that."), "{}", seen.answer.text);
        assert_eq!(bench.called(), ["get_time", "get_haia_status"]);
        assert_eq!(bench.models.calls.borrow().len(), 0);
        bench.assert_idle(world).await;
    });
}

#[test]
fn without_a_cluster_it_says_how_to_configure_one() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![]);
        for question in [
            "why did web-02 stop?",
            "is the cluster healthy?",
            "what is running?",
            "any failed backups?",
            "stop web-02",
        ] {
            let seen = ask_offline(&bench, asks(question)).await;
            assert!(seen.answer.text.starts_with("No Proxmox cluster is configured"), "{}", seen.answer.text);
            assert!(seen.answer.text.contains("[proxmox.homelab]\nendpoints = "), "{}", seen.answer.text);
        }
        assert_eq!(bench.called(), Vec::<String>::new());
        let seen = ask_offline(&bench, asks("is everything healthy?")).await;
        assert!(seen.answer.text.starts_with("HAIA itself has **4 problems**"), "{}", seen.answer.text);
        assert_eq!(bench.called(), ["get_haia_status"]);
        bench.assert_idle(world).await;
    });
}

#[test]
fn answers_about_a_cluster() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![]);
        cluster::offer(&bench);
        for (question, said, tools) in [
            (
                "Why did web-02 stop?",
                "web-02 (105) was shut down by anna@pve",
                vec!["list_nodes", "explain_guest_stop"],
            ),
            ("did vm web-02 crash?", "web-02 (105) was shut down by anna@pve", vec!["explain_guest_stop"]),
            (
                "why did web-99 stop?",
                "I could not look that up: there is no guest \"web-99\"; did you mean web-02 (105, vm on pve1)?\n",
                vec!["list_nodes", "explain_guest_stop"],
            ),
            ("is the cluster healthy?", "The cluster lab has **2 problems**", vec!["get_cluster_resources"]),
            (
                "is everything healthy?",
                "The cluster lab has **2 problems**",
                vec!["get_cluster_resources", "get_haia_status"],
            ),
            (
                "how is pve2?",
                "> **Stale data:** what is known of the cluster lab is 5 minutes old",
                vec!["list_nodes", "get_node_status"],
            ),
            ("show vm 101", "**web-01 (101)**, a virtual machine", vec!["get_vm_status"]),
            ("what is running?", "**No guest is running.**", vec!["list_vms", "list_vms"]),
            (
                "what happened last night?",
                "**One task failed** last night",
                vec!["get_time", "list_tasks", "list_vms", "list_vms", "list_nodes"],
            ),
            ("restart web-02", "That is **not possible offline**", vec![]),
            ("how are you?", "HAIA itself has **4 problems**", vec!["get_haia_status"]),
        ] {
            bench.tools.called.lock().expect("calls").clear();
            let seen = ask_offline(&bench, asks(question)).await;
            assert!(seen.answer.text.starts_with(said), "{question}: {}", seen.answer.text);
            assert!(seen.answer.text.contains("I am HAIA's offline responder"), "{question}");
            assert_eq!(bench.called(), tools, "{question}");
        }
        bench.assert_idle(world).await;
    });
}

#[test]
fn answers_the_last_question_of_a_conversation() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![]);
        let mut request = asks("/help");
        request.messages.push(Message::text(Role::Assistant, "…"));
        request.messages.push(Message::text(Role::User, "thanks"));
        let seen = ask_offline(&bench, request).await;
        assert!(seen.answer.text.starts_with("You are welcome."), "{}", seen.answer.text);
        let nobody = ChatRequest { messages: vec![Message::text(Role::System, "s")], ..asks("") };
        assert!(ask_offline(&bench, nobody).await.answer.text.starts_with("I cannot answer that."));
    });
}

#[test]
fn answers_when_no_model_can() {
    World::run(async |world| {
        let tool =
            says(vec![Say::Text("Looking."), Say::Call("t", "fast", "{}"), Say::Usage(7, 7)], FinishReason::ToolCalls);
        let bench = bench(world, config(), vec![Script::Builtin, tool, Script::Builtin]);
        let seen = bench.answer(asks("what time is it?")).await;
        let told = "> No language model can be reached (ollama: unreachable). The offline responder answers instead.\n\nIt is **13:00:00**";
        assert!(seen.answer.text.starts_with(told), "{}", seen.answer.text);
        // In the middle of a turn: what was said stays, what was used is counted.
        let seen = bench.answer(asks("what time is it?")).await;
        assert!(seen.answer.text.starts_with(&format!("Looking.\n\n{told}")), "{}", seen.answer.text);
        assert_eq!(seen.answer.usage.input, Some(7));
        bench.assert_idle(world).await;
    });
}

#[test]
fn housekeeping_is_answered_in_its_form() {
    World::run(async |world| {
        let model = says(vec![Say::Text("{\"title\":\"Chat\"}")], FinishReason::Stop);
        let noticed = Script::Noticed("no tools", vec![Say::Text("{}"), Say::Finish(FinishReason::Stop)]);
        let bench = bench(world, config(), vec![model, noticed, Script::Builtin]);
        let seen = bench.answer(ChatRequest { stream: false, max_tokens: Some(1000), ..asks(TITLE) }).await;
        assert_eq!(seen.answer.text, "{\"title\":\"Chat\"}");
        let request = bench.request(0);
        assert_eq!((request.messages.len(), request.tools.len(), request.max_tokens), (1, 0, Some(1000)));
        assert!(!bench.models.calls.borrow()[0].0.stream);
        assert_eq!(bench.answer(asks(TITLE)).await.answer.text, "{}");
        // By the offline responder: raw JSON and nothing else.
        for seen in [bench.answer(asks(TITLE)).await, ask_offline(&bench, asks(TITLE)).await] {
            assert_eq!(seen.log, ["text {\"title\":\"HAIA Status\"}", "finish stop"]);
        }
        assert_eq!(bench.called(), Vec::<String>::new());
        bench.assert_idle(world).await;
    });
}

#[test]
fn one_that_leaves_while_it_looks_cancels_the_look() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Builtin, Script::Refused(FailureClass::RateLimit)]);
        let mut stream = bench.start(asks("what time is it?")).await.expect("admitted");
        let mut seen = Seen::default();
        for _ in 0..2 {
            std::future::poll_fn(|context| {
                let _ = stream.as_mut().poll_events(context, &mut seen);
                std::task::Poll::Ready(())
            })
            .await;
        }
        drop(stream);
        bench.assert_idle(world).await;
        let (_, ended) = bench.ask(asks("x")).await;
        assert_eq!(ended.map_err(|failure| failure.class), Err(FailureClass::RateLimit));
    });
}
