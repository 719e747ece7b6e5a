//! `quorum_lost`: the members that see each other are too few to decide anything.

use super::Rule;
use super::defaults::{level, settings};
use super::scene::{Court, raised};
use crate::memory::Raised;
use crate::model::NodeState;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "quorum_lost",
        condition: "The cluster, or HA in it, says that it has no quorum.",
        defaults: settings([None, None, Some(level(20, 30))], None, None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

/// HA's line counts while it is no older than this, in seconds.
const HA_FRESH_S: u64 = 60;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let snapshot = scene.snapshot;
    let of_ha = scene.fresh(&snapshot.ha, HA_FRESH_S).and_then(|ha| {
        let line = ha.managers.iter().find(|manager| &*manager.kind == "quorum")?;
        Some(line.status.trim() == "OK")
    });
    let is_quorate = match (&snapshot.quorum, of_ha) {
        (Some(quorum), of_ha) => quorum.is_quorate && of_ha != Some(false),
        (None, Some(of_ha)) => of_ha,
        // A single node has no quorum to lose; without Sys.Audit nobody can tell.
        (None, None) => return Vec::new(),
    };
    let Some(settings) = court.settings(&scene.cluster_labels()).filter(|_| !is_quorate) else {
        return court.cluster(None);
    };
    let away: Vec<_> = snapshot.nodes.iter().filter(|node| node.state == NodeState::Offline).collect();
    let since = away.iter().map(|node| node.state_since).min().unwrap_or(scene.now);
    let subject = format!("cluster {}", scene.cluster());
    let mut finding = court.finding(scene.cluster().into(), subject, "has lost quorum", since, raised(&settings));
    finding.labels = scene.cluster_labels();
    finding.affected = away.iter().map(|node| format!("node {}", node.name)).collect();
    finding.value =
        Some(format!("{} of {} nodes see each other", snapshot.nodes.len() - away.len(), snapshot.nodes.len()));
    finding.meaning = Some(
        "Running guests go on, but nothing can be started, stopped or changed until enough nodes see each other again. \
         Look at the network between the nodes and at their power."
            .to_owned(),
    );
    court.cluster(Some(finding))
}

fn ended(court: &Court<'_>, _: &Raised) -> Option<String> {
    let is_quorate = court.scene.snapshot.quorum.as_ref().is_none_or(|quorum| quorum.is_quorate);
    is_quorate.then(|| "has quorum again".to_owned())
}
