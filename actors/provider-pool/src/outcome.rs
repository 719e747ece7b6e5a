//! What an exchange tells the coordinator of a provider: only what changes its state, never each call; and chance, for who is asked when.

use contract::failure::Failure;
use contract::ids::Ids;
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

/// A number from 0 up to, not including, 1.
pub(crate) fn chance(ids: &dyn Ids) -> f64 {
    let mut bytes = [0; 4];
    ids.secret(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
