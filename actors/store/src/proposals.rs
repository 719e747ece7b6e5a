//! The table of proposals. It does not look into what the desk packed.

use crate::action_audit;
use crate::column;
use crate::words;
use contract::store::{CommitProposals, KeptProposals, LoadProposals, ProposalRecord, ReadProposals};
use rusqlite::{Connection, Row, params};

/// The most rows one question is answered with.
const READ_LIMIT: u32 = 1_000;

const COLUMNS: &str = "SELECT id, state, live, changed, data FROM proposals";

/// Writes a change with its rows of the record.
pub(crate) fn commit(connection: &Connection, change: &CommitProposals) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO proposals (id, state, live, changed, data) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, live = excluded.live, changed = excluded.changed,
         data = excluded.data",
    )?;
    for proposal in &change.proposals {
        put.execute(params![
            column::count(proposal.id),
            proposal.state.as_str(),
            proposal.is_live,
            proposal.changed.as_microsecond(),
            proposal.data,
        ])?;
    }
    action_audit::add(connection, &change.audit)
}

/// What the desk needs at its start. A number that stands in the record alone is not given again either.
pub(crate) fn load(connection: &Connection, asked: &LoadProposals) -> rusqlite::Result<KeptProposals> {
    let mut kept = connection.prepare_cached(&format!("{COLUMNS} WHERE live = 1 OR changed >= ?1 ORDER BY id"))?;
    let proposals = kept.query_map([asked.since.as_microsecond()], from_row)?.collect::<rusqlite::Result<_>>()?;
    let last: i64 = connection.query_row(
        "SELECT max(coalesce((SELECT max(id) FROM proposals), 0), coalesce((SELECT max(proposal) FROM action_audit), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(KeptProposals { proposals, last_id: u64::try_from(last).unwrap_or(0) })
}

/// Proposals, newest first; or one.
pub(crate) fn read(connection: &Connection, asked: &ReadProposals) -> rusqlite::Result<Vec<ProposalRecord>> {
    let limit = asked.limit.clamp(1, READ_LIMIT);
    if let Some(id) = asked.id {
        let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?;
        return statement.query_map([column::count(id)], from_row)?.collect();
    }
    // A JSON array, because SQLite binds no lists.
    let states: Vec<&str> = asked.states.iter().map(|state| state.as_str()).collect();
    let states = serde_json::to_string(&states).unwrap_or_else(|_| "[]".to_owned());
    let mut statement = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE ?1 = '[]' OR state IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2"
    ))?;
    statement.query_map(params![states, limit], from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ProposalRecord> {
    Ok(ProposalRecord {
        id: column::get_count(row, 0)?,
        state: words::get(row, 1)?,
        is_live: row.get(2)?,
        changed: column::time(row, 3)?,
        data: row.get(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOON, audit_entry, migrated};
    use contract::approvals::ProposalState;
    use jiff::{SignedDuration, Timestamp};

    fn record(id: u64, state: ProposalState, second: i64) -> ProposalRecord {
        ProposalRecord {
            id,
            state,
            is_live: state.is_open(),
            changed: NOON + SignedDuration::from_secs(second),
            data: format!("{{\"id\":{id}}}"),
        }
    }

    #[test]
    fn a_change_and_its_rows_are_kept_together_or_not_at_all() {
        let mut connection = migrated();
        let proposals = vec![record(1, ProposalState::Proposed, 0), record(2, ProposalState::Proposed, 1)];
        commit(&connection, &CommitProposals { proposals, audit: vec![audit_entry(1), audit_entry(2)] }).unwrap();
        let running = record(1, ProposalState::Running, 2);
        commit(&connection, &CommitProposals { proposals: vec![running.clone()], audit: vec![audit_entry(1)] })
            .unwrap();
        let done = record(2, ProposalState::Denied, 3);
        commit(&connection, &CommitProposals { proposals: vec![done.clone()], audit: Vec::new() }).unwrap();
        let load = |since| super::load(&connection, &LoadProposals { since }).unwrap();
        assert_eq!(load(Timestamp::MAX).proposals, std::slice::from_ref(&running), "what is over and old is left out");
        assert_eq!(load(NOON), KeptProposals { proposals: vec![running, done], last_id: 2 });

        let transaction = connection.transaction().unwrap();
        commit(
            &transaction,
            &CommitProposals { proposals: vec![record(1, ProposalState::Done, 9)], audit: Vec::new() },
        )
        .unwrap();
        drop(transaction);
        let one = read(&connection, &ReadProposals { id: Some(1), ..ReadProposals::default() }).unwrap();
        assert_eq!(one[0].state, ProposalState::Running);
    }

    #[test]
    fn proposals_are_read_by_state_and_number() {
        let connection = migrated();
        let states = [ProposalState::Done, ProposalState::Failed, ProposalState::Done];
        let proposals = states.iter().zip(1..).map(|(state, id)| record(id, *state, 0)).collect();
        commit(&connection, &CommitProposals { proposals, audit: vec![audit_entry(9)] }).unwrap();
        let ids = |states: Vec<ProposalState>, limit| -> Vec<u64> {
            let asked = ReadProposals { id: None, states, limit };
            read(&connection, &asked).unwrap().iter().map(|record| record.id).collect()
        };
        assert_eq!(ids(Vec::new(), 10), [3, 2, 1]);
        assert_eq!(ids(vec![ProposalState::Done, ProposalState::Unknown], 10), [3, 1]);
        assert_eq!(ids(Vec::new(), 1), [3]);
        assert_eq!(load(&connection, &LoadProposals { since: NOON }).unwrap().last_id, 9, "a number of the record");
    }
}
