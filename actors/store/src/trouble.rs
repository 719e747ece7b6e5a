//! What can be wrong with the store's file, told so that an operator knows what to do. It never holds what was to be stored.

use rusqlite::ErrorCode;
use std::io;
use std::path::Path;

/// What kind of thing is wrong: decides whether the open file can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No room on the disk.
    Full,
    /// The file or its folder may not be written.
    ReadOnly,
    /// What is in the file is not a whole database.
    Damaged,
    /// Another process holds a lock.
    Locked,
    /// The file is not where it was opened.
    Moved,
    /// The file or its folder cannot be had.
    Unreachable,
    /// A newer HAIA wrote it.
    Newer,
    /// Another program wrote it.
    Foreign,
    /// The disk or SQLite failed in another way.
    Failed,
    /// A single row cannot be understood; the rest can.
    Row,
}

impl Kind {
    /// Whether the open connection is worth keeping: what is stored can still be read.
    pub(crate) fn keeps_connection(self) -> bool {
        matches!(self, Kind::Full | Kind::ReadOnly | Kind::Locked | Kind::Row)
    }

    /// Whether the same connection may write again once the cause is gone.
    pub(crate) fn cures_itself(self) -> bool {
        matches!(self, Kind::Full | Kind::Locked)
    }
}

/// Something is wrong with the store.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    /// What, where, what to do.
    pub(crate) text: String,
}

impl Trouble {
    /// Describes what SQLite reported of the file at `path`.
    pub(crate) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let kind = match error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => Kind::Full,
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Kind::ReadOnly,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Kind::Damaged,
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Kind::Locked,
                // A file that is there and cannot be opened: it, or the log that SQLite keeps beside it, is not for this user.
                ErrorCode::CannotOpen if path.exists() => Kind::ReadOnly,
                ErrorCode::CannotOpen => Kind::Unreachable,
                _ => Kind::Failed,
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Kind::Row,
            _ => Kind::Failed,
        };
        Self::new(path, kind, &error.to_string())
    }

    /// Describes what the system said when `path` or its folder was to be made or looked at.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::ReadOnly,
            _ => Kind::Unreachable,
        };
        Self::new(path, kind, &error.to_string())
    }

    /// Writes the text for an operator; `detail` is the reporter's own word.
    pub(crate) fn new(path: &Path, kind: Kind, detail: &str) -> Self {
        let file = path.display();
        let text = match kind {
            Kind::Full => format!(
                "the store {file} cannot be written: the disk is full ({detail}). Free some space on it; HAIA tries again by itself"
            ),
            Kind::ReadOnly => format!(
                "the store {file} cannot be written ({detail}). Let the user that runs HAIA write the file, its folder and, where there are \
                 any, {file}-wal and {file}-shm (SQLite needs all of them), or set store.path to a place where it may; HAIA tries again \
                 by itself"
            ),
            Kind::Damaged => format!(
                "the store {file} is damaged ({detail}). HAIA leaves it as it is. Move the file and, where there are any, {file}-wal and \
                 {file}-shm away, then either put a backup in its place or let HAIA make a fresh one, which it does by itself. \
                 \"sqlite3 FILE .recover\" can often save what is in the damaged one"
            ),
            Kind::Locked => format!(
                "the store {file} is locked by another process ({detail}). \"fuser {file}\" names it: end it; HAIA tries again by itself"
            ),
            Kind::Moved => format!(
                "the store {file} was moved, replaced or deleted while HAIA had it open ({detail}). HAIA opens again what is there now; \
                 stop HAIA before you move its store"
            ),
            Kind::Unreachable => format!(
                "the store {file} cannot be opened ({detail}). Check store.path: its folder must exist or be possible to make; HAIA tries \
                 again by itself"
            ),
            Kind::Newer => format!(
                "the store {file} was written by a newer HAIA ({detail}) and was left as it is. Run that version again, or put back the \
                 backup from before the upgrade, or set store.path to another file"
            ),
            Kind::Foreign => format!(
                "{file} is another program's SQLite database ({detail}) and was left as it is. Set store.path to a file of HAIA's own"
            ),
            Kind::Failed => format!(
                "the store {file} failed ({detail}). Check the disk that it is on (the system's log names disk errors); HAIA tries again \
                 by itself"
            ),
            Kind::Row => format!(
                "the store {file} holds a row that this HAIA does not understand ({detail}). If it was written by hand, delete it; else \
                 run the version that wrote it"
            ),
        };
        Self { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn kind_of(code: i32) -> Kind {
        let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        Trouble::of(Path::new("/x/haia.db"), &failure).kind
    }

    #[test]
    fn sorts_what_sqlite_says() {
        for (code, kind) in [
            (ffi::SQLITE_FULL, Kind::Full),
            (ffi::SQLITE_READONLY, Kind::ReadOnly),
            (ffi::SQLITE_READONLY_DIRECTORY, Kind::ReadOnly),
            (ffi::SQLITE_CORRUPT, Kind::Damaged),
            (ffi::SQLITE_NOTADB, Kind::Damaged),
            (ffi::SQLITE_BUSY, Kind::Locked),
            (ffi::SQLITE_CANTOPEN, Kind::Unreachable),
            (ffi::SQLITE_IOERR_WRITE, Kind::Failed),
            (ffi::SQLITE_MISUSE, Kind::Failed),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }

    #[test]
    fn sorts_what_the_system_says() {
        for (error, kind) in [
            (io::ErrorKind::StorageFull, Kind::Full),
            (io::ErrorKind::PermissionDenied, Kind::ReadOnly),
            (io::ErrorKind::NotFound, Kind::Unreachable),
        ] {
            assert_eq!(Trouble::io(Path::new("/x/haia.db"), &error.into()).kind, kind);
        }
    }

    #[test]
    fn every_text_names_the_file_and_what_to_do() {
        for (kind, advice) in [
            (Kind::Full, "Free some space"),
            (Kind::ReadOnly, "Let the user that runs HAIA write"),
            (Kind::Damaged, "Move the file"),
            (Kind::Locked, "end it"),
            (Kind::Moved, "stop HAIA before"),
            (Kind::Unreachable, "Check store.path"),
            (Kind::Newer, "Run that version again"),
            (Kind::Foreign, "Set store.path"),
            (Kind::Failed, "Check the disk"),
            (Kind::Row, "delete it"),
        ] {
            let text = Trouble::new(Path::new("/x/haia.db"), kind, "the detail").text;
            assert!(text.contains("/x/haia.db") && text.contains("the detail") && text.contains(advice), "{text}");
        }
    }
}
