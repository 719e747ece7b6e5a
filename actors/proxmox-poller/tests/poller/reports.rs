//! What is reported and remembered: on its own time, once, again when it was refused, and never in the way of a poll.

use crate::common::{Cluster, Desk, RESOURCES, Running, Step, healthy, pass};
use contract::message::{Drain, Reconfigure};
use contract::monitor::RuleBook;
use runtime::world::World;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn crashed(path: &str) -> Step {
    match path {
        "/cluster/resources" => Step::Data(RESOURCES.replace(r#""status":"running""#, r#""status":"stopped""#)),
        _ => healthy(path),
    }
}

#[test]
fn each_good_poll_is_judged_and_reported() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(65).await;
        assert_eq!(
            running.desk.raised(),
            ["replication:lab/replication/101-0".to_owned()].into(),
            "its node says that it failed twice"
        );
        let sources: Vec<_> =
            running.desk.reports.lock().unwrap().iter().map(|report| report.source.to_string()).collect();
        assert!(sources.len() >= 6 && sources.iter().all(|source| source == "proxmox/lab"), "{sources:?}");
        assert!(running.desk.reports.lock().unwrap()[0].is_baseline, "the first sight");
        running.cluster.behave(|_, path| crashed(path));
        pass(15).await;
        assert!(running.desk.raised().contains("guest_crashed:lab/guest/101"));
        assert!(!running.desk.reports.lock().unwrap().last().unwrap().is_baseline);
        running.cluster.behave(|_, _| Step::Status(401, "authentication failure"));
        pass(15).await;
        let raised = running.desk.raised();
        assert!(
            raised.contains("api_blind:lab") && raised.contains("guest_crashed:lab/guest/101"),
            "what is not seen stays: {raised:?}"
        );
    });
}

#[test]
fn a_desk_that_refuses_delays_no_poll_and_gets_the_newest_later() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(65).await;
        running.desk.refuses.store(true, Ordering::Relaxed);
        let taken = running.desk.reports.lock().unwrap().len();
        running.cluster.asked();
        running.cluster.behave(|_, path| crashed(path));
        pass(60).await;
        let polls = running.cluster.asked().iter().filter(|(.., path)| path == "/cluster/resources").count();
        assert!((5..=7).contains(&polls), "{polls}");
        assert_eq!(running.desk.reports.lock().unwrap().len(), taken);
        running.desk.refuses.store(false, Ordering::Relaxed);
        pass(12).await;
        assert!(running.desk.raised().contains("guest_crashed:lab/guest/101"));
    });
}

#[test]
fn what_is_remembered_is_kept_when_it_changes_and_not_too_often() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(700).await;
        let times = || running.desk.times_kept.load(Ordering::Relaxed);
        let before = times();
        assert!((1..=4).contains(&before), "{before}");
        pass(600).await;
        assert_eq!(times(), before, "nothing has changed");
        for turn in 0..18 {
            running.cluster.behave(move |_, path| if turn % 2 == 0 { crashed(path) } else { healthy(path) });
            pass(10).await;
        }
        let changed = times() - before;
        assert!((2..=4).contains(&changed), "at most once a minute: {changed}");
        running.ask(Drain).await;
        assert_eq!(times(), before + changed + 1, "the end keeps what there is");
        assert!(running.desk.states.lock().unwrap()["lab"].len() < 2000);
    });
}

#[test]
fn what_was_kept_and_cannot_be_read_is_a_first_sight() {
    World::run(async |world| {
        let desk = Desk::default();
        desk.states.lock().unwrap().insert("lab".into(), "{\"at\":7".to_owned());
        let running = Running::resumed(world, Cluster::new(world), 1, Vec::new(), desk);
        pass(5).await;
        assert!(running.desk.reports.lock().unwrap()[0].is_baseline);
    });
}

#[test]
fn new_settings_are_judged_by_at_once() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(65).await;
        running.cluster.behave(|_, path| crashed(path));
        pass(15).await;
        assert!(running.desk.raised().contains("guest_crashed:lab/guest/101"));
        let book: RuleBook = serde_json::from_str(r#"{"rules":{"guest_crashed":{"enabled":false}}}"#).unwrap();
        running.ask(Reconfigure(Arc::new(book))).await;
        pass(2).await;
        assert!(!running.desk.raised().contains("guest_crashed:lab/guest/101"));
    });
}
