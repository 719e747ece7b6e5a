//! What the main thread knows beside the actors: how reloads went, which actors are stuck, and which were given up. It tells the alert desk
//! of actors; it asks no actor anything.

use contract::alerts::{AlertState, AlertView, Finding, Judged, ReportFindings, Severity};
use jiff::Timestamp;
use runtime::{Port, Stats};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The rule of HAIA's actors.
const RULE: &str = "actor_failed";
/// The beginning of every object.
const SCOPE: &str = "actor/";
/// Who reports.
const SOURCE: &str = "supervision";
/// How long the desk may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// A finding about an actor; without a severity, its end.
pub fn finding(actor: &str, summary: &str, severity: Option<Severity>, now: Timestamp) -> Finding {
    Finding::new(RULE, format!("{SCOPE}{actor}"), format!("HAIA's {actor}"), summary, severity, now)
}

/// How every actor does: what was found, and that the others work.
fn judge(findings: &BTreeMap<String, Finding>, actors: &[&'static str], now: Timestamp) -> Judged {
    let mut judged: Vec<Finding> = findings.values().cloned().collect();
    let working = actors.iter().map(|actor| finding(actor, "works again", None, now));
    judged.extend(working.filter(|finding| !findings.contains_key(&finding.key())));
    Judged { rule: RULE.into(), scope: SCOPE.into(), findings: judged, unseen: Vec::new() }
}

/// What the warden knows beside the actors: written by it, read by everyone.
#[derive(Default)]
pub struct Warden {
    generation: AtomicU64,
    reload_error: Mutex<Option<String>>,
    findings: Mutex<BTreeMap<String, Finding>>,
    stuck: Mutex<Vec<&'static str>>,
    desk: OnceLock<Port<ReportFindings>>,
    /// Counts findings.
    news: AtomicU64,
    /// One more than the count of findings that the desk has taken with all before; 0 before it was told anything.
    taken: AtomicU64,
}

impl Warden {
    /// The generation of the configuration.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A configuration was taken over.
    pub fn reloaded(&self) -> u64 {
        *lock(&self.reload_error) = None;
        self.generation.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A reload was refused.
    pub fn reload_failed(&self, why: String) {
        *lock(&self.reload_error) = Some(why);
    }

    /// Why the last reload was refused, if it was.
    pub fn reload_error(&self) -> Option<String> {
        lock(&self.reload_error).clone()
    }

    /// Takes a finding about one of HAIA's actors; one without a severity ends it.
    pub fn found(&self, finding: Finding) {
        let name = finding.key();
        {
            let mut findings = lock(&self.findings);
            if finding.raised().is_some() {
                findings.insert(name, finding.clone());
            } else {
                findings.remove(&name);
            }
        }
        self.news.fetch_add(1, Ordering::Relaxed);
        self.report(finding);
    }

    /// Tells the desk how every actor does, once after the start and again after each finding, until it has taken it. What a run before left
    /// open is over by that, and a finding that did not reach the desk reaches it now.
    pub async fn report_actors(&self, actors: &[&'static str], now: Timestamp) {
        let news = self.news.load(Ordering::Relaxed) + 1;
        let Some(desk) = self.desk.get().filter(|_| self.taken.load(Ordering::Relaxed) != news) else { return };
        let judged = vec![judge(&lock(&self.findings), actors, now)];
        let report = ReportFindings { source: SOURCE.into(), is_baseline: false, judged };
        match desk.ask(report, DEADLINE).await {
            Ok(Ok(())) => self.taken.store(news, Ordering::Relaxed),
            Ok(Err(error)) => tracing::warn!(%error, "how HAIA's actors do was not taken by the alert desk"),
            Err(fault) => tracing::warn!(%fault, "how HAIA's actors do was not taken by the alert desk"),
        }
    }

    /// What the warden found, as alerts: for the status when the alert desk itself does not answer.
    pub fn alerts(&self) -> Vec<AlertView> {
        let findings = lock(&self.findings);
        let alert = |(name, finding): (&String, &Finding)| AlertView {
            id: 0,
            name: name.clone(),
            state: AlertState::Firing,
            severity: finding.raised().unwrap_or(Severity::Warning),
            opened: Some(finding.since),
            ended: None,
            acknowledged: None,
            held: None,
            cause: None,
            is_flapping: false,
            explanation: None,
            finding: finding.clone(),
        };
        findings.iter().map(alert).collect()
    }

    /// Where findings about HAIA itself go, once there is an alert desk.
    pub fn report_to(&self, desk: Port<ReportFindings>) {
        let known: Vec<Finding> = lock(&self.findings).values().cloned().collect();
        if self.desk.set(desk).is_ok() {
            known.into_iter().for_each(|finding| self.report(finding));
        }
    }

    fn report(&self, finding: Finding) {
        let Some(desk) = self.desk.get() else { return };
        let (rule, scope) = (Arc::clone(&finding.rule), Arc::clone(&finding.object));
        let judged = Judged { rule, scope, findings: vec![finding], unseen: Vec::new() };
        let report = ReportFindings { source: SOURCE.into(), is_baseline: false, judged: vec![judged] };
        if let Err(fault) = desk.tell(report) {
            tracing::warn!(%fault, "the alert desk was not told of a finding about HAIA itself");
        }
    }

    /// The actors that the watchdog calls stuck.
    pub fn set_stuck(&self, actors: Vec<&'static str>) {
        *lock(&self.stuck) = actors;
    }

    /// An actor's state as a word.
    pub fn state_of(&self, stats: &Stats) -> &'static str {
        if lock(&self.stuck).contains(&stats.name()) { "stuck" } else { stats.state().as_str() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found_works() {
        let now = Timestamp::UNIX_EPOCH;
        let found = finding("store", "was given up", Some(Severity::Critical), now);
        let judged = judge(&[(found.key(), found)].into(), &["store", "alert-desk"], now);
        let said: Vec<_> = judged.findings.iter().map(|finding| (&*finding.object, finding.raised())).collect();
        assert_eq!(said, [("actor/store", Some(Severity::Critical)), ("actor/alert-desk", None)]);
        assert_eq!(judged.findings[1].summary, "works again");
        // One that there is no more reads clear by its absence.
        assert_eq!((&*judged.scope, judged.unseen.len()), ("actor/", 0));
    }
}
