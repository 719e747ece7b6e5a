//! Actions from plan to end against a simulated cluster: in simulated time, and over HTTPS.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod alerts;
mod deeds;
mod failures;
mod gate;
mod losses;
mod network;
mod plans;
mod stage;
