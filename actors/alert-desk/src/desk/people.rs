//! What people do about alerts: acknowledge, expect, silence. HAIA's own bookkeeping; it never touches what an alert is about.

use super::{Alert, Desk, later};
use contract::alerts::{AlertState, Labels, Matcher, SilenceView};
use contract::failure::{Failure, FailureClass};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The most silences at once.
const MOST_SILENCES: usize = 500;
/// The longest silence.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A silence as it is kept.
pub(crate) type Silence = SilenceView;

/// The silences as they are kept, with the last number given.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Silences {
    pub(super) last: u64,
    pub(super) silences: Vec<Silence>,
}

/// The name of the state that keeps them.
pub(super) const SILENCES: &str = "silences";

/// An alert's labels with those that every alert has.
pub(crate) fn labels_of(alert: &Alert) -> Labels {
    let mut labels = alert.finding.labels.clone();
    labels.add("rule", Arc::clone(&alert.finding.rule));
    labels.add("object", Arc::clone(&alert.finding.object));
    labels.add("severity", alert.severity.as_str());
    labels
}

impl Desk {
    fn open_numbered(&mut self, id: u64) -> Result<(Arc<str>, &mut Alert), Failure> {
        let key = self.numbers.get(&id).cloned();
        let Some((key, alert)) = key.and_then(|key| Some((Arc::clone(&key), self.alerts.get_mut(&key)?))) else {
            return Err(unknown(id));
        };
        if !alert.state.is_open() {
            let said = format!("alert {id} is over already");
            return Err(Failure::new(FailureClass::InvalidRequest, said));
        }
        Ok((key, alert))
    }

    /// A person takes notice. Again is no error.
    pub(crate) fn acknowledge(&mut self, now: Timestamp, id: u64, who: &Arc<str>) -> Result<(), Failure> {
        let (key, alert) = self.open_numbered(id)?;
        if alert.state == AlertState::Acknowledged {
            return Ok(());
        }
        alert.state = AlertState::Acknowledged;
        alert.acknowledged = Some((Arc::clone(who), now));
        self.tell_history(&key, "acknowledged", Some(Arc::clone(who)), now);
        self.dirty.insert(key);
        Ok(())
    }

    /// A person says that it was meant. Again is no error.
    pub(crate) fn expect(&mut self, now: Timestamp, id: u64, who: &Arc<str>) -> Result<(), Failure> {
        if self.numbered(id).is_some_and(|(_, alert)| alert.is_expected) {
            return Ok(());
        }
        let (key, alert) = self.open_numbered(id)?;
        alert.is_expected = true;
        alert.state = AlertState::Resolved;
        alert.ended = Some(now);
        if let Some(told) = &mut alert.told {
            told.end = true;
        }
        self.tell_history(&key, "expected", Some(Arc::clone(who)), now);
        self.dirty.insert(key);
        Ok(())
    }

    /// Silences what fits, for a time.
    pub(crate) fn silence(
        &mut self,
        now: Timestamp,
        alert: Option<u64>,
        mut matchers: Vec<Matcher>,
        duration: Duration,
        reason: &str,
        who: &Arc<str>,
    ) -> Result<Silence, Failure> {
        let mut about = None;
        if let Some(id) = alert {
            let (key, alert) = self.numbered(id).ok_or_else(|| unknown(id))?;
            about = Some(Arc::clone(key));
            matchers.push(Matcher::new("rule", Arc::clone(&alert.finding.rule)));
            matchers.push(Matcher::new("object", Arc::clone(&alert.finding.object)));
        }
        if matchers.is_empty() {
            return Err(Failure::invalid(
                "matchers",
                "names nothing to silence: give an alert or at least one matcher",
            ));
        }
        if matchers.len() > 16 || matchers.iter().any(|matcher| matcher.label.len() + matcher.pattern.len() > 500) {
            return Err(Failure::invalid("matchers", "are too many or too long"));
        }
        if duration.is_zero() || duration > LONGEST {
            return Err(Failure::invalid("duration", "must be longer than nothing and at most 366 days"));
        }
        if self.silences.len() >= MOST_SILENCES {
            let said = format!("there are {MOST_SILENCES} silences already; end one first");
            return Err(Failure::new(FailureClass::Busy, said));
        }
        self.last_silence += 1;
        let silence = Silence {
            id: self.last_silence,
            matchers,
            from: now,
            until: later(now, duration),
            by: Arc::clone(who),
            reason: crate::wording::cut(reason, 500),
        };
        self.silences.push(silence.clone());
        self.keep_silences();
        if let Some(key) = about {
            self.tell_history(&key, "silenced", Some(Arc::clone(who)), now);
        }
        Ok(silence)
    }

    /// Ends a silence before its time.
    pub(crate) fn end_silence(&mut self, now: Timestamp, id: u64) -> Result<Silence, Failure> {
        let Some(at) = self.silences.iter().position(|silence| silence.id == id) else {
            return Err(Failure::new(FailureClass::NotFound, format!("there is no silence {id}, or it has ended")));
        };
        let silence = Silence { until: now, ..self.silences.remove(at) };
        self.keep_silences();
        Ok(silence)
    }

    /// Forgets silences whose time is over.
    pub(super) fn end_silences(&mut self, now: Timestamp) {
        let before = self.silences.len();
        self.silences.retain(|silence| silence.until > now);
        if self.silences.len() != before {
            self.keep_silences();
        }
    }

    /// The silences in force.
    pub(crate) fn silences(&self) -> &[Silence] {
        &self.silences
    }

    fn keep_silences(&mut self) {
        let kept = Silences { last: self.last_silence, silences: self.silences.clone() };
        self.changes.states.push((SILENCES.into(), Some(serde_json::to_string(&kept).unwrap_or_default())));
    }

    /// The silence that an alert is under.
    pub(super) fn silence_of(&self, labels: &Labels, now: Timestamp) -> Option<&Silence> {
        let fits =
            |silence: &&Silence| silence.until > now && silence.matchers.iter().all(|matcher| matcher.fits(labels));
        self.silences.iter().find(fits)
    }
}

pub(crate) fn unknown(id: u64) -> Failure {
    Failure::new(FailureClass::NotFound, format!("there is no alert {id}"))
}
