//! `guest_disk`: a container's root file system fills up. The cluster does not know this of virtual machines.

use super::Rule;
use super::defaults::{above, settings};
use super::scene::{Court, graded, limit};
use super::words;
use crate::memory::Raised;
use crate::model::GuestState;
use crate::tools::words::used_of;
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_disk",
        condition: "A container's root file system is so full.",
        defaults: settings([None, Some(above(90.0, 87.0, 120, 120)), Some(above(95.0, 92.0, 120, 120))], None, None),
        unit: "%",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let (scene, floor) = (&court.scene, court.floor());
    court.by_guest(|guest| {
        if guest.state != GuestState::Running {
            return None;
        }
        let figure = guest.disk_fraction()? * 100.0;
        if figure < floor {
            return None;
        }
        let settings = court.settings(&scene.guest_labels(guest))?;
        let levels = graded(&settings, figure)?;
        let summary = format!("has a root disk that is {} full", words::percent(figure));
        let mut finding = court.about_guest(guest, summary, scene.now, levels);
        finding.value = Some(match used_of(guest.disk_bytes, guest.disk_total_bytes) {
            Some(used) => format!("{} ({used})", words::percent(figure)),
            None => words::percent(figure),
        });
        finding.limit = limit(&settings, figure).map(words::percent);
        finding.meaning =
            Some("When it is full its services stop. Clear space in it, or make its disk larger.".to_owned());
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.guest_end(raised, |guest| {
        let figure = guest.disk_fraction()? * 100.0;
        Some(format!("has room again: its root disk is {} full", words::about(figure)))
    })
}
