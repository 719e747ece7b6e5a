//! `[proxmox.<name>.action_timeouts]`: how long HAIA waits for the end of an action, by class, in real time.

use contract::approvals::ActionClass;
use contract::units::Span;
use serde::Deserialize;
use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// The waits. When one is over the action goes on in Proxmox, and its result counts as unknown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActionTimeouts {
    /// To start a guest.
    pub start: Span,
    /// To shut a guest down; longer where the guest itself is given more time.
    pub shutdown: Span,
    /// To switch a guest off.
    pub stop: Span,
    /// To restart a guest; longer where the guest itself is given more time.
    pub reboot: Span,
    /// To suspend a guest.
    pub suspend: Span,
    /// To resume a guest.
    pub resume: Span,
    /// To move a guest.
    pub migrate: Span,
    /// To take a snapshot.
    pub snapshot: Span,
    /// To back a guest up.
    pub backup: Span,
}

impl Default for ActionTimeouts {
    fn default() -> Self {
        Self {
            start: Span::seconds(300),
            shutdown: Span::seconds(300),
            stop: Span::seconds(180),
            reboot: Span::seconds(300),
            suspend: Span::seconds(300),
            resume: Span::seconds(300),
            migrate: Span::seconds(2 * 3600),
            snapshot: Span::seconds(1800),
            backup: Span::seconds(12 * 3600),
        }
    }
}

impl ActionTimeouts {
    /// Each wait with its key.
    pub fn by_class(&self) -> [(ActionClass, Span); 9] {
        [
            (ActionClass::Start, self.start),
            (ActionClass::Shutdown, self.shutdown),
            (ActionClass::Stop, self.stop),
            (ActionClass::Reboot, self.reboot),
            (ActionClass::Suspend, self.suspend),
            (ActionClass::Resume, self.resume),
            (ActionClass::Migrate, self.migrate),
            (ActionClass::Snapshot, self.snapshot),
            (ActionClass::Backup, self.backup),
        ]
    }

    /// The wait for a class.
    pub(crate) fn of(&self, class: ActionClass) -> Duration {
        self.by_class().iter().find(|(one, _)| *one == class).map_or(SHORTEST, |(_, span)| span.0)
    }

    /// What is wrong with the values: key and message.
    pub(crate) fn validate(&self) -> Vec<(&'static str, String)> {
        let is_wrong = |span: &Span| !(SHORTEST..=LONGEST).contains(&span.0);
        let wrong = self.by_class().into_iter().filter(|(_, span)| is_wrong(span));
        wrong
            .map(|(class, span)| {
                let (least, most) = (Span(SHORTEST), Span(LONGEST));
                (class.as_str(), format!("is {span}: it must be between \"{least}\" and \"{most}\""))
            })
            .collect()
    }
}
