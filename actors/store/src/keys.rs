//! The table of API keys: names, scopes and hashes. It never sees a key.

use crate::column::{self, Unknown};
use contract::caller::Scope;
use contract::store::StoredKey;
use rusqlite::{Connection, params};

/// Adds a key. `false`, and nothing changes, when the name (or the very same key) is there already.
pub(crate) fn add(connection: &Connection, key: &StoredKey) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "INSERT INTO api_keys (name, scope, hash, created) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![&*key.name, key.scope.as_str(), key.hash, key.created.as_microsecond()])
        .map(|added| added == 1)
}

/// Every key, by name.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    let mut statement = connection.prepare_cached("SELECT name, scope, hash, created FROM api_keys ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let scope: String = row.get(1)?;
        Ok(StoredKey {
            name: row.get::<_, String>(0)?.into(),
            scope: scope_of(&scope).ok_or_else(|| Unknown::in_column(1, "scope", scope))?,
            hash: row.get(2)?,
            created: column::time(row, 3)?,
        })
    })?;
    rows.collect()
}

/// Forgets a key. Whether there was one.
pub(crate) fn revoke(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("DELETE FROM api_keys WHERE name = ?1")?.execute([name]).map(|gone| gone > 0)
}

fn scope_of(text: &str) -> Option<Scope> {
    [Scope::Read, Scope::Control, Scope::Admin].into_iter().find(|scope| scope.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::{MIGRATIONS, migrate};
    use crate::test_support::key;

    #[test]
    fn adds_lists_and_revokes() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let keys = [key("admin", Scope::Admin, "h1"), key("read", Scope::Read, "h2"), key("web", Scope::Control, "h3")];
        for added in keys.iter().rev() {
            assert!(add(&connection, added).unwrap());
        }
        assert_eq!(list(&connection).unwrap(), keys);
        assert!(!add(&connection, &key("web", Scope::Read, "h4")).unwrap(), "a name twice");
        assert!(!add(&connection, &key("other", Scope::Read, "h3")).unwrap(), "a hash twice");
        assert_eq!(list(&connection).unwrap(), keys, "what was refused changed something");
        assert!(revoke(&connection, "web").unwrap());
        assert!(!revoke(&connection, "web").unwrap());
        assert_eq!(list(&connection).unwrap(), keys[..2]);
    }
}
