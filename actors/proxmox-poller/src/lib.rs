//! The poller of Proxmox VE clusters: a client of their API, an immutable snapshot of each, and the read tools over it.
//!
//! - [`model`]: what is known of a cluster, with the age of each part.
//! - [`decode`]: tolerant readers of the API's answers.
//!
//! It never changes anything in a cluster, and it depends on no other actor.

pub mod decode;
pub mod model;
