//! `updates`: packages of a node have newer versions. Off until it is switched on: it needs a privilege that an auditor lacks.

use super::defaults::{above, off};
use super::scene::{Court, graded};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "updates",
        condition: "So many packages of a node have a newer version. Off by default; needs the privilege Sys.Modify.",
        defaults: off(above(1.0, 1.0, 0, 0)),
        unit: "packages",
    },
    needs: &[Need::Updates],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 2 * 86_400;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    court.by_node("updates", |node, parts, case| {
        let packages = scene.fresh(&parts.updates, FRESH_S)?;
        let labels = scene.node_labels(&node.name);
        let Some(settings) = court.settings(&labels) else { return Some(()) };
        let Some(levels) = graded(&settings, packages.len() as f64) else { return Some(()) };
        let object = scene.object(format_args!("node/{}/updates", node.name));
        let summary = format!("has {}", words::count(packages.len(), "update"));
        let mut finding = court.finding(object, format!("node {}", node.name), summary, scene.now, levels);
        finding.labels = labels;
        finding.value = Some(words::count(packages.len(), "package"));
        let names: Vec<String> = packages.iter().map(ToString::to_string).collect();
        finding.meaning = Some(format!("Newer versions of {}.", words::some_of(&names, 4)));
        case.findings.push(finding);
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let is_member = court.scene.snapshot.node(raised.labels.first("node")?).is_some();
    Some(if is_member { "is up to date" } else { super::scene::GONE }.to_owned())
}
