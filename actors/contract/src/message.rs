//! What a message is, on which lane it travels, and how its delivery can fail.
//!
//! A message is a struct with a typed reply. Delivery is `runtime`'s business; nothing here knows a mailbox.

use std::fmt;

/// A request from one actor to another, with its typed reply.
pub trait Msg: Send + 'static {
    /// What the handler answers.
    type Reply: Send + 'static;
    /// The name in logs, metrics and dead letters.
    const NAME: &'static str;
}

/// Gives an actor its new configuration, on the control lane, after a reload was validated as a whole.
#[derive(Clone, Debug)]
pub struct Reconfigure<C>(pub std::sync::Arc<C>);

impl<C: Send + Sync + 'static> Msg for Reconfigure<C> {
    type Reply = ();
    const NAME: &'static str = "Reconfigure";
}

/// Tells an actor that the daemon is about to end: take nothing new, bring what runs to its end.
#[derive(Clone, Debug)]
pub struct Drain;

impl Msg for Drain {
    type Reply = ();
    const NAME: &'static str = "Drain";
}

/// Which queue of a mailbox a message waits in. Within a lane order is kept; between lanes the earlier variant goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Observe, reconfigure, drain: never refused, always served first.
    Control,
    /// Somebody waits for the answer.
    Interactive,
    /// Checks, jobs, journals: may wait behind every interactive message.
    Background,
}

/// Why a message got no answer. Never carries the message's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The lane is full; nothing was queued.
    #[error("the mailbox of {actor} is full")]
    Busy {
        /// The actor's name.
        actor: &'static str,
    },
    /// The actor's thread has ended: the process is going down.
    #[error("{actor} has stopped")]
    Closed {
        /// The actor's name.
        actor: &'static str,
    },
    /// The deadline passed before an answer came.
    #[error("{actor} did not answer in time")]
    Expired {
        /// The actor's name.
        actor: &'static str,
    },
    /// The actor gave up after too many restarts.
    #[error("{actor} has failed and was given up")]
    Failed {
        /// The actor's name.
        actor: &'static str,
    },
    /// The handler, or the future it returned, panicked on this very message.
    #[error("{actor} crashed on this request")]
    Panicked {
        /// The actor's name.
        actor: &'static str,
    },
}

impl Fault {
    /// The reason as a word, for metrics and dead letters.
    pub fn reason(&self) -> &'static str {
        match self {
            Fault::Busy { .. } => "busy",
            Fault::Closed { .. } => "closed",
            Fault::Expired { .. } => "expired",
            Fault::Failed { .. } => "failed",
            Fault::Panicked { .. } => "panicked",
        }
    }

    /// The actor that the message was for.
    pub fn actor(&self) -> &'static str {
        match self {
            Fault::Busy { actor }
            | Fault::Closed { actor }
            | Fault::Expired { actor }
            | Fault::Failed { actor }
            | Fault::Panicked { actor } => actor,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::Control => "control",
            Lane::Interactive => "interactive",
            Lane::Background => "background",
        })
    }
}
