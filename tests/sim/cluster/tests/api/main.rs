//! The simulated cluster over real HTTPS: logins, shapes, incidents, faults. Time moves by hand; nothing sleeps.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod faults;
mod incidents;
mod kit;
mod login;
mod schema;
mod scripts;
mod shapes;
