//! What happens when: incidents at seconds since the start of the simulation. It only lists them; the cluster does them when they are due.

mod rules;
mod week;

pub use rules::Case;

use crate::incidents::Incident;
use jiff::Timestamp;
use std::time::Duration;

/// Incidents with the time since start at which they happen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    entries: Vec<(Duration, Incident)>,
}

impl Script {
    /// Nothing happens.
    pub fn quiet() -> Self {
        Self::default()
    }

    /// The demo's minute: web-01 crashes, a person shuts media-01 down, the NAS fills to 93 %.
    pub fn demo() -> Self {
        let shut_down = Incident::GuestShutDown { vmid: 114, user: "root@pam".into() };
        let fills = Incident::StorageFills {
            storage: "nas-nfs".into(),
            node: None,
            percent: 93.0,
            over: Duration::from_secs(10),
        };
        Self::quiet()
            .at(Duration::from_secs(15), Incident::GuestCrashes { vmid: 101 })
            .at(Duration::from_secs(28), shut_down)
            .at(Duration::from_secs(40), fills)
    }

    /// A week of ordinary life, drawn from `seed`: what people do, updates with reboots, spikes, and small hiccups of the API. None of it is
    /// worth a message. `start` is the moment at which the simulation begins, so that days are days: the nights belong to the backups.
    pub fn quiet_week(seed: u64, start: Timestamp) -> Self {
        week::quiet(seed, start)
    }

    /// The ways in which the homelab can show what a monitoring rule is about, each with its beginning and its end. `rule` is written as in
    /// the configuration, such as `node_down`; one that no cluster can show has none.
    pub fn cases(rule: &str) -> Vec<Case> {
        rules::cases(rule)
    }

    /// Adds what another script holds, that much later.
    pub fn then(mut self, after: Duration, other: &Self) -> Self {
        let later = other.entries.iter().map(|(at, incident)| (after.saturating_add(*at), incident.clone()));
        self.entries.extend(later);
        self
    }

    /// Adds an incident.
    pub fn at(mut self, since_start: Duration, incident: Incident) -> Self {
        self.entries.push((since_start, incident));
        self
    }

    /// The incidents in the order they were added.
    pub fn entries(&self) -> &[(Duration, Incident)] {
        &self.entries
    }
}
