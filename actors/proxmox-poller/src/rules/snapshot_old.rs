//! `snapshot_old`: a guest has old snapshots. They grow and slow it down; mostly they were forgotten.

use super::defaults::{above, settings};
use super::scene::{Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "snapshot_old",
        condition: "A guest has a snapshot that is so old.",
        defaults: settings([Some(above(30.0, 30.0, 0, 0)), None, None], None, None),
        unit: "days",
    },
    needs: &[Need::Snapshots],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 3 * 86_400;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let (scene, floor) = (&court.scene, court.floor());
    court.by_guest(|guest| {
        let part = scene.snapshot.slow.guests.get(&guest.vmid).map(|parts| &parts.snapshots);
        let Some(points) = part.and_then(|part| scene.fresh(part, FRESH_S)) else { return Some(None) };
        let oldest = points.iter().find(|point| point.created_s.is_some())?;
        let age_s = scene.snapshot.seconds_since_s(oldest.created_s?, scene.now);
        let figure = age_s as f64 / 86_400.0;
        if figure < floor {
            return None;
        }
        let settings = court.settings(&scene.guest_labels(guest))?;
        let levels = graded(&settings, figure)?;
        let age = words::days(i64::try_from(age_s).unwrap_or(i64::MAX));
        let summary = format!("has a snapshot that is {age} old");
        let mut finding = court.about_guest(guest, summary, scene.now, levels);
        finding.value = Some(age);
        finding.limit = limit(&settings, figure).map(|days| format!("{} days", words::number(days)));
        finding.before = None;
        finding.meaning =
            Some(format!("\"{}\" takes space that grows. Remove it if it is not needed.", words::quoted(&oldest.name)));
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let guest = court.scene.guest_of(raised);
    Some(if guest.is_some() { "has no old snapshot any more" } else { super::scene::GONE }.to_owned())
}
