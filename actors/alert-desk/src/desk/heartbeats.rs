//! Signs of life that others send: a dead man's switch. A missed one is a finding of a rule of HAIA's own.

use super::{Desk, later};
use crate::rules::HEARTBEAT_MISSED;
use crate::wording;
use contract::alerts::{Finding, HeartbeatView, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is known of one heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pulse {
    /// When it came last.
    pub(crate) last: Option<Timestamp>,
    /// When it was configured: the first may take a whole period from then.
    pub(crate) from: Timestamp,
    /// Whether it was found missed.
    pub(crate) is_missed: bool,
}

/// The name of the state that keeps it.
pub(super) fn state_name(name: &str) -> Arc<str> {
    format!("heartbeat/{name}").into()
}

impl Desk {
    /// Begins with heartbeats that are new in the configuration, and forgets those that are gone.
    pub(super) fn keep_pulses(&mut self, now: Timestamp) {
        let configured = &self.config.monitor.heartbeats;
        let gone: Vec<Arc<str>> =
            self.pulses.keys().filter(|name| !configured.contains_key(&***name)).cloned().collect();
        let new: Vec<Arc<str>> = configured
            .keys()
            .filter(|name| !self.pulses.contains_key(name.as_str()))
            .map(|name| Arc::from(name.as_str()))
            .collect();
        for name in new {
            self.pulses.insert(Arc::clone(&name), Pulse { last: None, from: now, is_missed: false });
            self.keep_pulse(&name);
        }
        for name in gone {
            self.pulses.remove(&name);
            self.changes.states.push((state_name(&name), None));
            self.clear(&format!("{HEARTBEAT_MISSED}:heartbeat/{name}").into(), now);
        }
    }

    fn keep_pulse(&mut self, name: &Arc<str>) {
        let Some(pulse) = self.pulses.get(name) else { return };
        let packed = serde_json::to_string(pulse).unwrap_or_default();
        self.changes.states.push((state_name(name), Some(packed)));
    }

    /// When a heartbeat counts as missed. HAIA hears nothing while it is down: after its start the sender has its grace once more.
    fn pulse_due(&self, name: &str, pulse: &Pulse) -> Option<Timestamp> {
        let heartbeat = self.config.monitor.heartbeats.get(name)?;
        let due = later(later(pulse.last.unwrap_or(pulse.from), heartbeat.every.0), heartbeat.grace.0);
        Some(due.max(later(self.started, heartbeat.grace.0)))
    }

    /// Takes a sign of life. Says whether the name is configured.
    pub(crate) fn beat(&mut self, now: Timestamp, name: &Arc<str>) -> bool {
        let Some(pulse) = self.pulses.get_mut(name) else { return false };
        (pulse.last, pulse.is_missed) = (Some(now), false);
        self.keep_pulse(name);
        let finding = finding(name, "is heard again", None, now);
        self.find(finding, "heartbeats", now, false);
        true
    }

    /// Takes the present for the latest that a heartbeat can have come.
    pub(super) fn wind_back_pulses(&mut self, now: Timestamp) {
        let is_ahead = |pulse: &Pulse| pulse.from > now || pulse.last.is_some_and(|last| last > now);
        let ahead: Vec<Arc<str>> =
            self.pulses.iter().filter(|(_, pulse)| is_ahead(pulse)).map(|(name, _)| Arc::clone(name)).collect();
        for name in ahead {
            let Some(pulse) = self.pulses.get_mut(&name) else { continue };
            (pulse.from, pulse.last) = (pulse.from.min(now), pulse.last.map(|last| last.min(now)));
            self.keep_pulse(&name);
        }
    }

    /// Finds the heartbeats that are missed.
    pub(super) fn beat_out(&mut self, now: Timestamp) {
        let is_due = |(name, pulse): (&Arc<str>, &Pulse)| {
            (!pulse.is_missed && self.pulse_due(name, pulse).is_some_and(|due| due <= now)).then(|| Arc::clone(name))
        };
        for name in self.pulses.iter().filter_map(is_due).collect::<Vec<_>>() {
            let Some(pulse) = self.pulses.get_mut(&name) else { continue };
            pulse.is_missed = true;
            let since = pulse.last.unwrap_or(pulse.from);
            let has_come = pulse.last.is_some();
            self.keep_pulse(&name);
            let silent = wording::span(now.duration_since(since));
            let summary = match has_come {
                true => format!("was not heard for {silent}"),
                false => format!("was never heard, {silent} after it was set up"),
            };
            let mut finding = finding(&name, &summary, Some(Severity::Warning), since);
            if let Some(heartbeat) = self.config.monitor.heartbeats.get(&*name) {
                (finding.value, finding.limit) =
                    (Some(silent), Some(format!("{} and {} of grace", heartbeat.every, heartbeat.grace)));
            }
            finding.meaning = Some("What sends it did not run, did not finish, or does not reach HAIA.".to_owned());
            self.find(finding, "heartbeats", now, false);
        }
    }

    /// When the next heartbeat is missed.
    pub(super) fn next_pulse(&self) -> Option<Timestamp> {
        let open = self.pulses.iter().filter(|(_, pulse)| !pulse.is_missed);
        open.filter_map(|(name, pulse)| self.pulse_due(name, pulse)).min()
    }

    /// The heartbeats as people see them.
    pub(crate) fn heartbeats(&self, now: Timestamp) -> Vec<HeartbeatView> {
        let view = |(name, pulse): (&Arc<str>, &Pulse)| {
            let heartbeat = self.config.monitor.heartbeats.get(&**name)?;
            let expected = later(pulse.last.unwrap_or(pulse.from), heartbeat.every.0);
            let state = match pulse {
                _ if pulse.is_missed => "missed",
                _ if expected <= now => "late",
                Pulse { last: None, .. } => "waiting",
                _ => "ok",
            };
            let due = self.pulse_due(name, pulse);
            Some(HeartbeatView { name: Arc::clone(name), state: state.into(), last: pulse.last, due })
        };
        self.pulses.iter().filter_map(view).collect()
    }
}

fn finding(name: &str, summary: &str, severity: Option<Severity>, since: Timestamp) -> Finding {
    let object = format!("heartbeat/{name}");
    let subject = format!("heartbeat {name}");
    let mut finding = Finding::new(HEARTBEAT_MISSED, object, subject, summary, severity, since);
    finding.labels.add("kind", "heartbeat");
    finding.labels.add("name", name);
    finding
}
