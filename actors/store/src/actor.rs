//! The actor that alone holds the open SQLite file: opens it, keeps trying when it cannot, empties the queues, deletes what is old.
//!
//! It blocks: every handler reads or writes a file before it answers. That is what its own thread is for, and nothing else may run there. A
//! store that cannot be opened or written is no crash: the actor stays, answers with what is wrong and what to do, and tries again.
//! It never deletes or replaces a file.

use crate::audit;
use crate::config::Config;
use crate::database::{self, Database, Durability, Opening};
use crate::health::Health;
use crate::meta;
use crate::queue::AuditQueue;
use crate::trouble::{Kind, Trouble};
use crate::usage;
use crate::usage_queue::UsageQueue;
use arc_swap::ArcSwap;
use contract::clock::SharedClock;
use contract::message::{Fault, Lane, Msg};
use contract::store::{StoreError, StoreReport};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use runtime::{Context, Handle, Reply, Service};
use rusqlite::{Connection, Transaction};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the audit queue is emptied.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// How often old audit rows are looked for, in HAIA's time.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Rows deleted in one step: other messages come in between.
pub(crate) const SWEEP_BATCH: u32 = 1000;

/// How long another process's lock is waited for, and with it the longest that one message waits for another because of it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long opening may look for damage: who starts HAIA waits for it when the store alone knows the keys.
const CHECK_BUDGET: Duration = Duration::from_millis(100);

/// How long accounts are kept: the same day of the year before stays visible.
const USAGE_KEPT: SignedDuration = SignedDuration::from_hours(24 * 800);

/// How long a step of the sweep may wait behind other messages.
const SWEEP_PATIENCE: Duration = Duration::from_secs(60);

/// The store.
pub struct Store {
    config: Arc<ArcSwap<Config>>,
    path: PathBuf,
    queue: Arc<AuditQueue>,
    usage: Arc<UsageQueue>,
    clock: SharedClock,
    origin: Timestamp,
    database: Option<Database>,
    schema: u32,
    health: Health,
    lost_told: u64,
}

impl Store {
    /// A store that opens its file when it starts.
    ///
    /// `config` and `queue` outlive the actor: after a crash its factory hands them to the next one. A reload goes into `config` by
    /// `Reconfigure<Config>`, all but the path. `origin` is what a fresh file notes as its creation: the origin of `clock`, in real time
    /// (see [`crate::origin`]).
    pub fn new(config: Arc<ArcSwap<Config>>, queue: Arc<AuditQueue>, clock: SharedClock, origin: Timestamp) -> Self {
        let path = config.load().path.clone();
        // The working directory may change; what the configuration meant does not. An empty path is refused when it is opened.
        let path = std::path::absolute(&path).unwrap_or(path);
        let lost_told = queue.lost();
        Self {
            config,
            path,
            queue,
            usage: Arc::default(),
            clock,
            origin,
            database: None,
            schema: 0,
            health: Health::default(),
            lost_told,
        }
    }

    /// The store that also writes the accounts of `usage`, which outlives the actor as the audit queue does.
    pub fn with_usage(self, usage: Arc<UsageQueue>) -> Self {
        Self { usage, ..self }
    }

    /// How the store is.
    pub(crate) fn report(&self) -> StoreReport {
        StoreReport {
            path: self.path.display().to_string(),
            schema: self.schema,
            problem: self.health.problem().map(str::to_owned),
            bytes: database::bytes(&self.path),
            audit_waiting: self.queue.waiting(),
            audit_lost: self.queue.lost(),
        }
    }

    /// Reads. What is stored stays readable while it cannot be written.
    pub(crate) fn read<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let outcome = self.usable(false)?.read(work);
        outcome.map_err(|trouble| self.failed(&trouble))
    }

    /// Writes, all of it or nothing.
    pub(crate) fn write<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let outcome = self.usable(true)?.write(durability, work);
        if outcome.is_ok() {
            self.health.wrote();
        }
        outcome.map_err(|trouble| self.failed(&trouble))
    }

    /// Writes the audit rows that wait, unless it is too early to try again.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        if let Some(problem) = self.health.too_early(self.clock.monotonic()) {
            return Err(StoreError(problem.to_owned()));
        }
        let queue = Arc::clone(&self.queue);
        queue.write_with(|rows| self.write(Durability::Process, |transaction| audit::insert(transaction, rows)))
    }

    /// The accounts on their way here.
    pub(crate) fn usage(&self) -> &UsageQueue {
        &self.usage
    }

    /// Adds the accounts that wait, unless it is too early to try again.
    pub(crate) fn flush_usage(&mut self) -> Result<(), StoreError> {
        if let Some(problem) = self.health.too_early(self.clock.monotonic()) {
            return Err(StoreError(problem.to_owned()));
        }
        let waiting = Arc::clone(&self.usage);
        waiting.write_with(|sums| self.write(Durability::Process, |transaction| usage::add(transaction, sums)))
    }

    /// Writes what waits, moves the log into the file and closes it. A message that comes later opens it again.
    pub(crate) fn close(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!(rows = self.queue.waiting(), %error, "audit rows could not be written before the end");
        }
        if let Err(error) = self.flush_usage() {
            tracing::error!(%error, "the accounts of the last moments could not be written before the end");
        }
        if let Some(Err(trouble)) = self.database.take().map(|database| database.checkpoint()) {
            tracing::warn!(problem = trouble.text, "the store's log stays beside it, complete");
        }
    }

    /// The open file, opened if need be; for writing only if nothing is known to be wrong with it.
    fn usable(&mut self, to_write: bool) -> Result<&mut Database, StoreError> {
        if let Some(Err(trouble)) = self.database.as_ref().map(Database::still_there) {
            tracing::error!(problem = trouble.text, "the store is opened again");
            // What its log holds belongs into the file that was moved: SQLite would apply it to whatever stands in its place.
            if let Some(Err(trouble)) = self.database.take().map(|moved| moved.checkpoint()) {
                tracing::error!(
                    problem = trouble.text,
                    "the newest rows did not get into the file that was moved away"
                );
            }
        }
        if self.database.is_none() || (to_write && self.health.problem().is_some()) {
            let outcome = self.retry();
            if to_write || self.database.is_none() {
                outcome?;
            }
        }
        self.database.as_mut().ok_or_else(|| StoreError(format!("the store {} is closed", self.path.display())))
    }

    /// Opens the file and tries a small write, unless it is too early to try again.
    fn retry(&mut self) -> Result<(), StoreError> {
        if let Some(problem) = self.health.too_early(self.clock.monotonic()) {
            return Err(StoreError(problem.to_owned()));
        }
        if let Err(trouble) = self.open_and_probe() {
            return Err(self.failed(&trouble));
        }
        if self.health.works() {
            tracing::info!(path = %self.path.display(), "the store works again");
        }
        Ok(())
    }

    fn open_and_probe(&mut self) -> Result<(), Trouble> {
        let keep = self.health.cures_itself();
        let mut database = match self.database.take().filter(|_| keep) {
            Some(database) => database,
            None => {
                let check = Some((Arc::clone(&self.clock), CHECK_BUDGET));
                let opening = Opening { lock_timeout: LOCK_TIMEOUT, check, origin: self.origin };
                Database::open(&self.path, &opening)?
            }
        };
        self.schema = database.schema();
        let now = self.clock.now();
        let outcome = database.write(Durability::Process, |transaction| meta::probe(transaction, now));
        self.database = Some(database);
        outcome
    }

    /// Notes what went wrong, and lets go of a file that is of no more use.
    fn failed(&mut self, trouble: &Trouble) -> StoreError {
        if trouble.kind != Kind::Row {
            if self.health.failed(trouble, self.clock.monotonic()) {
                tracing::error!(problem = trouble.text, "the store cannot be used");
            }
            if !trouble.kind.keeps_connection() {
                self.database = None;
            }
        }
        StoreError(trouble.text.clone())
    }

    fn tick(&mut self) {
        if self.queue.waiting() > 0 {
            // What goes wrong is noted and told by `failed`.
            let _ = self.flush();
        } else if self.health.problem().is_some() {
            let _ = self.retry();
        }
        if self.usage.is_due() {
            let _ = self.flush_usage();
        }
        let lost = self.queue.lost();
        if lost > self.lost_told {
            tracing::warn!(rows = lost - self.lost_told, in_all = lost, "audit rows were lost");
            self.lost_told = lost;
        }
    }

    /// Deletes one step's worth of old audit rows. Whether there is more.
    fn sweep(&mut self) -> bool {
        if self.database.is_none() || self.health.problem().is_some() {
            return false;
        }
        let config = self.config.load_full();
        let before = SignedDuration::try_from(config.audit_retention.0)
            .ok()
            .and_then(|retention| self.clock.now().checked_sub(retention).ok());
        let day = self.clock.now().to_zoned(TimeZone::UTC).date().saturating_sub(USAGE_KEPT);
        let deleted = self.write(Durability::Process, |transaction| {
            usage::forget(transaction, day)?;
            audit::delete_old(transaction, before, config.audit_max_rows, SWEEP_BATCH)
        });
        deleted.is_ok_and(|deleted| deleted >= SWEEP_BATCH as usize)
    }

    /// Takes over a new configuration, all but the path of the file that is open.
    pub(crate) fn reconfigure(&self, config: &Config) {
        let current = self.config.load_full();
        self.config.store(Arc::new(Config { path: current.path.clone(), ..config.clone() }));
    }

    /// A full disk for a test.
    #[cfg(test)]
    pub(crate) fn limit_pages(&mut self, most: u32) {
        self.database.as_ref().unwrap().limit_pages(most);
    }
}

impl Service for Store {
    type Observed = StoreReport;

    fn started(&mut self, context: &Context<Self>) {
        // What goes wrong is noted and told by `failed`, and tried again by the ticks.
        let _ = self.retry();
        context.tell_after(FLUSH_EVERY, Lane::Control, Tick);
        let (rows, queue) = (context.mailbox().port::<WriteRows>(Lane::Control), Arc::clone(&self.queue));
        context.spawn(async move {
            loop {
                queue.crowded().await;
                // What is not written now is at the next tick.
                if let Err(Fault::Closed { .. } | Fault::Failed { .. }) = rows.ask(WriteRows, SWEEP_PATIENCE).await {
                    return;
                }
            }
        });
        let steps = context.mailbox().port::<Sweep>(Lane::Background);
        let clock = Arc::clone(&self.clock);
        context.spawn(async move {
            loop {
                match steps.ask(Sweep, SWEEP_PATIENCE).await {
                    Ok(true) => {}
                    Ok(false) | Err(Fault::Busy { .. } | Fault::Expired { .. } | Fault::Panicked { .. }) => {
                        clock.sleep(SWEEP_EVERY).await;
                    }
                    Err(Fault::Closed { .. } | Fault::Failed { .. }) => return,
                }
            }
        });
    }

    fn observe(&self) -> StoreReport {
        self.report()
    }
}

/// Time to empty the audit queue and to look whether what was wrong is over.
struct Tick;

impl Msg for Tick {
    type Reply = ();
    const NAME: &'static str = "Tick";
}

impl Handle<Tick> for Store {
    fn handle(&mut self, _: Tick, context: &Context<Self>) -> Reply<()> {
        self.tick();
        context.tell_after(FLUSH_EVERY, Lane::Control, Tick);
        Reply::Now(())
    }
}

/// Many audit rows wait.
struct WriteRows;

impl Msg for WriteRows {
    type Reply = ();
    const NAME: &'static str = "WriteRows";
}

impl Handle<WriteRows> for Store {
    fn handle(&mut self, _: WriteRows, _: &Context<Self>) -> Reply<()> {
        // What goes wrong is noted and told by `failed`.
        let _ = self.flush();
        Reply::Now(())
    }
}

/// Time to delete a step's worth of old rows. The answer says whether there is more.
struct Sweep;

impl Msg for Sweep {
    type Reply = bool;
    const NAME: &'static str = "Sweep";
}

impl Handle<Sweep> for Store {
    fn handle(&mut self, _: Sweep, _: &Context<Self>) -> Reply<bool> {
        Reply::Now(self.sweep())
    }
}
