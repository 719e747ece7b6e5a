//! What is done by the clock: jobs, when each is due, what becomes of a run, and the history of them all.
//!
//! [`Scheduler`] is the actor. [`Trigger`] tells when a job is due and [`Plan`] decides at each tick what begins; both are pure. A [`Ticker`]
//! is the alarm clock and owns no policy. It never does a job's work itself: a turn, a check and a digest are messages to others.

mod config;
mod plan;
mod scheduler;
mod ticker;
mod tools;
mod trigger;
mod work;

pub use config::{Coalesce, Config, JobConfig};
pub use plan::{Begin, Plan, Skip};
pub use scheduler::{Observed, Ports, Scheduler, SharedConfig};
pub use ticker::{Alarm, CronTicker, StepTicker, Ticker};
pub use trigger::Trigger;
