//! `guest_cpu`: a guest's processors are busy, and that is unusual for it.

use super::Rule;
use super::defaults::{above, settings};
use super::scene::{Court, graded, limit};
use super::words;
use crate::history::{Metric, Subject};
use crate::memory::Raised;
use crate::model::GuestState;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_cpu",
        condition: "A guest uses so much of its own processors; not during a backup, and not where its median of seven days is 80 % or more.",
        defaults: settings([None, Some(above(90.0, 80.0, 900, 600)), None], None, None),
        unit: "%",
    },
    needs: &[],
    judge,
    ended,
};

/// A guest whose median is so high is busy by nature.
const BUSY: f64 = 0.8;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let (scene, floor) = (&court.scene, court.floor());
    court.by_guest(|guest| {
        let figure = guest.cpu.filter(|_| guest.state == GuestState::Running)? * 100.0;
        if figure < floor {
            return None;
        }
        let settings = court.settings(&scene.guest_labels(guest))?;
        if guest.lock.as_deref() == Some("backup") {
            return Some(None);
        }
        let levels = graded(&settings, figure)?;
        let median = scene.history.week_median(Metric::GuestCpu, Subject::Guest(guest.vmid), scene.now);
        if median.is_some_and(|median| median >= BUSY) {
            return None;
        }
        let summary = format!("uses {} of its processors", words::percent(figure));
        let mut finding = court.about_guest(guest, summary, scene.now, levels);
        finding.value = Some(words::percent(figure));
        finding.limit = limit(&settings, figure).map(words::percent);
        finding.meaning = Some(match median {
            Some(median) => format!(
                "It usually uses {}. Something in it runs hot, or it has more to do than usual.",
                words::percent(median * 100.0)
            ),
            None => "Something in it runs hot, or it has too few processors for its work.".to_owned(),
        });
        finding.causes = vec![format!("node_cpu:{}", scene.node_object(&guest.node)).into()];
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.guest_end(raised, |guest| {
        let figure = guest.cpu? * 100.0;
        let is_busy = court.settings(&raised.labels).is_some_and(|settings| graded(&settings, figure).is_some());
        Some(match is_busy {
            true => "is as busy as usual".to_owned(),
            false => format!("is back to {} processor use", words::about(figure)),
        })
    })
}
