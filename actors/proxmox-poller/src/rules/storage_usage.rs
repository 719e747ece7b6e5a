//! `storage_usage`: a storage is full, or will be within a day if it goes on growing as in the last hours. A shared storage is one.

use super::Rule;
use super::defaults::{above, settings};
use super::scene::{Case, Court, levels, limit, reading};
use super::words;
use crate::history::{Metric, Subject};
use crate::memory::Raised;
use crate::model::StorageState;
use crate::tools::words::{span, used_of};
use contract::alerts::{Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "storage_usage",
        condition: "A storage is so full; or, as a warning, it will be full within 24 hours if it goes on growing as steadily as in the last six.",
        defaults: settings(
            [None, Some(above(85.0, 82.0, 120, 120)), Some(above(95.0, 92.0, 60, 120))],
            None,
            Some(86_400),
        ),
        unit: "%",
    },
    needs: &[],
    judge,
    ended,
};

/// A storage that has this much left is not said to be full soon, whatever the line through its past says.
const ROOMY: f64 = 50.0;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for storage in &scene.snapshot.storages {
        let object = scene.storage_object(storage);
        let is_fresh = storage.figures_at == Some(scene.snapshot.taken_at) && storage.state == StorageState::Available;
        let Some(used) = storage.used_fraction().filter(|_| is_fresh) else {
            case.unseen.push(object);
            continue;
        };
        let figure = used * 100.0;
        if figure < court.floor().min(ROOMY) {
            continue;
        }
        let labels = scene.storage_labels(storage);
        let Some(settings) = court.settings(&labels) else { continue };
        let within_s = super::scene::seconds(settings.grace, 86_400);
        let subject = Subject::Named(storage.label().into());
        let full_in_s = match figure >= ROOMY {
            true => scene.history.steadily_full_in_s(Metric::StorageUsed, subject, scene.now),
            false => None,
        };
        let soon = match full_in_s {
            Some(seconds) if seconds < within_s => Reading::Raised,
            // A little further away than what raises, so that it does not flicker.
            Some(seconds) if seconds < within_s.saturating_add(within_s / 2) => Reading::Held,
            _ => Reading::Clear,
        };
        let read = levels(&settings, |severity, level| {
            let full = reading(level, figure);
            Some(if severity == Severity::Warning { worse(full, soon) } else { full })
        });
        if read.iter().all(|level| level.reading == Reading::Clear) {
            continue;
        }
        let is_full = settings.levels().any(|(_, level)| reading(level, figure) == Reading::Raised);
        let summary = match full_in_s.filter(|_| soon == Reading::Raised && !is_full) {
            Some(seconds) => format!("will be full in {} ({} now)", about(seconds), words::percent(figure)),
            None => format!("is {} full", words::percent(figure)),
        };
        let mut finding = court.finding(object, words::storage(storage), summary, scene.now, read);
        finding.labels = labels;
        finding.value = Some(match used_of(storage.used_bytes, storage.total_bytes) {
            Some(used) => format!("{} ({used})", words::percent(figure)),
            None => words::percent(figure),
        });
        finding.limit = limit(&settings, figure).filter(|_| is_full).map(words::percent);
        let grows = full_in_s.filter(|seconds| *seconds < 7 * 86_400);
        finding.meaning = Some(match grows {
            Some(seconds) => format!(
                "At the pace of the last hours it is full in {}; then its guests stop with errors. Find what grows, or remove old backups and snapshots.",
                about(seconds)
            ),
            None => {
                "When it is full its guests stop with errors and backups fail. Remove old backups, snapshots or disks."
                    .to_owned()
            }
        });
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let storage = scene.snapshot.storages.iter().find(|storage| scene.storage_object(storage) == raised.object);
    let Some(storage) = storage else { return Some("was removed or switched off".to_owned()) };
    let figure = words::about(storage.used_fraction()? * 100.0);
    Some(match raised.summary.starts_with("will be full") {
        true => format!("is no longer about to be full ({figure} now)"),
        false => format!("is back to {figure}"),
    })
}

/// A guess in whole hours, where it is hours.
fn about(seconds: u64) -> String {
    span(if seconds < 7200 { seconds } else { seconds / 3600 * 3600 })
}

fn worse(one: Reading, other: Reading) -> Reading {
    match (one, other) {
        (Reading::Raised, _) | (_, Reading::Raised) => Reading::Raised,
        (Reading::Held, _) | (_, Reading::Held) => Reading::Held,
        (Reading::Clear, Reading::Clear) => Reading::Clear,
    }
}
