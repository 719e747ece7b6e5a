//! Every rule on hand-built snapshots: what it raises, holds and clears, what it leaves alone, and in which words.

mod ends;
mod guests;
mod nodes;
mod property;
mod services;
mod stage;
mod storages;

use super::*;
use contract::alerts::{Finding, Labels, Reading};

#[test]
fn the_table_is_whole_and_in_order() {
    let names: Vec<&str> = rule_infos().map(|info| info.name).collect();
    assert_eq!(
        names.join(" "),
        "node_down quorum_lost api_blind guest_crashed guest_stopped restart_loop guest_error guest_lock_stuck no_data node_cpu \
         node_memory guest_cpu guest_memory guest_disk storage_usage storage_inactive thin_metadata ceph_health osd_down zfs_pool \
         disk_health backup_failed backup_stale replication ha_error certificate snapshot_old time_drift task_failed updates subscription"
    );
    for info in rule_infos() {
        assert!(info.condition.ends_with('.') && info.condition.len() > 20, "{}", info.name);
        assert!(info.defaults.levels().count() > 0, "{} has no level", info.name);
        let has_threshold = info.defaults.levels().any(|(_, level)| level.above.or(level.below).is_some());
        assert_eq!(has_threshold, !info.unit.is_empty(), "{}: a threshold has a unit", info.name);
    }
    assert!(validate_rules(&RuleBook::default()).is_empty());
    assert_eq!((named("all").len(), named("guest_*").len(), named("nothing").len()), (31, 7, 0));
}

#[test]
fn an_untroubled_cluster_has_no_findings() {
    let stage = stage::Stage::new();
    assert_eq!(stage.read(), [""; 0]);
    let judged = stage.judged();
    for rule in RULES.iter().filter(|rule| rule.needs.is_empty()) {
        assert!(judged.iter().any(|one| &*one.rule == rule.info.name), "{} said nothing", rule.info.name);
    }
}

#[test]
fn switched_off_rules_find_nothing_and_end_what_is_open() {
    let mut stage = stage::Stage::new();
    stage.node("pve2").state = crate::model::NodeState::Offline;
    stage.observe();
    assert_eq!(stage.read(), ["critical node_down:homelab/node/pve2"]);
    stage.book(r#"{"rules":{"node_down":{"enabled":false}}}"#);
    assert_eq!(stage.read(), [""; 0]);
    let judged = stage.judged();
    let scopes: Vec<&str> = judged.iter().filter(|one| &*one.rule == "node_down").map(|one| &*one.scope).collect();
    assert_eq!(scopes, ["homelab", "homelab/"]);
    // An override may switch it on for one node.
    stage.book(
        r#"{"rules":{"node_down":{"enabled":false}},"overrides":[{"match":{"node":"pve2"},"rules":["node_down"],"set":{"enabled":true}}]}"#,
    );
    assert_eq!(stage.read(), ["critical node_down:homelab/node/pve2"]);
    stage.book(r#"{"rules":{"node_down":{"except":[{"node":"pve*"}]}}}"#);
    assert_eq!(stage.read(), [""; 0]);
}

#[test]
fn a_cluster_that_cannot_be_seen_is_one_finding() {
    let mut memory = crate::memory::Memory::default();
    let at = stage::at;
    memory.failed(at(-24), at(0), false, "https://a:8006: it cannot be reached");
    memory.failed(at(5), at(10), true, "the login was refused");
    let judged = judge_failed(&"homelab".into(), &memory, &RuleBook::default()).unwrap();
    let finding = &judged.findings[0];
    assert_eq!((finding.since, &*finding.object, &*judged.scope), (at(-24), "homelab", "homelab"));
    assert_eq!(finding.summary, "refuses HAIA's login");
    assert!(finding.meaning.as_deref().unwrap().contains("token"));
    assert_eq!(finding.levels[0].raise_for.as_secs(), 66, "it took 24 seconds to fail at first");
    assert_eq!(judge_failed(&"homelab".into(), &crate::memory::Memory::default(), &RuleBook::default()), None);
}

/// What a finding says on a lock screen.
fn line(finding: &Finding) -> String {
    format!("{} {}", finding.subject, finding.summary)
}

fn first_label<'a>(labels: &'a Labels, name: &str) -> &'a str {
    labels.first(name).unwrap_or_default()
}

fn is_held(finding: &Finding) -> bool {
    finding.levels.iter().all(|level| level.reading != Reading::Raised)
        && finding.levels.iter().any(|level| level.reading == Reading::Held)
}
