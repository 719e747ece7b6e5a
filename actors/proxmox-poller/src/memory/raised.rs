//! What the rules found lately, until some time after it ended: so that each can say how it ended, in a person's words.
//!
//! It decides nothing: whether an alert is open, and when it is over, is the alert desk's business.

use super::Memory;
use contract::alerts::{Finding, Judged, Labels, LevelReading, Reading};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The most that is kept; what comes beyond ends without words of its own.
const MOST: usize = 4096;
/// So long after a condition is over for long enough it is forgotten: the desk has heard by then how it ended.
const TOLD: Duration = Duration::from_secs(900);

/// What a rule found about an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    /// What it is about.
    pub object: Arc<str>,
    /// The same for people, as it was told.
    pub subject: String,
    /// What happened, as it was told last.
    pub summary: String,
    /// Its labels.
    pub labels: Labels,
    /// Its levels, as they were read last.
    pub levels: Vec<LevelReading>,
    /// Since when its condition is met.
    pub since: Timestamp,
    /// Since when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clear_at: Option<Timestamp>,
}

impl Raised {
    /// Whether it may have opened an alert: its condition held for as long as some level of it asks for.
    pub(super) fn is_lasting(&self, now: Timestamp) -> bool {
        let asked = self.levels.iter().map(|level| level.raise_for).min().unwrap_or_default();
        let held = self.clear_at.unwrap_or(now).duration_since(self.since);
        held >= SignedDuration::try_from(asked).unwrap_or(SignedDuration::MAX)
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        let asked = self.levels.iter().map(|level| level.clear_for).max().unwrap_or_default();
        let kept = SignedDuration::try_from(asked.saturating_add(TOLD)).unwrap_or(SignedDuration::MAX);
        self.clear_at.is_some_and(|clear_at| now.duration_since(clear_at) > kept)
    }
}

impl Memory {
    /// What a rule found lately within a scope: one that ends with `/` is a beginning, any other is one whole object.
    pub(crate) fn raised_within<'a>(&'a self, rule: &str, scope: &'a str) -> impl Iterator<Item = &'a Raised> {
        let begin = format!("{rule}:{scope}");
        let within = self.raised.range(Arc::<str>::from(begin.as_str())..);
        let within = within.map_while(move |(key, raised)| key.starts_with(&*begin).then_some(raised));
        within.filter(move |raised| scope.ends_with('/') || *raised.object == *scope)
    }

    /// The rules have judged: what they found is remembered, and since when they find it no more.
    pub(crate) fn judged(&mut self, judged: &[Judged], now: Timestamp) {
        for one in judged {
            let mut told: BTreeSet<&str> = one.unseen.iter().map(|object| &**object).collect();
            for finding in &one.findings {
                if finding.levels.iter().any(|level| level.reading != Reading::Clear) {
                    told.insert(&finding.object);
                    self.found(finding, now);
                }
            }
            let over = self.raised_within(&one.rule, &one.scope).filter(|raised| raised.clear_at.is_none());
            let over = over.filter(|raised| !told.contains(&*raised.object));
            let over: Vec<Arc<str>> = over.map(|raised| format!("{}:{}", one.rule, raised.object).into()).collect();
            for key in over {
                if let Some(raised) = self.raised.get_mut(&key) {
                    raised.clear_at = Some(now);
                }
            }
        }
        self.raised.retain(|_, raised| !raised.is_forgotten(now));
    }

    fn found(&mut self, finding: &Finding, now: Timestamp) {
        let key: Arc<str> = finding.key().into();
        let (is_raised, has_room) = (finding.raised().is_some(), self.raised.len() < MOST);
        match self.raised.get_mut(&key) {
            Some(known) if is_raised => {
                known.subject.clone_from(&finding.subject);
                known.summary.clone_from(&finding.summary);
                known.labels.clone_from(&finding.labels);
                known.levels.clone_from(&finding.levels);
                if known.clear_at.take().is_some() {
                    known.since = now;
                }
            }
            // Between the thresholds what was raised is not over.
            Some(known) => known.clear_at = None,
            None if is_raised && has_room => {
                let raised = Raised {
                    object: Arc::clone(&finding.object),
                    subject: finding.subject.clone(),
                    summary: finding.summary.clone(),
                    labels: finding.labels.clone(),
                    levels: finding.levels.clone(),
                    since: now,
                    clear_at: None,
                };
                self.raised.insert(key, raised);
            }
            None => {}
        }
    }
}
