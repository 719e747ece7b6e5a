//! The cache of models: what each provider offered when it was last asked. It asks nobody itself.

use crate::column;
use contract::provider::{Abilities, ModelEntry};
use contract::store::CacheModels;
use rusqlite::{Connection, params};

/// Replaces the models of one provider.
pub(crate) fn replace(connection: &Connection, cached: &CacheModels) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM models WHERE provider = ?1")?.execute([&*cached.provider])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO models (provider, position, model, created, context_tokens, tools) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (position, entry) in (0i64..).zip(&cached.models) {
        let context_tokens = entry.context_tokens.map(column::count);
        insert.execute(params![
            &*cached.provider,
            position,
            &*entry.model,
            entry.created,
            context_tokens,
            entry.tools
        ])?;
    }
    Ok(())
}

/// Every cached model, provider by provider, each in its provider's order.
pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Vec<ModelEntry>> {
    let mut statement = connection.prepare_cached(
        "SELECT provider, model, created, context_tokens, tools FROM models ORDER BY provider, position",
    )?;
    let rows = statement.query_map([], |row| {
        let context_tokens = match row.get_ref(3)? {
            rusqlite::types::ValueRef::Null => None,
            _ => Some(column::get_count(row, 3)?),
        };
        Ok(ModelEntry {
            provider: row.get::<_, String>(0)?.into(),
            model: row.get::<_, String>(1)?.into(),
            created: row.get(2)?,
            context_tokens,
            tools: row.get(4)?,
            abilities: Abilities::default(),
        })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::{MIGRATIONS, migrate};
    use crate::test_support::model;

    #[test]
    fn replaces_one_provider_and_keeps_the_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let cache = |provider: &str, models: Vec<ModelEntry>| {
            replace(&connection, &CacheModels { provider: provider.into(), models }).unwrap();
        };
        cache("ollama", vec![model("ollama", "z"), model("ollama", "a")]);
        let known =
            ModelEntry { created: Some(5), context_tokens: Some(8192), tools: Some(false), ..model("openai", "gpt") };
        cache("openai", vec![known.clone()]);
        cache("ollama", vec![model("ollama", "y"), model("ollama", "a")]);
        assert_eq!(load(&connection).unwrap(), [model("ollama", "y"), model("ollama", "a"), known.clone()]);
        cache("ollama", Vec::new());
        assert_eq!(load(&connection).unwrap(), [known]);
    }
}
