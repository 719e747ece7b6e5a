//! Bounded lanes, deadlines, askers who leave, the order of the lanes, and the bound of work in flight.

mod common;

use common::{Count, Ending, Log, NAME, Note, PATIENCE, Probe, asking, entries, small, work};
use contract::message::{Fault, Lane};
use runtime::world::World;
use runtime::{Late, Mailbox, Policy};
use std::time::Duration;

fn note(text: impl Into<String>) -> Note {
    Note { text: text.into() }
}

/// Starts a probe with one place in flight, and a piece of work that takes it until its gate is opened.
async fn occupied(world: &World, log: &Log) -> (Mailbox<Probe>, tokio::sync::oneshot::Sender<Ending>) {
    let policy = Policy { in_flight: 1, ..small() };
    let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::logging_to(log));
    let (job, end) = work("job");
    drop(asking(&mailbox.port(Lane::Interactive), job));
    world.settle().await;
    assert_eq!(entries(log), ["job begun"]);
    (mailbox, end)
}

#[test]
fn a_thousand_clones_of_a_port_share_its_four_places() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let port = mailbox.port::<Count>(Lane::Background);
        let outcomes: Vec<_> = (0..1000).map(|_| port.clone().tell(Count)).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(Fault::Busy { actor: NAME })).count(), 996);
        assert_eq!((mailbox.stats().depth(), mailbox.stats().refused()), (4, 996));
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(mailbox.stats().depth(), 0);
        // Each of the four was handled: the next one to count is the fifth.
        assert_eq!(port.ask(Count, PATIENCE).await, Ok(5));
    });
}

#[test]
fn asking_without_patience_is_refused_when_the_lane_is_full_and_asking_with_it_goes_through() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let port = mailbox.port::<Count>(Lane::Interactive);
        let patient: Vec<_> = (0..50).map(|_| asking(&port, Count)).collect();
        world.settle().await;
        assert_eq!(mailbox.stats().depth(), 4);
        assert_eq!(port.try_ask(Count, PATIENCE).await, Err(Fault::Busy { actor: NAME }));
        end.send(Ending::Done).unwrap();
        for (asked, expected) in patient.into_iter().zip(1..) {
            assert_eq!(asked.await.unwrap(), Ok(expected), "in the order of asking");
        }
    });
}

#[test]
fn a_full_lane_leaves_the_others_open() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        for _ in 0..4 {
            mailbox.port(Lane::Background).tell(note("check")).unwrap();
        }
        assert_eq!(mailbox.port(Lane::Background).tell(note("check")), Err(Fault::Busy { actor: NAME }));
        for _ in 0..4 {
            mailbox.port(Lane::Interactive).tell(note("chat")).unwrap();
        }
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log)[2..], ["chat", "chat", "chat", "chat", "check", "check", "check", "check"]);
    });
}

#[test]
fn a_deadline_that_passes_in_the_queue_spares_the_handler() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let outcome = mailbox.port(Lane::Interactive).ask(note("too late"), Duration::from_secs(5)).await;
        assert_eq!(outcome, Err(Fault::Expired { actor: NAME }));
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log), ["job begun", "job ended"]);
        assert_eq!((mailbox.stats().dead_letters(), mailbox.stats().refused()), (1, 0));
        assert_eq!(mailbox.stats().wait().quantiles_ms().max, 5000.0, "the wait is counted all the same");
    });
}

#[test]
fn a_deadline_that_passes_before_there_is_a_place_is_a_refusal() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let port = mailbox.port(Lane::Interactive);
        for _ in 0..4 {
            port.tell(note("before")).unwrap();
        }
        let outcome = port.ask(note("never"), Duration::from_secs(5)).await;
        assert_eq!(outcome, Err(Fault::Expired { actor: NAME }));
        assert_eq!((mailbox.stats().dead_letters(), mailbox.stats().refused()), (0, 1));
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log)[1..], ["job ended", "before", "before", "before", "before"]);
    });
}

#[test]
fn a_deadline_that_passes_during_the_work_drops_it() {
    World::run(async |world| {
        let log = Log::default();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::logging_to(&log));
        let (job, _end) = work("job");
        let outcome = mailbox.port(Lane::Interactive).ask(job, Duration::from_secs(5)).await;
        assert_eq!(outcome, Err(Fault::Expired { actor: NAME }));
        world.settle().await;
        assert_eq!(entries(&log), ["job begun", "job dropped"]);
        assert_eq!(mailbox.stats().in_flight(), 0);
    });
}

#[test]
fn an_asker_that_leaves_takes_the_question_back() {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy { in_flight: 1, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::logging_to(&log));
        let (job, end) = work("job");
        let running = asking(&mailbox.port(Lane::Interactive), job);
        let queued = asking(&mailbox.port(Lane::Interactive), note("queued"));
        world.settle().await;
        queued.abort();
        world.settle().await;
        assert_eq!(mailbox.stats().depth(), 1, "it stays in the lane until its turn");
        running.abort();
        world.settle().await;
        assert!(end.is_closed(), "work under way is dropped at once");
        assert_eq!(entries(&log), ["job begun", "job dropped"], "the queued one was never handled");
        assert_eq!((mailbox.stats().depth(), mailbox.stats().dead_letters()), (0, 1));
    });
}

#[test]
fn a_place_is_given_back_when_the_one_who_waits_for_it_leaves() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let port = mailbox.port::<Count>(Lane::Interactive);
        let waiting: Vec<_> = (0..10).map(|_| asking(&port, Count)).collect();
        world.settle().await;
        for asked in &waiting {
            asked.abort();
        }
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(port.ask(Count, PATIENCE).await, Ok(1), "none of those who left was counted");
    });
}

#[test]
fn an_interactive_message_behind_a_flood_of_background_ones_is_next() {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy { background: 1000, ..small() };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::logging_to(&log));
        world.settle().await;
        for at in 0..1000 {
            mailbox.port(Lane::Background).tell(note(format!("check {at}"))).unwrap();
        }
        mailbox.port(Lane::Interactive).tell(note("chat")).unwrap();
        mailbox.port(Lane::Control).tell(note("drain")).unwrap();
        while mailbox.stats().depth() > 0 {
            tokio::task::yield_now().await;
        }
        let order = entries(&log);
        assert_eq!(order[..3], ["drain", "chat", "check 0"]);
        assert_eq!((order.len(), order.last().map(String::as_str)), (1002, Some("check 999")));
    });
}

#[test]
fn control_is_served_although_everything_else_is_full() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        for lane in [Lane::Interactive, Lane::Background] {
            while mailbox.port(lane).tell(note("waits")).is_ok() {}
        }
        assert_eq!(mailbox.stats().depth(), 8);
        mailbox.port(Lane::Control).ask(note("reconfigure"), PATIENCE).await.unwrap();
        let observed = world.supervision.observe(PATIENCE).await;
        assert_eq!(observed[0].detail.as_ref().unwrap().get(), "0");
        assert_eq!(entries(&log), ["job begun", "reconfigure"]);
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log).len(), 3 + 8);
    });
}

#[test]
fn control_is_served_after_a_restart_although_work_is_in_flight() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        assert_eq!(world.supervision.crash(NAME), Some(Ok(())));
        world.settle().await;
        mailbox.port(Lane::Interactive).tell(note("waits")).unwrap();
        // Both arrive while the actor is down.
        mailbox.port(Lane::Control).ask(note("reconfigure"), PATIENCE).await.unwrap();
        assert_eq!(entries(&log), ["job begun", "reconfigure"]);
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log), ["job begun", "reconfigure", "job ended", "waits"]);
        world.take_events();
    });
}

#[test]
fn one_place_that_becomes_free_lets_everything_go_on_that_needs_none() {
    World::run(async |world| {
        let log = Log::default();
        let (mailbox, end) = occupied(world, &log).await;
        let (second, end_second) = work("second");
        mailbox.port(Lane::Interactive).tell(note("a")).unwrap();
        mailbox.port(Lane::Interactive).tell(second).unwrap();
        mailbox.port(Lane::Interactive).tell(note("b")).unwrap();
        mailbox.port(Lane::Interactive).tell(note("c")).unwrap();
        world.settle().await;
        end.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log)[1..], ["job ended", "a", "second begun"]);
        end_second.send(Ending::Done).unwrap();
        world.settle().await;
        assert_eq!(entries(&log)[4..], ["second ended", "b", "c"]);
    });
}

#[test]
fn a_late_port_refuses_until_it_is_connected() {
    World::run(async |world| {
        let (port, late) = Late::port(NAME);
        let copy = port.clone();
        assert_eq!(port.tell(Count), Err(Fault::Closed { actor: NAME }));
        assert_eq!(port.ask(Count, PATIENCE).await, Err(Fault::Closed { actor: NAME }));
        let log = Log::default();
        let mailbox = world.supervision.start(&world.thread(), NAME, small(), Probe::logging_to(&log));
        late.connect(mailbox.port(Lane::Interactive));
        assert_eq!(copy.ask(Count, PATIENCE).await, Ok(1));
        assert_eq!(port.ask(Count, PATIENCE).await, Ok(2));
    });
}
