//! The pool's actor on each HTTP worker's thread: grants a call its candidates out of the published table.
//!
//! It owns no connection and awaits nothing: one message on the caller's own thread costs under a microsecond.

use crate::table::{Candidate, SharedTable};
use contract::failure::Failure;
use contract::message::Msg;
use contract::provider::Target;
use runtime::{Context, Handle, Reply, Service};
use serde::Serialize;

/// Asks who may answer a call.
pub struct GrantCall {
    /// Where the call goes.
    pub target: Target,
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
    /// A shard that reads `table`.
    pub fn new(table: SharedTable) -> Self {
        Self { table, granted: 0, refused: 0 }
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
        let granted = self.table.load().candidates(&call.target).map(Grant);
        match &granted {
            Ok(_) => self.granted += 1,
            Err(_) => self.refused += 1,
        }
        Reply::Now(granted)
    }
}
