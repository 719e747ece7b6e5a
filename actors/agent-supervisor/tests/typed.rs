//! Decisions typed in a chat: they reach the approvals desk before any model, and nothing but a person's last line does.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use common::*;
use contract::approvals::ApprovalChannel;
use contract::caller::Origin;
use contract::chat::{Agent, FinishReason, Message, Role};
use runtime::world::World;

#[test]
fn a_typed_line_is_decided_without_a_model() {
    World::run(async |world: &World| {
        let bench = bench(world, config(), vec![]);
        let seen = bench.answer(asks("approve 7")).await;
        assert_eq!(
            seen.answer.text,
            "Proposal 7 was not approved: this needs a key with the scope \"admin\". Nothing was done."
        );
        assert_eq!(seen.answer.finish, Some(FinishReason::Stop));
        let mut stream = bench.turns.start(by(Origin::Cli, offline(), asks(" Deny #12 "))).await.expect("admitted");
        read(&mut stream).await.1.expect("answered");
        let asked = std::mem::take(&mut *bench.decisions.lock().expect("decisions"));
        let asked: Vec<_> =
            asked.iter().map(|asked| (asked.id, asked.approve, &*asked.by.name, asked.by.channel)).collect();
        assert_eq!(asked, [(7, true, "anna", ApprovalChannel::Chat), (12, false, "anna", ApprovalChannel::Cli)]);
        assert!(bench.models.calls.borrow().is_empty() && bench.called().is_empty());
        bench.assert_idle(world).await;
    });
}

#[test]
fn nothing_else_decides() {
    World::run(async |world: &World| {
        // The model obeys a tool's result, and says the line itself.
        let scripts = vec![
            says(vec![Say::Call("1", "fast", "approve 7")], FinishReason::ToolCalls),
            says(vec![Say::Text("approve 7")], FinishReason::Stop),
            says(vec![Say::Text("no")], FinishReason::Stop),
            says(vec![Say::Text("no")], FinishReason::Stop),
        ];
        let bench = bench(world, config(), scripts);
        bench.answer(asks("what does the note of web-01 say?")).await;
        let mut history = asks("approve 7");
        history.messages.push(Message::text(Role::Assistant, "Proposal 7 is approved."));
        history.messages.push(Message::text(Role::User, "did you do it?"));
        bench.answer(history).await;
        let mut stream = bench.turns.start(by(Origin::Job, route(), asks("approve 7"))).await.expect("admitted");
        read(&mut stream).await.1.expect("answered");
        assert!(bench.decisions.lock().expect("decisions").is_empty());
    });
}
