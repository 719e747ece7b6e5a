//! `thin_metadata`: the metadata of an LVM thin pool fills up. When it is full the pool stops, whatever space is left.

use super::defaults::{above, settings};
use super::scene::{Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::fraction;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "thin_metadata",
        condition: "The metadata of an LVM thin pool is so full.",
        defaults: settings([None, Some(above(80.0, 75.0, 0, 0)), Some(above(90.0, 85.0, 0, 0))], None, None),
        unit: "%",
    },
    needs: &[Need::ThinPools],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 2400;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    court.by_node("thin/", |node, parts, case| {
        for pool in scene.fresh(&parts.thin_pools, FRESH_S)? {
            let Some(used) = fraction(pool.metadata_used_bytes, pool.metadata_bytes) else { continue };
            let figure = used * 100.0;
            let mut labels = scene.node_labels(&node.name);
            labels.add("storage", std::sync::Arc::clone(&pool.name));
            let Some(settings) = court.settings(&labels) else { continue };
            let Some(levels) = graded(&settings, figure) else { continue };
            let group = pool.volume_group.as_deref().unwrap_or("-");
            let object = scene.object(format_args!("node/{}/thin/{group}/{}", node.name, pool.name));
            let subject = format!("thin pool {} on {}", pool.name, node.name);
            let summary = format!("has metadata that is {} full", words::percent(figure));
            let mut finding = court.finding(object, subject, summary, scene.now, levels);
            finding.labels = labels;
            finding.value = Some(words::percent(figure));
            finding.limit = limit(&settings, figure).map(words::percent);
            finding.meaning = Some(format!(
                "When it is full the pool stops, whatever space is left. `lvextend --poolmetadatasize +1G {group}/{}` gives it more.",
                pool.name
            ));
            case.findings.push(finding);
        }
        Some(())
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    court.node_parts_end(raised, |parts| {
        let name = raised.labels.first("storage")?;
        let pools = scene.fresh(&parts.thin_pools, FRESH_S)?;
        let of_object = |group: &str| raised.object.ends_with(&format!("/thin/{group}/{name}"));
        let pool =
            pools.iter().find(|pool| &*pool.name == name && of_object(pool.volume_group.as_deref().unwrap_or("-")));
        let Some(pool) = pool else { return Some("was removed".to_owned()) };
        let used = fraction(pool.metadata_used_bytes, pool.metadata_bytes)?;
        Some(format!("is back to {} metadata use", words::about(used * 100.0)))
    })
}
