//! `ceph_health`: Ceph complains. What is muted is not told; what a node's absence explains is told inside that.

use super::defaults::{level, settings};
use super::scene::{Case, Court, levels};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::CephStatus;
use contract::alerts::{Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "ceph_health",
        condition: "Ceph's health is HEALTH_WARN or HEALTH_ERR, muted checks aside.",
        defaults: settings([None, Some(level(600, 120)), Some(level(30, 60))], None, None),
        unit: "",
    },
    needs: &[Need::Ceph],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 120;
/// What the absence of a node or daemon brings about.
const BY_ABSENCE: [&str; 12] = [
    "OSD_DOWN",
    "OSD_HOST_DOWN",
    "OSD_ROOT_DOWN",
    "OSD_RACK_DOWN",
    "MON_DOWN",
    "MGR_DOWN",
    "PG_DEGRADED",
    "PG_AVAILABILITY",
    "OBJECT_UNFOUND",
    "OBJECT_MISPLACED",
    "MDS_INSUFFICIENT_STANDBY",
    "OSDMAP_FLAGS",
];

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let Some(ceph) = scene.fresh(&scene.snapshot.ceph, FRESH_S) else { return Vec::new() };
    let Some(worst) = worst(ceph) else { return court.cluster(None) };
    let Some(settings) = court.settings(&scene.cluster_labels()) else { return court.cluster(None) };
    let complaints: Vec<_> = ceph.checks.iter().filter(|check| !check.is_muted).collect();
    let is_by_absence = !complaints.is_empty() && complaints.iter().all(|check| BY_ABSENCE.contains(&&*check.code));
    // What a node left behind is mended while it starts its daemons.
    let mut nodes = scene.snapshot.nodes.iter();
    if is_by_absence && nodes.any(|node| scene.has_just_booted(&node.name, super::osd_down::BOOT_S)) {
        return vec![
            court.judged(scene.cluster(), Case { findings: Vec::new(), unseen: vec![scene.cluster().into()] }),
        ];
    }
    let read = levels(&settings, |severity, _| Some(if severity <= worst { Reading::Raised } else { Reading::Clear }));
    let told: Vec<String> = complaints.iter().map(|check| words::quoted(&check.message)).collect();
    let is_error = worst == Severity::Critical;
    let summary = match told.first() {
        Some(first) => format!("{}: {first}", if is_error { "has an error" } else { "has a warning" }),
        None => format!("is {}", words::quoted(&ceph.health)),
    };
    let subject = format!("Ceph of {}", scene.cluster());
    let mut finding = court.finding(scene.cluster().into(), subject, summary, scene.now, read);
    finding.labels = scene.cluster_labels();
    finding.value = Some(if is_error { "HEALTH_ERR" } else { "HEALTH_WARN" }.to_owned());
    finding.facts = complaints
        .iter()
        .map(|check| contract::alerts::Fact { label: check.code.as_ref().into(), text: words::quoted(&check.message) })
        .collect();
    finding.meaning = Some(
        if is_error {
            "Data may be unavailable or at risk. `ceph health detail` on a node says what to do."
        } else {
            "Ceph works, with less safety than it should have. `ceph health detail` on a node says more."
        }
        .to_owned(),
    );
    if is_by_absence {
        finding.causes = scene.causes_of_absence();
        if !is_error {
            finding.causes.push(format!("osd_down:{}", scene.cluster()).into());
        }
    }
    court.cluster(Some(finding))
}

fn ended(court: &Court<'_>, _: &Raised) -> Option<String> {
    let ceph = court.scene.fresh(&court.scene.snapshot.ceph, FRESH_S).filter(|ceph| worst(ceph).is_none())?;
    let is_muted = ceph.checks.iter().any(|check| check.is_muted);
    Some(if is_muted { "is healthy but for muted checks" } else { "is healthy again" }.to_owned())
}

/// How bad it is, muted checks aside.
fn worst(ceph: &CephStatus) -> Option<Severity> {
    let severity = |word: &str| match word {
        "HEALTH_ERR" => Some(Severity::Critical),
        "HEALTH_WARN" => Some(Severity::Warning),
        _ => None,
    };
    match ceph.checks.is_empty() {
        true => severity(&ceph.health),
        false => ceph.checks.iter().filter(|check| !check.is_muted).filter_map(|check| severity(&check.severity)).max(),
    }
}
