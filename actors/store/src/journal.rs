//! What the store answers to the actors that watch: alerts, the outbox, runs of jobs, named states.
//!
//! What somebody is told, or was told that it is done, survives a power failure.

use crate::actor::Store;
use crate::database::Durability;
use crate::{alerts, outbox, runs, states};
use contract::alerts::AlertEvent;
use contract::jobs::JobRun;
use contract::notify::OutboxRow;
use contract::store::{
    AddToOutbox, AlertRecord, CommitAlerts, FindDelivered, InterruptRuns, KeepDeliveries, KeepRun, KeepStates,
    KeptAlerts, LoadAlerts, LoadOutbox, LoadStates, ReadAlertEvents, ReadAlerts, ReadDeadLetters, ReadRuns, StoreError,
};
use runtime::{Context, Handle, Reply};
use std::sync::Arc;

type Answer<T> = Reply<Result<T, StoreError>>;

/// A handler that runs one function over the open file.
macro_rules! answers {
    ($($message:ty => $reply:ty: |$self:ident, $asked:ident| $work:expr;)+) => {
        $(impl Handle<$message> for Store {
            fn handle(&mut $self, $asked: $message, _: &Context<Self>) -> Answer<$reply> {
                Reply::Now($work)
            }
        })+
    };
}

answers! {
    CommitAlerts => (): |self, asked| self.write(Durability::Power, |file| alerts::commit(file, &asked));
    LoadAlerts => KeptAlerts: |self, _asked| self.read(alerts::load);
    ReadAlerts => Vec<AlertRecord>: |self, asked| self.read(|file| alerts::read(file, &asked));
    ReadAlertEvents => Vec<AlertEvent>: |self, asked| self.read(|file| alerts::events(file, &asked));
    AddToOutbox => (): |self, asked| self.write(Durability::Power, |file| outbox::add(file, &asked.0));
    LoadOutbox => Vec<OutboxRow>: |self, _asked| self.read(outbox::waiting);
    KeepDeliveries => (): |self, asked| self.write(Durability::Power, |file| outbox::keep(file, &asked));
    FindDelivered => Vec<OutboxRow>: |self, asked| self.read(|file| outbox::delivered(file, &asked));
    ReadDeadLetters => Vec<OutboxRow>: |self, asked| self.read(|file| outbox::dead(file, asked.limit));
    KeepRun => (): |self, asked| self.write(Durability::Power, |file| runs::keep(file, &asked));
    InterruptRuns => Vec<JobRun>: |self, asked| self.write(Durability::Power, |file| runs::interrupt(file, asked.at));
    ReadRuns => Vec<JobRun>: |self, asked| self.read(|file| runs::read(file, &asked));
    KeepStates => (): |self, asked| self.write(Durability::Power, |file| states::keep(file, asked.owner, &asked.states));
    LoadStates => Vec<(Arc<str>, String)>: |self, asked| self.read(|file| states::load(file, asked.owner));
}
