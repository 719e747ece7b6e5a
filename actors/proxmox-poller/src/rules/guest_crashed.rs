//! `guest_crashed`: a guest that ran is stopped, and no task says that anybody wanted it; or it did not start after its node came back.

use super::defaults::{level, settings};
use super::scene::{Case, Court, GONE, raised_up_to, seconds};
use super::{Rule, words};
use crate::memory::{Raised, Stop, StopKind};
use crate::model::{Guest, GuestState};
use contract::alerts::{Judged, Severity};
use contract::monitor::{RuleInfo, RuleSettings};

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "guest_crashed",
        condition: "A guest that ran is stopped without a task that asked for it, or did not start after its node came back. Critical when it starts with its node or HA manages it. Not in the first minutes (grace) of its node.",
        defaults: settings([None, Some(level(20, 20)), Some(level(20, 20))], None, Some(300)),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

/// A guest that was shut down so shortly before its node restarted was shut down for that.
const FOR_RESTART_S: i64 = 900;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let mut case = Case::default();
    for (vmid, stop) in &scene.memory.stops {
        let Some(guest) = scene.snapshot.guest(*vmid).filter(|guest| !guest.is_template) else { continue };
        let object = scene.guest_object(guest);
        let is_back = stop.kind == StopKind::WithNode || was_stopped_for_restart(court, guest, stop);
        if guest.state == GuestState::Unknown {
            case.unseen.push(object);
            continue;
        }
        if !is_back && stop.kind != StopKind::ByItself {
            continue;
        }
        let Some(settings) = court.settings(&scene.guest_labels(guest)) else { continue };
        let grace_s = seconds(settings.grace, 300);
        // Somebody works on it, or its node is still starting its guests.
        if guest.lock.is_some() || scene.uptime_s(&guest.node).is_none_or(|uptime| uptime < grace_s) {
            case.unseen.push(object);
            continue;
        }
        case.findings.push(found(court, guest, stop, is_back, &settings));
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let Some(guest) = scene.guest_of(raised) else { return Some(GONE.to_owned()) };
    if guest.is_template {
        return Some("is a template now".to_owned());
    }
    match &guest.state {
        GuestState::Running if raised.labels.first("node").is_some_and(|node| *node != *guest.node) => {
            Some(format!("is running again on {}", guest.node))
        }
        GuestState::Running => Some("is running again".to_owned()),
        GuestState::Paused => Some("is paused now".to_owned()),
        // The task that explains a stop may be seen after the stop.
        GuestState::Stopped => {
            let stop = scene.memory.stops.get(&guest.vmid)?;
            match (stop.kind, &stop.task) {
                (StopKind::ByTask, Some(task)) => {
                    Some(format!("was stopped by {}, as a task shows", words::quoted(&task.doer())))
                }
                (StopKind::ForBackup, _) => Some("is stopped for a backup".to_owned()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn found(
    court: &Court<'_>,
    guest: &Guest,
    stop: &Stop,
    is_back: bool,
    settings: &RuleSettings,
) -> contract::alerts::Finding {
    let scene = &court.scene;
    let starts = scene.snapshot.slow.starts_with_node(guest.vmid);
    let is_managed = guest.ha_state.is_some();
    let worst = if starts == Some(true) || is_managed { Severity::Critical } else { Severity::Warning };
    let node = &guest.node;
    let (summary, meaning) = match (is_back, starts) {
        (true, Some(false)) => (
            format!("is still down after node {node} came back"),
            "It ran before, but is not set to start with its node (onboot). Start it if it is needed.".to_owned(),
        ),
        (true, _) => (
            format!("did not start after node {node} came back"),
            format!("Its start failed or was never tried. The tasks of {node} say more; start it by hand."),
        ),
        (false, _) => (
            if stop.is_unwatched {
                "stopped by itself while HAIA was not looking"
            } else {
                "crashed or was switched off from inside"
            }
            .to_owned(),
            format!(
                "No Proxmox task stopped it. {} The journal of {node} (out of memory?) and its own log say more.",
                if is_managed { "HA should start it again." } else { "Start it again if it is needed." }
            ),
        ),
    };
    let mut finding = court.about_guest(guest, summary, stop.since, raised_up_to(settings, worst));
    finding.meaning = Some(meaning);
    finding.causes = scene.causes_of_node(node);
    finding.causes.extend(guest.ran_on.as_ref().filter(|ran_on| *ran_on != node).map(|ran_on| scene.down(ran_on)));
    finding.causes.push(format!("restart_loop:{}", finding.object).into());
    finding
}

/// Whether a guest that starts with its node was shut down for the node's restart.
fn was_stopped_for_restart(court: &Court<'_>, guest: &Guest, stop: &Stop) -> bool {
    let (scene, snapshot) = (&court.scene, court.scene.snapshot);
    // What HAIA was told to stop is not for a restart.
    let is_own = stop.task.as_ref().is_some_and(|task| task.approved_by.is_some());
    if stop.kind != StopKind::ByTask || is_own || snapshot.slow.starts_with_node(guest.vmid) != Some(true) {
        return false;
    }
    let Some(uptime_s) = scene.uptime_s(&guest.node) else { return false };
    let booted_s = snapshot.server_now_s(scene.now) - i64::try_from(uptime_s).unwrap_or(i64::MAX);
    let asked_s = stop.task.as_ref().map_or_else(|| snapshot.server_s_at(stop.since), |task| task.started_s);
    (0..=FOR_RESTART_S).contains(&(booted_s - asked_s))
}
