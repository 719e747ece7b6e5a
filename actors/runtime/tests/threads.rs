//! Real threads: actors that talk across them, a thread that ends, an actor that is stopped, a handler that blocks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Boom, Count, NAME, Probe, small};
use contract::message::{Fault, Lane, Msg};
use runtime::{ActorState, Context, Handle, Port, Reply, Service, Supervision, Verdict, Watchdog};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

/// A bound for what should take microseconds: only a failure reaches it.
const SOON: Duration = Duration::from_secs(30);

/// Asks another actor, which asks back, until nothing is left to count down.
struct Player {
    other: Arc<Mutex<Option<Port<Ball>>>>,
}

struct Ball(u32);

impl Msg for Ball {
    type Reply = Result<u32, Fault>;
    const NAME: &'static str = "Ball";
}

impl Service for Player {
    type Observed = ();

    fn observe(&self) {}
}

impl Handle<Ball> for Player {
    fn handle(&mut self, Ball(left): Ball, _: &Context<Self>) -> Reply<Result<u32, Fault>> {
        if left == 0 {
            return Reply::Now(Ok(0));
        }
        let other = self.other.lock().unwrap().clone().unwrap();
        Reply::later(async move { other.ask(Ball(left - 1), SOON).await?.map(|passes| passes + 1) })
    }
}

struct Block {
    entered: Arc<Barrier>,
    release: Arc<Barrier>,
}

impl Msg for Block {
    type Reply = ();
    const NAME: &'static str = "Block";
}

impl Handle<Block> for Probe {
    fn handle(&mut self, block: Block, _: &Context<Self>) -> Reply<()> {
        block.entered.wait();
        block.release.wait();
        Reply::Now(())
    }
}

fn run(test: impl AsyncFnOnce(Supervision)) {
    actix_rt::System::new().block_on(test(Supervision::new(|_| {})));
}

#[test]
fn two_actors_on_two_threads_talk_to_each_other() {
    run(async |supervision| {
        let (left, right) = (actix_rt::Arbiter::new(), actix_rt::Arbiter::new());
        let (to_left, to_right) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let (a, b) = (Arc::clone(&to_right), Arc::clone(&to_left));
        let first = supervision.start(&left.handle(), "left", small(), move || Player { other: Arc::clone(&a) });
        let second = supervision.start(&right.handle(), "right", small(), move || Player { other: Arc::clone(&b) });
        *to_left.lock().unwrap() = Some(first.port(Lane::Interactive));
        *to_right.lock().unwrap() = Some(second.port(Lane::Interactive));

        assert_eq!(first.port(Lane::Interactive).ask(Ball(500), SOON).await, Ok(Ok(500)));
        assert_eq!((first.stats().handled(), second.stats().handled()), (251, 250));
        let told = supervision.observe(SOON).await;
        assert_eq!(told.iter().map(|one| one.stats.name()).collect::<Vec<_>>(), ["left", "right"]);
        assert!(told.iter().all(|one| one.detail.is_ok()));
    });
}

#[test]
fn every_crash_on_another_thread_is_survived() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let pause = Duration::from_micros(1);
        let policy = runtime::Policy { crashes: 1000, backoff: pause, backoff_max: pause, ..small() };
        let mailbox = supervision.start(&thread.handle(), NAME, policy, Probe::default);
        let (boom, count) = (mailbox.port::<Boom>(Lane::Interactive), mailbox.port::<Count>(Lane::Interactive));
        for _ in 0..100 {
            assert_eq!(boom.ask(Boom, SOON).await, Err(Fault::Panicked { actor: NAME }));
            assert_eq!(count.ask(Count, SOON).await, Ok(1));
        }
        assert_eq!(mailbox.stats().restarts(), 100);
    });
}

#[test]
fn a_thread_that_ends_closes_its_mailboxes() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let policy = runtime::Policy { backoff: SOON * 100, backoff_max: SOON * 100, ..small() };
        let mailbox = supervision.start(&thread.handle(), NAME, policy, Probe::default);
        let count = mailbox.port::<Count>(Lane::Interactive);
        // A crash, so that what follows has to wait.
        let poison = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, SOON).await;
        assert_eq!(poison, Err(Fault::Panicked { actor: NAME }));
        let ending = async { thread.stop() };
        let waiting = futures_util::future::join(count.ask(Count, SOON), count.ask(Count, SOON));
        let ((first, second), _) = futures_util::future::join(waiting, ending).await;
        thread.join().unwrap();
        assert_eq!((first, second), (Err(Fault::Closed { actor: NAME }), Err(Fault::Closed { actor: NAME })));
        assert_eq!(count.ask(Count, SOON).await, Err(Fault::Closed { actor: NAME }));
        assert_eq!(count.tell(Count), Err(Fault::Closed { actor: NAME }));
        let stats = mailbox.stats();
        assert_eq!((stats.state(), stats.depth()), (ActorState::Stopped, 0));
        assert_eq!((stats.dead_letters(), stats.refused()), (2, 2));
    });
}

#[test]
fn an_actor_on_a_thread_that_has_ended_is_closed_from_the_start() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let handle = thread.handle();
        thread.stop();
        thread.join().unwrap();
        let mailbox = supervision.start(&handle, NAME, small(), Probe::default);
        let answer = mailbox.port::<Count>(Lane::Interactive).ask(Count, SOON).await;
        assert_eq!(answer, Err(Fault::Closed { actor: NAME }));
        assert_eq!(mailbox.stats().state(), ActorState::Stopped);
    });
}

#[test]
fn stopping_answers_what_waits() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let mailbox = supervision.start(&thread.handle(), NAME, small(), Probe::default);
        let (entered, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let block = Block { entered: Arc::clone(&entered), release: Arc::clone(&release) };
        mailbox.port(Lane::Interactive).tell(block).unwrap();
        entered.wait();
        supervision.stop(NAME);
        let count = mailbox.port::<Count>(Lane::Background);
        let waiting: Vec<_> = (0..9).map(|_| count.ask(Count, SOON)).collect();
        let released = async {
            release.wait();
        };
        let (answers, ()) = futures_util::future::join(futures_util::future::join_all(waiting), released).await;
        // Four had a place, five waited for one. Wake-ups older than the word to stop may still be served.
        assert!(answers.iter().all(|answer| matches!(answer, Err(Fault::Closed { .. }))), "{answers:?}");
        // Another actor on the same thread is not touched.
        let other = supervision.start(&thread.handle(), "other", small(), Probe::default);
        assert_eq!(other.port::<Count>(Lane::Interactive).ask(Count, SOON).await, Ok(1));
        assert_eq!(mailbox.stats().state(), ActorState::Stopped);
    });
}

#[test]
fn stopping_does_not_wait_out_a_backoff() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let policy = runtime::Policy { backoff: Duration::from_secs(3600), backoff_max: SOON * 1000, ..small() };
        let mailbox = supervision.start(&thread.handle(), NAME, policy, Probe::default);
        let poison = mailbox.port::<Boom>(Lane::Interactive).ask(Boom, SOON).await;
        assert_eq!(poison, Err(Fault::Panicked { actor: NAME }));
        let count = mailbox.port::<Count>(Lane::Interactive);
        let stop = async { supervision.stop(NAME) };
        let (answer, ()) = futures_util::future::join(count.ask(Count, SOON), stop).await;
        assert_eq!(answer, Err(Fault::Closed { actor: NAME }));
    });
}

#[test]
fn a_handler_that_blocks_its_thread_is_noticed() {
    run(async |supervision| {
        let thread = actix_rt::Arbiter::new();
        let mailbox = supervision.start(&thread.handle(), NAME, small(), Probe::default);
        let (entered, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let mut watchdog = Watchdog::new(Duration::from_secs(5));
        let mut look = |second| {
            let actors = supervision.stats();
            watchdog.look(Duration::from_secs(second), actors.iter().map(|(stats, required)| (stats, *required)))
        };
        assert_eq!(look(0), Verdict::default());

        let block = Block { entered: Arc::clone(&entered), release: Arc::clone(&release) };
        let port = mailbox.port(Lane::Interactive);
        let asked = port.ask(block, SOON);
        let watched = async {
            entered.wait();
            assert_eq!(look(10), Verdict::default(), "first seen in the handler now");
            assert_eq!(look(14), Verdict::default(), "patience is not used up");
            let stuck = Verdict { stuck: vec![NAME], recovered: vec![], required_stuck: true };
            assert_eq!(look(15), stuck);
            assert_eq!(look(16), stuck, "and stays so");
            release.wait();
        };
        let (answer, ()) = futures_util::future::join(asked, watched).await;
        assert_eq!(answer, Ok(()));
        // The answer comes from inside the step; the step itself ends a moment later.
        while mailbox.stats().progress() != (2, 2) {
            tokio::task::yield_now().await;
        }
        assert_eq!(look(17), Verdict { stuck: vec![], recovered: vec![NAME], required_stuck: false });
        assert_eq!(look(100), Verdict::default());
    });
}
