//! What the store answers to the approvals desk: proposals and the record of actions. Both survive a power failure.

use crate::actor::Store;
use crate::database::Durability;
use crate::{action_audit, proposals};
use contract::approvals::{ActionAuditRow, AuditReport};
use contract::store::{
    CommitProposals, KeptProposals, LoadProposals, ProposalRecord, ReadActionAudit, ReadProposals, StoreError,
    VerifyActionAudit,
};
use runtime::{Context, Handle, Reply};

impl Handle<CommitProposals> for Store {
    fn handle(&mut self, change: CommitProposals, _: &Context<Self>) -> Reply<Result<(), StoreError>> {
        Reply::Now(self.write(Durability::Power, |file| proposals::commit(file, &change)))
    }
}

impl Handle<LoadProposals> for Store {
    fn handle(&mut self, asked: LoadProposals, _: &Context<Self>) -> Reply<Result<KeptProposals, StoreError>> {
        Reply::Now(self.read(|file| proposals::load(file, &asked)))
    }
}

impl Handle<ReadProposals> for Store {
    fn handle(&mut self, asked: ReadProposals, _: &Context<Self>) -> Reply<Result<Vec<ProposalRecord>, StoreError>> {
        Reply::Now(self.read(|file| proposals::read(file, &asked)))
    }
}

impl Handle<ReadActionAudit> for Store {
    fn handle(&mut self, asked: ReadActionAudit, _: &Context<Self>) -> Reply<Result<Vec<ActionAuditRow>, StoreError>> {
        Reply::Now(self.read(|file| action_audit::read(file, &asked)))
    }
}

impl Handle<VerifyActionAudit> for Store {
    fn handle(&mut self, _: VerifyActionAudit, _: &Context<Self>) -> Reply<Result<AuditReport, StoreError>> {
        Reply::Now(self.read(action_audit::verify))
    }
}
