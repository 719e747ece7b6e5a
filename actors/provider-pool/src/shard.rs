//! The pool's actor on each HTTP worker's thread: grants a call its candidates out of the published table, within the caller's limits.
//!
//! It owns no connection and awaits nothing: one message on the caller's own thread costs under a microsecond.

use crate::meter::Meter;
use crate::outcome::chance;
use crate::standing::Manner;
use crate::table::{Candidate, SharedTable};
use contract::caller::Caller;
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::ids::SharedIds;
use contract::message::Msg;
use contract::provider::Target;
use runtime::{Context, Handle, Reply, Service};
use serde::Serialize;
use std::sync::Arc;

/// Asks who may answer a call.
pub struct GrantCall {
    /// Where the call goes.
    pub target: Target,
    /// Whose call it is, by the name in the accounts.
    pub who: Arc<str>,
    /// Whether the limits of the key of that name hold.
    pub is_limited: bool,
    /// Whether the answer shall be streamed.
    pub is_streamed: bool,
}

impl GrantCall {
    /// The question for a call of `caller` to `target`.
    pub fn new(target: Target, caller: &Caller, is_streamed: bool) -> Self {
        Self { target, who: caller.account(), is_limited: caller.has_key_limits(), is_streamed }
    }
}

impl Msg for GrantCall {
    type Reply = Result<Grant, Failure>;
    const NAME: &'static str = "GrantCall";
}

/// Who may answer, in order.
pub struct Grant(pub(crate) Vec<Candidate>);

/// The shard of one thread.
pub struct Shard {
    table: SharedTable,
    meter: Arc<Meter>,
    clock: SharedClock,
    ids: SharedIds,
    granted: u64,
    refused: u64,
}

/// What a shard tells of itself.
#[derive(Serialize)]
pub struct ShardState {
    granted: u64,
    refused: u64,
}

impl Shard {
    /// A shard that reads `table` and the accounts of `meter`.
    pub fn new(table: SharedTable, meter: Arc<Meter>, clock: SharedClock, ids: SharedIds) -> Self {
        Self { table, meter, clock, ids, granted: 0, refused: 0 }
    }

    fn grant(&self, call: &GrantCall) -> Result<Grant, Failure> {
        let table = self.table.load();
        if let Some(limits) = table.limits.get(call.who.as_ref()).filter(|_| call.is_limited) {
            self.meter.check(&call.who, limits)?;
        }
        let chance = || chance(&*self.ids);
        table.candidates(&call.target, Manner::of(call.is_streamed), chance, self.clock.monotonic()).map(Grant)
    }
}

impl Service for Shard {
    type Observed = ShardState;

    fn observe(&self) -> ShardState {
        ShardState { granted: self.granted, refused: self.refused }
    }
}

impl Handle<GrantCall> for Shard {
    fn handle(&mut self, call: GrantCall, _: &Context<Self>) -> Reply<Result<Grant, Failure>> {
        let granted = self.grant(&call);
        match &granted {
            Ok(_) => self.granted += 1,
            Err(_) => self.refused += 1,
        }
        Reply::Now(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Charge;
    use crate::table::Table;
    use contract::caller::{Origin, Scope};
    use contract::usage::{KeyLimits, UsageSink, UsageSlot, UsageTotals};
    use jiff::tz::TimeZone;
    use runtime::world::World;

    struct Nowhere;

    impl UsageSink for Nowhere {
        fn record(&self, _: &UsageSlot, _: &UsageTotals) {}
    }

    #[test]
    fn a_keys_limit_is_the_keys_alone() {
        World::run(async |world| {
            let meter = Arc::new(Meter::new(world.clock.clone(), TimeZone::UTC, Arc::new(Nowhere)));
            let limits = KeyLimits { tokens_per_day: Some(10), ..KeyLimits::default() };
            let limits = ["backup", "socket"].map(|name| (name.to_owned(), limits)).into();
            let table: SharedTable = Arc::default();
            table.store(Arc::new(Table { limits, ..Table::default() }));
            let shard = Shard::new(table, Arc::clone(&meter), world.clock.clone(), world.ids.clone());
            let grant = |name: &str, origin| {
                let caller = Caller { name: name.into(), scope: Scope::Control, origin };
                shard.grant(&GrantCall::new(Target::Route("default".into()), &caller, true)).is_ok()
            };
            let took = UsageTotals { calls: 1, input: Some(10), ..UsageTotals::default() };
            let record = |who: &str| meter.record(&who.into(), &"a".into(), &"b".into(), &took, Charge::default());
            record("job:backup");
            assert!(grant("backup", Origin::Chat), "what the job of that name took is not the key's");
            record("backup");
            record("socket");
            assert!(!grant("backup", Origin::Chat));
            assert!(grant("backup", Origin::Job) && grant("socket", Origin::Cli));
        });
    }
}
