//! A store in a world of its own, and what goes into it.

use arc_swap::ArcSwap;
use contract::caller::{Origin, Scope};
use contract::message::{Lane, Msg};
use contract::store::{AuditKind, AuditRow, ReadAudit, StoreHealth, StoreReport, StoredKey};
use jiff::Timestamp;
use runtime::world::{TestClock, World};
use runtime::{Handle, Mailbox, Policy};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{AuditQueue, Config, Store, UsageQueue};

pub(crate) const NOON: Timestamp = TestClock::ORIGIN;

/// A store that runs, and the ways to it.
pub(crate) struct Running {
    pub(crate) store: Mailbox<Store>,
    pub(crate) queue: Arc<AuditQueue>,
    pub(crate) usage: Arc<UsageQueue>,
    pub(crate) config: Arc<ArcSwap<Config>>,
}

impl Running {
    pub(crate) fn start(world: &World, path: &Path) -> Self {
        Self::with(world, Config { path: path.to_owned(), ..Config::default() }, 16_384)
    }

    pub(crate) fn with(world: &World, config: Config, capacity: usize) -> Self {
        let config = Arc::new(ArcSwap::from_pointee(config));
        let queue = Arc::new(AuditQueue::new(capacity));
        let usage = Arc::new(UsageQueue::default());
        let (own_config, own_queue, clock) = (Arc::clone(&config), Arc::clone(&queue), Arc::clone(&world.clock));
        let own_usage = Arc::clone(&usage);
        let store = world.supervision.start(&world.thread(), "store", Policy::optional(), move || {
            Store::new(Arc::clone(&own_config), Arc::clone(&own_queue), Arc::clone(&clock) as _, NOON)
                .with_usage(Arc::clone(&own_usage))
        });
        Self { store, queue, usage, config }
    }

    pub(crate) async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        Store: Handle<M>,
    {
        self.store.port::<M>(Lane::Interactive).ask(message, Duration::from_secs(5)).await.unwrap()
    }

    pub(crate) async fn report(&self) -> StoreReport {
        self.ask(StoreHealth).await
    }

    pub(crate) async fn problem(&self) -> String {
        self.report().await.problem.expect("a problem")
    }

    pub(crate) async fn audit(&self) -> Vec<String> {
        let rows = self.ask(ReadAudit { limit: 10_000, ..Default::default() }).await.unwrap();
        rows.iter().map(|row| row.request_id.to_string()).collect()
    }
}

pub(crate) fn row(request_id: &str) -> AuditRow {
    AuditRow {
        at: NOON,
        kind: AuditKind::Tool,
        request_id: request_id.into(),
        who: "web".into(),
        origin: Origin::Chat,
        what: "get_time".into(),
        digest: String::new(),
        bytes: 12,
        ms: 3,
        outcome: "ok".into(),
    }
}

pub(crate) fn key(name: &str) -> StoredKey {
    StoredKey { name: name.into(), scope: Scope::Control, hash: format!("hash of {name}"), created: NOON }
}

pub(crate) fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

/// What SQLite itself says of a file that nobody has open.
pub(crate) fn integrity(path: &Path) -> String {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

/// Lets simulated time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
