//! The audit trail's table: writing batches, reading the newest, deleting the oldest. It decides nothing about when.

use crate::column::{self, Unknown};
use contract::caller::Origin;
use contract::store::{AuditKind, AuditRow, ReadAudit};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

/// The most rows one question is answered with.
pub(crate) const READ_LIMIT: u32 = 10_000;

/// Writes rows, the oldest first.
pub(crate) fn insert(connection: &Connection, rows: &[AuditRow]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO audit (at, kind, request_id, who, origin, what, digest, bytes, ms, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for row in rows {
        statement.execute(params![
            row.at.as_microsecond(),
            kind_text(row.kind),
            &*row.request_id,
            &*row.who,
            origin_text(row.origin),
            &*row.what,
            row.digest,
            column::count(row.bytes),
            column::count(row.ms),
            &*row.outcome,
        ])?;
    }
    Ok(())
}

/// Reads the newest rows that match, the newest first.
pub(crate) fn read(connection: &Connection, filter: &ReadAudit) -> rusqlite::Result<Vec<AuditRow>> {
    let columns = "SELECT at, kind, request_id, who, origin, what, digest, bytes, ms, outcome FROM audit";
    let order = "ORDER BY at DESC, id DESC LIMIT ?3";
    // A condition that is not asked for must not keep SQLite from the index.
    let of_request = if filter.request_id.is_some() { "request_id = ?1" } else { "?1 IS NULL" };
    let of_kind = if filter.kind.is_some() { "kind = ?2" } else { "?2 IS NULL" };
    let mut statement = connection.prepare_cached(&format!("{columns} WHERE {of_request} AND {of_kind} {order}"))?;
    let values = params![filter.request_id, filter.kind.map(kind_text), filter.limit.min(READ_LIMIT)];
    statement.query_map(values, from_row)?.collect()
}

/// Deletes at most `batch` rows that began before `before`, and as many of the oldest beyond `most`. Returns how many went.
pub(crate) fn delete_old(
    connection: &Connection,
    before: Option<Timestamp>,
    most: u64,
    batch: u32,
) -> rusqlite::Result<usize> {
    let mut deleted = 0;
    if let Some(before) = before {
        deleted += connection
            .prepare_cached("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2)")?
            .execute(params![before.as_microsecond(), batch])?;
    }
    // Numbers are given in order and without gaps but for rows already deleted: counting a million rows is not needed.
    deleted += connection
        .prepare_cached(
            "DELETE FROM audit WHERE id IN
             (SELECT id FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute(params![column::count(most), batch])?;
    Ok(deleted)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let kind: String = row.get(1)?;
    let origin: String = row.get(4)?;
    Ok(AuditRow {
        at: column::time(row, 0)?,
        kind: kind_of(&kind).ok_or_else(|| Unknown::in_column(1, "kind of audit row", kind))?,
        request_id: row.get::<_, String>(2)?.into(),
        who: row.get::<_, String>(3)?.into(),
        origin: origin_of(&origin).ok_or_else(|| Unknown::in_column(4, "origin", origin))?,
        what: row.get::<_, String>(5)?.into(),
        digest: row.get(6)?,
        bytes: column::get_count(row, 7)?,
        ms: column::get_count(row, 8)?,
        outcome: row.get::<_, String>(9)?.into(),
    })
}

fn kind_text(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::Tool => "tool",
        AuditKind::Provider => "provider",
        AuditKind::Admin => "admin",
    }
}

fn kind_of(text: &str) -> Option<AuditKind> {
    [AuditKind::Tool, AuditKind::Provider, AuditKind::Admin].into_iter().find(|kind| kind_text(*kind) == text)
}

fn origin_text(origin: Origin) -> &'static str {
    match origin {
        Origin::Chat => "chat",
        Origin::Cli => "cli",
        Origin::Job => "job",
        Origin::Alert => "alert",
        Origin::Internal => "internal",
    }
}

fn origin_of(text: &str) -> Option<Origin> {
    [Origin::Chat, Origin::Cli, Origin::Job, Origin::Alert, Origin::Internal]
        .into_iter()
        .find(|origin| origin_text(*origin) == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::{MIGRATIONS, migrate};
    use crate::test_support::row;
    use jiff::SignedDuration;

    const NOON: Timestamp = Timestamp::constant(1_772_366_400, 0);

    fn fresh() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        connection
    }

    fn ids(connection: &Connection, filter: &ReadAudit) -> Vec<String> {
        read(connection, filter).unwrap().iter().map(|row| row.request_id.to_string()).collect()
    }

    fn all() -> ReadAudit {
        ReadAudit { limit: 100, ..ReadAudit::default() }
    }

    #[test]
    fn every_field_comes_back_as_it_went() {
        let connection = fresh();
        let mut rows = Vec::new();
        for kind in [AuditKind::Tool, AuditKind::Provider, AuditKind::Admin] {
            for origin in [Origin::Chat, Origin::Cli, Origin::Job, Origin::Alert, Origin::Internal] {
                let at = NOON + SignedDuration::from_micros(rows.len() as i64);
                rows.push(AuditRow { at, kind, origin, what: "ollama/qwen'; --".into(), ..row("r\u{e9}q") });
            }
        }
        insert(&connection, &rows).unwrap();
        rows.reverse();
        assert_eq!(read(&connection, &all()).unwrap(), rows);
    }

    #[test]
    fn a_figure_beyond_sqlite_is_clamped() {
        let connection = fresh();
        insert(&connection, &[AuditRow { bytes: u64::MAX, ..row("r") }]).unwrap();
        assert_eq!(read(&connection, &all()).unwrap()[0].bytes, i64::MAX as u64);
    }

    #[test]
    fn reads_the_newest_that_match() {
        let connection = fresh();
        let rows: Vec<_> = [("a", AuditKind::Tool, 3), ("b", AuditKind::Provider, 1), ("a", AuditKind::Provider, 2)]
            .into_iter()
            .map(|(id, kind, second)| AuditRow { kind, at: NOON + SignedDuration::from_secs(second), ..row(id) })
            .collect();
        insert(&connection, &rows).unwrap();
        assert_eq!(ids(&connection, &all()), ["a", "a", "b"]);
        assert_eq!(ids(&connection, &ReadAudit { limit: 1, ..all() }), ["a"]);
        assert_eq!(ids(&connection, &ReadAudit { limit: 0, ..all() }), [""; 0]);
        assert_eq!(ids(&connection, &ReadAudit { kind: Some(AuditKind::Provider), ..all() }), ["a", "b"]);
        let of_a = ReadAudit { request_id: Some("a".into()), ..all() };
        assert_eq!(ids(&connection, &of_a), ["a", "a"]);
        assert_eq!(ids(&connection, &ReadAudit { kind: Some(AuditKind::Admin), ..of_a }), [""; 0]);
    }

    #[test]
    fn questions_use_an_index() {
        let connection = fresh();
        for condition in
            ["request_id = 'x' AND ?2 IS NULL", "?1 IS NULL AND kind = 'tool'", "?1 IS NULL AND ?2 IS NULL"]
        {
            let sql =
                format!("EXPLAIN QUERY PLAN SELECT * FROM audit WHERE {condition} ORDER BY at DESC, id DESC LIMIT 5");
            let mut statement = connection.prepare(&sql).unwrap();
            for parameter in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(parameter, Option::<String>::None).unwrap();
            }
            let mut plan = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                plan.push(row.get::<_, String>(3).unwrap());
            }
            let plan = plan.join("; ");
            assert!(plan.contains("USING INDEX") && !plan.contains("TEMP B-TREE"), "{condition}: {plan}");
        }
    }

    #[test]
    fn deletes_by_age_in_small_steps() {
        let connection = fresh();
        let rows: Vec<_> =
            (0..10).map(|n| AuditRow { at: NOON + SignedDuration::from_secs(n), ..row(&n.to_string()) }).collect();
        insert(&connection, &rows).unwrap();
        let before = Some(NOON + SignedDuration::from_secs(5));
        assert_eq!(delete_old(&connection, before, 1000, 3).unwrap(), 3);
        assert_eq!(delete_old(&connection, before, 1000, 3).unwrap(), 2);
        assert_eq!(delete_old(&connection, before, 1000, 3).unwrap(), 0);
        assert_eq!(ids(&connection, &all()), ["9", "8", "7", "6", "5"]);
    }

    #[test]
    fn deletes_the_oldest_beyond_the_most() {
        let connection = fresh();
        let rows: Vec<_> = (0..10).map(|n| row(&n.to_string())).collect();
        insert(&connection, &rows).unwrap();
        assert_eq!(delete_old(&connection, None, 4, 100).unwrap(), 6);
        assert_eq!(ids(&connection, &all()), ["9", "8", "7", "6"]);
        assert_eq!(delete_old(&connection, None, 4, 100).unwrap(), 0);
        assert_eq!(delete_old(&fresh(), None, 4, 100).unwrap(), 0);
    }

    #[test]
    fn a_row_of_another_making_is_told_not_guessed() {
        let connection = fresh();
        insert(&connection, &[row("r")]).unwrap();
        connection.execute("UPDATE audit SET kind = 'magic'", []).unwrap();
        let error = read(&connection, &all()).unwrap_err().to_string();
        assert!(error.contains("\"magic\" is no kind of audit row"), "{error}");
    }
}
