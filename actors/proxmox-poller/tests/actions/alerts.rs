//! What HAIA did itself is no alert, and is said to be HAIA's.

use crate::stage::{Stage, pass};
use contract::alerts::{Reading, Severity};
use contract::approvals::ActionEnd;
use runtime::world::World;
use sim_cluster::Incident;

/// What was ever raised of a guest, as `severity rule: subject summary`.
fn raised(stage: &Stage, vmid: u32) -> Vec<String> {
    let object = format!("homelab/guest/{vmid}");
    let judged = stage.heard.judged.lock().unwrap();
    let findings = judged.iter().flat_map(|one| &one.findings).filter(|finding| *finding.object == *object);
    let mut told: Vec<String> = findings
        .flat_map(|finding| {
            let levels = finding.levels.iter().filter(|level| level.reading == Reading::Raised);
            levels.map(|level| {
                format!("{} {}: {} {}", level.severity.as_str(), finding.rule, finding.subject, finding.summary)
            })
        })
        .collect();
    told.sort();
    told.dedup();
    told
}

fn alarming(stage: &Stage, vmid: u32) -> Vec<String> {
    let calm = format!("{} ", Severity::Info.as_str());
    raised(stage, vmid).into_iter().filter(|told| !told.starts_with(&calm)).collect()
}

async fn done(stage: &Stage, tool: &str, arguments: &str) {
    let plan = stage.clear(tool, arguments).await;
    let outcome = stage.run(plan).await;
    assert_eq!(outcome.end, ActionEnd::Done, "{outcome:?}");
    // The rules that hold their breath for twenty seconds have told by then.
    pass(60).await;
}

#[test]
fn a_stop_by_haia_is_no_alert_even_of_a_guest_that_should_always_run() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        pass(240).await;
        for (tool, guest, vmid) in
            [("shutdown_guest", "homeassistant", 110), ("stop_guest", "dns-01", 105), ("shutdown_guest", "db-01", 103)]
        {
            done(&stage, tool, &format!(r#"{{"guest":"{guest}"}}"#)).await;
            let told = raised(&stage, vmid);
            assert!(told.len() == 1 && told[0].contains("was stopped by HAIA (approved by anna)"), "{told:?}");
            let explained =
                stage.read("explain_guest_stop", &format!(r#"{{"guest":"{guest}","cluster":null}}"#)).await.text;
            assert!(
                explained.contains("by HAIA (approved by anna)") && explained.contains("stopped_by_task"),
                "{explained}"
            );
        }
        // Nor later, when it is no news any more.
        pass(700).await;
        for vmid in [110, 105, 103] {
            assert_eq!(alarming(&stage, vmid), [""; 0], "{vmid}");
        }
        // The same by somebody else is.
        stage.sim.happen(Incident::GuestShutDown { vmid: 124, user: "root@pam".into() });
        pass(60).await;
        assert!(
            alarming(&stage, 124).iter().any(|told| told.contains("was stopped by root@pam")),
            "{:?}",
            raised(&stage, 124)
        );
    });
}

#[test]
fn starts_reboots_and_moves_by_haia_raise_nothing() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        pass(240).await;
        done(&stage, "start_guest", r#"{"guest":"win11-lab"}"#).await;
        done(&stage, "migrate_guest", r#"{"guest":"vaultwarden","target":"pve2","with_local_disks":true}"#).await;
        for _ in 0..5 {
            done(&stage, "reboot_guest", r#"{"guest":"web-01"}"#).await;
        }
        done(&stage, "backup_guest", r#"{"guest":"web-02","storage":"pbs","mode":"stop"}"#).await;
        for vmid in [130, 124, 101, 102] {
            assert_eq!(alarming(&stage, vmid), [""; 0], "{vmid}");
        }
        let explained = stage.read("explain_guest_stop", r#"{"guest":"win11-lab","cluster":null}"#).await.text;
        assert!(explained.contains("It was started by HAIA (approved by anna)"), "{explained}");
    });
}

#[test]
fn a_crash_after_haia_started_a_guest_is_a_crash() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        pass(240).await;
        done(&stage, "shutdown_guest", r#"{"guest":"web-01"}"#).await;
        done(&stage, "start_guest", r#"{"guest":"web-01"}"#).await;
        assert_eq!(alarming(&stage, 101), [""; 0]);
        stage.sim.happen(Incident::GuestCrashes { vmid: 101 });
        pass(60).await;
        assert!(alarming(&stage, 101).iter().any(|told| told.contains("guest_crashed")), "{:?}", raised(&stage, 101));
    });
}

#[test]
fn what_haia_did_outlives_a_restart() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let plan = stage.clear("shutdown_guest", r#"{"guest":"homeassistant"}"#).await;
        stage.run(plan).await;
        pass(3).await;
        let kept = stage.heard.kept.lock().unwrap().last().cloned().unwrap();
        assert!(kept.contains("\"approved_by\":\"anna\"") && kept.contains("\"proposal\":7"), "{kept}");
    });
}
