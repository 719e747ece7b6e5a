//! How columns hold what SQLite has no type for: times as whole microseconds, counts beyond its integers clamped.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use std::fmt;

/// A value in a column that is not one of those HAIA writes.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) what: &'static str,
    pub(crate) found: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no {}", self.found, self.what)
    }
}

impl std::error::Error for Unknown {}

impl Unknown {
    pub(crate) fn in_column(column: usize, what: &'static str, found: impl Into<String>) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(Self { what, found: found.into() }))
    }
}

/// The time in a column.
pub(crate) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let micros: i64 = row.get(column)?;
    Timestamp::from_microsecond(micros).map_err(|_| Unknown::in_column(column, "time", micros.to_string()))
}

/// A count as a column holds it: SQLite's integers are signed.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The count in a column.
pub(crate) fn get_count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Unknown::in_column(column, "count", value.to_string()))
}
