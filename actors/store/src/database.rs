//! The open SQLite file: making it, checking it, reading and writing in transactions.
//!
//! It never deletes or repairs a file, and never writes to one that is damaged, a newer HAIA's, or another program's.

use crate::meta;
use crate::migrations::{self, APPLICATION_ID, MIGRATIONS};
use crate::trouble::{Kind, Trouble};
use contract::clock::SharedClock;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What must have happened before a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives a kill -9; the last moments may be lost when the power fails. For what is written in bulk or can be had again. The
    /// file stays whole either way.
    Process,
    /// It survives a power failure too: one flush of the disk per transaction. For what somebody was told is done.
    Power,
}

/// How a file is opened.
pub(crate) struct Opening {
    /// How long another process's lock is waited for.
    pub(crate) lock_timeout: Duration,
    /// The longest look at the whole file for damage; `None` looks at nothing.
    pub(crate) check: Option<(SharedClock, Duration)>,
    /// What a fresh file notes as its creation.
    pub(crate) origin: Timestamp,
}

/// The open file.
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
    /// Device and inode: what the path named when it was opened.
    identity: (u64, u64),
    durability: Durability,
    schema: u32,
    read_only: bool,
}

/// The log in front of the file is cut back to this size, in bytes, once a burst is over.
const JOURNAL_LIMIT: i64 = 4 << 20;

/// The most memory for pages of the file, in KiB: rows are added at its end and read now and then. SQLite's own default is four times as much.
const CACHE_KIB: i64 = 512;

/// The damage check asks for the time once in so many of SQLite's steps (a step is a page or a cell).
const STEPS_PER_LOOK: i32 = 1000;

impl Database {
    /// Opens the file at `path`, makes it if there is none, and brings its schema up to date.
    pub(crate) fn open(path: &Path, opening: &Opening) -> Result<Self, Trouble> {
        let path = std::path::absolute(path).map_err(|error| Trouble::io(path, &error))?;
        prepare(&path)?;
        let mut database = Self::connect(&path, opening).map_err(|error| Trouble::of(&path, &error))?;
        database.refuse_others()?;
        if let Some((clock, budget)) = &opening.check {
            database.check(clock, *budget)?;
        }
        if database.read_only {
            return database.unchanged();
        }
        database.set_up(opening.origin)?;
        Ok(database)
    }

    fn connect(path: &Path, opening: &Opening) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(opening.lock_timeout)?;
        // Until the file is known to be ours and whole, closing it must not move the log into it either.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        let read_only = connection.is_readonly("main")?;
        let identity = identity(path).unwrap_or_default();
        Ok(Self { connection, path: path.to_owned(), identity, durability: Durability::Power, schema: 0, read_only })
    }

    fn refuse_others(&mut self) -> Result<(), Trouble> {
        let known = MIGRATIONS.len();
        let (schema, application, objects) = self.read(|connection| {
            let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let objects: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((migrations::version(connection)?, application, objects))
        })?;
        if application != APPLICATION_ID && (application != 0 || schema != 0 || objects != 0) {
            let detail = format!("application id {application:#x}, {objects} tables and indexes");
            return Err(Trouble::new(&self.path, Kind::Foreign, &detail));
        }
        if schema as usize > known {
            let detail = format!("its schema has version {schema}, this HAIA knows versions up to {known}");
            return Err(Trouble::new(&self.path, Kind::Newer, &detail));
        }
        self.schema = schema;
        Ok(())
    }

    /// Looks for damage, at most for `budget`: what a large file hides beyond that is reported when it is read.
    fn check(&mut self, clock: &SharedClock, budget: Duration) -> Result<(), Trouble> {
        let ticking = std::sync::Arc::clone(clock);
        let until = clock.monotonic() + budget;
        let outcome = self
            .connection
            .progress_handler(
                STEPS_PER_LOOK,
                Some(move || {
                    // The rest of the daemon starts meanwhile, and may have no other core for it.
                    std::thread::yield_now();
                    ticking.monotonic() >= until
                }),
            )
            .and_then(|()| self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
        // What was only looked at need not stay in memory.
        let tidied = self
            .connection
            .progress_handler(0, None::<fn() -> bool>)
            .and_then(|()| self.connection.execute_batch("PRAGMA shrink_memory"));
        match outcome.and_then(|found| tidied.map(|()| found)) {
            Ok(found) if found == "ok" => Ok(()),
            Ok(found) => Err(Trouble::new(&self.path, Kind::Damaged, &found.replace('\n', " "))),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                tracing::info!(path = %self.path.display(), ?budget, "the store is large: only its first part was checked for damage");
                Ok(())
            }
            Err(error) => Err(Trouble::of(&self.path, &error)),
        }
    }

    /// A file that may only be read is of use if it needs no change.
    fn unchanged(self) -> Result<Self, Trouble> {
        if self.schema as usize == MIGRATIONS.len() {
            return Ok(self);
        }
        Err(Trouble::new(&self.path, Kind::ReadOnly, "its schema is to be brought up to date"))
    }

    fn set_up(&mut self, origin: Timestamp) -> Result<(), Trouble> {
        let mode: String =
            self.read(|connection| connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)))?;
        if mode != "wal" {
            let detail = format!("its file system cannot share memory between programs, journal mode stays {mode}");
            return Err(Trouble::new(&self.path, Kind::Failed, &detail));
        }
        let path = self.path.clone();
        let mut prepare = || -> rusqlite::Result<u32> {
            self.connection.pragma_update(None, "journal_size_limit", JOURNAL_LIMIT)?;
            self.connection.pragma_update(None, "synchronous", "full")?;
            self.durability = Durability::Power;
            let applied = migrations::migrate(&mut self.connection, MIGRATIONS)?;
            meta::set_origin_if_none(&self.connection, origin)?;
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            Ok(applied)
        };
        let applied = prepare().map_err(|error| Trouble::of(&path, &error))?;
        if applied > 0 {
            tracing::info!(path = %path.display(), from = self.schema, to = MIGRATIONS.len(), "the store's schema was brought up to date");
        }
        self.schema = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// The schema's version.
    pub(crate) fn schema(&self) -> u32 {
        self.schema
    }

    /// Reads.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Trouble> {
        work(&self.connection).map_err(|error| Trouble::of(&self.path, &error))
    }

    /// Writes, all of it or nothing.
    pub(crate) fn write<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        if self.read_only {
            return Err(Trouble::new(&self.path, Kind::ReadOnly, "the system opened it for reading only"));
        }
        let path = self.path.clone();
        self.transact(durability, work).map_err(|error| Trouble::of(&path, &error))
    }

    fn transact<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.durability != durability {
            let level = match durability {
                Durability::Process => "normal",
                Durability::Power => "full",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Checks that the path still names the open file. Rows written to a file that was moved away would be gone with it, and closing it
    /// must not touch the log of whatever stands in its place.
    pub(crate) fn still_there(&self) -> Result<(), Trouble> {
        let now = identity(&self.path);
        if now == Some(self.identity) {
            return Ok(());
        }
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        let detail = if now.is_some() { "another file is in its place" } else { "there is none now" };
        Err(Trouble::new(&self.path, Kind::Moved, detail))
    }

    /// Moves the log into the file and empties it, as far as other readers allow.
    pub(crate) fn checkpoint(&self) -> Result<(), Trouble> {
        if self.read_only {
            return Ok(());
        }
        let busy: bool =
            self.read(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)))?;
        if busy {
            tracing::info!(path = %self.path.display(), "another process reads the store: its log stays beside it, complete");
        }
        Ok(())
    }

    /// Lets no more pages be added than there are: a full disk for a test.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, most: u32) {
        self.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(())).unwrap();
    }
}

/// Bytes of the file and its log.
pub(crate) fn bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path, Path::new(&log)].iter().filter_map(|part| fs::metadata(part).ok()).map(|file| file.len()).sum()
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Makes the folder and the file if there are none, for the owner only. An existing file is not opened here: closing it again would take
/// away the locks of every other connection of this process.
fn prepare(path: &Path) -> Result<(), Trouble> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Err(Trouble::new(path, Kind::Unreachable, "it is a folder"));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
            Trouble::new(path, Trouble::io(path, &error).kind, &format!("{} cannot be made: {error}", folder.display()))
        })?;
    }
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Trouble::io(path, &error)),
    }
}
