//! A simulated Proxmox VE cluster: the API as a client sees it, a day that goes wrong by script, and a week in which nothing does.
//!
//! It answers in the shapes of the published API schema, keeps its figures by an injected clock, and records every request. A request
//! changes something only when the token holds the privilege for it, which an auditor's does not. It never talks to anybody but who
//! connects to it, never listens beyond loopback, and never reads the system's clock.
//!
//! Between two requests nothing runs: what became due meanwhile (the script, the end of a task, the nightly backup) is done when the
//! next request or call comes, in the order of its time. So a test that moves its clock by an hour sees the hour at once.
//!
//! There are three ways to run it:
//!
//! - [`Cluster`]: no sockets, no clock. `advance` and `answer` are plain calls, so that hours take milliseconds.
//! - [`SimCluster::start`] with a [`HandClock`]: real HTTPS, with time that a test moves.
//! - [`SimCluster::start`] with the daemon's clock: real HTTPS in the daemon's time. Under a time factor that clock runs so many times
//!   as fast, and the cluster with it: its script, its tasks, its `Date` header. A cluster that is started outside the daemon takes a
//!   clock of the same factor; only delays of the HTTP side stay in real time.

mod access;
mod actions;
mod api;
mod build;
mod certificate;
mod clock;
mod cluster;
mod config;
mod error;
mod fault;
mod figures;
mod handle;
mod incidents;
mod model;
mod record;
mod script;
mod server;
mod task_rule;
mod text;

pub use access::Access;
pub use api::Answer;
pub use clock::HandClock;
pub use cluster::Cluster;
pub use config::{SimConfig, Version};
pub use error::SimError;
pub use fault::{Fault, FaultRule};
pub use handle::{SimCluster, SimHandle};
pub use incidents::{DiskChange, Incident};
pub use record::Request;
pub use script::{Case, Script};
pub use task_rule::{TaskEnd, TaskRule};
