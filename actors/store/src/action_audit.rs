//! The record of actions: rows are added at the end, each with a hash over the one before, and the chain is checked. Triggers of the schema
//! refuse everything else.

use crate::column;
use crate::words;
use contract::approvals::{ActionAuditEntry, ActionAuditRow, AuditReport};
use contract::store::ReadActionAudit;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The most rows one question is answered with.
const READ_LIMIT: u32 = 10_000;

/// What stands in place of a hash before the first row.
const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const COLUMNS: &str = "SELECT id, at, proposal, what, who, via, request_id, text, data, hash FROM action_audit";

/// Adds rows.
pub(crate) fn add(connection: &Connection, entries: &[ActionAuditEntry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let last: Option<(i64, String)> = connection
        .prepare_cached("SELECT id, hash FROM action_audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (mut id, mut hash) = last.unwrap_or_else(|| (0, START.to_owned()));
    let mut statement = connection.prepare_cached(
        "INSERT INTO action_audit (id, at, proposal, what, who, via, request_id, text, data, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for entry in entries {
        id += 1;
        hash = chained(&hash, id, entry);
        statement.execute(params![
            id,
            entry.at.as_microsecond(),
            column::count(entry.proposal),
            entry.what.as_str(),
            &*entry.who,
            &*entry.via,
            &*entry.request_id,
            entry.text,
            entry.data,
            hash,
        ])?;
    }
    Ok(())
}

/// The hash of a row: SHA-256 over the hash before it, a line end, and the row as one JSON array.
fn chained(before: &str, id: i64, entry: &ActionAuditEntry) -> String {
    let row = serde_json::json!([
        id,
        entry.at.as_microsecond(),
        column::count(entry.proposal),
        entry.what.as_str(),
        entry.who,
        entry.via,
        entry.request_id,
        entry.text,
        entry.data,
    ]);
    let mut sum = Sha256::new();
    sum.update(before.as_bytes());
    sum.update(b"\n");
    sum.update(row.to_string().as_bytes());
    sum.finalize().iter().fold(String::with_capacity(64), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Rows: of one proposal the oldest first, of all the newest first.
pub(crate) fn read(connection: &Connection, asked: &ReadActionAudit) -> rusqlite::Result<Vec<ActionAuditRow>> {
    let limit = asked.limit.clamp(1, READ_LIMIT);
    match asked.proposal {
        Some(proposal) => {
            let sql = format!("{COLUMNS} WHERE proposal = ?1 ORDER BY id LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![column::count(proposal), limit], from_row)?.collect()
        }
        None => {
            let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY id DESC LIMIT ?1"))?;
            statement.query_map([limit], from_row)?.collect()
        }
    }
}

/// Walks along the whole chain.
pub(crate) fn verify(connection: &Connection) -> rusqlite::Result<AuditReport> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let (mut count, mut head) = (0u64, START.to_owned());
    while let Some(row) = rows.next()? {
        // A row that cannot even be read was not written by HAIA.
        let found = from_row(row);
        count += 1;
        let broken = match found {
            Err(error) => Some(format!("row {count} cannot be read: {error}")),
            Ok(found) if found.id != count => Some(format!("row {count} is missing: row {} follows", found.id)),
            Ok(found) if chained(&head, column::count(found.id), &found.entry) != found.hash => {
                Some(format!("row {count} is not as it was written, or the one before it was changed"))
            }
            Ok(found) => {
                head = found.hash;
                None
            }
        };
        if broken.is_some() {
            return Ok(AuditReport { rows: count, broken, head });
        }
    }
    Ok(AuditReport { rows: count, broken: None, head })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ActionAuditRow> {
    Ok(ActionAuditRow {
        id: column::get_count(row, 0)?,
        entry: ActionAuditEntry {
            at: column::time(row, 1)?,
            proposal: column::get_count(row, 2)?,
            what: words::get(row, 3)?,
            who: row.get::<_, String>(4)?.into(),
            via: row.get::<_, String>(5)?.into(),
            request_id: row.get::<_, String>(6)?.into(),
            text: row.get(7)?,
            data: row.get(8)?,
        },
        hash: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{audit_entry, migrated};

    fn ids(rows: &[ActionAuditRow]) -> Vec<u64> {
        rows.iter().map(|row| row.id).collect()
    }

    #[test]
    fn rows_are_chained_and_found_again() {
        let connection = migrated();
        assert_eq!(verify(&connection).unwrap(), AuditReport { rows: 0, broken: None, head: START.to_owned() });
        add(&connection, &[audit_entry(1), audit_entry(2)]).unwrap();
        add(&connection, &[audit_entry(1)]).unwrap();
        let all = read(&connection, &ReadActionAudit { proposal: None, limit: 10 }).unwrap();
        assert_eq!(ids(&all), [3, 2, 1]);
        assert_eq!(all[0].entry, audit_entry(1));
        let own = read(&connection, &ReadActionAudit { proposal: Some(1), limit: 10 }).unwrap();
        assert_eq!(ids(&own), [1, 3]);
        assert_ne!(own[0].hash, own[1].hash, "the same words, another place");
        let report = verify(&connection).unwrap();
        assert_eq!((report.rows, report.broken, report.head), (3, None, all[0].hash.clone()));
    }

    #[test]
    fn the_schema_takes_nothing_but_rows_at_the_end() {
        let connection = migrated();
        add(&connection, &[audit_entry(1), audit_entry(2)]).unwrap();
        for forbidden in [
            "DELETE FROM action_audit",
            "UPDATE action_audit SET text = 'x'",
            "INSERT INTO action_audit SELECT 7, at, proposal, what, who, via, request_id, text, data, hash FROM action_audit WHERE id = 1",
            "INSERT OR REPLACE INTO action_audit SELECT 1, at, proposal, what, who, via, request_id, 'x', data, hash FROM action_audit WHERE id = 1",
        ] {
            let error = connection.execute(forbidden, []).unwrap_err().to_string();
            assert!(error.contains("record of actions"), "{forbidden}: {error}");
        }
        assert_eq!(verify(&connection).unwrap().broken, None);
    }

    #[test]
    fn what_was_changed_by_other_means_shows() {
        for (tampering, told) in [
            ("UPDATE action_audit SET text = 'nothing happened' WHERE id = 2", "row 2 is not as it was written"),
            ("UPDATE action_audit SET who = 'bob' WHERE id = 1", "row 1 is not as it was written"),
            ("DELETE FROM action_audit WHERE id = 2", "row 2 is missing"),
            ("UPDATE action_audit SET what = 'blessed' WHERE id = 3", "row 3 cannot be read"),
            ("UPDATE action_audit SET hash = 'x' WHERE id = 1", "row 1 is not"),
        ] {
            let connection = migrated();
            add(&connection, &[audit_entry(1), audit_entry(2), audit_entry(3)]).unwrap();
            connection
                .execute_batch("DROP TRIGGER action_audit_keeps_rows; DROP TRIGGER action_audit_keeps_words")
                .unwrap();
            connection.execute(tampering, []).unwrap();
            let broken = verify(&connection).unwrap().broken.unwrap();
            assert!(broken.contains(told), "{tampering}: {broken}");
        }
    }

    #[test]
    fn the_hash_is_what_anybody_can_compute() {
        // printf '%s\n%s' 000…0 '[1,1772366400000000,1,"proposed",…]' | sha256sum
        let row = r#"[1,1772366400000000,1,"proposed","anna","chat","req","Shut down web-01","null"]"#;
        let sum = Sha256::digest(format!("{START}\n{row}").as_bytes());
        let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(chained(START, 1, &audit_entry(1)), digits);
    }
}
