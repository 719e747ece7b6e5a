//! Anthropic's messages, as clients of HAIA may speak them: requests read into neutral ones, answers and errors printed.
//!
//! Nothing here does I/O or knows actix.

pub(crate) mod blocks;
pub(crate) mod error;
pub(crate) mod message;
pub(crate) mod request;
pub(crate) mod stream;
