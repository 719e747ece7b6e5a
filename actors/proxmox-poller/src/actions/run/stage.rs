//! How far an action has come, and what can be said when its time is over. Pure.

use super::{Ended, Run};
use crate::actions::words::noun;
use crate::tools::words::span;
use std::sync::Arc;

/// How far it has come.
#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    /// Nothing was sent, or what was sent was refused.
    #[default]
    Before,
    /// The order was sent; its answer has not come.
    Sent,
    /// A task does it.
    Begun(Arc<str>),
    /// The HA manager took the order, and has yet to act.
    Ordered(Arc<str>),
}

impl Stage {
    pub(super) fn upid(&self) -> Option<Arc<str>> {
        match self {
            Stage::Before | Stage::Sent => None,
            Stage::Begun(upid) | Stage::Ordered(upid) => Some(Arc::clone(upid)),
        }
    }
}

impl Run {
    /// What is true when the time is over.
    pub(super) fn late(&self) -> Ended {
        let (subject, noun, waited) =
            (&self.errand.subject, noun(&self.errand.deed), span(self.errand.within.as_secs()));
        let stage = self.stage.borrow().clone();
        match stage {
            Stage::Before => self.failed(format!("The cluster did not answer within {waited}. Nothing was done.")),
            Stage::Sent => self.unknown(format!(
                "The order was sent, and no answer came within {waited}. Look at {subject} before you try again."
            )),
            Stage::Begun(upid) => self.unknown(format!(
                "The {noun} of {subject} had not ended after {waited}, and HAIA waits no longer. It was not cancelled: its task goes on ({upid})."
            )),
            Stage::Ordered(_) => self.unknown(format!(
                "The HA manager took the order for the {noun} of {subject}, but had not carried it out after {waited}. It may still do so."
            )),
        }
    }
}
