//! `guest_stopped`: somebody stopped a guest. Good to know; a warning only for guests with the tag `always-on`.

use super::defaults::{level, settings};
use super::scene::{Case, Court, levels, seconds};
use super::{Rule, words};
use crate::memory::{Raised, StopKind};
use crate::model::{GuestState, seconds_between};
use contract::alerts::{Judged, Reading, Severity};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_stopped",
        condition: "A user or job stopped a guest within the last minutes (within). A warning for guests with the tag always-on, for as long as they are stopped.",
        defaults: settings([Some(level(0, 0)), Some(level(0, 0)), None], Some(600), None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

/// The tag of guests that are meant to run always.
const ALWAYS_ON: &str = "always-on";
/// A stop whose task brings the guest up again is none, unless it lasts longer than this, in seconds.
const BRIEF_S: u64 = 180;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for (vmid, stop) in scene.memory.stops.iter().filter(|(_, stop)| stop.kind == StopKind::ByTask) {
        let Some(guest) = scene.snapshot.guest(*vmid).filter(|guest| !guest.is_template) else { continue };
        if guest.state == GuestState::Unknown {
            case.unseen.push(scene.guest_object(guest));
            continue;
        }
        let Some(task) = &stop.task else { continue };
        let stopped_s = seconds_between(stop.since, scene.now);
        let comes_back = !matches!(
            &*task.kind,
            "qmstop" | "vzstop" | "qmshutdown" | "vzshutdown" | "hastop" | "qmsuspend" | "vzsuspend"
        );
        if comes_back && stopped_s < BRIEF_S {
            continue;
        }
        let Some(settings) = court.settings(&scene.guest_labels(guest)) else { continue };
        // What is shut down with its whole node is the node's matter, and told when it does not come back with it.
        let is_always_on = guest.tags.iter().any(|tag| tag.eq_ignore_ascii_case(ALWAYS_ON))
            && !was_stopped_with_all(court, &guest.node, task.started_s);
        let is_recent = stopped_s < seconds(settings.within, 600);
        if !is_recent && (!is_always_on || task.approved_by.is_some()) {
            continue;
        }
        let read = levels(&settings, |severity, _| match severity {
            Severity::Info => Some(if is_recent { Reading::Raised } else { Reading::Clear }),
            // A person approved it: that it is meant to run always was known then.
            _ => (is_always_on && task.approved_by.is_none()).then_some(Reading::Raised),
        });
        let user = words::quoted(&task.doer());
        let mut finding =
            court.about_guest(guest, format!("was stopped by {user} ({})", words::deed(&task.kind)), stop.since, read);
        finding.meaning = Some(match is_always_on && task.approved_by.is_none() {
            true => format!("Its tag says that it is meant to run always. Ask {user}, or start it again."),
            false => "Somebody asked for it; there is nothing to do.".to_owned(),
        });
        // The summary says who and how.
        finding.before = None;
        finding.causes = scene.causes_of_node(&guest.node);
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let is_stopped = court.scene.guest_of(raised).is_some_and(|guest| guest.state == GuestState::Stopped);
    if is_stopped { None } else { court.guest_end(raised, |_| Some("is running again".to_owned())) }
}

/// Whether all guests of the node were shut down at that time.
fn was_stopped_with_all(court: &Court<'_>, node: &str, started_s: i64) -> bool {
    court.scene.snapshot.tasks.iter().any(|task| {
        &*task.kind == "stopall"
            && &*task.node == node
            && (task.started_s - 5..=task.ended_s.unwrap_or(i64::MAX).saturating_add(5)).contains(&started_s)
    })
}
