//! `node_memory`: a node runs out of memory. What its file system cache holds is available: the node itself says how much that is.

use super::defaults::{above, settings};
use super::scene::{Case, Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::{GuestState, Node, NodeState, fraction};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "node_memory",
        condition: "So much of a node's memory is used and cannot be given to programs; what ZFS keeps as a cache counts as free (before version 9 a node with ZFS is judged by what its guests take).",
        defaults: settings([None, Some(above(92.0, 88.0, 300, 300)), Some(above(97.0, 95.0, 300, 300))], None, None),
        unit: "%",
    },
    needs: &[Need::Details],
    judge,
    ended,
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

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.node_end(raised, |node| {
        let used = fraction(node.memory_bytes, node.memory_total_bytes)? * 100.0;
        let figure = Some(used).filter(|used| *used < court.floor()).or_else(|| needed(court, node))?;
        Some(format!("is back to {} memory use", words::about(figure)))
    })
}

/// What is needed of a node's memory, in per cent, as far as it can be known.
fn needed(court: &Court<'_>, node: &Node) -> Option<f64> {
    let scene = &court.scene;
    let parts = scene.snapshot.slow.nodes.get(&node.name)?;
    let detail = scene.fresh(&parts.detail, FRESH_S)?;
    let total = detail.memory_total_bytes?;
    let has_no_zfs = parts.zfs_pools.is_absent || parts.zfs_pools.value.as_ref().is_some_and(|pools| pools.is_empty());
    let needed = match detail.memory_available_bytes {
        Some(available) => total.saturating_sub(available),
        None if has_no_zfs => detail.memory_used_bytes?,
        // Before version 9 what ZFS keeps as a cache counts as used, and nobody says how much that is. What the guests take is the least that is
        // needed: that it is much is sure, that it is little is not.
        None => {
            let least = of_guests(court, node);
            let figure = fraction(Some(least), Some(total))? * 100.0;
            return (figure >= court.floor()).then_some(figure);
        }
    };
    fraction(Some(needed), Some(total)).map(|needed| needed * 100.0)
}

/// What the guests that run on a node take of its memory.
fn of_guests(court: &Court<'_>, node: &Node) -> u64 {
    let running = court.scene.guests().filter(|guest| guest.node == node.name && guest.state == GuestState::Running);
    let taken = running.filter_map(|guest| guest.memory_of_host_bytes.or(guest.memory_bytes));
    taken.fold(0, u64::saturating_add)
}
