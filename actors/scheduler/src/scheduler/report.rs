//! What the alert desk is told of jobs: each end of a run; and that a failure is past, of a job that runs only once and so has no next good
//! run. Jobs that are taken out of the configuration are the desk's own business.

use super::{PATIENCE, Scheduler};
use contract::alerts::{Finding, Judged, ReportFindings, Severity};
use contract::jobs::{JobRun, RunState};
use jiff::{SignedDuration, Timestamp};
use runtime::Context;
use std::sync::Arc;

/// The rule.
const RULE: &str = "job_failed";
/// For how long the failure of a job that does not run again is open.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// How often it is looked for failures that are past.
const LOOK_EVERY: SignedDuration = SignedDuration::from_hours(1);

impl Scheduler {
    /// Tells the alert desk how a job does.
    pub(super) fn report(&self, run: &JobRun, now: Timestamp, context: &Context<Self>) {
        let severity = (run.state != RunState::Ok).then_some(Severity::Warning);
        let summary = if severity.is_some() { "failed" } else { "ran well again" };
        let mut finding = finding(&run.job, summary, severity, run.started);
        finding.before.clone_from(&run.error);
        if severity.is_some() {
            finding.meaning = Some(format!("\"haia jobs history {}\" shows its runs", run.job));
        } else {
            finding.since = now;
        }
        self.tell_desk(vec![finding], context);
    }

    /// Tells it which failures of jobs that run only once are past: after a day, and once they are to run anew. `is_fresh`: the configuration
    /// was taken over just now. It is said again with each look: the desk may have been away, and knows what is over already.
    pub(super) fn report_past(&mut self, is_fresh: bool, context: &Context<Self>) {
        let now = self.ports.clock.now();
        if !is_fresh && now.duration_since(self.looked_past).abs() < LOOK_EVERY {
            return;
        }
        self.looked_past = now;
        let is_past = |(name, config, state, _)| {
            let config: &crate::config::JobConfig = config;
            let run = self.last.get(name).filter(|_| config.once.is_some())?;
            if matches!(run.state, RunState::Ok | RunState::Running) {
                return None;
            }
            let is_old = || run.ended.is_none_or(|ended| now.duration_since(ended) >= REMEMBERED);
            match state {
                "scheduled" if is_fresh => Some(finding(name, "is scheduled anew", None, now)),
                "done" if is_old() => Some(finding(name, "was not run again", None, now)),
                _ => None,
            }
        };
        let past: Vec<Finding> = self.plan.jobs().filter_map(is_past).collect();
        self.tell_desk(past, context);
    }

    fn tell_desk(&self, findings: Vec<Finding>, context: &Context<Self>) {
        if findings.is_empty() {
            return;
        }
        let judged = |finding: Finding| Judged {
            rule: RULE.into(),
            scope: Arc::clone(&finding.object),
            findings: vec![finding],
            unseen: Vec::new(),
        };
        let judged = findings.into_iter().map(judged).collect();
        let report = ReportFindings { source: "scheduler".into(), is_baseline: false, judged };
        let port = self.ports.report.clone();
        context.spawn(async move {
            match port.ask(report, PATIENCE).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "how jobs do was not taken by the alert desk"),
                Err(fault) => tracing::warn!(%fault, "how jobs do was not taken by the alert desk"),
            }
        });
    }
}

fn finding(job: &Arc<str>, summary: &str, severity: Option<Severity>, since: Timestamp) -> Finding {
    let mut finding = Finding::new(RULE, format!("job/{job}"), format!("job {job}"), summary, severity, since);
    finding.labels.add("name", Arc::clone(job));
    finding
}
