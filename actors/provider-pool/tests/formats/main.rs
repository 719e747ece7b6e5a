//! The wire formats against recorded and constructed traffic, cut in every awkward way.
//!
//! It speaks to no provider and times nothing: bytes in, events out.

#[cfg(test)]
mod anthropic_requests;
#[cfg(test)]
mod client;
#[cfg(test)]
mod exchanges;
#[cfg(test)]
mod gemini_requests;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod odd_answers;
#[cfg(test)]
mod odd_servers;
#[cfg(test)]
mod ollama_requests;
#[cfg(test)]
mod openrouter;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod splits;
