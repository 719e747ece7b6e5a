//! `node_cpu`: a node's processors are busy.

use super::Rule;
use super::defaults::{above, settings};
use super::scene::{Case, Court, graded, limit};
use super::words;
use crate::memory::Raised;
use crate::model::NodeState;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "node_cpu",
        condition: "A node's processors are used so much, of all its threads.",
        defaults: settings([None, Some(above(90.0, 80.0, 600, 600)), None], None, None),
        unit: "%",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let floor = court.floor();
    let mut case = Case::default();
    for node in &scene.snapshot.nodes {
        let Some(cpu) =
            node.cpu.filter(|_| node.state == NodeState::Online && node.figures_at == Some(scene.snapshot.taken_at))
        else {
            case.unseen.push(scene.node_object(&node.name));
            continue;
        };
        let figure = cpu * 100.0;
        if figure < floor {
            continue;
        }
        let Some(settings) = court.settings(&scene.node_labels(&node.name)) else { continue };
        let Some(levels) = graded(&settings, figure) else { continue };
        let summary = format!("uses {} of its processors", words::percent(figure));
        let mut finding = court.about_node(&node.name, summary, scene.now, levels);
        finding.value = Some(words::percent(figure));
        finding.limit = limit(&settings, figure).map(words::percent);
        let busiest = scene
            .guests()
            .filter(|guest| guest.node == node.name && guest.state == crate::model::GuestState::Running)
            .max_by(|a, b| load(a).total_cmp(&load(b)));
        finding.meaning = Some(match busiest.filter(|guest| load(guest) >= 0.5) {
            Some(guest) => format!("All guests on it get slow. {} takes the most.", guest.label()),
            None => "All guests on it get slow. No guest takes much: it is the node itself.".to_owned(),
        });
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.node_end(raised, |node| Some(format!("is back to {} processor use", words::about(node.cpu? * 100.0))))
}

/// Processors that a guest keeps busy.
fn load(guest: &crate::model::Guest) -> f64 {
    guest.cpu.unwrap_or(0.0) * guest.cpus.unwrap_or(1.0)
}
