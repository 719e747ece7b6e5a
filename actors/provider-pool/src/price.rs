//! What an answer cost, by the configured price. Pure.

use crate::config::Price;
use contract::chat::Usage;

/// Billionths of a USD; `None` if the tokens read or written are not known: a part of the cost is not the cost.
pub fn cost_nanos(price: &Price, usage: &Usage) -> Option<u64> {
    let (input, output) = (usage.input?, usage.output?);
    let cached = usage.cached_input.unwrap_or(0).min(input);
    let reasoning = usage.reasoning.unwrap_or(0).min(output);
    // USD per million tokens is the same number as millionths of a USD per token.
    let micros = price.input * (input - cached) as f64
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
        let usage = Usage { input: Some(1000), output: Some(100), cached_input: Some(900), reasoning: Some(40) };
        let plain = Price { input: 1.0, output: 5.0, cached_input: None, reasoning: None };
        assert_eq!(cost_nanos(&plain, &usage), Some(1_500_000));
        let fine = Price { cached_input: Some(0.1), reasoning: Some(10.0), ..plain };
        assert_eq!(cost_nanos(&fine, &usage), Some(100_000 + 90_000 + 300_000 + 400_000));
    }

    #[test]
    fn what_is_not_known_costs_nobody_knows_what() {
        let price = Price { input: 1.0, output: 5.0, cached_input: None, reasoning: None };
        assert_eq!(cost_nanos(&price, &Usage { output: Some(5), ..Usage::default() }), None);
        assert_eq!(cost_nanos(&price, &Usage::default()), None);
        let odd = Usage { input: Some(5), output: Some(0), cached_input: Some(9), ..Usage::default() };
        assert_eq!(cost_nanos(&price, &odd), Some(5_000));
    }
}
