//! Rows, keys and models for this crate's tests.

use crate::migrations::{MIGRATIONS, migrate};
use contract::alerts::Severity;
use contract::approvals::{ActionAuditEntry, AuditWhat};
use contract::caller::{Origin, Scope};
use contract::notify::{DeliveryState, Notice, NoticeKind, OutboxRow};
use contract::provider::ModelEntry;
use contract::store::{AuditKind, AuditRow, StoredKey};
use jiff::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;

pub(crate) const NOON: Timestamp = Timestamp::constant(1_772_366_400, 0);

pub(crate) fn row(request_id: &str) -> AuditRow {
    AuditRow {
        at: NOON,
        kind: AuditKind::Tool,
        request_id: request_id.into(),
        who: "web".into(),
        origin: Origin::Chat,
        what: "get_time".into(),
        digest: "0123456789abcdef".into(),
        bytes: 12,
        ms: 3,
        outcome: "ok".into(),
    }
}

pub(crate) fn key(name: &str, scope: Scope, hash: &str) -> StoredKey {
    StoredKey { name: name.into(), scope, hash: hash.into(), created: NOON }
}

pub(crate) fn model(provider: &str, model: &str) -> ModelEntry {
    ModelEntry {
        provider: provider.into(),
        model: model.into(),
        created: None,
        context_tokens: None,
        tools: None,
        abilities: contract::provider::Abilities::default(),
    }
}

/// A database in memory with the newest schema.
pub(crate) fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, MIGRATIONS).unwrap();
    connection
}

pub(crate) fn outbox_row(id: &str, channel: &str) -> OutboxRow {
    let notice = Notice {
        id: id.into(),
        kind: NoticeKind::Test,
        severity: Severity::Info,
        thread: "t".into(),
        title: "a <test> & \u{1f642}".to_owned(),
        members: Vec::new(),
        more: 0,
        text: None,
        buttons: Vec::new(),
        at: NOON,
        timezone: "Europe/Paris".into(),
        request_id: "req".into(),
    };
    OutboxRow {
        id: id.into(),
        channel: channel.into(),
        notice: Arc::new(notice),
        state: DeliveryState::Queued,
        attempts: 0,
        queued_at: NOON,
        next_at: None,
        last_error: None,
        remote_id: None,
    }
}

pub(crate) fn audit_entry(proposal: u64) -> ActionAuditEntry {
    ActionAuditEntry {
        at: NOON,
        proposal,
        what: AuditWhat::Proposed,
        who: "anna".into(),
        via: "chat".into(),
        request_id: "req".into(),
        text: "Shut down web-01".to_owned(),
        data: "null".to_owned(),
    }
}
