//! OpenAI's responses, as clients of HAIA may speak them: requests read into neutral ones, answers printed, whole and as typed events.
//!
//! Nothing here does I/O or knows actix. HAIA keeps no answers: what a request wants kept, or finds again, is refused by name.

pub(crate) mod items;
pub(crate) mod object;
pub(crate) mod request;
pub(crate) mod stream;
