//! Rows, keys and models for this crate's tests.

use contract::caller::{Origin, Scope};
use contract::provider::ModelEntry;
use contract::store::{AuditKind, AuditRow, StoredKey};
use jiff::Timestamp;

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
