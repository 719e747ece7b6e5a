//! Lives of servers, as tables of what happens and what follows.

use super::*;

fn up(generation: u64) -> Input {
    Input::Up { generation, trouble: None }
}

fn down(generation: u64) -> Input {
    Input::Down { generation }
}

fn run(steps: Vec<(Input, McpState, Option<Order>)>) -> Machine {
    let mut machine = Machine::default();
    for (at, (input, state, order)) in steps.into_iter().enumerate() {
        let told = format!("step {at}: {input:?}");
        assert_eq!(machine.step(input, 0.5), order, "{told}");
        assert_eq!(machine.state(), state, "{told}");
    }
    machine
}

fn retry(generation: u64, seconds: u64) -> Option<Order> {
    Some(Order::RetryAfter { generation, wait: Duration::from_secs(seconds) })
}

#[test]
fn starts_fails_waits_longer_and_recovers() {
    use McpState::*;
    let machine = run(vec![
        (Input::Enable { lazy: false }, Starting, Some(Order::Start { generation: 1 })),
        (down(1), Failed, retry(1, 1)),
        (Input::Retry { generation: 1 }, Starting, Some(Order::Start { generation: 2 })),
        (down(2), Failed, retry(2, 2)),
        (Input::Retry { generation: 1 }, Failed, None),
        (Input::Retry { generation: 2 }, Starting, Some(Order::Start { generation: 3 })),
        (up(2), Starting, None),
        (up(3), Ready, None),
        (down(2), Ready, None),
        (down(3), Failed, retry(3, 4)),
    ]);
    assert_eq!((machine.restarts(), machine.failures()), (2, 3));
}

#[test]
fn a_long_time_of_health_forgets_failures() {
    let mut machine = Machine { failures: 7, ..Machine::default() };
    machine.phase = Phase::Up;
    machine.generation = 9;
    assert_eq!(machine.step(Input::Healthy { generation: 8 }, 0.5), None);
    assert_eq!(machine.failures(), 7);
    assert_eq!(machine.step(Input::Healthy { generation: 9 }, 0.5), None);
    assert_eq!(machine.step(down(9), 0.5), retry(9, 1));
}

#[test]
fn a_lazy_server_starts_with_a_call_and_rests_again() {
    use McpState::*;
    run(vec![
        (Input::Enable { lazy: true }, Idle, None),
        (Input::Wanted, Starting, Some(Order::Start { generation: 1 })),
        (Input::Wanted, Starting, None),
        (up(1), Ready, None),
        (Input::Idle { generation: 0 }, Ready, None),
        (Input::Idle { generation: 1 }, Stopping, Some(Order::Stop { generation: 1 })),
        (down(1), Idle, None),
        (Input::Wanted, Starting, Some(Order::Start { generation: 2 })),
        (up(2), Ready, None),
        (Input::Idle { generation: 2 }, Stopping, Some(Order::Stop { generation: 2 })),
        // A call that comes while it ends.
        (Input::Wanted, Stopping, None),
        (down(2), Starting, Some(Order::Start { generation: 3 })),
    ]);
}

#[test]
fn switching_off_and_on_in_every_phase() {
    use McpState::*;
    run(vec![
        (Input::Disable, Disabled, None),
        (Input::Enable { lazy: false }, Starting, Some(Order::Start { generation: 1 })),
        (Input::Disable, Stopping, Some(Order::Stop { generation: 1 })),
        (Input::Disable, Stopping, None),
        (up(1), Stopping, None),
        (Input::Wanted, Stopping, None),
        (down(1), Disabled, None),
        (Input::Wanted, Disabled, None),
        (Input::Enable { lazy: false }, Starting, Some(Order::Start { generation: 2 })),
        (up(2), Ready, None),
        (Input::Disable, Stopping, Some(Order::Stop { generation: 2 })),
        (Input::Enable { lazy: false }, Stopping, None),
        (down(2), Starting, Some(Order::Start { generation: 3 })),
        (down(3), Failed, retry(3, 1)),
        (Input::Disable, Disabled, None),
        // The wait that was set before is void.
        (Input::Retry { generation: 3 }, Disabled, None),
        (Input::Enable { lazy: true }, Idle, None),
        (Input::Disable, Disabled, None),
    ]);
}

#[test]
fn silence_degrades_and_then_renews() {
    let mut machine = run(vec![
        (Input::Enable { lazy: false }, McpState::Starting, Some(Order::Start { generation: 1 })),
        (up(1), McpState::Ready, None),
    ]);
    let silent = Input::Answered { generation: 1, in_time: false };
    let states: Vec<McpState> = (0..5)
        .map(|_| {
            assert_eq!(machine.step(silent.clone(), 0.5), None);
            machine.state()
        })
        .collect();
    use McpState::{Degraded, Ready};
    assert_eq!(states, [Ready, Ready, Degraded, Degraded, Degraded]);
    assert_eq!(machine.step(silent.clone(), 0.5), Some(Order::Stop { generation: 1 }));
    assert_eq!(machine.step(down(1), 0.5), retry(1, 1));

    let mut machine = Machine { phase: Phase::Up, generation: 1, silent: 5, ..Machine::default() };
    machine.step(Input::Answered { generation: 1, in_time: true }, 0.5);
    assert_eq!(machine.state(), McpState::Ready);
}

#[test]
fn trouble_shows_and_passes() {
    run(vec![
        (Input::Enable { lazy: false }, McpState::Starting, Some(Order::Start { generation: 1 })),
        (Input::Up { generation: 1, trouble: Some("no list".to_owned()) }, McpState::Degraded, None),
        (up(1), McpState::Ready, None),
    ]);
}

#[test]
fn a_changed_entry_starts_anew() {
    use McpState::*;
    run(vec![
        (Input::Renew, Disabled, None),
        (Input::Enable { lazy: false }, Starting, Some(Order::Start { generation: 1 })),
        (down(1), Failed, retry(1, 1)),
        (Input::Renew, Starting, Some(Order::Start { generation: 2 })),
        (Input::Renew, Stopping, Some(Order::Stop { generation: 2 })),
        (down(2), Starting, Some(Order::Start { generation: 3 })),
    ]);
}

#[test]
fn waits_are_bounded_and_spread() {
    let waits: Vec<u64> = (1..=11).map(|failures| backoff(failures, 0.5).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    for failures in [1, 5, 31, 32, 33, u32::MAX] {
        assert!(backoff(failures, 0.0) < backoff(failures, 1.0) || backoff(failures, 1.0) == BACKOFF_MAX);
        assert!(backoff(failures, 1.0) <= BACKOFF_MAX);
    }
    // A server that never starts is started at most so often in its first ten minutes.
    let starts = 1
        + (1..)
            .scan(0.0, |sum, failures| {
                *sum += backoff(failures, 0.0).as_secs_f64();
                Some(*sum)
            })
            .take_while(|at| *at < 600.0)
            .count();
    assert!(starts <= 12, "{starts}");
}

proptest::proptest! {
    /// Whatever comes in whatever order: never two starts without an end between them, and no step is stuck for good.
    #[test]
    fn at_most_one_run_at_a_time(inputs in proptest::collection::vec((0u8..11, 0u64..4), 0..60)) {
        let mut machine = Machine::default();
        let mut running: Option<u64> = None;
        for (kind, back) in inputs {
            let generation = machine.generation().saturating_sub(back);
            let input = match kind {
                0 => Input::Enable { lazy: false },
                1 => Input::Enable { lazy: true },
                2 => Input::Disable,
                3 => Input::Wanted,
                4 => up(generation),
                5 => Input::Retry { generation },
                6 => Input::Answered { generation, in_time: false },
                7 => Input::Idle { generation },
                8 => Input::Renew,
                10 => Input::Broken { generation },
                // A run ends only if there is one.
                _ => match running.take() {
                    Some(generation) => down(generation),
                    None => continue,
                },
            };
            match machine.step(input, 0.5) {
                Some(Order::Start { generation }) => {
                    proptest::prop_assert_eq!(running, None);
                    running = Some(generation);
                }
                Some(Order::Stop { generation }) => proptest::prop_assert_eq!(running, Some(generation)),
                Some(Order::RetryAfter { .. }) => proptest::prop_assert_eq!(running, None),
                None => {}
            }
            proptest::prop_assert_eq!(machine.is_running(), running.is_some());
        }
    }
}
