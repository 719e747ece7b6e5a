//! `restart_loop`: a guest crashes and starts again and again.

use super::Rule;
use super::defaults::{LOOP, settings};
use super::scene::{Case, Court, levels, seconds};
use crate::memory::{Raised, StopKind};
use crate::model::GuestState;
use crate::tools::words::span;
use contract::alerts::{Judged, Reading};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "restart_loop",
        condition: "A guest started or crashed so many times within the time (within) without anybody asking for it. It ends when that has not happened for a while (clear_for).",
        defaults: settings([None, None, Some(LOOP)], Some(1200), None),
        unit: "times",
    },
    needs: &[],
    judge,
    ended,
};

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for (vmid, starts) in &scene.memory.starts {
        let Some(guest) = scene.snapshot.guest(*vmid).filter(|guest| !guest.is_template) else { continue };
        if guest.state == GuestState::Unknown {
            case.unseen.push(scene.guest_object(guest));
            continue;
        }
        let Some(settings) = court.settings(&scene.guest_labels(guest)) else { continue };
        let within_s = seconds(settings.within, 1200);
        let now_s = scene.now.as_second();
        let recent = |within_s: u64| {
            let is_recent = |second: i64| u64::try_from(now_s - second).unwrap_or(0) < within_s;
            let crash = scene.memory.stops.get(vmid).filter(|stop| stop.kind == StopKind::ByItself);
            let crash = crash.is_some_and(|stop| is_recent(stop.since.as_second()));
            starts.iter().filter(|at| is_recent(at.as_second())).count() + usize::from(crash)
        };
        let times = recent(within_s);
        let mut read = levels(&settings, |_, level| {
            let quiet_s = seconds(level.clear_for, 600);
            let is_quiet = recent(quiet_s) == 0;
            Some(match level.above {
                Some(above) if times as f64 >= above && !is_quiet => Reading::Raised,
                _ if is_quiet => Reading::Clear,
                _ => Reading::Held,
            })
        });
        // The quiet time is in the reading already.
        read.iter_mut().for_each(|level| level.clear_for = std::time::Duration::ZERO);
        if read.iter().all(|level| level.reading == Reading::Clear) {
            continue;
        }
        let since = starts.first().copied().unwrap_or(scene.now);
        let summary = format!("keeps restarting ({times} times in {})", span(within_s));
        let mut finding = court.about_guest(guest, summary, since, read);
        finding.meaning = Some(
            "It crashes and is started again. Look at its console and log; stop it if it harms others meanwhile."
                .to_owned(),
        );
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    court.guest_end(raised, |_| Some("runs steadily again".to_owned()))
}
