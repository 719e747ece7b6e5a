//! The table of messages on their way. It decides nothing about when or whether one is sent.

use crate::column::{self, Unknown};
use crate::states;
use crate::words;
use contract::notify::{Notice, OutboxRow};
use contract::store::{FindDelivered, KeepDeliveries};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// Whose states the notifier's are.
const OWNER: &str = "notifier";
/// The most rows one question is answered with.
const READ_LIMIT: u32 = 10_000;

/// Adds rows; one that is there already stays as it is.
pub(crate) fn add(connection: &Connection, rows: &[OutboxRow]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO outbox (id, channel, thread, state, attempts, queued_at, next_at, last_error, remote_id, notice)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
    )?;
    for row in rows {
        let notice = serde_json::to_string(&row.notice)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        statement.execute(params![
            &*row.id,
            &*row.channel,
            &*row.notice.thread,
            row.state.as_str(),
            row.attempts,
            row.queued_at.as_microsecond(),
            row.next_at.map(Timestamp::as_microsecond),
            row.last_error,
            row.remote_id.as_deref(),
            notice,
        ])?;
    }
    Ok(())
}

/// Keeps what became of rows.
pub(crate) fn keep(connection: &Connection, kept: &KeepDeliveries) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE outbox SET state = ?2, attempts = ?3, next_at = ?4, last_error = ?5,
         remote_id = coalesce(?6, remote_id) WHERE id = ?1",
    )?;
    for news in &kept.news {
        statement.execute(params![
            &*news.id,
            news.state.as_str(),
            news.attempts,
            news.next_at.map(Timestamp::as_microsecond),
            news.last_error,
            news.remote_id.as_deref(),
        ])?;
    }
    add(connection, &kept.rows)?;
    states::keep(connection, OWNER, &kept.states)?;
    if let Some(before) = kept.forget_before {
        connection
            .prepare_cached("DELETE FROM outbox WHERE state IN ('sent', 'dead', 'merged') AND queued_at < ?1")?
            .execute([before.as_microsecond()])?;
    }
    Ok(())
}

/// The rows that are not done.
pub(crate) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<OutboxRow>> {
    let sql = format!("{COLUMNS} WHERE state IN ('queued', 'sending') ORDER BY channel, id");
    connection.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// What one channel has sent of a thread.
pub(crate) fn delivered(connection: &Connection, asked: &FindDelivered) -> rusqlite::Result<Vec<OutboxRow>> {
    let sql = format!("{COLUMNS} WHERE channel = ?1 AND thread = ?2 AND state = 'sent' ORDER BY id LIMIT ?3");
    connection
        .prepare_cached(&sql)?
        .query_map(params![&*asked.channel, &*asked.thread, READ_LIMIT], from_row)?
        .collect()
}

/// Rows that were given up, newest first.
pub(crate) fn dead(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<OutboxRow>> {
    let sql = format!("{COLUMNS} WHERE state = 'dead' ORDER BY queued_at DESC, id DESC LIMIT ?1");
    connection.prepare_cached(&sql)?.query_map([limit.clamp(1, READ_LIMIT)], from_row)?.collect()
}

const COLUMNS: &str =
    "SELECT id, channel, state, attempts, queued_at, next_at, last_error, remote_id, notice FROM outbox";

fn from_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    let next_at: Option<i64> = row.get(5)?;
    let notice: String = row.get(8)?;
    let notice: Notice =
        serde_json::from_str(&notice).map_err(|error| Unknown::in_column(8, "notice", error.to_string()))?;
    Ok(OutboxRow {
        id: row.get::<_, String>(0)?.into(),
        channel: row.get::<_, String>(1)?.into(),
        notice: Arc::new(notice),
        state: words::get(row, 2)?,
        attempts: row.get(3)?,
        queued_at: column::time(row, 4)?,
        next_at: next_at.map(|_| column::time(row, 5)).transpose()?,
        last_error: row.get(6)?,
        remote_id: row.get::<_, Option<String>>(7)?.map(Arc::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOON, migrated, outbox_row};
    use contract::notify::DeliveryState;
    use contract::store::DeliveryNews;

    fn news(id: &str, state: DeliveryState) -> DeliveryNews {
        DeliveryNews {
            id: id.into(),
            state,
            attempts: 2,
            next_at: Some(NOON),
            last_error: Some("HTTP 502".into()),
            remote_id: Some("m1".into()),
        }
    }

    #[test]
    fn rows_wait_in_order_until_they_are_done() {
        let connection = migrated();
        add(&connection, &[outbox_row("b", "telegram"), outbox_row("a", "telegram"), outbox_row("c", "discord")])
            .unwrap();
        add(&connection, &[outbox_row("a", "elsewhere")]).unwrap();
        let ids = |rows: Vec<OutboxRow>| rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(waiting(&connection).unwrap()), ["c", "a", "b"]);
        let kept = KeepDeliveries {
            news: vec![
                news("a", DeliveryState::Sent),
                news("b", DeliveryState::Sending),
                news("c", DeliveryState::Dead),
            ],
            rows: vec![outbox_row("d", "telegram")],
            states: vec![("telegram/offset".into(), Some("12".into()))],
            forget_before: None,
        };
        keep(&connection, &kept).unwrap();
        assert_eq!(ids(waiting(&connection).unwrap()), ["b", "d"]);
        let asked = FindDelivered { channel: "telegram".into(), thread: "t".into() };
        let sent = delivered(&connection, &asked).unwrap();
        assert_eq!((sent.len(), sent[0].remote_id.as_deref(), sent[0].attempts), (1, Some("m1"), 2));
        assert_eq!(*sent[0].notice, *outbox_row("a", "telegram").notice);
        assert_eq!(ids(dead(&connection, 10).unwrap()), ["c"]);
        assert_eq!(states::load(&connection, OWNER).unwrap(), [("telegram/offset".into(), "12".to_owned())]);
        let later = NOON + jiff::SignedDuration::from_secs(1);
        keep(&connection, &KeepDeliveries { forget_before: Some(later), ..KeepDeliveries::default() }).unwrap();
        assert_eq!(delivered(&connection, &asked).unwrap(), []);
        assert_eq!(ids(waiting(&connection).unwrap()), ["b", "d"], "what is not done was forgotten");
    }
}
