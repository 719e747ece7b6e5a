//! Closed sets as columns hold them: a word for each member.

use crate::column::Unknown;
use contract::alerts::Severity;
use contract::approvals::{AuditWhat, ProposalState};
use contract::jobs::RunState;
use contract::notify::DeliveryState;
use rusqlite::Row;

/// A member of a closed set that a column holds as a word.
pub(crate) trait Word: Copy + 'static {
    const WHAT: &'static str;
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

/// Reads a word.
pub(crate) fn get<T: Word>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let found = T::ALL.iter().copied().find(|one| one.word() == text);
    found.ok_or_else(|| Unknown::in_column(column, T::WHAT, text))
}

impl Word for Severity {
    const WHAT: &'static str = "severity";
    const ALL: &'static [Self] = &[Severity::Info, Severity::Warning, Severity::Critical];
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for DeliveryState {
    const WHAT: &'static str = "state of a delivery";
    const ALL: &'static [Self] = &[
        DeliveryState::Queued,
        DeliveryState::Sending,
        DeliveryState::Sent,
        DeliveryState::Dead,
        DeliveryState::Merged,
    ];
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for RunState {
    const WHAT: &'static str = "state of a run";
    const ALL: &'static [Self] = &[
        RunState::Running,
        RunState::Ok,
        RunState::Failed,
        RunState::Timeout,
        RunState::Interrupted,
        RunState::Skipped,
    ];
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for ProposalState {
    const WHAT: &'static str = "state of a proposal";
    const ALL: &'static [Self] = &ProposalState::ALL;
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for AuditWhat {
    const WHAT: &'static str = "kind of row";
    const ALL: &'static [Self] = &AuditWhat::ALL;
    fn word(self) -> &'static str {
        self.as_str()
    }
}
