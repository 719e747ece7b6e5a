//! `disk_health`: SMART says that a disk fails, or it is nearly worn out.

use super::defaults::{below, settings};
use super::scene::{Court, levels, limit, reading};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::{Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "disk_health",
        condition: "SMART does not pass a disk (critical), or so little of its life is left.",
        defaults: settings([None, Some(below(10.0, 10.0, 0, 0)), Some(below(3.0, 3.0, 0, 0))], None, None),
        unit: "%",
    },
    needs: &[Need::Disks],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 3 * 3600;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    court.by_node("disk/", |node, parts, case| {
        for disk in scene.fresh(&parts.disks, FRESH_S)? {
            let health = disk.health.as_deref().unwrap_or("UNKNOWN");
            let is_ill = !matches!(health, "PASSED" | "OK" | "UNKNOWN" | "");
            let labels = scene.node_labels(&node.name);
            let Some(settings) = court.settings(&labels) else { continue };
            let read = levels(&settings, |severity, level| {
                let worn = disk.life_left_percent.map_or(Reading::Clear, |left| reading(level, left));
                Some(if is_ill && severity >= Severity::Warning { Reading::Raised } else { worn })
            });
            if read.iter().all(|level| level.reading == Reading::Clear) {
                continue;
            }
            let name = disk.device.strip_prefix("/dev/").unwrap_or(&disk.device);
            let object = scene.object(format_args!("node/{}/disk/{name}", node.name));
            let subject = format!("disk {name} on {}", node.name);
            let left = disk.life_left_percent;
            let summary = match (is_ill, left) {
                (false, Some(left)) => format!("has {} of its life left", words::percent(left)),
                _ => format!("fails (SMART: {})", words::quoted(health)),
            };
            let mut finding = court.finding(object, subject, summary, scene.now, read);
            finding.labels = labels;
            finding.value = left.filter(|_| !is_ill).map(words::percent);
            finding.limit = left.filter(|_| !is_ill).and_then(|left| limit(&settings, left)).map(words::percent);
            finding.meaning = Some("Replace it soon, and see that backups of what is on it are fresh.".to_owned());
            let facts = [("model", &disk.model), ("serial", &disk.serial), ("used for", &disk.used_for)];
            finding.facts = facts
                .into_iter()
                .filter_map(|(label, text)| {
                    Some(contract::alerts::Fact { label: label.into(), text: words::quoted(text.as_deref()?) })
                })
                .collect();
            case.findings.push(finding);
        }
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    court.node_parts_end(raised, |parts| {
        let (_, name) = raised.object.split_once("/disk/")?;
        let of_name = |device: &str| device.strip_prefix("/dev/").unwrap_or(device) == name;
        let Some(disk) = scene.fresh(&parts.disks, FRESH_S)?.iter().find(|disk| of_name(&disk.device)) else {
            return Some("was taken out".to_owned());
        };
        Some(match (disk.health.as_deref().unwrap_or("UNKNOWN"), disk.life_left_percent) {
            (_, Some(left)) if !raised.summary.starts_with("fails") => {
                format!("has {} of its life again", words::percent(left))
            }
            ("PASSED" | "OK", _) => "passes SMART again".to_owned(),
            _ => "no longer fails".to_owned(),
        })
    })
}
