//! The table of small named states. It does not look into them.

use rusqlite::{Connection, params};
use std::sync::Arc;

/// Keeps states in place of what was kept under the same names; `None` forgets one.
pub(crate) fn keep(
    connection: &Connection,
    owner: &str,
    states: &[(Arc<str>, Option<String>)],
) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO states (owner, name, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value",
    )?;
    let mut forget = connection.prepare_cached("DELETE FROM states WHERE owner = ?1 AND name = ?2")?;
    for (name, value) in states {
        match value {
            Some(value) => put.execute(params![owner, &**name, value])?,
            None => forget.execute(params![owner, &**name])?,
        };
    }
    Ok(())
}

/// An owner's states, by name.
pub(crate) fn load(connection: &Connection, owner: &str) -> rusqlite::Result<Vec<(Arc<str>, String)>> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM states WHERE owner = ?1 ORDER BY name")?;
    let rows = statement.query_map([owner], |row| Ok((row.get::<_, String>(0)?.into(), row.get(1)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::migrated;

    #[test]
    fn states_are_replaced_and_forgotten_by_owner() {
        let connection = migrated();
        let put = |owner: &str, name: &str, value: Option<&str>| {
            keep(&connection, owner, &[(name.into(), value.map(str::to_owned))]).unwrap();
        };
        put("scheduler", "paused/report", Some("1"));
        put("scheduler", "paused/report", Some("2"));
        put("scheduler", "other", Some("x"));
        put("notifier", "paused/report", Some("theirs"));
        put("scheduler", "other", None);
        assert_eq!(load(&connection, "scheduler").unwrap(), [("paused/report".into(), "2".to_owned())]);
        assert_eq!(load(&connection, "notifier").unwrap().len(), 1);
        assert_eq!(load(&connection, "nobody").unwrap(), []);
    }
}
