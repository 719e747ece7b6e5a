//! The schema's history: numbered SQL files, each applied once, in order, in a transaction of its own together with its number.
//!
//! A file is never changed after a release: a later wish is a later file. A database with a number beyond the last is a newer
//! HAIA's and is never touched.

use rusqlite::{Connection, TransactionBehavior};

/// Every migration. The schema's version is how many of them a database has seen.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_history.sql"),
    include_str!("migrations/0003_watching.sql"),
    include_str!("migrations/0004_approvals.sql"),
    include_str!("migrations/0005_usage.sql"),
    include_str!("migrations/0006_guessed_usage.sql"),
];

/// "HAIA": tells our databases from other programs' (`PRAGMA application_id`).
pub(crate) const APPLICATION_ID: i32 = 0x4841_4941;

/// The schema's version of a database; 0 for an empty one.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies what a database has not seen yet. Returns how many that were.
pub(crate) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<u32> {
    let mut applied = 0;
    for (sql, number) in migrations.iter().zip(1u32..) {
        if version(connection)? >= number {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have done it while this one waited for the lock.
        if version(&transaction)? < number {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
            applied += 1;
        }
    }
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<(String, Option<String>)> {
        let mut statement = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn every_historic_version_upgrades_to_the_same_schema() {
        let mut fresh = Connection::open_in_memory().unwrap();
        migrate(&mut fresh, MIGRATIONS).unwrap();
        for historic in 0..=MIGRATIONS.len() {
            let mut old = Connection::open_in_memory().unwrap();
            migrate(&mut old, &MIGRATIONS[..historic]).unwrap();
            assert_eq!(version(&old).unwrap() as usize, historic);
            let applied = migrate(&mut old, MIGRATIONS).unwrap();
            assert_eq!(applied as usize, MIGRATIONS.len() - historic);
            assert_eq!(schema(&old), schema(&fresh), "from version {historic}");
            assert_eq!(version(&old).unwrap() as usize, MIGRATIONS.len());
            assert_eq!(migrate(&mut old, MIGRATIONS).unwrap(), 0, "a second run must change nothing");
        }
    }

    /// Rows as version 1 wrote them must be readable for ever. Each released version adds its own text here.
    #[test]
    fn rows_of_version_1_survive_the_upgrade() {
        let mut old = Connection::open_in_memory().unwrap();
        migrate(&mut old, &MIGRATIONS[..1]).unwrap();
        old.execute_batch(
            "INSERT INTO meta VALUES ('created_at', 1772366400000000);
             INSERT INTO audit VALUES (7, 1772366400000000, 'tool', 'req', 'web', 'chat', 'get_time', '0123456789abcdef', 12, 3, 'ok');
             INSERT INTO api_keys VALUES ('web', 'control', 'aa', 1772366400000000);
             INSERT INTO models VALUES ('ollama', 0, 'qwen', NULL, 32768, 1);",
        )
        .unwrap();
        migrate(&mut old, MIGRATIONS).unwrap();
        let filter = contract::store::ReadAudit { limit: 10, ..Default::default() };
        let rows = crate::audit::read(&old, &filter).unwrap();
        assert_eq!((rows.len(), &*rows[0].what, rows[0].bytes), (1, "get_time", 12));
        assert_eq!(crate::keys::list(&old).unwrap()[0].hash, "aa");
        assert_eq!(crate::models::load(&old).unwrap()[0].context_tokens, Some(32768));
    }

    #[test]
    fn sums_of_version_5_have_nothing_guessed() {
        let mut old = Connection::open_in_memory().unwrap();
        migrate(&mut old, &MIGRATIONS[..5]).unwrap();
        let row = "INSERT INTO usage VALUES ('2026-03-01', 'web', 'openai', 'gpt', 1, 0, 0, 0, 7, 3, NULL, NULL, NULL, 1, 5, 9)";
        old.execute_batch(row).unwrap();
        migrate(&mut old, MIGRATIONS).unwrap();
        let sums = crate::usage::load(&old, jiff::civil::date(2026, 3, 1)).unwrap();
        assert_eq!((sums.len(), sums[0].1.input, sums[0].1.total_us), (1, Some(7), 9));
        assert_eq!((sums[0].1.guessed_tokens, sums[0].1.guessed_nanos), (0, 0));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let history = ["CREATE TABLE a (x)", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"];
        assert!(migrate(&mut connection, &history).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        assert_eq!(schema(&connection).len(), 1, "half of a migration stayed");
        assert_eq!(migrate(&mut connection, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).unwrap(), 1);
        assert_eq!(schema(&connection).len(), 2);
    }

    #[test]
    fn the_folder_and_the_list_agree() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/migrations");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files.len(), MIGRATIONS.len());
        for ((file, sql), number) in files.iter().zip(MIGRATIONS).zip(1..) {
            assert!(file.starts_with(&format!("{number:04}_")), "{file}");
            assert_eq!(std::fs::read_to_string(format!("{folder}/{file}")).unwrap(), *sql);
        }
    }
}
