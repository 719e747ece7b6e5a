//! The actor among simulated receivers, in simulated time.

mod delivery;
mod outage;
mod restart;
pub(crate) mod support;
