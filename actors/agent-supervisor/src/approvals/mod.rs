//! The approvals desk: proposals wait here for a person, and are run once, by their owner, when one has said yes.
//!
//! - [`Config`]: `[approvals]`, what may be proposed and who may approve. `policy` reads it.
//! - `desk` and `moves`: the state machine, pure. `proposal`: one proposal. `words`: what is said of it.
//! - `grant`: the one place that makes an approval.
//! - [`ApprovalsDesk`]: the actor around them. `tool`: `get_proposal`, by which the agent asks what became of a proposal.
//!
//! It does nothing to the homelab itself and reads no chat: a decision is a message from whoever checked the person's identity.

mod actor;
mod config;
mod desk;
mod grant;
mod moves;
mod policy;
mod proposal;
#[cfg(test)]
mod tests;
mod tool;
mod words;

pub use actor::{ActionOwner, ApprovalsDesk, Observed, Ports, SharedConfig};
pub use config::{Config, Never, Rule, SecondApproval};
