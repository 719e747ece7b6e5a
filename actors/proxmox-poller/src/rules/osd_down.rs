//! `osd_down`: storage daemons of Ceph that should run do not.

use super::defaults::{level, settings};
use super::scene::{Case, Court, raised};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "osd_down",
        condition: "Fewer of Ceph's storage daemons run than take data, or Ceph says OSD_DOWN.",
        defaults: settings([None, Some(level(120, 60)), None], None, None),
        unit: "",
    },
    needs: &[Need::Ceph],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 120;
/// A node needs so long after its boot to start its daemons, in seconds.
pub(super) const BOOT_S: u64 = 300;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let Some(ceph) = scene.fresh(&scene.snapshot.ceph, FRESH_S) else { return Vec::new() };
    let down = ceph.osds_in.zip(ceph.osds_up).map_or(0, |(taking, up)| taking.saturating_sub(up));
    let is_told = ceph.checks.iter().any(|check| &*check.code == "OSD_DOWN" && !check.is_muted);
    let is_muted = ceph.checks.iter().any(|check| &*check.code == "OSD_DOWN" && check.is_muted);
    if (down == 0 && !is_told) || is_muted {
        return court.cluster(None);
    }
    let Some(settings) = court.settings(&scene.cluster_labels()) else { return court.cluster(None) };
    let known = scene.fresh(&scene.snapshot.slow.osds, FRESH_S).map_or(&[][..], Vec::as_slice);
    let ill: Vec<_> = known.iter().filter(|osd| !osd.is_up).collect();
    // Daemons that are all on nodes that are away went with them; those of a node that has just booted are still being started.
    let is_of = |explains: &dyn Fn(&str) -> bool| match ill.is_empty() {
        true => scene.snapshot.nodes.iter().any(|node| explains(&node.name)),
        false => ill.iter().all(|osd| osd.host.as_deref().is_some_and(explains)),
    };
    let of_absence = is_of(&|name| scene.is_offline(name));
    if !of_absence && is_of(&|name| scene.is_offline(name) || scene.has_just_booted(name, BOOT_S)) {
        return vec![
            court.judged(scene.cluster(), Case { findings: Vec::new(), unseen: vec![scene.cluster().into()] }),
        ];
    }
    let names: Vec<String> = ill
        .iter()
        .map(|osd| match &osd.host {
            Some(host) => format!("{} on {host}", osd.name),
            None => osd.name.to_string(),
        })
        .collect();
    let many = (down as usize).max(ill.len()).max(1);
    let summary = match names.as_slice() {
        [] => format!("has {} down", words::count(many, "storage daemon")),
        names => format!("has {} down: {}", words::count(many, "storage daemon"), words::some_of(names, 3)),
    };
    let subject = format!("Ceph of {}", scene.cluster());
    let mut finding = court.finding(scene.cluster().into(), subject, summary, scene.now, raised(&settings));
    finding.labels = scene.cluster_labels();
    finding.value = ceph.osds_up.zip(ceph.osds).map(|(up, all)| format!("{up} of {all} up"));
    finding.affected = names;
    finding.meaning = Some(
        "A disk may have died. The journal of its node says why; Ceph copies its data elsewhere meanwhile.".to_owned(),
    );
    if of_absence {
        finding.causes = scene.causes_of_absence();
    }
    court.cluster(Some(finding))
}

fn ended(court: &Court<'_>, _: &Raised) -> Option<String> {
    let ceph = court.scene.fresh(&court.scene.snapshot.ceph, FRESH_S)?;
    let (up, all) = ceph.osds_up.zip(ceph.osds)?;
    Some(match usize::try_from(all.saturating_sub(up)).unwrap_or(0) {
        0 => format!("has all {} up again", words::count(all as usize, "storage daemon")),
        // One that is down for long is taken out; its data is copied elsewhere.
        out => format!("goes on without {}", words::count(out, "storage daemon")),
    })
}
