//! What a plan says: what stands in the way, what depends on it, and when it is not the same any more.

use crate::stage::{Stage, pass};
use contract::approvals::ActionClass;
use contract::cluster::ProbeCluster;
use runtime::world::World;
use sim_cluster::{Access, Incident};

#[test]
fn what_stands_in_the_way_is_said() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        stage.sim.happen(Incident::StorageInactive { storage: "nas-nfs".into(), node: Some("pve1".into()) });
        stage.sim.happen(Incident::GuestStatus { vmid: 118, status: "paused".into() });
        pass(60).await;
        for (tool, arguments, blocker) in [
            ("start_guest", r#"{"guest":"101"}"#, "nothing to do: it runs already"),
            ("start_guest", r#"{"guest":"900"}"#, "it is a template"),
            ("start_guest", r#"{"guest":"118"}"#, "resume it instead"),
            ("shutdown_guest", r#"{"guest":"win11-lab"}"#, "nothing to do: it is stopped already"),
            ("stop_guest", r#"{"guest":"130"}"#, "stopped already"),
            ("reboot_guest", r#"{"guest":"130"}"#, "start it instead"),
            ("suspend_guest", r#"{"guest":"118"}"#, "paused already"),
            ("suspend_guest", r#"{"guest":"130"}"#, "nothing to suspend"),
            ("resume_guest", r#"{"guest":"101"}"#, "runs already"),
            ("resume_guest", r#"{"guest":"130"}"#, "start it instead"),
            ("migrate_guest", r#"{"guest":"113","target":"pve1"}"#, "it is on pve1 already"),
            ("snapshot_guest", r#"{"guest":"103","name":"before-pg17"}"#, "has a snapshot before-pg17 already"),
            ("snapshot_guest", r#"{"guest":"130","name":"a1","with_memory":true}"#, "no memory to keep"),
            ("snapshot_guest", r#"{"guest":"114","name":"a1","with_memory":true}"#, "memory of a container"),
            ("backup_guest", r#"{"guest":"101","storage":"local-zfs"}"#, "may not hold backups"),
            ("backup_guest", r#"{"guest":"101","storage":"nowhere"}"#, "pve1 has no storage nowhere"),
            ("backup_guest", r#"{"guest":"101","storage":"nas-nfs"}"#, "cannot be used on pve1 now"),
        ] {
            let plan = stage.plan(tool, arguments).await;
            assert!(plan.blockers.iter().any(|why| why.contains(blocker)), "{tool} {arguments}: {:?}", plan.blockers);
        }
        for (tool, arguments, failure) in [
            (
                "migrate_guest",
                r#"{"guest":"113","target":"pve9"}"#,
                "there is no node \"pve9\"; nodes: pve1, pve2, pve3",
            ),
            ("start_guest", r#"{"guest":"wbe-01"}"#, "did you mean web-01"),
            ("start_guest", r#"{"guest":"101","cluster":"x"}"#, "no cluster \"x\""),
        ] {
            let said = stage.try_plan(tool, arguments).await.unwrap_err();
            assert!(said.message.contains(failure), "{tool} {arguments}: {said}");
        }
        stage.sim.happen(Incident::NodeDown { node: "pve2".into() });
        pass(20).await;
        let plan = stage.plan("migrate_guest", r#"{"guest":"113","target":"pve2"}"#).await;
        assert!(plan.blockers.iter().any(|why| why.contains("the target pve2 is offline")), "{:?}", plan.blockers);
        assert_eq!(stage.sim.writes(), []);
    });
}

#[test]
fn what_depends_on_it_is_said_as_far_as_it_is_known() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"homeassistant"}"#).await;
        assert!(plan.warnings.iter().any(|why| why.contains("always-on")), "{:?}", plan.warnings);
        stage.sim.happen(Incident::GuestShutDown { vmid: 106, user: "root@pam".into() });
        pass(30).await;
        let plan = stage.plan("shutdown_guest", r#"{"guest":"dns-01"}"#).await;
        assert!(plan.dependents.contains(&"no other guest with the tag dns runs".to_owned()), "{:?}", plan.dependents);
        stage.sim.happen(Incident::NodeMemory { node: "pve2".into(), used: Some(0.97) });
        pass(30).await;
        let plan = stage.plan("migrate_guest", r#"{"guest":"gitea","target":"pve2"}"#).await;
        assert!(plan.warnings.iter().any(|why| why.contains("of memory, and pve2 has")), "{:?}", plan.warnings);
        let facts: Vec<&str> = plan.evidence.iter().map(|fact| &*fact.label).collect();
        assert!(facts.contains(&"looked at") && facts.contains(&"privileges"), "{facts:?}");
    });
}

#[test]
fn figures_leave_a_plan_as_it_is_and_states_do_not() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let wish = r#"{"guest":"gitea","target":"pve2"}"#;
        let first = stage.clear("migrate_guest", wish).await;
        pass(600).await;
        let later = stage.clear("migrate_guest", wish).await;
        assert_eq!(
            (&first.state, &first.state_digest, &first.arguments),
            (&later.state, &later.state_digest, &later.arguments)
        );
        assert_eq!(first.state_digest.len(), 64);
        let mut seen = vec![first.state_digest];
        let changes = [
            Incident::GuestLocked { vmid: 113, lock: Some("backup".into()) },
            Incident::GuestLocked { vmid: 113, lock: None },
            Incident::GuestShutDown { vmid: 113, user: "root@pam".into() },
            Incident::GuestMigrated { vmid: 113, target: "pve3".into(), user: "root@pam".into() },
            Incident::NodeDown { node: "pve2".into() },
        ];
        for change in changes {
            let is_back = matches!(&change, Incident::GuestLocked { lock: None, .. });
            stage.sim.happen(change.clone());
            pass(60).await;
            let plan = stage.plan("migrate_guest", wish).await;
            assert_eq!(seen.contains(&plan.state_digest), is_back, "{change:?}: {:?}", plan.state);
            seen.push(plan.state_digest);
        }
    });
}

#[test]
fn the_probe_names_what_actions_need() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let probe = stage.ask(ProbeCluster { cluster: "homelab".into() }).await.unwrap();
        assert!(probe.privileges.iter().all(|one| one.granted) && probe.grant.is_none(), "{probe:?}");
        assert!(probe.actions.len() == 9 && probe.actions.iter().all(|one| one.missing.is_empty()), "{probe:?}");
        stage.sim.now(|cluster| cluster.set_access(Access::operator().without("VM.Migrate").without("Sys.Audit")));
        let probe = stage.ask(ProbeCluster { cluster: "homelab".into() }).await.unwrap();
        let missing: Vec<&str> = probe.privileges.iter().filter(|one| !one.granted).map(|one| one.privilege).collect();
        assert_eq!(missing, ["Sys.Audit"]);
        assert!(probe.grant.unwrap().contains("PVEAuditor"));
        let lacking: Vec<_> = probe.actions.into_iter().filter(|one| !one.missing.is_empty()).collect();
        assert!(
            lacking.len() == 1 && lacking[0].class == ActionClass::Migrate && lacking[0].missing == ["VM.Migrate"],
            "{lacking:?}"
        );
    });
}
