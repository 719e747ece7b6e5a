//! The poller in a simulated world, with a cluster whose every answer the test writes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod faults;
mod life;
mod reports;
