//! Who gets a place, when, and in which order.

use super::*;
use futures_util::FutureExt as _;
use runtime::world::World;

fn gate(limits: Limits) -> Arc<Gate> {
    let gate = Arc::new(Gate::default());
    gate.allow(limits);
    gate
}

const LONG: Option<Duration> = Some(Duration::from_secs(30));

#[test]
fn callers_take_turns_and_each_keeps_its_order() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { concurrent: 1, queued: 10, ..Limits::default() });
        let first = gate.enter(&"greedy".into(), None, &clock).await.expect("a free place");
        let order = Mutex::new(Vec::new());
        let enter = async |who: &'static str, number: u32| {
            let place = gate.enter(&who.into(), LONG, &clock).await;
            order.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{who}{number}"));
            drop(place.expect("a place in the end"));
        };
        let waits = [enter("greedy", 1), enter("greedy", 2), enter("greedy", 3), enter("modest", 1)];
        let mut waits = Box::pin(futures_util::future::join_all(waits));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(gate.waiting(), 4);
        drop(first);
        waits.await;
        let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert_eq!(order, ["greedy1", "modest1", "greedy2", "greedy3"]);
        assert_eq!(gate.waiting(), 0);
    });
}

#[test]
fn the_queue_is_bounded_and_waits_end() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { concurrent: 1, queued: 1, ..Limits::default() });
        let place = gate.enter(&"a".into(), LONG, &clock).await.expect("a free place");
        assert!(matches!(gate.enter(&"a".into(), None, &clock).await, Err(Refused::Full)), "now or not at all");
        let who: Arc<str> = "a".into();
        let mut waits = Box::pin(gate.enter(&who, LONG, &clock));
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(matches!(gate.enter(&"b".into(), LONG, &clock).await, Err(Refused::Full)), "the queue is full");
        assert!(matches!(waits.await, Err(Refused::Full)), "after its patience");
        // Whoever leaves the queue leaves no trace, and a place goes on to who is there.
        let mut leaves = Box::pin(gate.enter(&who, LONG, &clock));
        assert!(leaves.as_mut().now_or_never().is_none());
        drop(leaves);
        let mut stays = Box::pin(gate.enter(&who, LONG, &clock));
        assert!(stays.as_mut().now_or_never().is_none());
        drop(place);
        let place = stays.await.expect("the place that became free");
        // One who was given a place and left at that very moment gives it back.
        let mut late = Box::pin(gate.enter(&who, LONG, &clock));
        assert!(late.as_mut().now_or_never().is_none());
        drop(place);
        drop(late);
        assert!(gate.enter(&who, None, &clock).await.is_ok());
        assert_eq!(gate.waiting(), 0);
    });
}

#[test]
fn a_minute_has_so_many_requests() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { requests_per_minute: 30, queued: 10, ..Limits::default() });
        for _ in 0..30 {
            gate.enter(&"a".into(), None, &clock).await.expect("the minute is fresh").used();
        }
        let begun = clock.monotonic();
        let refused = gate.enter(&"a".into(), None, &clock).await.expect_err("used up");
        assert_eq!(refused, Refused::Requests(Duration::from_secs(2)));
        gate.enter(&"a".into(), LONG, &clock).await.expect("two seconds are a short wait").used();
        assert_eq!(clock.monotonic() - begun, Duration::from_secs(2));
        let who: Arc<str> = "a".into();
        let waits: Vec<_> = (0..2).map(|_| Box::pin(gate.enter(&who, LONG, &clock))).collect();
        let mut waits: Vec<_> =
            waits.into_iter().map(|mut wait| (wait.as_mut().now_or_never().is_none(), wait)).collect();
        assert!(waits.iter().all(|(pending, _)| *pending));
        let told = gate.enter(&who, LONG, &clock).await.expect_err("the third would wait too long");
        assert_eq!(told, Refused::Requests(Duration::from_secs(6)));
        waits.pop();
        assert!(gate.enter(&who, LONG, &clock).await.is_ok(), "who leaves gives the request back");
    });
}

#[test]
fn what_was_never_sent_uses_up_no_minute() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { concurrent: 1, requests_per_minute: 2, queued: 10, ..Limits::default() });
        let who: Arc<str> = "a".into();
        for _ in 0..9 {
            drop(gate.enter(&who, None, &clock).await.expect("it was given back"));
        }
        let mut place = gate.enter(&who, None, &clock).await.expect("a place");
        place.used();
        for _ in 0..9 {
            let mut waits = Box::pin(gate.enter(&who, LONG, &clock));
            assert!(waits.as_mut().now_or_never().is_none(), "for the place");
        }
        assert_eq!(gate.waiting(), 0);
        drop(place);
        gate.enter(&who, None, &clock).await.expect("one of two is left").used();
        assert!(matches!(gate.enter(&who, None, &clock).await, Err(Refused::Requests(_))), "what was sent counts");
    });
}

#[test]
fn a_limit_that_a_reload_brings_begins_with_a_fresh_minute() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { tokens_per_minute: 600, ..Limits::default() });
        for _ in 0..100 {
            gate.enter(&"a".into(), None, &clock).await.expect("no limit of requests").used();
        }
        gate.allow(Limits { requests_per_minute: 2, ..Limits::default() });
        assert!(gate.enter(&"a".into(), None, &clock).await.is_ok());
    });
}

#[test]
fn a_minute_has_so_many_tokens() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { tokens_per_minute: 600, queued: 10, ..Limits::default() });
        gate.enter(&"a".into(), None, &clock).await.expect("nothing is used");
        gate.debit(1200, clock.monotonic());
        let refused = gate.enter(&"a".into(), LONG, &clock).await.expect_err("a minute's worth too much");
        assert!(matches!(refused, Refused::Tokens(wait) if wait.as_secs() == 60), "{refused:?}");
        clock.pause(Duration::from_secs(61)).await;
        assert!(gate.enter(&"a".into(), None, &clock).await.is_ok());
    });
}

#[test]
fn a_reload_that_allows_more_lets_the_waiting_in() {
    World::run(async |world| {
        let clock: SharedClock = world.clock.clone();
        let gate = gate(Limits { concurrent: 1, queued: 5, ..Limits::default() });
        let _place = gate.enter(&"a".into(), None, &clock).await.expect("a free place");
        let who: Arc<str> = "a".into();
        let mut waits = Box::pin(gate.enter(&who, LONG, &clock));
        assert!(waits.as_mut().now_or_never().is_none());
        gate.allow(Limits { concurrent: 2, queued: 5, ..Limits::default() });
        assert!(waits.now_or_never().is_some_and(|place| place.is_ok()));
    });
}
