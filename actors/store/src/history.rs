//! The table of clusters' histories: packed figures by cluster, grain and time. It does not look into them.

use crate::column;
use contract::store::{HistorySlab, KeepHistory};
use rusqlite::{Connection, params};

/// Keeps pieces of a history and forgets old ones.
pub(crate) fn keep(connection: &Connection, kept: &KeepHistory) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (cluster, grain, begin, data) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cluster, grain, begin) DO UPDATE SET data = excluded.data",
    )?;
    for slab in &kept.slabs {
        insert.execute(params![&*kept.cluster, slab.grain_s, slab.begin.as_microsecond(), slab.data])?;
    }
    let mut forget =
        connection.prepare_cached("DELETE FROM history WHERE cluster = ?1 AND grain = ?2 AND begin < ?3")?;
    for (grain_s, before) in &kept.forget_before {
        forget.execute(params![&*kept.cluster, grain_s, before.as_microsecond()])?;
    }
    Ok(())
}

/// A cluster's history, the oldest first.
pub(crate) fn load(connection: &Connection, cluster: &str) -> rusqlite::Result<Vec<HistorySlab>> {
    let mut statement =
        connection.prepare_cached("SELECT grain, begin, data FROM history WHERE cluster = ?1 ORDER BY begin, grain")?;
    let rows = statement.query_map([cluster], |row| {
        Ok(HistorySlab { grain_s: row.get(0)?, begin: column::time(row, 1)?, data: row.get(2)? })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::{MIGRATIONS, migrate};
    use jiff::Timestamp;

    fn slab(grain_s: u32, begin: i64, data: &[u8]) -> HistorySlab {
        HistorySlab { grain_s, begin: Timestamp::from_second(begin).unwrap(), data: data.to_vec() }
    }

    #[test]
    fn keeps_replaces_and_forgets_by_cluster_and_grain() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        let keep_in = |cluster: &str, slabs: Vec<HistorySlab>, forget_before: Vec<(u32, i64)>| {
            let forget_before =
                forget_before.into_iter().map(|(grain, at)| (grain, Timestamp::from_second(at).unwrap())).collect();
            keep(&connection, &KeepHistory { cluster: cluster.into(), slabs, forget_before }).unwrap();
        };
        keep_in("lab", vec![slab(60, 900, b"new"), slab(60, 0, b"old"), slab(900, 0, b"coarse")], vec![]);
        keep_in("other", vec![slab(60, 0, b"theirs")], vec![]);
        keep_in("lab", vec![slab(60, 900, b"newer")], vec![(60, 900)]);
        assert_eq!(load(&connection, "lab").unwrap(), [slab(900, 0, b"coarse"), slab(60, 900, b"newer")]);
        assert_eq!(load(&connection, "other").unwrap(), [slab(60, 0, b"theirs")]);
        assert_eq!(load(&connection, "nobody").unwrap(), []);
    }
}
