//! `ha_error`: high availability gave up on a guest, recovers one for too long, or its manager on a node hangs.

use super::defaults::{level, settings};
use super::scene::{Case, Court, raised, seconds};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::GuestState;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;
use std::time::Duration;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "ha_error",
        condition: "A service of HA is in the state error or fence, or for a while (grace) in recovery; or HA's manager on a node has not shown itself for a while (within).",
        defaults: settings([None, None, Some(level(0, 30))], Some(120), Some(300)),
        unit: "",
    },
    needs: &[Need::Ha],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 90;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let Some(ha) = scene.fresh(&scene.snapshot.ha, FRESH_S) else { return Vec::new() };
    let mut case = Case::default();
    for resource in &ha.resources {
        let (summary, meaning) = match &*resource.state {
            "error" => (
                "was given up by HA",
                "HA tried and failed too often. Find out why it does not start, then disable and enable it in HA.",
            ),
            "fence" => (
                "is fenced by HA",
                "Its node is lost; HA makes sure that it is off before it starts the guest elsewhere.",
            ),
            "recovery" => (
                "finds no node to run on",
                "HA looks for a node that can take it and finds none: too little room, or storage that is only local.",
            ),
            _ => continue,
        };
        let Some(guest) = resource.vmid().and_then(|vmid| scene.snapshot.guest(vmid)) else { continue };
        let Some(settings) = court.settings(&scene.guest_labels(guest)) else { continue };
        let mut levels = raised(&settings);
        if &*resource.state == "recovery" {
            let grace = Duration::from_secs(seconds(settings.grace, 300));
            levels.iter_mut().for_each(|level| level.raise_for = level.raise_for.max(grace));
        }
        let mut finding = court.about_guest(guest, summary, scene.now, levels);
        finding.value = Some(format!("HA says {}", words::quoted(&resource.state)));
        finding.meaning = Some(meaning.to_owned());
        if &*resource.state != "error" || guest.state == GuestState::Unknown {
            finding.causes = scene.causes_of_absence();
            finding.causes.extend(resource.node.as_ref().map(|node| scene.down(node)));
        }
        case.findings.push(finding);
    }
    for manager in ha.managers.iter().filter(|manager| manager.status.contains("old timestamp - dead?")) {
        let Some(node) = &manager.node else { continue };
        let Some(settings) = court.settings(&scene.node_labels(node)) else { continue };
        let mut levels = raised(&settings);
        let within = Duration::from_secs(seconds(settings.within, 120));
        levels.iter_mut().for_each(|level| level.raise_for = level.raise_for.max(within));
        let mut finding = court.about_node(node, "has a dead HA manager", scene.now, levels);
        finding.value = Some(words::quoted(&manager.status));
        finding.meaning = Some(
            "HA cannot control the guests of this node. If the node itself is well, restart its service pve-ha-lrm."
                .to_owned(),
        );
        finding.causes = scene.causes_of_node(node);
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    if raised.labels.first("vmid").is_none() {
        return Some("has a working HA manager again".to_owned());
    }
    let Some(guest) = scene.guest_of(raised) else { return Some(super::scene::GONE.to_owned()) };
    let ha = scene.fresh(&scene.snapshot.ha, FRESH_S)?;
    let resource = ha.resources.iter().find(|resource| resource.vmid() == Some(guest.vmid));
    Some(match resource.map(|resource| &*resource.state) {
        Some("started") if guest.state == GuestState::Running => "is running under HA again".to_owned(),
        Some("started") => "is started by HA again".to_owned(),
        Some("stopped" | "request_stop") => "is stopped in HA".to_owned(),
        Some("disabled" | "ignored") | None => "is not managed by HA any more".to_owned(),
        Some(state) => format!("has left that state in HA ({})", words::quoted(state)),
    })
}
