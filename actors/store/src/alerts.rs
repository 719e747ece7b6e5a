//! The tables of alerts and their history. It does not look into what the desk packed.

use crate::column;
use crate::outbox;
use crate::states;
use crate::words;
use contract::alerts::AlertEvent;
use contract::store::{AlertRecord, CommitAlerts, KeptAlerts, ReadAlertEvents, ReadAlerts};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// Whose states the desk's are.
const OWNER: &str = "alert-desk";
/// The most rows one question is answered with.
const READ_LIMIT: u32 = 10_000;

/// Writes a change with everything that belongs to it.
pub(crate) fn commit(connection: &Connection, change: &CommitAlerts) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO alerts (id, key, live, severity, opened, ended, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET live = excluded.live, severity = excluded.severity, ended = excluded.ended,
         data = excluded.data",
    )?;
    for alert in &change.alerts {
        put.execute(params![
            column::count(alert.id),
            &*alert.key,
            alert.is_live,
            alert.severity.as_str(),
            alert.opened.as_microsecond(),
            alert.ended.map(Timestamp::as_microsecond),
            alert.data,
        ])?;
    }
    let mut add = connection.prepare_cached(
        "INSERT INTO alert_events (alert, at, what, name, severity, who, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for event in &change.events {
        add.execute(params![
            column::count(event.alert),
            event.at.as_microsecond(),
            &*event.what,
            &*event.name,
            event.severity.as_str(),
            event.who.as_deref(),
            event.text,
        ])?;
    }
    outbox::add(connection, &change.outbox)?;
    states::keep(connection, OWNER, &change.states)?;
    if let Some(before) = change.forget_before {
        let before = before.as_microsecond();
        connection.prepare_cached("DELETE FROM alerts WHERE live = 0 AND ended < ?1")?.execute([before])?;
        connection.prepare_cached("DELETE FROM alert_events WHERE at < ?1")?.execute([before])?;
    }
    Ok(())
}

/// What the desk needs at its start.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<KeptAlerts> {
    let mut live = connection.prepare_cached(&format!("{COLUMNS} WHERE live = 1 ORDER BY id"))?;
    let live = live.query_map([], from_row)?.collect::<rusqlite::Result<_>>()?;
    let last: Option<i64> = connection.query_row("SELECT max(id) FROM alerts", [], |row| row.get(0))?;
    let last_event: Option<i64> = connection.query_row("SELECT max(alert) FROM alert_events", [], |row| row.get(0))?;
    let last_id = last.max(last_event).and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
    Ok(KeptAlerts { live, last_id, states: states::load(connection, OWNER)? })
}

/// Alerts that are over, newest first; or one.
pub(crate) fn read(connection: &Connection, asked: &ReadAlerts) -> rusqlite::Result<Vec<AlertRecord>> {
    let limit = asked.limit.clamp(1, READ_LIMIT);
    if let Some(id) = asked.id {
        let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        return statement.query_map([column::count(id)], from_row)?.collect();
    }
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE ended IS NOT NULL AND ended >= ?1 ORDER BY ended DESC, id DESC LIMIT ?2"
    ))?;
    let since = asked.since.map_or(i64::MIN, Timestamp::as_microsecond);
    statement.query_map(params![since, limit], from_row)?.collect()
}

/// Lines of history: of one alert the oldest first, of all the newest first.
pub(crate) fn events(connection: &Connection, asked: &ReadAlertEvents) -> rusqlite::Result<Vec<AlertEvent>> {
    let limit = asked.limit.clamp(1, READ_LIMIT);
    let since = asked.since.map_or(i64::MIN, Timestamp::as_microsecond);
    let columns = "SELECT alert, at, what, name, severity, who, text FROM alert_events";
    match asked.alert {
        Some(alert) => {
            let sql = format!("{columns} WHERE alert = ?1 AND at >= ?2 ORDER BY id LIMIT ?3");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![column::count(alert), since, limit], event_of)?.collect()
        }
        None => {
            let sql = format!("{columns} WHERE at >= ?1 ORDER BY at DESC, id DESC LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![since, limit], event_of)?.collect()
        }
    }
}

const COLUMNS: &str = "SELECT id, key, live, severity, opened, ended, data FROM alerts";

fn from_row(row: &Row<'_>) -> rusqlite::Result<AlertRecord> {
    let ended: Option<i64> = row.get(5)?;
    Ok(AlertRecord {
        id: column::get_count(row, 0)?,
        key: row.get::<_, String>(1)?.into(),
        is_live: row.get(2)?,
        severity: words::get(row, 3)?,
        opened: column::time(row, 4)?,
        ended: ended.map(|_| column::time(row, 5)).transpose()?,
        data: row.get(6)?,
    })
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<AlertEvent> {
    Ok(AlertEvent {
        alert: column::get_count(row, 0)?,
        at: column::time(row, 1)?,
        what: row.get::<_, String>(2)?.into(),
        name: row.get::<_, String>(3)?.into(),
        severity: words::get(row, 4)?,
        who: row.get::<_, Option<String>>(5)?.map(Arc::from),
        text: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOON, migrated, outbox_row};
    use contract::alerts::Severity;
    use jiff::SignedDuration;

    fn alert(id: u64, is_live: bool, ended: Option<Timestamp>) -> AlertRecord {
        AlertRecord {
            id,
            key: "node_down:lab/node/pve2".into(),
            is_live,
            severity: Severity::Critical,
            opened: NOON,
            ended,
            data: format!("{{\"id\":{id}}}"),
        }
    }

    fn event(alert: u64, second: i64) -> AlertEvent {
        AlertEvent {
            alert,
            at: NOON + SignedDuration::from_secs(second),
            what: "opened".into(),
            name: "node_down:lab/node/pve2".into(),
            severity: Severity::Critical,
            who: Some("web".into()),
            text: "node pve2 is down".into(),
        }
    }

    #[test]
    fn a_change_is_kept_whole_and_found_again() {
        let connection = migrated();
        let change = CommitAlerts {
            alerts: vec![alert(7, true, None), alert(8, true, None)],
            events: vec![event(7, 0), event(8, 1)],
            outbox: vec![outbox_row("a", "telegram")],
            states: vec![("silences".into(), Some("[]".into())), ("gone".into(), None)],
            forget_before: None,
        };
        commit(&connection, &change).unwrap();
        let ended = CommitAlerts { alerts: vec![alert(7, false, Some(NOON))], ..CommitAlerts::default() };
        commit(&connection, &ended).unwrap();
        let kept = load(&connection).unwrap();
        assert_eq!(kept.live, [alert(8, true, None)]);
        assert_eq!((kept.last_id, kept.states), (8, vec![("silences".into(), "[]".to_owned())]));
        let over = read(&connection, &ReadAlerts { limit: 10, ..ReadAlerts::default() }).unwrap();
        assert_eq!(over, [alert(7, false, Some(NOON))]);
        assert_eq!(read(&connection, &ReadAlerts { id: Some(8), ..ReadAlerts::default() }).unwrap().len(), 1);
        let all = events(&connection, &ReadAlertEvents { limit: 10, ..ReadAlertEvents::default() }).unwrap();
        assert_eq!(all, [event(8, 1), event(7, 0)]);
        let own = ReadAlertEvents { alert: Some(7), limit: 10, ..ReadAlertEvents::default() };
        assert_eq!(events(&connection, &own).unwrap(), [event(7, 0)]);
        assert_eq!(crate::outbox::waiting(&connection).unwrap().len(), 1);
    }

    #[test]
    fn what_is_old_is_forgotten_but_its_numbers_are_not_given_again_while_a_line_is_left() {
        let connection = migrated();
        let old = CommitAlerts {
            alerts: vec![alert(3, false, Some(NOON))],
            events: vec![event(3, 0), event(3, 100)],
            ..CommitAlerts::default()
        };
        commit(&connection, &old).unwrap();
        let forget_before = Some(NOON + SignedDuration::from_secs(50));
        commit(&connection, &CommitAlerts { forget_before, ..CommitAlerts::default() }).unwrap();
        assert_eq!(read(&connection, &ReadAlerts { limit: 10, ..ReadAlerts::default() }).unwrap(), []);
        let left = events(&connection, &ReadAlertEvents { limit: 10, ..ReadAlertEvents::default() }).unwrap();
        assert_eq!(left, [event(3, 100)]);
        assert_eq!(load(&connection).unwrap().last_id, 3);
    }
}
