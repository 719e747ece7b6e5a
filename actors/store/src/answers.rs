//! What the store answers to the other actors: one handler for each message of `contract::store`, reload and drain.

use crate::actor::Store;
use crate::config::Config;
use crate::database::Durability;
use crate::{audit, history, keys, models, usage};
use contract::message::{Drain, Reconfigure};
use contract::provider::ModelEntry;
use contract::store::{
    AddKey, AuditRow, CacheModels, HistorySlab, KeepHistory, ListKeys, LoadHistory, LoadModels, ReadAudit, RevokeKey,
    StoreError, StoreHealth, StoreReport, StoredKey,
};
use contract::usage::{LoadUsage, ReadUsage, UsageSlot, UsageTotals};
use runtime::{Context, Handle, Reply};

impl Handle<AddKey> for Store {
    fn handle(&mut self, AddKey(key): AddKey, _: &Context<Self>) -> Reply<Result<(), StoreError>> {
        let added = self.write(Durability::Power, |transaction| keys::add(transaction, &key));
        Reply::Now(added.and_then(|added| {
            let name = &key.name;
            let known = || {
                StoreError(format!(
                    "there is a key named {name:?} already: choose another name, or revoke it first (haia keys revoke {name})"
                ))
            };
            if added { Ok(()) } else { Err(known()) }
        }))
    }
}

impl Handle<ListKeys> for Store {
    fn handle(&mut self, _: ListKeys, _: &Context<Self>) -> Reply<Result<Vec<StoredKey>, StoreError>> {
        Reply::Now(self.read(keys::list))
    }
}

impl Handle<RevokeKey> for Store {
    fn handle(&mut self, RevokeKey { name }: RevokeKey, _: &Context<Self>) -> Reply<Result<bool, StoreError>> {
        Reply::Now(self.write(Durability::Power, |transaction| keys::revoke(transaction, &name)))
    }
}

impl Handle<CacheModels> for Store {
    fn handle(&mut self, cached: CacheModels, _: &Context<Self>) -> Reply<Result<(), StoreError>> {
        Reply::Now(self.write(Durability::Process, |transaction| models::replace(transaction, &cached)))
    }
}

impl Handle<LoadModels> for Store {
    fn handle(&mut self, _: LoadModels, _: &Context<Self>) -> Reply<Result<Vec<ModelEntry>, StoreError>> {
        Reply::Now(self.read(models::load))
    }
}

impl Handle<KeepHistory> for Store {
    fn handle(&mut self, kept: KeepHistory, _: &Context<Self>) -> Reply<Result<(), StoreError>> {
        Reply::Now(self.write(Durability::Process, |transaction| history::keep(transaction, &kept)))
    }
}

impl Handle<LoadHistory> for Store {
    fn handle(&mut self, asked: LoadHistory, _: &Context<Self>) -> Reply<Result<Vec<HistorySlab>, StoreError>> {
        Reply::Now(self.read(|connection| history::load(connection, &asked.cluster)))
    }
}

impl Handle<LoadUsage> for Store {
    fn handle(
        &mut self,
        asked: LoadUsage,
        _: &Context<Self>,
    ) -> Reply<Result<Vec<(UsageSlot, UsageTotals)>, StoreError>> {
        let loaded = self.read(|connection| usage::load(connection, asked.since));
        if loaded.is_ok() {
            self.usage().read_once();
        }
        Reply::Now(loaded)
    }
}

impl Handle<ReadUsage> for Store {
    /// What was recorded before is written first, so that it is among the sums. Where that fails, those on disk are answered all the same.
    fn handle(
        &mut self,
        asked: ReadUsage,
        _: &Context<Self>,
    ) -> Reply<Result<Vec<(UsageSlot, UsageTotals)>, StoreError>> {
        if self.usage().is_due()
            && let Err(error) = self.flush_usage()
        {
            tracing::debug!(%error, "the accounts are read without the sums that wait");
        }
        Reply::Now(self.read(|connection| usage::load(connection, asked.since)))
    }
}

impl Handle<ReadAudit> for Store {
    /// What was recorded before is written first, so that it is among the rows. Where that fails, the rows on disk are answered all the same:
    /// how many wait stands in the report.
    fn handle(&mut self, filter: ReadAudit, _: &Context<Self>) -> Reply<Result<Vec<AuditRow>, StoreError>> {
        if let Err(error) = self.flush() {
            tracing::debug!(%error, "the audit trail is read without the rows that wait");
        }
        Reply::Now(self.read(|connection| audit::read(connection, &filter)))
    }
}

impl Handle<StoreHealth> for Store {
    fn handle(&mut self, _: StoreHealth, _: &Context<Self>) -> Reply<StoreReport> {
        Reply::Now(self.report())
    }
}

impl Handle<Reconfigure<Config>> for Store {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, _: &Context<Self>) -> Reply<()> {
        self.reconfigure(&config);
        Reply::Now(())
    }
}

impl Handle<Drain> for Store {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.close();
        Reply::Now(())
    }
}
