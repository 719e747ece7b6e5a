//! The simulated cluster, over real HTTPS and in process: logins, shapes, incidents, faults, actions, a week. Time moves by hand; nothing
//! sleeps.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod actions;
mod boxed;
mod cases;
mod client;
mod faults;
mod incidents;
mod kit;
mod life;
mod login;
mod schema;
mod scripts;
mod shapes;
mod week;
