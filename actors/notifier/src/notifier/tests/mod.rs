//! The actor among simulated receivers, in simulated time.

mod delivery;
mod outage;
mod reports;
mod restart;
pub(crate) mod support;
