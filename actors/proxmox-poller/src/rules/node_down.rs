//! `node_down`: a node is no member of the cluster now. Planned absences are told later and milder; its guests are told inside it.

use super::Rule;
use super::defaults::{level, settings};
use super::scene::{Case, Court, levels};
use crate::memory::Raised;
use crate::model::{NodeState, seconds_between};
use contract::alerts::{Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "node_down",
        condition: "A node is offline. Critical; a warning when it was in maintenance mode or all its guests were shut down within 15 minutes before.",
        defaults: settings([None, Some(level(900, 60)), Some(level(60, 60))], None, None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

/// A guest that was seen up so shortly before ran on the node when it went.
const RAN_S: u64 = 120;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for node in scene.snapshot.nodes.iter().filter(|node| node.state == NodeState::Offline) {
        let Some(settings) = court.settings(&scene.node_labels(&node.name)) else { continue };
        let planned = scene.memory.nodes.get(&node.name).and_then(|known| known.planned.clone());
        let wanted = if planned.is_some() { Severity::Warning } else { Severity::Critical };
        let read =
            levels(&settings, |severity, _| Some(if severity == wanted { Reading::Raised } else { Reading::Clear }));
        let ran = scene
            .guests()
            .filter(|guest| guest.node == node.name && guest.was_up())
            .filter(|guest| guest.ran_at.is_some_and(|ran_at| seconds_between(ran_at, node.state_since) <= RAN_S));
        let affected: Vec<String> = ran.map(crate::model::Guest::label).collect();
        let mut finding = court.about_node(&node.name, "is down", node.state_since, read);
        finding.meaning = Some(match (&planned, affected.len()) {
            (Some(planned), _) => {
                finding.summary = "is down, as planned".to_owned();
                format!("{}; it should be back by now.", capital(planned))
            }
            (None, 0) => "It lost power or its network, or crashed. No guest ran on it.".to_owned(),
            (None, _) => "It lost power or its network, or crashed. Look at its power and console.".to_owned(),
        });
        finding.affected = affected;
        finding.causes = vec![scene.no_quorum()];
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    match court.scene.snapshot.node(raised.labels.first("node")?).map(|node| node.state) {
        Some(NodeState::Offline) => None,
        Some(_) => Some("is back".to_owned()),
        None => Some(super::scene::GONE.to_owned()),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
