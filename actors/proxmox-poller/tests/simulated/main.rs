//! The poller before a simulated cluster, in simulated time: hours and days of it in moments.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod budget;
mod cases;
mod lab;
mod pager;
mod restart;
mod week;
