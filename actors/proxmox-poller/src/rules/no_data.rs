//! `no_data`: a node is a member, but it or guests on it give no data: its status service hangs.

use super::Rule;
use super::defaults::{level, settings};
use super::scene::{Case, Court, raised};
use super::words;
use crate::memory::Raised;
use crate::model::{GuestState, NodeState};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;
use std::collections::BTreeMap;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "no_data",
        condition: "A node that is online, or guests on it, give no data.",
        defaults: settings([None, Some(level(60, 60)), None], None, None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut silent: BTreeMap<&str, Vec<&crate::model::Guest>> = BTreeMap::new();
    for guest in scene.guests().filter(|guest| guest.state == GuestState::Unknown) {
        // A row that is missing is no row without data.
        if guest.missed_polls == 0 {
            silent.entry(&guest.node).or_default().push(guest);
        }
    }
    let mut case = Case::default();
    for node in scene.members() {
        let guests = silent.get(&*node.name).map_or(&[][..], Vec::as_slice);
        let is_silent = node.state == NodeState::NoData;
        if !is_silent && guests.is_empty() {
            continue;
        }
        let Some(settings) = court.settings(&scene.node_labels(&node.name)) else { continue };
        let since = match is_silent {
            true => node.state_since,
            false => guests.iter().map(|guest| guest.state_since).min().unwrap_or(scene.now),
        };
        let summary = match is_silent {
            true => "gives no data".to_owned(),
            false => format!("gives no data on {}", words::count(guests.len(), "guest")),
        };
        let mut finding = court.about_node(&node.name, summary, since, raised(&settings));
        finding.meaning = Some(
            "It is online, but its status service (pvestatd) hangs, most often on a storage that does not answer. \
             HAIA does not know whether its guests run."
                .to_owned(),
        );
        finding.affected = guests.iter().map(|guest| guest.label()).collect();
        finding.causes = vec![scene.no_quorum()];
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    match court.scene.snapshot.node(raised.labels.first("node")?).map(|node| node.state) {
        Some(NodeState::Online) => Some("gives data again".to_owned()),
        Some(NodeState::Offline) => Some("is down now".to_owned()),
        Some(NodeState::NoData) => None,
        None => Some(super::scene::GONE.to_owned()),
    }
}
