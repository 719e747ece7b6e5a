//! The actor among players: a store, a notifier, an agent and a receiver of signs of life that a test rules.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod helpers;
mod life;
mod trouble;
