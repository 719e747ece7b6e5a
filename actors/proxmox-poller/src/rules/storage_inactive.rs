//! `storage_inactive`: a storage is switched on and cannot be used, as its nodes say themselves. One finding for a shared one, whatever nodes miss it.

use super::defaults::{level, settings};
use super::scene::{Case, Court, raised};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::{NodeState, Storage};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "storage_inactive",
        condition: "A node says that a storage is enabled and not active.",
        defaults: settings([None, None, Some(level(60, 60))], None, None),
        unit: "",
    },
    needs: &[Need::Storages],
    judge,
    ended,
};

/// What a node says counts while it is no older than this, in seconds.
const FRESH_S: u64 = 200;

/// How a node sees a storage.
enum Seen {
    Active,
    Inactive,
    /// It is not there, or switched off.
    Nothing,
    Unknown,
}

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for storage in &scene.snapshot.storages {
        let object = scene.storage_object(storage);
        let (mut missing, mut is_unknown) = (Vec::new(), false);
        for node in &storage.nodes {
            match seen(court, storage, &node.node) {
                Seen::Inactive => missing.push(node.node.to_string()),
                Seen::Unknown => is_unknown = true,
                Seen::Active | Seen::Nothing => {}
            }
        }
        if missing.is_empty() {
            if is_unknown {
                case.unseen.push(object);
            }
            continue;
        }
        let labels = scene.storage_labels(storage);
        let Some(settings) = court.settings(&labels) else { continue };
        let summary = match storage.is_shared && missing.len() < storage.nodes.len() {
            true => format!("cannot be used on {}", words::some_of(&missing, 3)),
            false => "cannot be used".to_owned(),
        };
        let mut finding = court.finding(object, words::storage(storage), summary, scene.now, raised(&settings));
        finding.labels = labels;
        let local = !storage.is_shared;
        finding.meaning = Some(
            match (local, storage.kind.as_deref()) {
                (true, _) => "Its disks or its pool are not there. Guests with disks on it hang or do not start.",
                (false, Some("pbs")) => "The backup server does not answer: backups fail until it does.",
                (false, _) => {
                    "The server behind it, or the network to it, is down. Guests with disks on it hang or do not start."
                }
            }
            .to_owned(),
        );
        finding.affected = missing.iter().map(|name| format!("node {name}")).collect();
        // Whoever serves it may run on a node that is away.
        finding.causes = scene.causes_of_absence();
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let storage = scene.snapshot.storages.iter().find(|storage| scene.storage_object(storage) == raised.object);
    let Some(storage) = storage else { return Some("was removed or switched off".to_owned()) };
    let seen: Vec<Seen> = storage.nodes.iter().map(|node| seen(court, storage, &node.node)).collect();
    if seen.iter().any(|seen| matches!(seen, Seen::Active)) {
        return Some("can be used again".to_owned());
    }
    seen.iter().all(|seen| matches!(seen, Seen::Nothing)).then(|| "was switched off".to_owned())
}

fn seen(court: &Court<'_>, storage: &Storage, node: &str) -> Seen {
    let scene = &court.scene;
    match scene.snapshot.node(node).map(|node| node.state) {
        // What a node that is away has is not the storage's fault, and tells nothing of a shared one.
        Some(NodeState::Offline) | None => return if storage.is_shared { Seen::Nothing } else { Seen::Unknown },
        Some(NodeState::Online | NodeState::NoData) => {}
    }
    let part = scene.snapshot.slow.nodes.get(node).map(|parts| &parts.storages);
    let Some(told) = part.and_then(|part| scene.fresh(part, FRESH_S)) else { return Seen::Unknown };
    match told.iter().find(|told| told.name == storage.name) {
        Some(told) if !told.is_enabled => Seen::Nothing,
        Some(told) if told.is_active => Seen::Active,
        Some(_) => Seen::Inactive,
        None => Seen::Nothing,
    }
}
