//! How alerts are packed for the store and unpacked at the next start. What cannot be read is told and left out; it never stops a start.

use super::heartbeats::state_name;
use super::people::{SILENCES, Silences};
use super::{Alert, Desk, Pulse};
use crate::rules::is_standing;
use contract::store::{AlertRecord, KeptAlerts};
use jiff::Timestamp;
use std::sync::Arc;

const PENDING: &str = "pending/";

/// The name of the state that keeps an alert without a number.
pub(super) fn pending_name(key: &str) -> Arc<str> {
    format!("{PENDING}{key}").into()
}

/// An alert as text.
pub(super) fn pack(alert: &Alert) -> String {
    serde_json::to_string(alert).unwrap_or_default()
}

/// An alert as the store keeps it.
pub(super) fn record(key: &Arc<str>, alert: &Alert, is_live: bool) -> AlertRecord {
    AlertRecord {
        id: alert.id,
        key: Arc::clone(key),
        is_live,
        severity: alert.severity,
        opened: alert.opened.unwrap_or(Timestamp::UNIX_EPOCH),
        ended: alert.ended,
        data: pack(alert),
    }
}

/// An alert as it was packed.
pub(crate) fn unpack(data: &str) -> Option<Alert> {
    serde_json::from_str(data).inspect_err(|error| tracing::error!(%error, "a stored alert cannot be read")).ok()
}

impl Desk {
    /// Takes up what was kept.
    pub fn restore(&mut self, kept: KeptAlerts, now: Timestamp) {
        self.last_id = kept.last_id;
        for record in kept.live {
            let Some(alert) = unpack(&record.data) else { continue };
            self.last_id = self.last_id.max(record.id);
            self.numbers.insert(record.id, Arc::clone(&record.key));
            self.take_up(record.key, alert);
        }
        for (name, data) in kept.states {
            if let Some(key) = name.strip_prefix(PENDING) {
                let Some(alert) = unpack(&data) else { continue };
                if !self.alerts.contains_key(key) {
                    self.take_up(key.into(), alert);
                }
            } else if &*name == SILENCES {
                match serde_json::from_str::<Silences>(&data) {
                    Ok(kept) => (self.last_silence, self.silences) = (kept.last, kept.silences),
                    Err(error) => tracing::error!(%error, "the stored silences cannot be read"),
                }
            } else if let Some(heartbeat) = name.strip_prefix("heartbeat/") {
                match serde_json::from_str::<Pulse>(&data) {
                    Ok(pulse) => drop(self.pulses.insert(heartbeat.into(), pulse)),
                    Err(error) => tracing::error!(%error, heartbeat, "a stored heartbeat cannot be read"),
                }
            }
        }
        // Those that were configured only now keep the beginning they got; those that are gone are forgotten.
        let fresh: Vec<Arc<str>> = self.pulses.keys().map(|name| state_name(name)).collect();
        self.changes.states.retain(|(name, data)| data.is_none() || !fresh.contains(name));
        for (name, pulse) in &self.pulses {
            let packed = serde_json::to_string(pulse).unwrap_or_default();
            self.changes.states.push((state_name(name), Some(packed)));
        }
        self.keep_pulses(now);
        self.end_gone(now);
    }

    fn take_up(&mut self, key: Arc<str>, alert: Alert) {
        if is_standing(&alert.finding.rule) {
            self.standing.insert(Arc::clone(&key));
        }
        self.alerts.insert(key, alert);
    }
}
