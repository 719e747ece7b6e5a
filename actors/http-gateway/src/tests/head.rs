//! When the head goes out, what keeps the connection alive, how a drain ends a stream, and what a client that leaves sets free. Time is
//! simulated.

use super::players::{Act, Plan};
use super::stage::{Stage, chat, question};
use crate::config::Config;
use crate::pulse::SILENCE;
use actix_web::body::{BoxBody, MessageBody as _};
use contract::chat::Event;
use contract::clock::Clock as _;
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Lane};
use runtime::world::World;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn next(body: &mut BoxBody) -> Option<String> {
    let piece = poll_fn(|context| Pin::new(&mut *body).poll_next(context)).await?;
    Some(String::from_utf8(piece.expect("bodies do not fail").to_vec()).expect("UTF-8"))
}

#[test]
fn the_head_waits_for_the_first_event() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan {
            open_after: Some(seconds(4)),
            ..Plan::of([Act::Wait(seconds(3)), Act::tell(Event::KeepAlive), Act::Say("a"), Act::stop()])
        });
        let began = world.clock.monotonic();
        let (status, _, mut body) = stage.head(chat(&question("haia", true))).await;
        assert_eq!((status, world.clock.monotonic() - began), (200, seconds(7)));
        let first = next(&mut body).await.expect("words");
        assert!(first.contains("\"content\":\"a\""), "the first words go out with the head: {first}");
        assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 1);
        while next(&mut body).await.is_some() {}
        drop(body);
        assert_eq!(stage.gateway.ports.gauges.streams_open.get(), 0);
    });
}

#[test]
fn a_status_of_a_tool_sends_the_head() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan::of([
            Act::tell(Event::Status { description: "Looking", done: false }),
            Act::Wait(seconds(5)),
            Act::Say("a"),
            Act::stop(),
        ]));
        let began = world.clock.monotonic();
        let (_, _, mut body) = stage.head(chat(&question("haia", true))).await;
        assert_eq!(world.clock.monotonic(), began);
        assert!(next(&mut body).await.is_some_and(|first| first.contains("Looking")));
    });
}

#[test]
fn after_ten_seconds_the_head_goes_out_and_comments_follow() {
    for plan in [
        // The provider does not even answer; or the agent thinks.
        Plan { open_after: Some(seconds(34)), ..Plan::of([Act::Say("a"), Act::stop()]) },
        Plan::of([Act::Wait(seconds(34)), Act::Say("a"), Act::stop()]),
    ] {
        World::run(async |world| {
            let stage = Stage::new(world, Config::default()).await;
            stage.players.plan(plan);
            let began = world.clock.monotonic();
            let (status, _, mut body) = stage.head(chat(&question("openai/gpt-4o", true))).await;
            assert_eq!((status, world.clock.monotonic() - began), (200, SILENCE));
            for beats in [1, 2, 3] {
                assert_eq!(next(&mut body).await.as_deref(), Some(": keep-alive\n\n"));
                assert_eq!(world.clock.monotonic() - began, SILENCE * beats);
            }
            assert!(next(&mut body).await.is_some_and(|words| words.contains("\"content\":\"a\"")));
            assert_eq!(world.clock.monotonic() - began, seconds(34));
        });
    }
}

#[test]
fn a_failure_after_the_head_is_an_event() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage
            .players
            .plan(Plan { open_after: Some(seconds(12)), ..Plan::refused(Failure::new(FailureClass::Timeout, "late")) });
        let (status, _, mut body) = stage.head(chat(&question("haia", true))).await;
        assert_eq!(status, 200);
        assert_eq!(next(&mut body).await.as_deref(), Some(": keep-alive\n\n"));
        let event = next(&mut body).await.expect("an event");
        assert!(event.starts_with("data: {\"error\"") && event.contains("provider_timeout"), "{event}");
        assert_eq!(next(&mut body).await, None);
    });
}

#[test]
fn comments_fill_silence_only() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        let steady = (0..5).flat_map(|_| [Act::Say("word"), Act::Wait(seconds(6))]);
        stage.players.plan(Plan::of(steady.chain([Act::Wait(seconds(9)), Act::stop()])));
        let (_, _, mut body) = stage.head(chat(&question("haia", true))).await;
        let mut pieces = Vec::new();
        while let Some(piece) = next(&mut body).await {
            pieces.push(piece);
        }
        let comments: Vec<usize> =
            pieces.iter().enumerate().filter(|(_, piece)| piece.starts_with(':')).map(|(at, _)| at).collect();
        assert_eq!(comments, [5], "one, ten seconds after the last word: {pieces:#?}");
    });
}

#[test]
fn a_whole_answer_may_take_its_time() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan {
            open_after: Some(seconds(60)),
            ..Plan::of([Act::Wait(seconds(60)), Act::Say("a"), Act::stop()])
        });
        let began = world.clock.monotonic();
        let reply = stage.chat(&question("haia", false)).await;
        assert_eq!((reply.status, world.clock.monotonic() - began), (200, seconds(120)));
    });
}

#[test]
fn a_client_that_leaves_sets_everything_free() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        for model in ["haia", "openai/gpt-4o"] {
            // While the call is opened, before the first word, in the middle; streamed and whole.
            for (stream, plan) in [
                (true, Plan { open_after: Some(seconds(5)), ..Plan::default() }),
                (true, Plan::of([Act::Hang])),
                (false, Plan { open_after: Some(seconds(5)), ..Plan::default() }),
                (false, Plan::of([Act::Say("a"), Act::Hang])),
            ] {
                stage.players.plan(plan);
                let question = question(model, stream);
                let request = stage.head(chat(&question));
                let given_up = tokio::time::timeout(seconds(1), request).await;
                assert!(given_up.is_err());
                assert_eq!(stage.players.alive(), 0, "{model} {stream}");
            }
            stage.players.plan(Plan::of([Act::Say("a"), Act::Hang]));
            let (_, _, mut body) = stage.head(chat(&question(model, true))).await;
            next(&mut body).await.expect("words");
            assert_eq!((stage.players.alive(), stage.gateway.ports.gauges.streams_open.get()), (1, 1));
            drop(body);
            assert_eq!((stage.players.alive(), stage.gateway.ports.gauges.streams_open.get()), (0, 0));
        }
    });
}

#[test]
fn a_drain_refuses_new_work_and_ends_what_runs_after_its_patience() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan::of([Act::Say("a"), Act::Hang]));
        let (_, _, mut body) = stage.head(chat(&question("haia", true))).await;
        next(&mut body).await.expect("words");
        world.clock.pause(seconds(3)).await;
        stage.mailbox.port::<Drain>(Lane::Control).ask(Drain, seconds(1)).await.expect("drains");
        let began = world.clock.monotonic();

        let refused = stage.chat(&question("haia", false)).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
        assert_eq!(refused.error().1.as_deref(), Some("provider_unavailable"));
        assert_eq!(stage.get("/health").await.status, 200);
        assert_eq!(stage.get("/ready").await.status, 503);
        assert_eq!(stage.get("/v1/models").await.status, 200);

        let mut last = String::new();
        while let Some(piece) = next(&mut body).await {
            last = piece;
        }
        assert!(last.starts_with("data: {\"error\"") && last.contains("shutting down"), "{last}");
        assert_eq!(world.clock.monotonic() - began, seconds(25));
        assert_eq!(stage.players.alive(), 0);
    });
}

#[test]
fn a_drain_ends_whole_answers_too() {
    World::run(async |world| {
        let stage = Stage::new(world, Config::default()).await;
        stage.players.plan(Plan::of([Act::Hang]));
        let question = question("haia", false);
        let drain = async {
            world.clock.pause(seconds(1)).await;
            stage.mailbox.port::<Drain>(Lane::Control).ask(Drain, seconds(1)).await.expect("drains");
        };
        let (reply, ()) = futures_util::future::join(stage.chat(&question), drain).await;
        assert_eq!(reply.status, 503);
        assert_eq!(stage.players.alive(), 0);
    });
}
