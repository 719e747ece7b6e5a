//! `guest_memory`: a guest runs out of memory, where that can be known: without balloon data a VM's figure says nothing of its own use.

use super::defaults::{above, settings};
use super::scene::{Court, graded, limit};
use super::{Need, Rule, words};
use crate::memory::Raised;
use crate::model::{Guest, GuestKind, GuestState, fraction};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_memory",
        condition: "A guest uses so much of its memory; never a virtual machine without data from its balloon driver.",
        defaults: settings([None, Some(above(93.0, 88.0, 600, 300)), None], None, None),
        unit: "%",
    },
    needs: &[Need::Details],
    judge,
    ended,
};

/// The guest's own figures count while they are no older than this, in seconds.
pub(crate) const FRESH_S: u64 = 180;

/// Whether the poll's figure of a guest has to be checked with the guest: before version 9 it may be what the VM takes of its host.
pub(crate) fn is_doubtful(guest: &Guest) -> bool {
    guest.kind == GuestKind::Vm && guest.memory_of_host_bytes.is_none()
}

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let (scene, floor) = (&court.scene, court.floor());
    court.by_guest(|guest| {
        if guest.state != GuestState::Running {
            return None;
        }
        let Some(used) = guest.memory_fraction() else { return Some(None) };
        if used * 100.0 < floor {
            return None;
        }
        let settings = court.settings(&scene.guest_labels(guest))?;
        let used = if is_doubtful(guest) {
            let detail = scene.snapshot.slow.guests.get(&guest.vmid).map(|parts| &parts.detail);
            let detail = detail.and_then(|detail| scene.fresh(detail, FRESH_S));
            let sure = detail.and_then(|detail| fraction(detail.memory_bytes, detail.memory_total_bytes));
            let Some(sure) = sure else { return Some(None) };
            sure
        } else {
            used
        };
        let figure = used * 100.0;
        let levels = graded(&settings, figure)?;
        let summary = format!("uses {} of its memory", words::percent(figure));
        let mut finding = court.about_guest(guest, summary, scene.now, levels);
        finding.value = Some(words::percent(figure));
        finding.limit = limit(&settings, figure).map(words::percent);
        finding.meaning = Some(match guest.kind {
            GuestKind::Container => {
                "When it is full the kernel kills a program in it. Give it more memory, or see what takes it."
                    .to_owned()
            }
            GuestKind::Vm => "It will swap or kill programs. Give it more memory, or see what takes it.".to_owned(),
        });
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.guest_end(raised, |guest| {
        let figure = guest.memory_fraction()? * 100.0;
        // A figure that may hold what its host keeps for it says too much.
        let is_sure = !is_doubtful(guest) || figure < court.floor();
        is_sure.then(|| format!("is back to {} memory use", words::about(figure)))
    })
}
