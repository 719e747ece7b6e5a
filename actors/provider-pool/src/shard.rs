//! The pool's actor on each HTTP worker's thread: grants a call its candidates out of the published table, within the caller's limits.
//!
//! It owns no connection and awaits nothing: one message on the caller's own thread costs under a microsecond.

use crate::meter::Meter;
use crate::outcome::chance;
use crate::table::{Candidate, SharedTable};
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
    /// Who asks, by the name of its key.
    pub who: Arc<str>,
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
        if let Some(limits) = table.limits.get(call.who.as_ref()) {
            self.meter.check(&call.who, limits)?;
        }
        let chance = || chance(&*self.ids);
        table.candidates(&call.target, chance, self.clock.monotonic()).map(Grant)
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
