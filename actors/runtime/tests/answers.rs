//! Whatever happens in whatever order, every message is answered exactly once, and no more work is in flight than may be.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Boom, Count, Ending, Log, NAME, Note, PATIENCE, Probe, asking, entries};
use contract::message::{Fault, Lane};
use proptest::prelude::*;
use runtime::world::World;
use runtime::{ActorState, Policy};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const IN_FLIGHT: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    Ask(Lane),
    Tell(Lane),
    Work(Lane),
    End(usize, bool),
    Leave(usize),
    Crash(Lane),
    Wait(u64),
    Settle,
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Interactive), Just(Lane::Background)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => lane().prop_map(Step::Ask),
        2 => lane().prop_map(Step::Tell),
        4 => lane().prop_map(Step::Work),
        4 => (any::<usize>(), proptest::bool::weighted(0.2)).prop_map(|(which, panic)| Step::End(which, panic)),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => prop_oneof![lane(), Just(Lane::Control)].prop_map(Step::Crash),
        1 => (1u64..30).prop_map(Step::Wait),
        3 => Just(Step::Settle),
    ]
}

enum Expected {
    Counted,
    Worked(String),
    Panicked,
}

/// One question under way: what must come of it, and the gate of its work.
struct Question {
    asked: JoinHandle<Result<String, Fault>>,
    expected: Expected,
    end: Option<oneshot::Sender<Ending>>,
    left: bool,
}

fn text(answered: Result<u64, Fault>) -> Result<String, Fault> {
    answered.map(|count| count.to_string())
}

fn question(
    expected: Expected,
    end: Option<oneshot::Sender<Ending>>,
    asking: impl Future<Output = Result<String, Fault>> + 'static,
) -> Question {
    #[expect(clippy::disallowed_methods, reason = "the test owns what it asks")]
    let asked = tokio::task::spawn_local(asking);
    Question { asked, expected, end, left: false }
}

fn run(steps: &[Step]) {
    World::run(async |world| {
        let log = Log::default();
        let policy = Policy {
            in_flight: IN_FLIGHT,
            interactive: 3,
            background: 3,
            backoff: Duration::from_millis(10),
            crashes: 1000,
            ..Policy::default()
        };
        let mailbox = world.supervision.start(&world.thread(), NAME, policy, Probe::logging_to(&log));
        let mut questions: Vec<Question> = Vec::new();
        let mut told = 0;
        for (at, step) in steps.iter().enumerate() {
            match *step {
                Step::Ask(lane) => {
                    let asked = asking(&mailbox.port::<Count>(lane), Count);
                    questions.push(question(Expected::Counted, None, async { text(asked.await.unwrap()) }));
                }
                Step::Tell(lane) => {
                    let outcome = mailbox.port(lane).tell(Note { text: format!("told {at}") });
                    told += usize::from(outcome.is_ok());
                }
                Step::Work(lane) => {
                    let (work, end) = common::work(&format!("work {at}"));
                    let (port, expected) = (mailbox.port(lane), Expected::Worked(work.name.clone()));
                    questions.push(question(expected, Some(end), async move { port.ask(work, PATIENCE).await }));
                }
                Step::End(which, panic) => {
                    let mut open: Vec<_> = questions.iter_mut().filter(|one| one.end.is_some()).collect();
                    if !open.is_empty() {
                        let at = which % open.len();
                        let one = &mut open[at];
                        let ending = if panic { Ending::Panic } else { Ending::Done };
                        if panic {
                            one.expected = Expected::Panicked;
                        }
                        // Fails when its asker has left and the work is gone.
                        let _ = one.end.take().unwrap().send(ending);
                    }
                }
                Step::Leave(which) => {
                    let mut here: Vec<_> = questions.iter_mut().filter(|one| !one.left).collect();
                    if !here.is_empty() {
                        let at = which % here.len();
                        here[at].asked.abort();
                        here[at].left = true;
                    }
                }
                Step::Crash(lane) => {
                    let asked = asking(&mailbox.port::<Boom>(lane), Boom);
                    questions.push(question(Expected::Panicked, None, async { text(asked.await.unwrap()) }));
                }
                Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Step::Settle => world.settle().await,
            }
            assert!(mailbox.stats().in_flight() <= IN_FLIGHT as u64, "too much work in flight after step {at}");
        }

        for one in &mut questions {
            if let Some(end) = one.end.take() {
                let _ = end.send(Ending::Done);
            }
        }
        for one in questions {
            match (one.asked.await, one.left) {
                // It left, or its answer came before it could.
                (Err(_), true) | (Ok(_), true) => {}
                (Err(error), false) => panic!("an asker crashed: {error}"),
                (Ok(answer), false) => match one.expected {
                    Expected::Counted => assert!(answer.is_ok(), "{answer:?}"),
                    Expected::Worked(name) => assert_eq!(answer, Ok(name)),
                    Expected::Panicked => assert_eq!(answer, Err(Fault::Panicked { actor: NAME })),
                },
            }
        }
        // What was told may still wait behind a backoff.
        tokio::time::sleep(PATIENCE).await;
        world.settle().await;
        let notes: Vec<String> = entries(&log).into_iter().filter(|entry| entry.starts_with("told")).collect();
        assert_eq!(notes.len(), told, "each message that was taken is handled once");
        assert_eq!(mailbox.stats().state(), ActorState::Running);
        world.take_events();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_answered_once(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
