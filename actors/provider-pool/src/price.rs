//! What an answer cost, by the configured price. Pure.

use crate::config::Price;
use contract::chat::Usage;

/// Billionths of a USD; `None` if the tokens read or written are not known: a part of the cost is not the cost.
pub fn cost_nanos(price: &Price, usage: &Usage) -> Option<u64> {
    let (input, output) = (usage.input?, usage.output?);
    let cached = usage.cached_input.unwrap_or(0).min(input);
    let written = usage.cache_written.unwrap_or(0).min(input - cached);
    let reasoning = usage.reasoning.unwrap_or(0).min(output);
    // USD per million tokens is the same number as millionths of a USD per token.
    let micros = price.input * (input - cached - written) as f64
        + price.cache_write.unwrap_or(price.input) * written as f64
        + price.cached_input.unwrap_or(price.input) * cached as f64
        + price.output * (output - reasoning) as f64
        + price.reasoning.unwrap_or(price.output) * reasoning as f64;
    Some((micros * 1000.0).round().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_and_reasoning_tokens_have_prices_of_their_own() {
        let usage = Usage {
            input: Some(1000),
            output: Some(100),
            cached_input: Some(900),
            reasoning: Some(40),
            ..Usage::default()
        };
        let plain = Price { input: 1.0, output: 5.0, cached_input: None, cache_write: None, reasoning: None };
        assert_eq!(cost_nanos(&plain, &usage), Some(1_500_000));
        let fine = Price { cached_input: Some(0.1), reasoning: Some(10.0), ..plain };
        assert_eq!(cost_nanos(&fine, &usage), Some(100_000 + 90_000 + 300_000 + 400_000));
    }

    #[test]
    fn what_goes_into_the_cache_costs_more_where_the_provider_asks_more() {
        let written = Usage { input: Some(10_010), output: Some(0), cache_written: Some(10_000), ..Usage::default() };
        let price = Price { input: 1.0, output: 5.0, cached_input: None, cache_write: None, reasoning: None };
        assert_eq!(cost_nanos(&price.at("openai"), &written), Some(10_010_000));
        assert_eq!(cost_nanos(&price.at("anthropic"), &written), Some(12_510_000));
        let hour = Price { cache_write: Some(2.0), ..price };
        assert_eq!(cost_nanos(&hour.at("anthropic"), &written), Some(20_010_000));
        let both = Usage { cached_input: Some(5_000), ..written };
        assert_eq!(cost_nanos(&hour, &both), Some(5_000_000 + 2 * 5_010_000), "never more than was read");
    }

    #[test]
    fn what_is_not_known_costs_nobody_knows_what() {
        let price = Price { input: 1.0, output: 5.0, cached_input: None, cache_write: None, reasoning: None };
        assert_eq!(cost_nanos(&price, &Usage { output: Some(5), ..Usage::default() }), None);
        assert_eq!(cost_nanos(&price, &Usage::default()), None);
        let odd = Usage { input: Some(5), output: Some(0), cached_input: Some(9), ..Usage::default() };
        assert_eq!(cost_nanos(&price, &odd), Some(5_000));
    }
}
