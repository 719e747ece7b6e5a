//! Tests of the gateway as a whole: requests in, answers out, neighbours scripted. `wire` alone opens sockets.

mod admin;
mod chat;
mod doors;
mod head;
mod lines;
mod players;
pub(crate) mod stage;
mod watching;
mod wire;
