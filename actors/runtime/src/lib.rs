//! The supervised mailbox: what every actor of HAIA stands on.
//!
//! Stock actix restarts nothing after a panic and bounds no mailbox. This crate adds, in a thin layer, what a daemon needs:
//!
//! - [`Service`] and [`Handle`]: a domain actor is a plain struct with synchronous handlers that answer at once or return a future.
//! - [`Supervision::start`]: the actor lives inside a guard that contains its panics, waits out a backoff and builds it afresh. Its
//!   address stays valid and queued messages survive.
//! - [`Port`]: knows a message type, not an actor. Bounded lanes, deadlines, counted refusals.
//! - [`Stats`], [`Supervision::observe`]: depth, waiting, handling, restarts and dead letters of every actor.
//! - [`Watchdog`]: notices a handler that blocks its thread, which nothing inside the process can cure.
//!
//! It is the only crate that implements `actix::Handler`, and it knows no domain.
#![expect(clippy::disallowed_methods, reason = "this crate is where time, ids, tasks and threads come from")]

mod clock;
mod guard;
mod histogram;
#[cfg(feature = "http")]
pub mod http;
mod ids;
mod late;
mod letter;
mod mailbox;
mod patience;
mod policy;
mod service;
mod stats;
mod supervision;
mod tasks;
mod watchdog;
#[cfg(feature = "world")]
pub mod world;

pub use clock::SystemClock;
pub use histogram::Histogram;
pub use ids::SystemIds;
pub use late::Late;
pub use mailbox::{Mailbox, Port};
pub use policy::Policy;
pub use service::{Context, Handle, Reply, Service};
pub use stats::{ActorState, Stats};
pub use supervision::{Event, Observation, Supervision};
pub use tasks::TaskSet;
pub use watchdog::{Verdict, Watchdog};
