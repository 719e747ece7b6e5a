//! `zfs_pool`: a ZFS pool has lost a disk, or a disk of it makes errors.

use super::defaults::{level, settings};
use super::scene::{Court, raised_up_to};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::{Judged, Severity};
use contract::monitor::RuleInfo;
use std::sync::Arc;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "zfs_pool",
        condition: "A ZFS pool is not ONLINE (critical), or a disk of it has counted errors (warning).",
        defaults: settings([None, Some(level(0, 0)), Some(level(0, 0))], None, None),
        unit: "",
    },
    needs: &[Need::Zfs],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 2400;
const DETAIL_FRESH_S: u64 = 7200;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    court.by_node("zfs/", |node, parts, case| {
        for pool in scene.fresh(&parts.zfs_pools, FRESH_S)? {
            let health = pool.health.as_deref().unwrap_or_default();
            let state = parts.zfs_states.get(&pool.name).and_then(|part| scene.fresh(part, DETAIL_FRESH_S));
            let ill = state.map_or(&[][..], |state| state.ill.as_slice());
            let errors: u64 = ill.iter().map(|disk| disk.errors).sum();
            let is_broken = !matches!(health, "ONLINE" | "");
            if !is_broken && errors == 0 {
                continue;
            }
            let mut labels = scene.node_labels(&node.name);
            labels.add("storage", Arc::clone(&pool.name));
            let Some(settings) = court.settings(&labels) else { continue };
            let worst = if is_broken { Severity::Critical } else { Severity::Warning };
            let object = scene.object(format_args!("node/{}/zfs/{}", node.name, pool.name));
            let subject = format!("ZFS pool {} on {}", pool.name, node.name);
            let summary = match is_broken {
                true => format!("is {}", words::quoted(health)),
                false => {
                    format!("has counted {}", words::count(usize::try_from(errors).unwrap_or(usize::MAX), "error"))
                }
            };
            let mut finding = court.finding(object, subject, summary, scene.now, raised_up_to(&settings, worst));
            finding.labels = labels;
            let told = |disk: &crate::decode::ZfsMember| match disk.errors {
                0 => format!("{} ({})", disk.name, disk.state),
                errors => format!(
                    "{} ({}, {})",
                    disk.name,
                    disk.state,
                    words::count(usize::try_from(errors).unwrap_or(usize::MAX), "error")
                ),
            };
            finding.affected = ill.iter().map(told).collect();
            finding.before = state.and_then(|state| state.scan.as_deref()).map(words::quoted);
            finding.meaning = Some(match is_broken {
                true => {
                    "A disk of it has failed or is gone. Replace it before another fails; `zpool status` shows which."
                        .to_owned()
                }
                false => {
                    "A disk or its cable gets bad. Run a scrub, watch the count, have a spare disk ready.".to_owned()
                }
            });
            case.findings.push(finding);
        }
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    court.node_parts_end(raised, |parts| {
        let name = raised.labels.first("storage")?;
        let pool = scene.fresh(&parts.zfs_pools, FRESH_S)?.iter().find(|pool| &*pool.name == name);
        Some(match pool {
            None => "was removed".to_owned(),
            Some(_) => "is healthy again".to_owned(),
        })
    })
}
