//! A simulated Proxmox VE cluster: real HTTPS on real ports, the API as a client sees it, and a day that goes wrong by script.
//!
//! It answers reads in the shapes of the published API schema, keeps its figures by an injected clock, and records every request. It
//! never changes anything because of a request (a writing one is refused and recorded), never talks to anybody but who connects to
//! it, never listens beyond loopback, and never reads the system's clock.
//!
//! Between two requests nothing runs: what became due meanwhile (the script, the end of a task, the nightly backup) is done when the
//! next request or call comes, in the order of its time. So a test that moves its clock by an hour sees the hour at once.

mod access;
mod api;
mod build;
mod certificate;
mod clock;
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
mod text;

pub use access::Access;
pub use clock::HandClock;
pub use config::SimConfig;
pub use error::SimError;
pub use fault::{Fault, FaultRule};
pub use handle::{SimCluster, SimHandle};
pub use incidents::Incident;
pub use record::Request;
pub use script::Script;
