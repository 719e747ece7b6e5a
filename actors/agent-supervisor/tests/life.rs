//! Admission, cancellation in every phase, shutting down, new settings, and a crash of the actor.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use agent_supervisor::Config;
use common::*;
use contract::caller::Origin;
use contract::chat::{Agent, FinishReason};
use contract::failure::FailureClass;
use contract::message::{Drain, Lane, Reconfigure};
use runtime::world::World;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Reads for a while, then leaves.
async fn leave_after(stream: Stream, time: Duration) -> Vec<String> {
    let mut stream = stream;
    let mut seen = Seen::default();
    let reading =
        async { while let Some(Ok(())) = poll_fn(|context| stream.as_mut().poll_events(context, &mut seen)).await {} };
    assert!(tokio::time::timeout(time, reading).await.is_err(), "the turn ended by itself");
    drop(stream);
    seen.log
}

fn hanging() -> Script {
    Script::Answer(vec![Say::Text("a"), Say::Hang])
}

fn one_place() -> Config {
    Config { max_concurrent_turns: 1, max_queued_turns: 1, ..config() }
}

#[test]
fn one_that_leaves_takes_everything_with_it() {
    World::run(async |world| {
        let tool = |name| says(vec![Say::Call("t", name, "{}")], FinishReason::ToolCalls);
        let scripts = vec![Script::Silent, hanging(), tool("hang"), tool("fast"), Script::Silent];
        let bench = bench(world, config(), scripts);
        // Before the first token, in mid-stream, while a tool runs, before the second round's first token.
        for (what, log) in [
            ("calling", vec![]),
            ("streaming", vec!["text a"]),
            ("tools", vec!["status Doing hang false"]),
            ("second round", vec!["status Doing fast false", "status Doing fast: done true"]),
        ] {
            let stream = bench.start(asks("x")).await.expect("admitted");
            assert_eq!(bench.counts(), (1, 0), "{what}");
            assert_eq!(leave_after(stream, SECOND).await, log, "{what}");
            assert_eq!(bench.counts(), (0, 0), "{what}");
            assert_eq!(bench.open_streams(), 0, "{what}");
            bench.assert_idle(world).await;
        }
        assert_eq!(bench.called(), ["hang", "fast"]);
    });
}

#[test]
fn a_thousand_that_leave_leave_nothing() {
    World::run(async |world| {
        let scripts = (0..1000).map(|at| if at % 2 == 0 { hanging() } else { Script::Silent }).collect();
        let bench = bench(world, Config { max_concurrent_turns: 1000, ..config() }, scripts);
        let mut streams = Vec::new();
        for _ in 0..1000 {
            let mut stream = bench.start(asks("x")).await.expect("admitted");
            let mut seen = Seen::default();
            poll_fn(|context| {
                let _ = stream.as_mut().poll_events(context, &mut seen);
                Poll::Ready(())
            })
            .await;
            streams.push(stream);
        }
        assert_eq!((bench.counts(), bench.open_streams()), ((1000, 0), 1000));
        drop(streams);
        bench.assert_idle(world).await;
    });
}

#[test]
fn turns_wait_in_order_and_the_rest_is_turned_away() {
    World::run(async |world| {
        let answer = || says(vec![Say::Sleep(10), Say::Text("a")], FinishReason::Stop);
        let bench = bench(world, one_place(), vec![answer(), answer(), answer()]);
        let mut first = bench.start(asks("1")).await.expect("admitted");
        let mut second: Pin<Box<dyn Future<Output = _>>> = Box::pin(bench.start(asks("2")));
        let begun = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(begun.is_pending());
        world.settle().await;
        assert_eq!(bench.counts(), (1, 1));
        let failure = bench.start(asks("3")).await.err().expect("turned away");
        assert_eq!((failure.class, failure.retry_after), (FailureClass::Busy, Some(Duration::from_secs(5))));
        assert!(failure.message.contains("at most 1 turns at once"), "{failure}");
        assert_eq!(read(&mut first).await.1, Ok(()));
        // The end of the answer frees the place, whether or not the reader has dropped it yet.
        let mut second = second.await.expect("admitted");
        assert_eq!(bench.counts(), (1, 0));
        assert_eq!(read(&mut second).await.1, Ok(()));
        drop((first, second));
        bench.assert_idle(world).await;
    });
}

#[test]
fn one_that_leaves_the_queue_frees_its_place_in_it() {
    World::run(async |world| {
        let bench = bench(world, one_place(), vec![hanging(), hanging()]);
        let first = bench.start(asks("1")).await.expect("admitted");
        assert!(tokio::time::timeout(SECOND, bench.start(asks("2"))).await.is_err());
        world.settle().await;
        assert_eq!(bench.counts(), (1, 0));
        let next = tokio::time::timeout(SECOND, async {
            let next = bench.start(asks("3"));
            let (next, ()) = tokio::join!(next, async {
                tokio::time::sleep(SECOND / 2).await;
                drop(first);
            });
            next
        });
        let next = next.await.expect("in time").expect("admitted");
        assert_eq!(bench.counts(), (1, 0));
        drop(next);
        bench.assert_idle(world).await;
    });
}

#[test]
fn nobody_waits_for_ever() {
    World::run(async |world| {
        let config = Config { turn_timeout: contract::units::Span::seconds(60), ..one_place() };
        let bench = bench(world, config, vec![Script::Silent]);
        let first = bench.start(asks("1")).await.expect("admitted");
        // The first is not read, so its own time does not pass.
        let failure = bench.start(asks("2")).await.err().expect("turned away");
        assert_eq!(failure.class, FailureClass::Busy);
        assert!(failure.message.contains("within 1m"), "{failure}");
        drop(first);
        bench.assert_idle(world).await;
    });
}

#[test]
fn background_work_takes_half_of_the_places() {
    World::run(async |world| {
        let config = Config { max_concurrent_turns: 2, max_queued_turns: 2, ..config() };
        let bench = bench(world, config, (0..3).map(|_| hanging()).collect());
        let job = || bench.turns.start(by(Origin::Job, route(), asks("job")));
        let first = job().await.expect("admitted");
        assert!(tokio::time::timeout(SECOND, job()).await.is_err(), "a second one waits");
        let person = bench.start(asks("person")).await.expect("admitted");
        assert_eq!(bench.counts(), (2, 0));
        drop((first, person));
        bench.assert_idle(world).await;
    });
}

#[test]
fn shutting_down_turns_away_who_comes_and_who_waits() {
    World::run(async |world| {
        let answer = says(vec![Say::Sleep(5), Say::Text("done")], FinishReason::Stop);
        let bench = bench(world, one_place(), vec![answer]);
        let mut first = bench.start(asks("1")).await.expect("admitted");
        let drain = bench.supervisor.port(Lane::Control);
        let (second, ()) = tokio::join!(bench.start(asks("2")), async {
            world.settle().await;
            drain.ask(Drain, SECOND).await.expect("taken");
        });
        assert_eq!(second.err().map(|failure| failure.class), Some(FailureClass::ShuttingDown));
        let third = bench.start(asks("3")).await;
        assert_eq!(third.err().map(|failure| failure.class), Some(FailureClass::ShuttingDown));
        // What runs comes to its end.
        let (seen, ended) = read(&mut first).await;
        assert_eq!((seen.answer.text.as_str(), ended), ("done", Ok(())));
        bench.assert_idle(world).await;
    });
}

#[test]
fn new_settings_are_for_the_next_turn() {
    World::run(async |world| {
        let answer = || says(vec![Say::Text("a")], FinishReason::Stop);
        let bench = bench(world, one_place(), vec![answer(), answer(), hanging(), hanging(), answer()]);
        bench.answer(asks("x")).await;
        let new = Arc::new(settings(Config { system_prompt: Some("You are new.".into()), ..config() }));
        bench.settings.store(Arc::clone(&new));
        let reconfigure = bench.supervisor.port(Lane::Control);
        reconfigure.ask(Reconfigure(new), SECOND).await.expect("taken over");
        bench.answer(asks("x")).await;
        assert_eq!(
            [bench.sent(0)[0].as_str(), bench.sent(1)[0].as_str()],
            ["system You are HAIA.", "system You are new."]
        );
        // More places than before.
        let both = (bench.start(asks("1")).await.expect("admitted"), bench.start(asks("2")).await.expect("admitted"));
        drop(both);
        // A crashed actor starts with the newest.
        world.supervision.crash("agent-supervisor").expect("there is one").expect("told");
        bench.answer(asks("x")).await;
        assert_eq!(bench.sent(4)[0], "system You are new.");
        assert_eq!(world.take_events().len(), 2);
        bench.assert_idle(world).await;
    });
}

#[test]
fn a_crash_of_the_actor_ends_no_turn_and_frees_no_place_twice() {
    World::run(async |world| {
        let answer = says(vec![Say::Sleep(5), Say::Text("a")], FinishReason::Stop);
        let bench = bench(world, one_place(), vec![answer, says(vec![Say::Text("b")], FinishReason::Stop)]);
        let mut first = bench.start(asks("1")).await.expect("admitted");
        world.supervision.crash("agent-supervisor").expect("there is one").expect("told");
        // The next waits: for the fresh actor, then for the place that the first still holds.
        let (second, read_first) = tokio::join!(bench.start(asks("2")), async { read(&mut first).await });
        assert_eq!(read_first.0.answer.text, "a");
        let mut second = second.expect("admitted");
        assert_eq!(read(&mut second).await.0.answer.text, "b");
        assert_eq!(world.take_events().len(), 2);
        bench.assert_idle(world).await;
    });
}

#[test]
fn a_turn_that_was_admitted_but_never_read_holds_only_its_place() {
    World::run(async |world| {
        let bench = bench(world, config(), vec![Script::Silent]);
        let stream = bench.start(asks("x")).await.expect("admitted");
        assert_eq!((bench.counts(), bench.tools.running.load(Ordering::Relaxed)), ((1, 0), 0));
        drop(stream);
        bench.assert_idle(world).await;
    });
}
