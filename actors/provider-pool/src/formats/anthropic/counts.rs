//! Tokens as Anthropic counts them, in pieces over a stream or at once.
//!
//! It never makes up a figure that was not told.

use crate::formats::wire::{self, Raw};
use contract::chat::Usage;
use serde::Deserialize;

/// Anthropic's counts as they come.
#[derive(Deserialize)]
pub struct WireCounts<'a> {
    #[serde(borrow)]
    input_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_read_input_tokens: Raw<'a>,
    #[serde(borrow)]
    cache_creation_input_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens: Raw<'a>,
    #[serde(borrow)]
    output_tokens_details: Option<OutputDetails<'a>>,
}

#[derive(Deserialize)]
struct OutputDetails<'a> {
    #[serde(borrow)]
    thinking_tokens: Raw<'a>,
}

/// The counts so far: later events correct earlier ones, figure by figure.
#[derive(Default)]
pub struct Counts {
    fresh: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    /// Takes over what newer counts tell, and says what is known now.
    pub fn update(&mut self, newer: &WireCounts<'_>) -> Usage {
        self.fresh = wire::count(newer.input_tokens).or(self.fresh);
        self.cache_read = wire::count(newer.cache_read_input_tokens).or(self.cache_read);
        self.cache_written = wire::count(newer.cache_creation_input_tokens).or(self.cache_written);
        self.output = wire::count(newer.output_tokens).or(self.output);
        let details = newer.output_tokens_details.as_ref();
        self.thinking = details.and_then(|details| wire::count(details.thinking_tokens)).or(self.thinking);
        Usage {
            // Anthropic counts what came from the cache, and what went into it, beside the rest.
            input: self.fresh.map(|fresh| {
                fresh.saturating_add(self.cache_read.unwrap_or(0)).saturating_add(self.cache_written.unwrap_or(0))
            }),
            output: self.output,
            cached_input: self.cache_read,
            cache_written: self.cache_written,
            reasoning: self.thinking,
        }
    }
}
