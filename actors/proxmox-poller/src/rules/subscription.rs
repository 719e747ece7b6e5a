//! `subscription`: a node has no valid subscription. Off until it is switched on: most homelabs have none.

use super::defaults::{level, off};
use super::scene::{Court, raised};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "subscription",
        condition: "A node has no active subscription. Off by default.",
        defaults: off(level(0, 0)),
        unit: "",
    },
    needs: &[Need::Subscriptions],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 3 * 86_400;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    court.by_node("subscription", |node, parts, case| {
        let told = scene.fresh(&parts.subscription, FRESH_S)?;
        let labels = scene.node_labels(&node.name);
        let settings = court.settings(&labels).filter(|_| !matches!(&*told.status, "active" | "new" | ""));
        let Some(settings) = settings else { return Some(()) };
        let object = scene.object(format_args!("node/{}/subscription", node.name));
        let summary = match &*told.status {
            "notfound" => "has no subscription".to_owned(),
            status => format!("has a subscription that is {}", words::quoted(status)),
        };
        let mut finding = court.finding(object, format!("node {}", node.name), summary, scene.now, raised(&settings));
        finding.labels = labels;
        finding.meaning = Some("It gets no packages from the enterprise repository.".to_owned());
        case.findings.push(finding);
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let is_member = court.scene.snapshot.node(raised.labels.first("node")?).is_some();
    Some(if is_member { "has an active subscription" } else { super::scene::GONE }.to_owned())
}
