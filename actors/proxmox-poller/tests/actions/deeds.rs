//! Every action from its plan to its end.

use crate::stage::{Stage, pass};
use contract::approvals::{ActionClass, ActionEnd, ActionPlan};
use contract::tools::Risk;
use runtime::world::World;

async fn done(stage: &Stage, tool: &str, arguments: &str, words: &[&str]) -> ActionPlan {
    let plan = stage.clear(tool, arguments).await;
    let before = stage.sim.writes().len();
    let outcome = stage.run(plan.clone()).await;
    Stage::expect(&outcome, ActionEnd::Done, words);
    assert!(outcome.reference.as_deref().is_some_and(|upid| upid.starts_with("UPID:")), "{outcome:?}");
    let writes = stage.sim.writes();
    assert_eq!(writes.len(), before + 1, "one order each: {writes:?}");
    plan
}

#[test]
fn power() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let web = r#"{"guest":"web-01","cluster":null,"reason":"it leaks"}"#;
        let shutdown = done(&stage, "shutdown_guest", web, &["web-01 (101) was shut down on pve1."]).await;
        assert_eq!(stage.sim.status("qemu/101"), "stopped");
        assert_eq!(
            (shutdown.class, shutdown.risk, shutdown.reason.as_str()),
            (ActionClass::Shutdown, Risk::Write, "it leaks")
        );
        assert_eq!(shutdown.arguments, r#"{"cluster":"homelab","force_stop":false,"guest":"101","timeout_s":180}"#);
        assert_eq!(shutdown.action, "Shut down web-01 (101) on pve1");
        assert_eq!((shutdown.labels.first("vmid"), shutdown.labels.first("tag")), (Some("101"), Some("prod")));
        assert_eq!(stage.sim.writes()[0].body, "timeout=180");
        // The desk calls with the plan's own arguments.
        done(&stage, "start_guest", r#"{"cluster":"homelab","guest":"101"}"#, &["was started on pve1"]).await;
        assert_eq!(stage.sim.status("qemu/101"), "running");
        done(&stage, "suspend_guest", web, &["was suspended"]).await;
        assert_eq!(stage.sim.status("qemu/101"), "paused");
        done(&stage, "resume_guest", web, &["was resumed"]).await;
        assert_eq!(stage.sim.status("qemu/101"), "running");
        done(&stage, "reboot_guest", web, &["was rebooted"]).await;
        let off = done(&stage, "stop_guest", web, &["was switched off"]).await;
        assert_eq!((off.risk, stage.sim.status("qemu/101").as_str()), (Risk::Destructive, "stopped"));
        done(
            &stage,
            "shutdown_guest",
            r#"{"guest":"media-01","force_stop":true}"#,
            &["media-01 (114) was shut down on pve3"],
        )
        .await;
        assert_eq!(stage.sim.writes().last().unwrap().body, "timeout=180&forceStop=1");
    });
}

#[test]
fn moves() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = done(
            &stage,
            "migrate_guest",
            r#"{"guest":"gitea","target":"PVE2"}"#,
            &["gitea (113) was moved from pve1 to pve2."],
        )
        .await;
        assert!(plan.effect.contains("moves while it runs"), "{}", plan.effect);
        assert!(plan.arguments.contains(r#""target":"pve2""#), "{}", plan.arguments);
        assert_eq!(stage.sim.row("qemu/113")["node"], "pve2");
        let plan = done(&stage, "migrate_guest", r#"{"guest":"grafana","target":"pve3"}"#, &["to pve3"]).await;
        assert!(plan.effect.contains("started again"), "{}", plan.effect);
        assert_eq!(
            (&stage.sim.row("lxc/119")["node"], stage.sim.status("lxc/119").as_str()),
            (&"pve3".into(), "running")
        );
        let local = stage.plan("migrate_guest", r#"{"guest":"k3s-01","target":"pve2"}"#).await;
        assert!(local.blockers[0].contains("not shared: it moves only with with_local_disks"), "{:?}", local.blockers);
        done(&stage, "migrate_guest", r#"{"guest":"k3s-01","target":"pve2","with_local_disks":true}"#, &["to pve2"])
            .await;
        assert_eq!(stage.sim.writes().last().unwrap().body, "target=pve2&online=1&with-local-disks=1");
    });
}

#[test]
fn snapshots_and_backups() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let wish = r#"{"guest":"gitea","name":"before-17","description":"the upgrade","with_memory":true}"#;
        done(&stage, "snapshot_guest", wish, &["gitea (113) has the snapshot before-17 now"]).await;
        let points = stage.sim.now(|cluster| cluster.look("/nodes/pve1/qemu/113/snapshot").unwrap());
        assert!(points.as_array().unwrap().iter().any(|point| point["name"] == "before-17" && point["vmstate"] == 1));
        let again = stage.plan("snapshot_guest", wish).await;
        assert!(again.blockers[0].contains("has a snapshot before-17 already"), "{:?}", again.blockers);
        let plan = done(
            &stage,
            "backup_guest",
            r#"{"guest":"k3s-01","storage":"pbs"}"#,
            &["k3s-01 (120) was backed up to pbs"],
        )
        .await;
        assert_eq!(plan.labels.first("storage"), Some("pbs"));
        assert_eq!(
            stage.sim.writes().last().unwrap().body,
            "vmid=120&storage=pbs&mode=snapshot&compress=zstd&remove=0"
        );
        // The storage of the guest's own backup job is meant where none is said.
        let plan = stage.clear("backup_guest", r#"{"guest":"web-01"}"#).await;
        assert!(plan.arguments.contains(r#""storage":"pbs""#), "{}", plan.arguments);
    });
}

#[test]
fn the_manager_is_waited_for() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = done(
            &stage,
            "shutdown_guest",
            r#"{"guest":"db-01"}"#,
            &["db-01 (103) was shut down on pve1, by the HA manager."],
        )
        .await;
        assert_eq!(stage.sim.status("qemu/103"), "stopped", "and not before");
        assert!(plan.dependents[0].contains("HA manages it (state started)"), "{:?}", plan.dependents);
        assert!(stage.told().iter().any(|told| told.contains("HA manager took the order")), "{:?}", stage.told());
        done(&stage, "start_guest", r#"{"guest":"db-01"}"#, &["was started on pve1, by the HA manager"]).await;
        assert_eq!(stage.sim.status("qemu/103"), "running");
        pass(30).await;
        done(&stage, "migrate_guest", r#"{"guest":"db-01","target":"pve3"}"#, &["to pve3, by the HA manager"]).await;
        assert_eq!(stage.sim.row("qemu/103")["node"], "pve3");
    });
}

#[test]
fn the_first_word_brings_the_task_and_long_ones_are_told_of() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        stage.sim.now(|cluster| cluster.task_rule(sim_cluster::TaskRule::takes("vzdump", 600)));
        let plan = stage.clear("backup_guest", r#"{"guest":"k3s-01","storage":"pbs"}"#).await;
        let outcome = stage.run(plan).await;
        let progress = stage.heard.progress.lock().unwrap().clone();
        assert_eq!((progress[0].proposal, progress[0].reference.clone()), (7, outcome.reference.clone()));
        let still = stage.told().iter().filter(|told| told.starts_with("still running")).count();
        assert!((3..=6).contains(&still), "{:?}", stage.told());
    });
}
