//! What the store keeps for the others: the audit trail, keys, the cache of models, the history of clusters; in `journal` alerts, the
//! outbox, runs of jobs and small named states; in `approvals` proposals and the record of actions.

mod approvals;
mod journal;

pub use approvals::{
    CommitProposals, KeptProposals, LoadProposals, ProposalRecord, ReadActionAudit, ReadProposals, VerifyActionAudit,
};
pub use journal::{
    AddToOutbox, AlertRecord, CommitAlerts, DeliveryNews, FindDelivered, InterruptRuns, KeepDeliveries, KeepRun,
    KeepStates, KeptAlerts, LoadAlerts, LoadOutbox, LoadStates, ReadAlertEvents, ReadAlerts, ReadDeadLetters, ReadRuns,
};

use crate::caller::{Origin, Scope};
use crate::message::Msg;
use crate::provider::ModelEntry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why the store could not do it, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// What an audit row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditKind {
    /// A call of a tool.
    Tool,
    /// A call of a provider.
    Provider,
    /// A change of configuration, keys or toggles.
    Admin,
}

/// One line of the audit trail. It never holds arguments or results themselves, only their digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// When it began.
    pub at: Timestamp,
    /// What it is about.
    pub kind: AuditKind,
    /// The request that caused it.
    pub request_id: Arc<str>,
    /// Who caused it: the caller's name.
    pub who: Arc<str>,
    /// What kind of thing asked.
    pub origin: Origin,
    /// The tool, `<provider>/<model>`, or the change.
    pub what: Arc<str>,
    /// Of a tool's arguments the first 16 hex digits of their SHA-256, of a request to a provider its XXH3 (64 bits) in hex; empty where there
    /// were none, and for a form of which nothing was at hand when it was sent.
    pub digest: String,
    /// Bytes of the result.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// `ok`, or the class of the failure, or `cancelled`.
    pub outcome: Arc<str>,
}

/// Takes audit rows off the hot path. The store's implementation batches them; a kill -9 may lose the last second of read calls.
pub trait AuditSink: Send + Sync + 'static {
    /// Takes one row. Never blocks and never fails: what does not fit is counted and told in `/status`.
    fn record(&self, row: AuditRow);
}

/// The audit trail as actors hold it.
pub type SharedAudit = Arc<dyn AuditSink>;

/// Reads the newest audit rows.
#[derive(Clone, Debug, Default)]
pub struct ReadAudit {
    /// Only this request.
    pub request_id: Option<String>,
    /// Only this kind.
    pub kind: Option<AuditKind>,
    /// The most rows, newest first.
    pub limit: u32,
}

impl Msg for ReadAudit {
    type Reply = Result<Vec<AuditRow>, StoreError>;
    const NAME: &'static str = "ReadAudit";
}

/// An API key as stored: its hash, never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredKey {
    /// The name.
    pub name: Arc<str>,
    /// What it allows.
    pub scope: Scope,
    /// SHA-256 of the key, in hex.
    #[serde(skip)]
    pub hash: String,
    /// When it was made.
    pub created: Timestamp,
}

/// Stores a key's hash.
#[derive(Clone, Debug)]
pub struct AddKey(pub StoredKey);

impl Msg for AddKey {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "AddKey";
}

/// Reads every stored key.
#[derive(Clone, Debug)]
pub struct ListKeys;

impl Msg for ListKeys {
    type Reply = Result<Vec<StoredKey>, StoreError>;
    const NAME: &'static str = "ListKeys";
}

/// Forgets a key. The answer says whether there was one.
#[derive(Clone, Debug)]
pub struct RevokeKey {
    /// The key's name.
    pub name: String,
}

impl Msg for RevokeKey {
    type Reply = Result<bool, StoreError>;
    const NAME: &'static str = "RevokeKey";
}

/// Replaces the cached models of one provider.
#[derive(Clone, Debug)]
pub struct CacheModels {
    /// The provider.
    pub provider: Arc<str>,
    /// Its models.
    pub models: Vec<ModelEntry>,
}

impl Msg for CacheModels {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "CacheModels";
}

/// Reads every cached model.
#[derive(Clone, Debug)]
pub struct LoadModels;

impl Msg for LoadModels {
    type Reply = Result<Vec<ModelEntry>, StoreError>;
    const NAME: &'static str = "LoadModels";
}

/// Asks how the store is.
#[derive(Clone, Debug)]
pub struct StoreHealth;

impl Msg for StoreHealth {
    type Reply = StoreReport;
    const NAME: &'static str = "StoreHealth";
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// The file.
    pub path: String,
    /// The schema's version.
    pub schema: u32,
    /// `None` when all is well; else what is wrong and what to do.
    pub problem: Option<String>,
    /// Bytes of the file and of the log that SQLite keeps beside it.
    pub bytes: u64,
    /// Audit rows that wait to be written.
    pub audit_waiting: u64,
    /// Audit rows that were lost since the start: the queue was full or the write failed.
    pub audit_lost: u64,
}

/// A piece of a cluster's history: figures of a stretch of time, packed by their owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySlab {
    /// Seconds that one figure stands for.
    pub grain_s: u32,
    /// When the stretch begins.
    pub begin: Timestamp,
    /// The figures. The store does not look into them.
    pub data: Vec<u8>,
}

/// Keeps pieces of a cluster's history, in place of those with the same grain and beginning, and forgets old ones.
#[derive(Clone, Debug)]
pub struct KeepHistory {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The pieces.
    pub slabs: Vec<HistorySlab>,
    /// For each grain: what began before this is forgotten.
    pub forget_before: Vec<(u32, Timestamp)>,
}

impl Msg for KeepHistory {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "KeepHistory";
}

/// Reads a cluster's history, the oldest first.
#[derive(Clone, Debug)]
pub struct LoadHistory {
    /// The cluster's name.
    pub cluster: Arc<str>,
}

impl Msg for LoadHistory {
    type Reply = Result<Vec<HistorySlab>, StoreError>;
    const NAME: &'static str = "LoadHistory";
}
