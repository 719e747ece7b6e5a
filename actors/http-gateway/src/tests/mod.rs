//! Tests of the gateway as a whole: requests in, answers out, neighbours scripted. `wire` alone opens sockets.

mod admin;
mod approvals;
mod chat;
mod direct;
mod doors;
mod head;
mod inputs;
mod lines;
mod mcp;
mod players;
pub(crate) mod stage;
mod watching;
mod wire;
