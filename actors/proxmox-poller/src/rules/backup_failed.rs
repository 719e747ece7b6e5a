//! `backup_failed`: a backup run failed. One finding per run, with the guests that its log names; over when each has a newer backup.

use super::defaults::{level, settings};
use super::scene::{Case, Court, raised};
use super::{Need, Rule, words};
use crate::memory::{FailedBackup, Raised};
use contract::alerts::{Fact, Judged};
use contract::monitor::RuleInfo;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "backup_failed",
        condition: "A backup run ended with an error; over with the next good one of the same guests.",
        defaults: settings([None, Some(level(0, 0)), None], None, None),
        unit: "",
    },
    needs: &[Need::BackupRuns, Need::BackupLogs],
    judge,
    ended,
};

/// So long its log is waited for before it is told without the guests, in seconds.
const PATIENCE_S: i64 = 60;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let now_s = scene.snapshot.server_now_s(scene.now);
    let mut case = Case::default();
    for (key, failed) in scene.memory.failed_backups.iter().filter(|(_, failed)| !failed.is_over) {
        let object = scene.object(format_args!("task/vzdump/{key}"));
        if !failed.is_read && now_s - failed.ended_s < PATIENCE_S {
            case.unseen.push(object);
            continue;
        }
        // The settings are those of its guests: a run is left alone when all of them are.
        let of_guests: Vec<_> = failed
            .guests
            .iter()
            .filter_map(|(vmid, _)| scene.snapshot.guest(*vmid))
            .map(|guest| court.settings(&scene.guest_labels(guest)).is_some())
            .collect();
        let mut labels = scene.node_labels(&failed.node);
        labels.add("kind", "vzdump");
        let Some(settings) = court.settings(&labels) else { continue };
        if !of_guests.is_empty() && of_guests.iter().all(|is_watched| !is_watched) {
            continue;
        }
        for (vmid, _) in &failed.guests {
            labels.add("vmid", vmid.to_string());
            if let Some(name) = scene.snapshot.guest(*vmid).and_then(|guest| guest.name.clone()) {
                labels.add("name", name);
            }
        }
        let names: Vec<String> = failed.guests.iter().map(|(vmid, _)| words::guest(scene, *vmid)).collect();
        let subject = match (names.as_slice(), key.parse::<u32>()) {
            ([one], _) => format!("backup of {one}"),
            ([], Ok(vmid)) => format!("backup of {}", words::guest(scene, vmid)),
            _ => format!("backup on {}", failed.node),
        };
        let summary = if names.len() > 1 {
            format!("failed for {}", words::count(names.len(), "guest"))
        } else {
            "failed".to_owned()
        };
        let since = scene.snapshot.haia_time(failed.ended_s);
        let mut finding = court.finding(object, subject, summary, since, raised(&settings));
        finding.labels = labels;
        finding.before = Some(words::quoted(why(failed)));
        finding.meaning = Some(meaning(why(failed)).to_owned());
        finding.affected = names;
        finding.facts = failed
            .guests
            .iter()
            .map(|(vmid, why)| Fact { label: vmid.to_string().into(), text: words::quoted(why) })
            .chain([Fact { label: "task".into(), text: failed.upid.to_string() }])
            .collect();
        finding.causes = scene.causes_of_node(&failed.node);
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let key = raised.object.rsplit('/').next()?;
    let failed = scene.memory.failed_backups.get(key).filter(|failed| failed.is_over)?;
    let is_gone =
        !failed.guests.is_empty() && failed.guests.iter().all(|(vmid, _)| scene.snapshot.guest(*vmid).is_none());
    Some(if is_gone { "has no guest left to back up" } else { "has succeeded again" }.to_owned())
}

/// What says most about a failure.
fn why(failed: &FailedBackup) -> &str {
    let of_guest = failed.guests.first().map(|(_, why)| &**why).filter(|why| !why.is_empty());
    of_guest.or(failed.reason.as_deref()).unwrap_or(&failed.error)
}

fn meaning(why: &str) -> &'static str {
    let lower = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["no space", "quota", "full"]) {
        "The storage for backups is full: remove old backups or keep fewer."
    } else if has(&["timeout", "timed out", "connection", "unreachable", "no route", "not online"]) {
        "The storage for backups did not answer. Look at its server and the network to it."
    } else if has(&["lock"]) {
        "The guest was locked, perhaps by an earlier backup that was cut off."
    } else if has(&["interrupt", "signal", "abort"]) {
        "It was cut off before its end. Run it again."
    } else {
        "The newest backup is older than it should be until the next run succeeds. The task's log says more."
    }
}
