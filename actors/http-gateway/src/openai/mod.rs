//! OpenAI's wire format, as clients of HAIA meet it: requests checked, answers and errors printed.
//!
//! Nothing here does I/O or knows actix.

pub(crate) mod chunks;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod whole;
