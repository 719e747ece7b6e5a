//! What happens while HAIA is away, and at its first start.

use crate::lab::{Lab, pass};
use contract::alerts::Severity;
use contract::cluster::RunCheck;
use contract::message::Drain;
use runtime::world::World;
use sim_cluster::{Incident, SimConfig};
use std::sync::Arc;

#[test]
fn what_stopped_meanwhile_is_told_and_nothing_else() {
    World::run(async |world| {
        let lab = Lab::start(world, SimConfig::default(), "{}");
        pass(1200).await;
        lab.ask(Drain).await;
        pass(600).await;
        lab.sim.happen(&[
            Incident::GuestCrashes { vmid: 101 },
            Incident::GuestShutDown { vmid: 114, user: "anna@pve".into() },
        ]);
        pass(3600).await;
        let (sim, states) = (lab.sim.clone(), Arc::clone(&lab.states));
        let again = Lab::resume(world, "proxmox-poller-2", sim, "{}", states);
        pass(120).await;
        let pager = again.pager();
        let told = pager.told(Severity::Warning);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("guest_crashed:homelab/guest/101") && told[0].contains("while HAIA was not looking"),
            "{told:?}"
        );
        assert_eq!(pager.baseline, [""; 0], "it is no first sight");
        pass(3600).await;
        assert_eq!(again.pager().told(Severity::Warning).len(), 1);
    });
}

#[test]
fn at_the_first_sight_what_is_wrong_is_told_as_one() {
    World::run(async |world| {
        let sim = crate::lab::Sim::new(world, SimConfig::default());
        sim.happen(&[
            Incident::GuestCrashes { vmid: 101 },
            Incident::StorageInactive { storage: "nas-nfs".into(), node: None },
            Incident::CertificateEnds { node: "pve2".into(), days: 2 },
            Incident::NodeDown { node: "pve3".into() },
        ]);
        let lab = Lab::resume(world, "proxmox-poller", sim, "{}", Arc::default());
        pass(600).await;
        let (pager, snapshot) = (lab.pager(), lab.snapshot());
        assert!(snapshot.guest(101).is_some());
        assert!(
            pager.baseline.contains(&"certificate:homelab/node/pve2/certificate/pve-ssl.pem".to_owned()),
            "{pager:?}"
        );
        assert!(!pager.told(Severity::Info).iter().any(|told| told.contains("guest/101")), "it was stopped before");
    });
}

#[test]
fn a_check_looks_now_and_says_what_it_found() {
    World::run(async |world| {
        let lab = Lab::start(world, SimConfig::default(), "{}");
        pass(300).await;
        lab.sim.happen(&[Incident::CertificateEnds { node: "pve2".into(), days: 2 }]);
        let outcome = lab.ask(RunCheck { check: "certificate".into() }).await.unwrap();
        assert_eq!(outcome.rules, ["certificate".into()]);
        assert_eq!(
            (outcome.findings.as_slice(), outcome.problems.as_slice()),
            (&["certificate of pve2 ends in 2 days".to_owned()][..], &[][..])
        );
        assert!(lab.until(5, |pager| pager.open().iter().any(|open| open.contains("certificate:"))).await);
        let all = lab.ask(RunCheck { check: "all".into() }).await.unwrap();
        assert_eq!((all.rules.len(), all.problems.len()), (29, 0), "all but those that are off: {all:?}");
        assert!(all.findings.contains(&"certificate of pve2 ends in 2 days".to_owned()), "{all:?}");
        for (check, said) in [("nothing", "there is no rule"), ("updates", "switched off")] {
            let error = lab.ask(RunCheck { check: check.into() }).await.unwrap_err();
            assert!(error.message.contains(said), "{error}");
        }
    });
}
