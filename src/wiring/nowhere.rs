//! What stands in for the store, and for whoever hears of incidents, in a daemon that answers one command: the real one may run beside it
//! on the same store, and must neither be told twice nor find its books changed.
//!
//! It takes everything that would be written, says that all is well, and keeps nothing. Proposals alone it refuses, and knows of none: what is on
//! no record is not done, and what the real daemon holds is decided there.

use contract::alerts::ReportFindings;
use contract::message::{Lane, Msg};
use contract::notify::Deliver;
use contract::store::{
    AddToOutbox, CommitAlerts, CommitProposals, InterruptRuns, KeepDeliveries, KeepHistory, KeepRun, KeepStates,
    LoadOutbox, LoadProposals, StoreError,
};
use runtime::{Context, Handle, Mailbox, Port, Reply, Service};
use store::Store;

/// The actor.
pub struct Nowhere;

impl Service for Nowhere {
    type Observed = ();

    fn observe(&self) {}
}

/// Answers each of these messages with nothing at all.
macro_rules! forget {
    ($($message:ty),* $(,)?) => {
        $(impl Handle<$message> for Nowhere {
            fn handle(&mut self, _: $message, _: &Context<Self>) -> Reply<<$message as Msg>::Reply> {
                Reply::Now(Ok::<_, StoreError>(Default::default()))
            }
        })*
    };
}

forget!(
    AddToOutbox,
    CommitAlerts,
    Deliver,
    InterruptRuns,
    KeepDeliveries,
    KeepHistory,
    KeepRun,
    KeepStates,
    LoadOutbox,
    LoadProposals,
    ReportFindings,
);

impl Handle<CommitProposals> for Nowhere {
    fn handle(&mut self, _: CommitProposals, _: &Context<Self>) -> Reply<Result<(), StoreError>> {
        let why = "HAIA answers only this one command now, and keeps no record; start the daemon for it (haia serve)";
        Reply::Now(Err(StoreError(why.to_owned())))
    }
}

/// Where an actor writes.
#[derive(Clone, Copy)]
pub struct Books<'a> {
    /// The store.
    pub store: &'a Mailbox<Store>,
    /// What takes its place, in a daemon for one command.
    pub nowhere: Option<&'a Mailbox<Nowhere>>,
}

impl Books<'_> {
    /// The port for a message that writes.
    pub fn port<M: Msg>(&self, lane: Lane) -> Port<M>
    where
        Store: Handle<M>,
        Nowhere: Handle<M>,
    {
        self.nowhere.map_or_else(|| self.store.port(lane), |nowhere| nowhere.port(lane))
    }
}
