//! What HAIA keeps: the audit trail, hashes of API keys, the cache of models, the accounts, alerts, the outbox, runs of jobs, proposals and
//! the record of actions, in one SQLite file.
//!
//! [`Store`] is the actor; it runs alone on its own thread, because it blocks. [`AuditQueue`] takes audit rows and [`UsageQueue`] accounts off everybody's
//! hot path.
//! [`origin`] is read once before any actor runs. This is the only crate that opens SQLite, and it asks no other actor anything.

mod action_audit;
mod actor;
mod alerts;
mod answers;
mod approvals;
mod audit;
mod column;
mod config;
mod database;
#[cfg(test)]
mod full_disk;
mod health;
mod history;
mod journal;
mod keys;
mod meta;
mod migrations;
mod models;
mod outbox;
mod proposals;
mod queue;
mod runs;
mod states;
#[cfg(test)]
mod test_support;
mod trouble;
mod usage;
mod usage_queue;
mod words;

pub use actor::Store;
pub use config::Config;
pub use meta::origin;
pub use queue::AuditQueue;
pub use usage_queue::UsageQueue;
