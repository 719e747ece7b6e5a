//! A test's world: deterministic, and clean at its end or the test fails.

mod common;

use common::{Boom, Count, NAME, Note, PATIENCE, Probe, small, work};
use contract::clock::Clock as _;
use contract::ids::Ids as _;
use contract::message::{Fault, Lane};
use runtime::Port;
use runtime::world::World;
use std::time::Duration;

#[test]
#[should_panic(expected = "left events of supervision unlooked at")]
fn a_crash_that_nobody_looked_at_fails_the_test() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let _ = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, PATIENCE).await;
    });
}

#[test]
#[should_panic(expected = "messages still wait for probe")]
fn a_message_left_in_a_lane_fails_the_test() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        mailbox.port(Lane::Interactive).tell(Note { text: "unread".to_owned() }).unwrap();
    });
}

#[test]
#[should_panic(expected = "probe still works on requests")]
fn work_left_in_flight_fails_the_test() {
    World::run(async |world| {
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::default);
        let (job, end) = work("job");
        mailbox.port(Lane::Interactive).tell(job).unwrap();
        world.settle().await;
        // Kept open beyond the check at the end.
        std::mem::forget(end);
    });
}

#[test]
fn two_worlds_are_alike() {
    let story = || {
        World::run(async |world| {
            world.clock.sleep(Duration::from_millis(1500)).await;
            (world.clock.now(), world.clock.monotonic(), world.ids.unique(), world.ids.unique())
        })
    };
    assert_eq!(story(), story());
}

#[test]
fn a_scripted_neighbour_answers_at_once() {
    World::run(async |_| {
        let port = Port::<Count>::scripted("neighbour", |_: Count| 42);
        assert_eq!(port.ask(Count, Duration::ZERO).await, Ok(42));
        assert_eq!(port.tell(Count), Ok(()));
        let _: Result<u64, Fault> = port.try_ask(Count, Duration::ZERO).await;
    });
}
