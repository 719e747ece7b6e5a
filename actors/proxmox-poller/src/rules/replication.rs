//! `replication`: a replication job fails, or has not succeeded for long.

use super::defaults::{REPLICATION, settings};
use super::scene::{Case, Court, levels, reading, seconds};
use super::{Need, Rule, schedule, words};
use crate::memory::Raised;
use crate::tools::words::span;
use contract::alerts::{Judged, Reading};
use contract::monitor::RuleInfo;
use std::sync::Arc;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "replication",
        condition: "A replication job failed so many times in a row, or last succeeded longer than three of its periods and the extra time (grace) ago.",
        defaults: settings([None, Some(REPLICATION), None], None, Some(600)),
        unit: "times",
    },
    needs: &[Need::Replication],
    judge,
    ended,
};

/// Counts while it is no older than this, in seconds.
const FRESH_S: u64 = 900;
/// A job without a schedule runs every quarter of an hour.
const USUAL_S: u64 = 900;
/// So many periods without a success are too many.
const PERIODS: u64 = 3;

fn judge(court: &Court<'_>) -> Vec<Judged> {
    let scene = &court.scene;
    let Some(jobs) = scene.fresh(&scene.snapshot.replication, FRESH_S) else { return Vec::new() };
    let mut case = Case::default();
    for job in jobs.iter().filter(|job| !job.is_disabled) {
        let object = scene.object(format_args!("replication/{}", job.id));
        let guest = job.vmid.and_then(|vmid| scene.snapshot.guest(vmid));
        let mut labels = guest.map_or_else(|| scene.node_labels(&job.source), |guest| scene.guest_labels(guest));
        labels.0.retain(|(name, _)| &**name != "kind");
        labels.add("kind", "replication");
        let Some(settings) = court.settings(&labels) else { continue };
        // The job is its source's business: when that is away nobody can say how it does.
        let told = scene.snapshot.slow.nodes.get(&job.source).map(|parts| &parts.replication);
        let told_at = told.filter(|told| scene.fresh(told, FRESH_S).is_some()).and_then(|told| told.at);
        let Some(told_at) = told_at.filter(|_| !scene.is_offline(&job.source)) else {
            case.unseen.push(object);
            continue;
        };
        let period_s = job.schedule.as_deref().and_then(schedule::longest_gap_s).unwrap_or(USUAL_S);
        let limit_s = period_s.saturating_mul(PERIODS).saturating_add(seconds(settings.grace, 600));
        // As old as it was when its node told of it: what was not asked since may have gone well.
        let told_s = scene.snapshot.server_s_at(told_at);
        let age_s = job.last_sync_s.map(|last| u64::try_from(told_s.saturating_sub(last)).unwrap_or(0));
        let is_late = age_s.is_some_and(|age| age > limit_s) && !job.is_running;
        let failures = f64::from(job.fail_count);
        let read = levels(&settings, |_, level| Some(if is_late { Reading::Raised } else { reading(level, failures) }));
        if read.iter().all(|level| level.reading == Reading::Clear) {
            continue;
        }
        let who = guest.map_or_else(|| job.id.to_string(), crate::model::Guest::label);
        let subject = format!("replication of {who} to {}", job.target);
        let summary = match (job.fail_count, age_s) {
            (0, Some(age)) => format!("last succeeded {} ago", span(age)),
            (count, _) => format!("failed {} in a row", words::count(count as usize, "time")),
        };
        let mut finding = court.finding(object, subject, summary, scene.now, read);
        finding.labels = labels;
        finding.before = job.error.as_deref().map(words::quoted);
        finding.meaning = Some(match age_s {
            Some(age) => {
                format!("The copy on {} is {} old: so much is lost if {} dies now.", job.target, span(age), job.source)
            }
            None => format!("There is no copy on {} yet: all is lost if {} dies now.", job.target, job.source),
        });
        finding.causes = [&job.target, &job.source].map(|node: &Arc<str>| scene.down(node)).into();
        finding.causes.push(scene.no_quorum());
        case.findings.push(finding);
    }
    court.everything(case)
}

fn ended(court: &Court<'_>, raised: &Raised) -> Option<String> {
    let scene = &court.scene;
    let jobs = scene.fresh(&scene.snapshot.replication, FRESH_S)?;
    let (_, id) = raised.object.split_once("/replication/")?;
    Some(match jobs.iter().find(|job| &*job.id == id) {
        None => "was removed".to_owned(),
        Some(job) if job.is_disabled => "was switched off".to_owned(),
        Some(_) => "works again".to_owned(),
    })
}
