//! Proposals and the record of actions in a real file: what was committed outlives the store, and what others did to the record shows.

use super::common::{NOON, Running};
use contract::approvals::{ActionAuditEntry, AuditWhat, ProposalState};
use contract::store::{
    CommitProposals, LoadProposals, ProposalRecord, ReadActionAudit, ReadProposals, VerifyActionAudit,
};
use jiff::Timestamp;
use runtime::world::World;

fn change(state: ProposalState) -> CommitProposals {
    let proposal =
        ProposalRecord { id: 1, state, is_live: state.is_open(), changed: NOON, data: "{\"a\":\"ä\"}".to_owned() };
    let entry = ActionAuditEntry {
        at: NOON,
        proposal: 1,
        what: AuditWhat::Decided,
        who: "anna".into(),
        via: "api".into(),
        request_id: "r".into(),
        text: "approved: Stop \"web\u{1f642}\"".to_owned(),
        data: "{}".to_owned(),
    };
    CommitProposals { proposals: vec![proposal], audit: vec![entry] }
}

#[test]
fn a_record_outlives_its_store_and_shows_what_was_done_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haia.db");
    World::run(async |world| {
        let running = Running::start(world, &path);
        running.ask(change(ProposalState::Proposed)).await.unwrap();
        running.ask(change(ProposalState::Running)).await.unwrap();
        let read = ReadProposals { states: vec![ProposalState::Running], limit: 5, ..ReadProposals::default() };
        assert_eq!(running.ask(read).await.unwrap().len(), 1);
    });
    World::run(async |world| {
        let running = Running::start(world, &path);
        let kept = running.ask(LoadProposals { since: Timestamp::MAX }).await.unwrap();
        assert_eq!((kept.last_id, kept.proposals), (1, change(ProposalState::Running).proposals));
        let rows = running.ask(ReadActionAudit { proposal: Some(1), limit: 9 }).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2]);
        let report = running.ask(VerifyActionAudit).await.unwrap();
        assert_eq!((report.rows, report.broken, report.head), (2, None, rows[1].hash.clone()));
    });
    let other = rusqlite::Connection::open(&path).unwrap();
    assert!(
        other.execute("UPDATE action_audit SET who = 'bob'", []).unwrap_err().to_string().contains("never changed")
    );
    other
        .execute_batch("DROP TRIGGER action_audit_keeps_words; UPDATE action_audit SET who = 'bob' WHERE id = 1")
        .unwrap();
    drop(other);
    World::run(async |world| {
        let report = Running::start(world, &path).ask(VerifyActionAudit).await.unwrap();
        assert!(report.broken.unwrap().starts_with("row 1 is not as it was written"));
    });
}
