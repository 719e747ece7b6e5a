//! `time_drift`: a node's clock is off. Beyond thirty seconds the cluster itself gets into trouble.

use super::defaults::{above, settings};
use super::scene::{Case, Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "time_drift",
        condition: "A node's clock differs by so many seconds from the other nodes' clocks.",
        defaults: settings([None, Some(above(5.0, 3.0, 300, 300)), Some(above(30.0, 20.0, 300, 300))], None, None),
        unit: "seconds",
    },
    needs: &[Need::Clocks],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 900;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    let mut known = Vec::new();
    for node in &scene.snapshot.nodes {
        let part = scene.snapshot.slow.nodes.get(&node.name).map(|parts| &parts.clock_ahead_s);
        match part.and_then(|part| scene.fresh(part, FRESH_S)).filter(|_| !scene.is_offline(&node.name)) {
            Some(ahead) => known.push((node, *ahead)),
            None => case.unseen.push(scene.node_object(&node.name)),
        }
    }
    if known.len() < 2 {
        return Vec::new();
    }
    let right = middle(known.iter().map(|(_, ahead)| *ahead).collect());
    for (node, ahead) in known {
        let off = ahead - right;
        let figure = off.unsigned_abs() as f64;
        let Some(settings) = court.settings(&scene.node_labels(&node.name)) else { continue };
        let Some(levels) = graded(&settings, figure) else { continue };
        let direction = if off > 0 { "ahead" } else { "behind" };
        let summary = format!("has a clock that is {} s {direction}", words::number(figure));
        let mut finding = court.about_node(&node.name, summary, scene.now, levels);
        finding.value = Some(format!("{} s", words::number(figure)));
        finding.limit = limit(&settings, figure).map(|limit| format!("{} s", words::number(limit)));
        finding.before = None;
        finding.meaning = Some(
            "Its time service (chrony) does not work: `chronyc tracking` on it says more. Too far apart the nodes refuse each other."
                .to_owned(),
        );
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.node_end(raised, |_| Some("has the right time again".to_owned()))
}

/// What most clocks agree on. Of two the one nearer to the member that answered: that one's is the measure.
fn middle(mut ahead: Vec<i64>) -> i64 {
    if ahead.len() == 2 {
        return ahead.into_iter().min_by_key(|ahead| ahead.abs()).unwrap_or(0);
    }
    ahead.sort_unstable();
    ahead.get(ahead.len() / 2).copied().unwrap_or(0)
}
