//! Every rule's incident is told once, nothing else is told with it, and it ends.

use crate::lab::{Lab, pass};
use contract::alerts::Severity;
use contract::cluster::RunCheck;
use contract::message::Drain;
use proxmox_poller::rule_infos;
use runtime::world::World;
use sim_cluster::{Access, Incident, Script, SimConfig};
use std::sync::Arc;

/// Seconds of ordinary life before the incident: the first round of questions.
const BEFORE_S: u64 = 300;

/// How long a person waits at the most, beyond the rule's own time, as long as what the rule reads takes to show.
fn shows_after_s(rule: &str) -> u64 {
    match rule {
        // Restarts come every two minutes; rows turn unknown after five.
        "restart_loop" => 900,
        "no_data" => 330,
        "storage_usage" => 7 * 3600,
        "storage_inactive" | "node_memory" => 60,
        "replication" => 3 * 3600,
        "time_drift" => 200,
        _ => 45,
    }
}

/// Whether what the rule reads is asked for so seldom that the test asks for a look instead of waiting.
fn is_seldom(rule: &str) -> bool {
    let seldom = [
        "thin_metadata",
        "zfs_pool",
        "disk_health",
        "certificate",
        "updates",
        "subscription",
        "snapshot_old",
        "backup_failed",
    ];
    seldom.contains(&rule)
}

/// What else is rightly told with a case.
fn comes_along(rule: &str, other: &str) -> bool {
    matches!(
        (rule, other),
        // A guest that HA gives up is still running; a node that returns has guests that do not start with it.
        ("node_down", "guest_crashed") | ("storage_usage", "storage_usage")
    )
}

/// Looks now, where the poller itself would look in an hour or a day.
async fn look(lab: &Lab, rule: &str) {
    if is_seldom(rule) {
        // A task that was begun has to end first.
        pass(600).await;
        lab.ask(RunCheck { check: rule.into() }).await.unwrap();
    }
}

fn run(rule: &'static str) {
    let info = rule_infos().find(|info| info.name == rule).unwrap();
    let cases = Script::cases(rule);
    assert!(!cases.is_empty(), "{rule} has no case");
    for case in cases {
        World::run(async |world| {
            let book = r#"{"rules":{"updates":{"enabled":true},"subscription":{"enabled":true}}}"#;
            // Pending updates are seen with a privilege that an auditor lacks.
            let access = Access::auditor().with("/", &["Sys.Modify"]);
            let lab = Lab::start(world, SimConfig { access, ..SimConfig::default() }, book);
            let nodes = ["pve1", "pve2", "pve3"].map(str::to_owned);
            // A homelab has no subscription and a few updates; here neither is there before its own case.
            for node in nodes {
                let subscription = Incident::SubscriptionIs { node: node.clone(), status: "active".into() };
                lab.sim.happen(&[subscription, Incident::UpdatesWait { node, count: 0 }]);
            }
            pass(BEFORE_S).await;
            let quiet = lab.pager();
            assert_eq!(quiet.told(Severity::Warning), [""; 0], "{rule} {}: before", case.name);
            lab.sim.happen(&case.begin);
            look(&lab, rule).await;
            let holds = info.defaults.levels().filter_map(|(_, level)| level.hold).map(|hold| hold.0.as_secs());
            let longest = holds.max().unwrap_or(0).max(info.defaults.grace.map_or(0, |grace| grace.0.as_secs()));
            let of_rule = |told: &(jiff::Timestamp, Severity, String, String)| told.2.starts_with(&format!("{rule}:"));
            let told = lab
                .until(longest + shows_after_s(rule), |pager| pager.told[quiet.told.len()..].iter().any(of_rule))
                .await;
            let pager = lab.pager();
            let news = &pager.told[quiet.told.len()..];
            assert!(told, "{rule} {}: not told; instead {news:?}, open {:?}", case.name, pager.open());
            // Whatever comes with it has come by then.
            pass(120).await;
            lab.sim.happen(&case.end);
            look(&lab, rule).await;
            let ends = info.defaults.levels().filter_map(|(_, level)| level.clear_for).map(|span| span.0.as_secs());
            let open =
                |pager: &crate::pager::Pager| pager.open().iter().any(|open| open.contains(&format!(" {rule}:")));
            let within = ends.max().unwrap_or(0) + shows_after_s(rule) + 4000;
            let ended = lab.until(within, |pager| !open(pager)).await;
            let pager = lab.pager();
            assert!(ended, "{rule} {}: did not end; open {:?}", case.name, pager.open());
            let others: Vec<_> = pager.told[quiet.told.len()..]
                .iter()
                .filter(|told| told.1 > Severity::Info && !of_rule(told))
                .filter(|told| !comes_along(rule, told.2.split(':').next().unwrap()))
                .collect();
            assert!(others.is_empty(), "{rule} {}: beside it {others:?}", case.name);
            let own: Vec<_> = pager.told[quiet.told.len()..].iter().filter(|told| of_rule(told)).collect();
            let mut keys: Vec<_> = own.iter().map(|told| (&told.2, told.1)).collect();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), own.len(), "{rule} {}: told twice: {own:?}", case.name);
            let ended: Vec<_> =
                pager.ended.iter().filter(|(_, key, _)| own.iter().any(|told| told.2 == *key)).collect();
            let mut keys: Vec<_> = ended.iter().map(|(_, key, _)| key).collect();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), ended.len(), "{rule} {}: ended twice: {ended:?}", case.name);
            // A failed task is news that grows old, and a person's stop is none: their ends are told to nobody.
            let is_news = matches!(rule, "task_failed" | "guest_stopped");
            for (_, key, said) in ended {
                assert!(said.is_some() || is_news, "{rule} {}: {key} ended without a word", case.name);
            }
        });
    }
}

macro_rules! cases {
    ($($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                run(stringify!($rule));
            }
        )*

        #[test]
        fn every_rule_has_its_cases() {
            let here = [$(stringify!($rule)),*, "backup_stale"];
            for info in rule_infos() {
                assert!(here.contains(&info.name), "{} is not tried", info.name);
            }
        }
    };
}

cases! {
    node_down quorum_lost api_blind guest_crashed guest_stopped restart_loop guest_error guest_lock_stuck no_data node_cpu node_memory
    guest_cpu guest_memory guest_disk storage_usage storage_inactive thin_metadata ceph_health osd_down zfs_pool disk_health backup_failed
    replication ha_error certificate snapshot_old time_drift task_failed updates subscription
}

/// A backup grows old over days: the poller is away meanwhile.
#[test]
fn backup_stale() {
    World::run(async |world| {
        let case = Script::cases("backup_stale").remove(0);
        let lab = Lab::start(world, SimConfig::default(), "{}");
        pass(BEFORE_S).await;
        assert_eq!(lab.pager().told(Severity::Warning), [""; 0]);
        lab.sim.happen(&case.begin);
        lab.ask(Drain).await;
        pass(40 * 3600).await;
        let (sim, states) = (lab.sim.clone(), Arc::clone(&lab.states));
        let again = Lab::resume(world, "proxmox-poller-2", sim, "{}", states);
        pass(300).await;
        let told = again.pager().told(Severity::Warning);
        assert!(told.len() == 1 && told[0].contains("backup_stale:homelab/backup-job/backup-nightly"), "{told:?}");
        again.sim.happen(&case.end);
        pass(900).await;
        again.ask(RunCheck { check: "backup_stale".into() }).await.unwrap();
        pass(10).await;
        assert_eq!(again.pager().open(), [""; 0]);
        assert_eq!(again.pager().told(Severity::Warning).len(), 1);
    });
}
