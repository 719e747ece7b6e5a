//! The alert desk: what watchers found becomes alerts, and alerts become messages, each told once.
//!
//! - [`Config`]: `[monitor]` without its rules, and `[[notify.routes]]`.
//! - [`desk::Desk`]: the state machine, pure: levels, waiting times, root causes, silences, quiet hours, what is told and when.
//! - [`rules`]: HAIA's own rules and Alertmanager's. [`alertmanager`]: its webhook as findings.
//! - [`AlertDesk`]: the actor around them, which commits each change before anything of it can be seen.
//!
//! It watches nothing itself, delivers nothing, and depends on no other actor.

mod actor;
pub mod alertmanager;
mod calendar;
mod config;
pub mod desk;
mod digest;
mod explain;
mod journal;
pub mod rules;
mod tools;
mod watchdog;
mod wording;

pub use actor::{AlertDesk, Observed, Ports, SharedConfig};
pub use config::{
    Config, Configured, Explain, Flapping, Grouping, Heartbeat, Maintenance, Monitor, PingMethod, QuietHours, Reminder,
    Route, Watchdog,
};
pub use rules::OWN_RULES;
pub use watchdog::{Healthy, Ping, Sender, network_sender};
