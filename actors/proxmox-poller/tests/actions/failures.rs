//! What goes wrong, and what is said of it.

use crate::stage::{Stage, approved, config, pass};
use contract::approvals::ActionEnd::{Done, Failed, Unknown};
use runtime::world::World;
use serde_json::json;
use sim_cluster::{Access, Fault, FaultRule, Incident, SimConfig, TaskEnd, TaskRule};

const WEB: &str = r#"{"guest":"101"}"#;

#[test]
fn a_locked_guest() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.happen(Incident::GuestLocked { vmid: 101, lock: Some("backup".into()) });
        let outcome = stage.run(plan).await;
        Stage::expect(&outcome, Failed, &["VM is locked (backup)", "It is running on pve1 now."]);
        let blocked = stage.plan("shutdown_guest", WEB).await;
        assert!(blocked.blockers[0].contains("it is locked (backup)"), "{:?}", blocked.blockers);
    });
}

#[test]
fn a_guest_that_moved_meanwhile_gets_the_order_where_it_is() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"gitea"}"#).await;
        stage.sim.freeze_list();
        stage.sim.happen(Incident::GuestMigrated { vmid: 113, target: "pve2".into(), user: "root@pam".into() });
        pass(40).await;
        let outcome = stage.run(plan).await;
        Stage::expect(&outcome, Done, &["gitea (113) was shut down on pve2."]);
        let paths: Vec<String> = stage.sim.writes().into_iter().map(|write| write.target).collect();
        assert_eq!(
            paths,
            ["/api2/json/nodes/pve1/qemu/113/status/shutdown", "/api2/json/nodes/pve2/qemu/113/status/shutdown"]
        );
        assert!(stage.told().iter().any(|told| told.contains("moved from pve1 to pve2")), "{:?}", stage.told());
    });
}

#[test]
fn a_backup_of_a_guest_that_moved_meanwhile() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("backup_guest", r#"{"guest":"gitea","storage":"pbs"}"#).await;
        stage.sim.freeze_list();
        stage.sim.happen(Incident::GuestMigrated { vmid: 113, target: "pve2".into(), user: "root@pam".into() });
        pass(40).await;
        Stage::expect(&stage.run(plan).await, Done, &["was backed up to pbs"]);
        assert_eq!(stage.sim.writes().len(), 2, "the first was left out without a word");
    });
}

#[test]
fn a_guest_that_is_where_it_should_go() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("migrate_guest", r#"{"guest":"gitea","target":"pve2"}"#).await;
        stage.sim.happen(Incident::GuestMigrated { vmid: 113, target: "pve2".into(), user: "root@pam".into() });
        pass(40).await;
        Stage::expect(&stage.run(plan).await, Failed, &["Nothing was done", "on pve2 already"]);
        assert_eq!(stage.sim.writes(), []);
    });
}

#[test]
fn a_guest_that_vanished() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let known = stage.clear("start_guest", r#"{"guest":"win11-lab"}"#).await;
        stage.sim.freeze_list();
        stage.sim.happen(Incident::GuestDestroyed { vmid: 130, user: "root@pam".into() });
        pass(40).await;
        let outcome = stage.run(known.clone()).await;
        Stage::expect(&outcome, Failed, &["win11-lab (130) is gone", "Nothing was done."]);
        let outcome = stage.run(known).await;
        Stage::expect(&outcome, Failed, &["is not in the cluster any more. Nothing was done."]);
        assert_eq!(stage.sim.writes().len(), 1);
        let failure = stage.try_plan("start_guest", r#"{"guest":"130"}"#).await.unwrap_err();
        assert!(failure.message.contains("no guest") || failure.message.contains("any more"), "{failure}");
    });
}

#[test]
fn a_guest_that_is_on_the_move() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        let gone = "Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist";
        let order = "/nodes/pve1/qemu/101/status/shutdown";
        stage.sim.now(|cluster| cluster.fault_rule(FaultRule::always(Fault::ServerError(gone.into())).on_path(order)));
        Stage::expect(
            &stage.run(plan).await,
            Failed,
            &["pve1 says that web-01 (101) is not there", "Nothing was done."],
        );
        assert_eq!(stage.sim.writes().len(), 1, "not sent to the same node again");
    });
}

#[test]
fn a_missing_privilege() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        for (tool, arguments, privilege) in [
            ("shutdown_guest", WEB, "VM.PowerMgmt"),
            ("migrate_guest", r#"{"guest":"gitea","target":"pve2"}"#, "VM.Migrate"),
            ("snapshot_guest", r#"{"guest":"101","name":"before"}"#, "VM.Snapshot"),
            ("backup_guest", r#"{"guest":"101","storage":"pbs"}"#, "VM.Backup"),
            ("backup_guest", r#"{"guest":"101","storage":"pbs"}"#, "Datastore.AllocateSpace"),
        ] {
            stage.sim.now(|cluster| cluster.set_access(Access::operator()));
            let plan = stage.clear(tool, arguments).await;
            stage.sim.now(|cluster| cluster.set_access(Access::operator().without(privilege)));
            let outcome = stage.run(plan).await;
            let said = format!("lacks {privilege} on /");
            Stage::expect(
                &outcome,
                Failed,
                &[&said, "Nothing was done.", "pveum role add", &format!("--privs '{privilege}'")],
            );
            let blocked = stage.plan(tool, arguments).await;
            assert!(blocked.blockers.len() == 1 && blocked.blockers[0].contains(&said), "{:?}", blocked.blockers);
        }
        // What a pool gives is enough.
        stage.sim.now(|cluster| cluster.set_access(Access::auditor().with("/pool/media", &["VM.PowerMgmt"])));
        stage.clear("stop_guest", r#"{"guest":"media-01"}"#).await;
    });
}

#[test]
fn a_node_that_is_gone_before_and_one_that_goes_in_the_middle() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"web-02"}"#).await;
        stage.sim.now(|cluster| cluster.task_rule(TaskRule::takes("qmshutdown", 100)));
        let order = stage.poller.port::<contract::approvals::RunAction>(contract::message::Lane::Interactive);
        let running = order.ask(approved(plan.clone()), std::time::Duration::from_secs(900));
        let goes = async {
            pass(20).await;
            stage.sim.happen(Incident::NodeDown { node: "pve2".into() });
        };
        let (outcome, ()) = futures_util::future::join(running, goes).await;
        let outcome = outcome.unwrap().unwrap();
        Stage::expect(&outcome, Unknown, &["pve2 went away while the shutdown of web-02 (102) ran", "not known"]);
        assert!(outcome.reference.is_some());
        pass(60).await;
        let outcome = stage.run(plan).await;
        Stage::expect(&outcome, Failed, &["cannot reach this node", "Nothing was done."]);
        let blocked = stage.plan("shutdown_guest", r#"{"guest":"web-02"}"#).await;
        assert!(blocked.blockers.iter().any(|why| why.contains("its node pve2 is offline")), "{:?}", blocked.blockers);
    });
}

#[test]
fn another_member_takes_the_order_when_the_first_is_down() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"web-02"}"#).await;
        stage.sim.happen(Incident::NodeDown { node: "pve1".into() });
        Stage::expect(&stage.run(plan).await, Done, &["web-02 (102) was shut down on pve2."]);
        let taken = stage.sim.writes().into_iter().filter(|write| write.status == 200).count();
        assert_eq!(taken, 1);
    });
}

#[test]
fn tasks_that_fail_or_warn() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let fails =
            |kind: &str, why: &str| TaskRule { times: Some(1), ..TaskRule::ends(kind, TaskEnd::Fails(why.to_owned())) };
        stage.sim.now(|cluster| {
            cluster.task_rule(fails("qmreboot", "VM quit/powerdown failed - got timeout"));
            cluster.task_rule(fails("vzdump", "write error: No space left on device"));
            cluster.task_rule(TaskRule::ends("qmshutdown", TaskEnd::Warnings(2)));
        });
        let plan = stage.clear("reboot_guest", WEB).await;
        Stage::expect(
            &stage.run(plan).await,
            Failed,
            &[
                "The reboot of web-01 (101) failed: VM quit/powerdown failed - got timeout.",
                "It is running on pve1 now.",
            ],
        );
        let plan = stage.clear("backup_guest", r#"{"guest":"101","storage":"pbs"}"#).await;
        Stage::expect(&stage.run(plan).await, Failed, &["job errors", "write error: No space left on device"]);
        let plan = stage.clear("shutdown_guest", WEB).await;
        Stage::expect(&stage.run(plan).await, Done, &["was shut down on pve1, with 2 warnings"]);
        let plan = stage.clear("suspend_guest", r#"{"guest":"media-01"}"#).await;
        assert!(plan.warnings[0].contains("by way of trial"), "{:?}", plan.warnings);
        Stage::expect(&stage.run(plan).await, Failed, &["lxc-checkpoint"]);
    });
}

#[test]
fn a_guest_that_does_not_react() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        stage.sim.happen(Incident::GuestDeaf { vmid: 101, on: true });
        let plan = stage.clear("shutdown_guest", r#"{"guest":"101","timeout_s":400}"#).await;
        assert_eq!(plan.timeout_s, 460, "longer than the guest itself is given");
        Stage::expect(&stage.run(plan).await, Failed, &["got timeout", "It is running on pve1 now"]);
        let plan = stage.clear("shutdown_guest", r#"{"guest":"101","timeout_s":20,"force_stop":true}"#).await;
        Stage::expect(&stage.run(plan).await, Done, &["was shut down"]);
    });
}

#[test]
fn an_action_that_takes_longer_than_its_time() {
    World::run(async |world| {
        let stage = Stage::with(
            world,
            SimConfig::acting(),
            config(true, &json!({ "action_timeouts": { "start": "60s", "stop": "20s" } })),
        )
        .await;
        stage.sim.now(|cluster| cluster.task_rule(TaskRule::takes("qmstart", 5000)));
        let plan = stage.clear("start_guest", r#"{"guest":"win11-lab"}"#).await;
        assert_eq!(plan.timeout_s, 60);
        let outcome = stage.run(plan).await;
        Stage::expect(&outcome, Unknown, &["had not ended after 1 min", "It was not cancelled", "UPID:pve3:"]);
        // The manager needs longer than twenty seconds in all when its order is slow.
        stage.sim.now(|cluster| cluster.task_rule(TaskRule::takes("hastop", 15)));
        let plan = stage.clear("stop_guest", r#"{"guest":"db-01"}"#).await;
        Stage::expect(
            &stage.run(plan).await,
            Unknown,
            &["The HA manager took the order for the stop", "It may still do so"],
        );
    });
}

#[test]
fn what_the_manager_refuses() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"db-01"}"#).await;
        stage.sim.happen(Incident::HaState { vmid: 103, state: "error".into() });
        Stage::expect(&stage.run(plan).await, Failed, &["in error state"]);
        let blocked = stage.plan("shutdown_guest", r#"{"guest":"db-01"}"#).await;
        assert!(blocked.blockers[0].contains("HA has it in the state error"), "{:?}", blocked.blockers);
    });
}

#[test]
fn no_quorum() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", WEB).await;
        stage.sim.happen(Incident::QuorumLost);
        Stage::expect(&stage.run(plan).await, Failed, &["no quorum", "Nothing was done."]);
        let blocked = stage.plan("shutdown_guest", WEB).await;
        assert!(blocked.blockers[0].contains("lost quorum"), "{:?}", blocked.blockers);
    });
}
