//! Facts about the store itself. It holds nothing of what the store keeps for others.

use crate::column;
use crate::database::{Database, Opening};
use contract::store::StoreError;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;
use std::time::Duration;

const CREATED: &str = "created_at";
const CHECKED: &str = "checked_at";

/// How long [`origin`] waits for another process's lock: the daemon's start waits for it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// When the store at `path` was created: the origin of accelerated time. Opens it, makes it if there is none (created at `now`, which must
/// be real time), brings its schema up to date and closes it again. Blocks; meant for the moment before any actor runs.
///
/// # Errors
/// What is wrong with the file, where, and what to do. The daemon can go on with `now` as its origin.
pub fn origin(path: &Path, now: Timestamp) -> Result<Timestamp, StoreError> {
    let opening = Opening { lock_timeout: LOCK_TIMEOUT, check: None, origin: now };
    Database::open(path, &opening)
        .and_then(|database| database.read(read_origin))
        .map(|origin| origin.unwrap_or(now))
        .map_err(|trouble| StoreError(trouble.text))
}

fn read_origin(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [CREATED], |row| column::time(row, 0)).optional()
}

/// Notes when the store was created, once.
pub(crate) fn set_origin_if_none(connection: &Connection, origin: Timestamp) -> rusqlite::Result<()> {
    connection
        .execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?1, ?2)", params![CREATED, origin.as_microsecond()])
        .map(|_| ())
}

/// Writes a little, to see whether the store can be written.
pub(crate) fn probe(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![CHECKED, now.as_microsecond()])
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_set_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/haia.db");
        let first = Timestamp::constant(1_772_366_400, 5_000);
        let later = Timestamp::constant(1_900_000_000, 0);
        assert_eq!(origin(&path, first), Ok(first));
        assert_eq!(origin(&path, later), Ok(first));
    }

    #[test]
    fn a_store_that_cannot_be_had_is_told() {
        // /proc takes no new folder from anybody, root included.
        let error = origin(Path::new("/proc/haia/haia.db"), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.0.contains("/proc/haia/haia.db") && error.0.contains("store.path"), "{error}");
    }
}
