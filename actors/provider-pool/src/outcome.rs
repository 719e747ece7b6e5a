//! What an exchange tells the coordinator of a provider: only what changes its state, never each call.

use contract::failure::Failure;
use contract::message::Msg;
use std::sync::Arc;

/// An exchange tells that a provider's state changed for the worse.
pub struct CallFailed {
    /// The provider.
    pub provider: Arc<str>,
    /// Why.
    pub failure: Failure,
}

impl Msg for CallFailed {
    type Reply = ();
    const NAME: &'static str = "CallFailed";
}

/// An exchange tells that a provider works again.
pub struct CallRecovered {
    /// The provider.
    pub provider: Arc<str>,
}

impl Msg for CallRecovered {
    type Reply = ();
    const NAME: &'static str = "CallRecovered";
}
