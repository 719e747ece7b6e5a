//! `guest_lock_stuck`: a lock is on a guest, and nothing runs that would take it away.

use super::Rule;
use super::defaults::{level, settings};
use super::scene::{Court, raised};
use super::words;
use crate::memory::Raised;
use crate::model::{Guest, TaskState};
use contract::alerts::Judged;
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_lock_stuck",
        condition: "A guest is locked while no task runs that is about it. A backup's lock counts after a longer time (grace).",
        defaults: settings([None, Some(level(1800, 0)), None], None, Some(21_600)),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    court.by_guest(|guest| {
        let lock = guest.lock.as_deref()?;
        // A guest that sleeps on disk is locked for as long as it sleeps.
        if matches!(lock, "suspended") || has_task(court, guest, lock) {
            return None;
        }
        let scene = &court.scene;
        let settings = court.settings(&scene.guest_labels(guest))?;
        let mut levels = raised(&settings);
        if let Some(grace) = settings.grace.filter(|_| lock == "backup") {
            levels.iter_mut().for_each(|level| level.raise_for = grace.0);
        }
        let mut finding = court.about_guest(guest, format!("is locked ({})", words::quoted(lock)), scene.now, levels);
        finding.meaning = Some(format!(
            "Nothing that runs would take the lock away: what set it was cut off. If that is so, `{} unlock {}` on {} frees it.",
            if guest.kind == crate::model::GuestKind::Vm { "qm" } else { "pct" },
            guest.vmid,
            guest.node
        ));
        finding.causes = scene.causes_of_node(&guest.node);
        Some(Some(finding))
    })
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let Some(guest) = court.scene.guest_of(raised) else { return Some(super::scene::GONE.to_owned()) };
    Some(match &guest.lock {
        None => "is unlocked".to_owned(),
        Some(lock) if has_task(court, guest, lock) => "has a task at work again".to_owned(),
        Some(lock) => format!("has another lock now ({})", words::quoted(lock)),
    })
}

/// Whether a task runs that is about the guest; a backup of all guests is about each.
fn has_task(court: &Court<'_>, guest: &Guest, lock: &str) -> bool {
    court.scene.snapshot.tasks.iter().any(|task| {
        task.state == TaskState::Running
            && (task.vmid() == Some(guest.vmid)
                || (task.id.is_empty() && task.node == guest.node && lock == "backup" && &*task.kind == "vzdump"))
    })
}
