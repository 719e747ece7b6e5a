//! Real panics, everywhere one can happen: what the asker hears, what survives, what is told.

mod common;

use common::{Boom, Count, DropBomb, Ending, Ignore, Log, NAME, PATIENCE, Probe, asking, small, work};
use contract::clock::Clock as _;
use contract::message::{Fault, Lane};
use runtime::world::World;
use runtime::{ActorState, Event, Policy};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn panicked(text: &str) -> Event {
    Event::Panicked { actor: NAME, panic: text.to_owned() }
}

fn restarted(count: u64) -> Event {
    Event::Restarted { actor: NAME, count }
}

#[test]
fn a_poison_message_harms_only_its_sender() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let (boom, count) = (mailbox.port::<Boom>(Lane::Interactive), mailbox.port::<Count>(Lane::Interactive));
        let before = count.ask(Count, PATIENCE).await;
        assert_eq!(before, Ok(1));

        let poison = asking(&boom, Boom);
        let good: Vec<_> = (0..3).map(|_| asking(&count, Count)).collect();

        assert_eq!(poison.await.unwrap(), Err(Fault::Panicked { actor: NAME }));
        let mut answers = Vec::new();
        for answer in good {
            answers.push(answer.await.unwrap());
        }
        assert_eq!(answers, [Ok(1), Ok(2), Ok(3)], "the queue survived, the state is fresh");
        assert_eq!(world.take_events(), [panicked("boom"), restarted(1)]);
        assert_eq!((mailbox.stats().panics(), mailbox.stats().restarts()), (1, 1));
        assert_eq!(mailbox.stats().state(), ActorState::Running);
    });
}

#[test]
fn a_panic_in_a_detached_future_keeps_the_state() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let count = mailbox.port::<Count>(Lane::Interactive);
        assert_eq!(count.ask(Count, PATIENCE).await, Ok(1));

        let (job, end) = work("job");
        let asked = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        end.send(Ending::Panic).unwrap();

        assert_eq!(asked.await.unwrap(), Err(Fault::Panicked { actor: NAME }));
        assert_eq!(count.ask(Count, PATIENCE).await, Ok(2), "the state was kept");
        assert_eq!((mailbox.stats().panics(), mailbox.stats().restarts()), (1, 0));
        assert!(world.take_events().is_empty(), "a request's panic is not the actor's");
    });
}

#[test]
fn work_under_way_outlives_the_crash_of_its_actor() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let (job, end) = work("job");
        let asked = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        let poison = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, PATIENCE).await;
        assert_eq!(poison, Err(Fault::Panicked { actor: NAME }));
        end.send(Ending::Done).unwrap();
        assert_eq!(asked.await.unwrap(), Ok("job".to_owned()));
        assert_eq!(mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await, Ok(1));
        assert_eq!(world.take_events(), [panicked("boom"), restarted(1)]);
    });
}

#[test]
fn a_storm_of_crashes_is_given_up() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let (boom, count) = (mailbox.port::<Boom>(Lane::Interactive), mailbox.port::<Count>(Lane::Background));
        let begun = world.clock.monotonic();
        let poison: Vec<_> = (0..4).map(|_| asking(&boom, Boom)).collect();
        let behind = asking(&count, Count);
        for asked in poison {
            assert_eq!(asked.await.unwrap(), Err(Fault::Panicked { actor: NAME }));
        }
        let waited = world.clock.monotonic() - begun;
        assert!((70..=75).contains(&waited.as_millis()), "backoffs of 10, 20 and 40 ms, not {waited:?}");
        assert_eq!(behind.await.unwrap(), Err(Fault::Failed { actor: NAME }), "what waited is answered");

        let told: Vec<_> = world.take_events();
        let given_up = Event::GaveUp { actor: NAME, required: true };
        let boom_event = || panicked("boom");
        assert_eq!(
            told,
            [
                boom_event(),
                restarted(1),
                boom_event(),
                restarted(2),
                boom_event(),
                restarted(3),
                boom_event(),
                given_up
            ]
        );
        let stats = mailbox.stats();
        assert_eq!((stats.state(), stats.dead_letters(), stats.refused()), (ActorState::Failed, 1, 0));

        assert_eq!(count.ask(Count, PATIENCE).await, Err(Fault::Failed { actor: NAME }));
        assert_eq!(count.try_ask(Count, PATIENCE).await, Err(Fault::Failed { actor: NAME }));
        assert_eq!(count.tell(Count), Err(Fault::Failed { actor: NAME }));
        assert_eq!((stats.dead_letters(), stats.refused()), (1, 3), "each is counted once");
        let observed = world.supervision.observe(PATIENCE).await;
        assert_eq!(observed[0].detail.as_ref().map(|_| ()), Err(&Fault::Failed { actor: NAME }));
    });
}

#[test]
fn giving_up_answers_also_those_who_wait_for_a_place_or_behind_work_in_flight() {
    World::run(async |world| {
        let policy = Policy { crashes: 0, in_flight: 1, interactive: 2, required: false, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::default);
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        let waiting: Vec<_> = (0..5).map(|_| asking(&mailbox.port::<Count>(Lane::Interactive), Count)).collect();
        world.settle().await;
        assert_eq!(world.supervision.crash(NAME), Some(Ok(())));
        for asked in waiting {
            assert_eq!(asked.await.unwrap(), Err(Fault::Failed { actor: NAME }));
        }
        end.send(Ending::Done).unwrap();
        assert_eq!(running.await.unwrap(), Ok("job".to_owned()));
        let events = world.take_events();
        assert_eq!(events.last(), Some(&Event::GaveUp { actor: NAME, required: false }));
    });
}

#[test]
fn crashes_far_apart_are_forgiven() {
    World::run(async |world| {
        let policy = Policy { crashes: 2, window: Duration::from_secs(60), ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::default);
        let boom = mailbox.port::<Boom>(Lane::Interactive);
        for _ in 0..20 {
            assert_eq!(boom.ask(Boom, PATIENCE).await, Err(Fault::Panicked { actor: NAME }));
            tokio::time::sleep(Duration::from_secs(31)).await;
        }
        assert_eq!((mailbox.stats().state(), mailbox.stats().restarts()), (ActorState::Running, 20));
        assert_eq!(world.take_events().len(), 40);
    });
}

#[test]
fn a_factory_that_panics_is_tried_again() {
    World::run(async |world| {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), move || {
            assert!(counted.fetch_add(1, Ordering::Relaxed) >= 2, "not yet");
            Probe::default()
        });
        let answer = mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await;
        assert_eq!(answer, Ok(1), "the waiting message was served by the third build");
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        assert_eq!(world.take_events(), [panicked("not yet"), panicked("not yet"), restarted(1)]);
    });
}

#[test]
fn a_panic_in_started_is_a_crash() {
    World::run(async |world| {
        let tries = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tries);
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), move || {
            let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
            // The half-started actor cannot be dropped either: two panics, which must not meet.
            let on_start = first.then_some((|_| panic!("cannot start")) as fn(&_));
            Probe { on_start, bomb: DropBomb(first), ..Probe::default() }
        });
        assert_eq!(mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await, Ok(1));
        assert_eq!(world.take_events(), [panicked("cannot start"), restarted(1)]);
    });
}

#[test]
fn a_panic_in_the_drop_of_the_spoilt_actor_is_the_same_crash() {
    World::run(async |world| {
        let builds = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&builds);
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), move || Probe {
            bomb: DropBomb(counted.fetch_add(1, Ordering::Relaxed) == 0),
            ..Probe::default()
        });
        let poison = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, PATIENCE).await;
        assert_eq!(poison, Err(Fault::Panicked { actor: NAME }));
        assert_eq!(mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await, Ok(1));
        assert_eq!(world.take_events(), [panicked("boom"), restarted(1)]);
        assert_eq!(mailbox.stats().panics(), 1);
    });
}

#[test]
fn a_message_that_cannot_be_dropped_does_not_end_the_mailbox() {
    World::run(async |world| {
        let policy = Policy { in_flight: 1, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::default);
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        let asked = asking(&mailbox.port(Lane::Interactive), Ignore { bomb: DropBomb(true) });
        world.settle().await;
        // Its asker leaves while it waits, so that the guard has to drop it.
        asked.abort();
        end.send(Ending::Done).unwrap();
        assert_eq!(running.await.unwrap(), Ok("job".to_owned()));
        assert_eq!(mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await, Ok(1));
        assert_eq!(world.take_events(), [panicked("spoilt beyond dropping"), restarted(1)]);
    });
}

#[test]
fn a_listener_that_panics_does_not_end_the_mailbox() {
    World::run(async |world| {
        let supervision = runtime::Supervision::new(|event| panic!("cannot hear {event:?}"));
        let mailbox = supervision.start(&world.thread(), NAME, small(), Probe::default);
        let poison = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, PATIENCE).await;
        assert_eq!(poison, Err(Fault::Panicked { actor: NAME }));
        assert_eq!(mailbox.port::<Count>(Lane::Interactive).ask(Count, PATIENCE).await, Ok(1));
    });
}

#[test]
fn a_fault_that_is_asked_for_crashes_the_actor_in_front_of_the_queue() {
    World::run(async |world| {
        let log = Log::default();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::logging_to(&log));
        world.settle().await;
        let queued: Vec<_> = (0..3).map(|_| asking(&mailbox.port::<Count>(Lane::Interactive), Count)).collect();
        assert_eq!(world.supervision.crash(NAME), Some(Ok(())));
        assert_eq!(world.supervision.crash("nobody"), None);
        for (asked, expected) in queued.into_iter().zip(1..) {
            assert_eq!(asked.await.unwrap(), Ok(expected));
        }
        assert_eq!(world.take_events(), [panicked("a panic that was asked for"), restarted(1)]);
    });
}
