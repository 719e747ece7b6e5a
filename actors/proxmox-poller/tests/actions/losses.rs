//! Answers that are lost on their way.

use crate::stage::Stage;
use contract::approvals::ActionEnd::{Done, Failed, Unknown};
use runtime::world::World;
use sim_cluster::{Fault, FaultRule, TaskEnd, TaskRule};

const WEB: &str = r#"{"guest":"101"}"#;

fn on_order(fault: Fault) -> FaultRule {
    FaultRule::always(fault).on_path("/nodes/pve1/qemu/101/status/shutdown").times(1)
}

#[test]
fn an_answer_that_is_lost_is_found_in_the_task_list() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        for fault in [Fault::DropMidBody, Fault::Garbage] {
            // An earlier task of the same kind is not mistaken for it.
            for tool in ["shutdown_guest", "start_guest"] {
                let plan = stage.clear(tool, WEB).await;
                Stage::expect(&stage.run(plan).await, Done, &[]);
            }
            let plan = stage.clear("shutdown_guest", WEB).await;
            stage.sim.now(|cluster| cluster.fault_rule(on_order(fault.clone())));
            let before = stage.sim.writes().len();
            let outcome = stage.run(plan).await;
            match fault {
                // What was never answered right has not happened in the simulation either.
                Fault::Garbage => {
                    Stage::expect(&outcome, Unknown, &["answer to the order was lost", "shows no task of it"])
                }
                _ => Stage::expect(&outcome, Done, &["was shut down on pve1"]),
            }
            assert_eq!(stage.sim.writes().len(), before + 1, "never sent again");
            if outcome.end == Done {
                let plan = stage.clear("start_guest", WEB).await;
                stage.run(plan).await;
            }
        }
    });
}

#[test]
fn a_lost_answer_to_a_failing_task_is_a_failure() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.now(|cluster| {
            cluster.fault_rule(on_order(Fault::DropMidBody));
            cluster.task_rule(TaskRule::ends("qmshutdown", TaskEnd::Fails("no".to_owned())));
        });
        Stage::expect(&stage.run(plan).await, Failed, &["The shutdown of web-01 (101) failed: no."]);
    });
}

#[test]
fn an_order_that_nobody_saw_is_unknown_and_not_sent_again() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.between.lock().unwrap().swallows = true;
        let outcome = stage.run(plan).await;
        Stage::expect(
            &outcome,
            Unknown,
            &["reset by peer", "probably not begun, but that is not certain", "Look at web-01 (101)"],
        );
        assert_eq!((outcome.reference, stage.sim.writes()), (None, vec![]));
        assert!(stage.told().iter().any(|told| told.contains("answer is lost")), "{:?}", stage.told());
    });
}

#[test]
fn a_node_that_breaks_off_behind_its_member_is_no_refusal() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.now(|cluster| cluster.fault_rule(on_order(Fault::BrokenProxy)));
        Stage::expect(&stage.run(plan).await, Unknown, &["hangs or breaks off"]);
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.now(|cluster| cluster.fault_rule(on_order(Fault::NoRoute)));
        Stage::expect(&stage.run(plan).await, Failed, &["cannot reach this node", "Nothing was done."]);
    });
}

#[test]
fn a_cluster_that_cannot_be_seen_for_a_while_is_waited_for() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.now(|cluster| {
            cluster.task_rule(TaskRule::takes("qmshutdown", 40));
            cluster.fault_rule(
                FaultRule::always(Fault::ServerError("got timeout".into())).on_path("/nodes/pve1/tasks").times(8),
            );
        });
        Stage::expect(&stage.run(plan).await, Done, &["was shut down"]);
        assert!(stage.told().iter().any(|told| told.contains("cannot be looked at now")), "{:?}", stage.told());
    });
}
