//! What happens when: incidents at seconds since the start of the simulation. It only lists them; the cluster does them when they are due.

use crate::incidents::Incident;
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
