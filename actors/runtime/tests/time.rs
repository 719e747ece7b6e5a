//! Paused time, timers, and the watchdog's synthetic time.

mod common;

use common::{Boom, Count, Ending, Log, NAME, PATIENCE, Probe, Tick, asking, entries, small, work};
use contract::clock::Clock as _;
use contract::message::{Fault, Lane};
use runtime::world::{TestClock, World};
use runtime::{Context, Event, Policy, Verdict, Watchdog};
use std::time::Duration;

#[test]
fn an_hour_passes_without_waiting_for_it() {
    World::run(async |world| {
        let log = Log::default();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::logging_to(&log));
        mailbox.port(Lane::Background).tell(Tick).unwrap();
        world.clock.sleep(Duration::from_secs(3600)).await;
        world.settle().await;
        // One tick at once and one per second: that this test ends at all shows that nobody waited.
        assert_eq!(entries(&log).last().map(String::as_str), Some("tick 3601"));
        let passed = world.clock.now().duration_since(TestClock::ORIGIN);
        assert_eq!(passed.as_secs(), 3600);
        mailbox.port::<Boom>(Lane::Control).tell(Boom).unwrap();
        world.clock.sleep(Duration::from_secs(1)).await;
        world.take_events();
    });
}

/// A probe that begins to tick as soon as it is built, like a poller.
fn ticking(log: &Log) -> impl Fn() -> Probe + Send + 'static {
    let log = log.clone();
    move || Probe {
        log: log.clone(),
        on_start: Some(|context: &Context<Probe>| context.tell_after(Duration::from_secs(1), Lane::Background, Tick)),
        ..Probe::default()
    }
}

#[test]
fn timers_are_forgotten_at_a_restart() {
    World::run(async |world| {
        let log = Log::default();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), ticking(&log));
        let boom = mailbox.port::<Boom>(Lane::Interactive);
        world.clock.sleep(Duration::from_millis(2500)).await;
        assert_eq!(entries(&log), ["tick 1", "tick 2"]);
        assert_eq!(boom.ask(Boom, PATIENCE).await, Err(Fault::Panicked { actor: NAME }));
        // The old timer was due at 3.0 s; the fresh actor's first is due one second after the restart at 2.51 s.
        world.clock.sleep(Duration::from_millis(900)).await;
        assert_eq!(entries(&log), ["tick 1", "tick 2"]);
        world.clock.sleep(Duration::from_millis(1200)).await;
        assert_eq!(entries(&log), ["tick 1", "tick 2", "tick 1", "tick 2"]);
        assert_eq!(world.take_events().len(), 2);
    });
}

#[test]
fn a_tick_that_is_queued_at_the_crash_does_not_make_the_fresh_actor_tick_twice() {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy { in_flight: 1, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, ticking(&log));
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        world.clock.sleep(Duration::from_millis(1500)).await;
        assert_eq!(mailbox.stats().depth(), 1, "the tick waits behind the work in flight");
        assert_eq!(world.supervision.crash(NAME), Some(Ok(())));
        world.clock.sleep(Duration::from_millis(100)).await;
        end.send(Ending::Done).unwrap();
        assert_eq!(running.await.unwrap(), Ok("job".to_owned()));
        world.clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(entries(&log).iter().filter(|entry| entry.starts_with("tick")).count(), 10);
        assert_eq!(mailbox.stats().dead_letters(), 0);
        world.take_events();
    });
}

#[test]
fn a_timer_waits_for_a_place_instead_of_being_lost() {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy { in_flight: 1, background: 1, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, ticking(&log));
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        mailbox.port::<Count>(Lane::Background).tell(Count).unwrap();
        world.clock.sleep(Duration::from_secs(5)).await;
        end.send(Ending::Done).unwrap();
        assert_eq!(running.await.unwrap(), Ok("job".to_owned()));
        world.clock.sleep(Duration::from_millis(1500)).await;
        assert_eq!(entries(&log), ["job begun", "job ended", "tick 2", "tick 3"]);
    });
}

#[test]
fn work_beside_the_actor_ends_with_it_and_its_panic_is_contained() {
    World::run(async |world| {
        let log = Log::default();
        let shared = log.clone();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), move || Probe {
            log: shared.clone(),
            on_start: Some(|context: &Context<Probe>| {
                context.spawn(async { panic!("beside") });
                context.tell_after(Duration::from_secs(1), Lane::Interactive, Tick);
            }),
            ..Probe::default()
        });
        world.settle().await;
        assert_eq!((mailbox.stats().panics(), mailbox.stats().restarts()), (1, 0));
        world.supervision.stop(NAME);
        world.clock.sleep(PATIENCE).await;
        assert_eq!(entries(&log), [""; 0]);
    });
}

#[test]
fn the_watchdog_leaves_an_actor_alone_that_waits_by_right() {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy { in_flight: 1, backoff: Duration::from_secs(10), ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::logging_to(&log));
        let mut watchdog = Watchdog::new(Duration::from_secs(5));
        let mut look = |second| watchdog.look(Duration::from_secs(second), [(mailbox.stats(), true)]);

        assert_eq!(look(0), Verdict::default());
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        world.settle().await;
        mailbox.port::<Count>(Lane::Interactive).tell(Count).unwrap();
        world.settle().await;
        assert_eq!(mailbox.stats().depth(), 1);
        look(10);
        assert_eq!(look(100), Verdict::default(), "a message that waits for a place in flight");

        mailbox.port::<Boom>(Lane::Control).tell(Boom).unwrap();
        world.settle().await;
        end.send(Ending::Done).unwrap();
        running.await.unwrap().unwrap();
        look(110);
        assert_eq!(look(200), Verdict::default(), "a message that waits for the restart");
        world.clock.sleep(Duration::from_secs(11)).await;
        assert_eq!(world.take_events().last(), Some(&Event::Restarted { actor: NAME, count: 1 }));
    });
}
