//! The accounts: summed in memory, written in batches, there after a restart, never counted twice.

use crate::common::{Running, pass};
use contract::message::Drain;
use contract::usage::{LoadUsage, ReadUsage, UsageSink as _, UsageSlot, UsageTotals};
use jiff::civil::{Date, date};
use runtime::Event;
use runtime::world::World;

const DAY: Date = date(2026, 3, 1);

fn slot() -> UsageSlot {
    UsageSlot { day: DAY, who: "tablet".into(), provider: "openai".into(), model: "gpt".into() }
}

fn one() -> UsageTotals {
    UsageTotals { calls: 1, input: Some(10), output: Some(5), answered: 1, total_us: 7, ..UsageTotals::default() }
}

#[test]
fn sums_survive_a_restart_and_are_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    let load = || LoadUsage { since: DAY };
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.usage.record(&slot(), &one());
        pass(5).await;
        assert_eq!(running.ask(load()).await, Ok(vec![]), "what is recorded before the reading is the reader's own");
        pass(5).await;
        running.usage.record(&slot(), &one());
        running.ask(Drain).await;
    });
    let mut two = one();
    two.add(&one());
    World::run(async |world| {
        let running = Running::start(world, &path);
        assert_eq!(running.ask(load()).await, Ok(vec![(slot(), two)]));
        assert_eq!(running.ask(LoadUsage { since: date(2026, 3, 2) }).await, Ok(vec![]));
        running.usage.record(&slot(), &one());
        // A crash of the actor loses none of them.
        world.supervision.crash("store").unwrap().unwrap();
        pass(5).await;
        assert!(matches!(world.take_events().as_slice(), [Event::Panicked { .. }, Event::Restarted { count: 1, .. }]));
        let mut three = two;
        three.add(&one());
        assert_eq!(running.ask(load()).await, Ok(vec![(slot(), three)]));
        running.ask(Drain).await;
    });
}

#[test]
fn whoever_asks_later_is_told_of_the_last_second_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.usage.record(&slot(), &one());
        let read = || ReadUsage { since: DAY };
        assert_eq!(running.ask(read()).await, Ok(vec![]), "the sums of earlier runs come first");
        assert_eq!(running.ask(LoadUsage { since: DAY }).await, Ok(vec![]));
        assert_eq!(running.ask(read()).await, Ok(vec![(slot(), one())]));
        assert_eq!(running.ask(ReadUsage { since: date(2026, 3, 2) }).await, Ok(vec![]));
        running.ask(Drain).await;
    });
}
