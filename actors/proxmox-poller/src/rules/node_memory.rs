//! `node_memory`: a node runs out of memory. What its file system cache holds is available: the node itself says how much that is.

use super::defaults::{above, settings};
use super::scene::{Case, Court, graded, limit};
use super::{Need, Rule, words};
use crate::model::{Node, NodeState, fraction};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "node_memory",
        condition: "So much of a node's memory is used and cannot be given to programs; what ZFS keeps as a cache counts as free where the node tells it.",
        defaults: settings([None, Some(above(92.0, 88.0, 300, 300)), Some(above(97.0, 95.0, 300, 300))], None, None),
        unit: "%",
    },
    needs: &[Need::Details],
    judge,
};

/// The node's own figures count while they are no older than this, in seconds.
pub(crate) const FRESH_S: u64 = 180;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let floor = court.floor();
    let mut case = Case::default();
    for node in &scene.snapshot.nodes {
        let is_fresh = node.state == NodeState::Online && node.figures_at == Some(scene.snapshot.taken_at);
        let Some(used) = fraction(node.memory_bytes, node.memory_total_bytes).filter(|_| is_fresh) else {
            case.unseen.push(scene.node_object(&node.name));
            continue;
        };
        // Used memory holds the cache too, so it is never less than what is needed.
        if used * 100.0 < floor {
            continue;
        }
        let Some(settings) = court.settings(&scene.node_labels(&node.name)) else { continue };
        let Some(figure) = needed(court, node) else {
            case.unseen.push(scene.node_object(&node.name));
            continue;
        };
        let Some(levels) = graded(&settings, figure) else { continue };
        let summary = format!("uses {} of its memory", words::percent(figure));
        let mut finding = court.about_node(&node.name, summary, scene.now, levels);
        finding.value = Some(words::percent(figure));
        finding.limit = limit(&settings, figure).map(words::percent);
        finding.meaning = Some(
            "When it is full the kernel kills the largest guest. Move a guest away or stop one that is not needed."
                .to_owned(),
        );
        case.findings.push(finding);
    }
    court.everything(case)
}

/// What is needed of a node's memory, in per cent, as it says itself.
fn needed(court: &Court<'_>, node: &Node) -> Option<f64> {
    let scene = &court.scene;
    let detail = scene.fresh(&scene.snapshot.slow.nodes.get(&node.name)?.detail, FRESH_S)?;
    let total = detail.memory_total_bytes?;
    let needed = match detail.memory_available_bytes {
        Some(available) => total.saturating_sub(available),
        None => detail.memory_used_bytes?,
    };
    fraction(Some(needed), Some(total)).map(|needed| needed * 100.0)
}
