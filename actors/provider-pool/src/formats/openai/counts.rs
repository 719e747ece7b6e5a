//! What an OpenAI answer counts and costs, in the shapes that servers give it.
//!
//! It adds nothing up: what was not told is not known.

use crate::formats::wire::{self, Json, Raw};
use contract::chat::Usage;
use contract::json::Scan;

/// The members of an object by these names.
pub fn members<'a, const N: usize>(object: &'a str, names: [&str; N]) -> Option<[Raw<'a>; N]> {
    let mut found = [None; N];
    Scan::of(object).object(|scan, name| {
        let value = wire::raw(scan)?;
        if let Some(at) = names.iter().position(|wanted| *wanted == name) {
            found[at] = value;
        }
        Some(())
    })?;
    Some(found)
}

/// OpenRouter's `usage.cost`, in billionths.
pub fn read_cost(usage: Json<'_>) -> Option<u64> {
    let [cost] = members(usage.get(), ["cost"])?;
    let cost: f64 = cost?.get().parse().ok()?;
    // A million is no price of an answer.
    (0.0..1e6).contains(&cost).then(|| (cost * 1e9).round() as u64)
}

/// OpenAI's `usage`, with DeepSeek's name for cached tokens.
pub fn read_usage(usage: Json<'_>) -> Option<Usage> {
    let names = [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "prompt_cache_hit_tokens",
    ];
    let [input, written, total, of_prompt, of_completion, cache_hits] = members(usage.get(), names)?;
    // Details of another shape lose nothing but themselves.
    let detail = |details: Raw<'_>, name| members(details?.get(), [name]).and_then(|[count]| wire::count(count));
    let (cached, reasoning) = (detail(of_prompt, "cached_tokens"), detail(of_completion, "reasoning_tokens"));
    let (input, written) = (wire::count(input), wire::count(written));
    // xAI counts what was thought beside what was written; the sum tells.
    let apart = match (input, written, reasoning, wire::count(total)) {
        (Some(input), Some(written), Some(reasoning), Some(total)) => {
            [written, reasoning].iter().try_fold(input, |sum, count| sum.checked_add(*count)) == Some(total)
        }
        _ => false,
    };
    let usage = Usage {
        input,
        output: written.map(|written| if apart { written + reasoning.unwrap_or(0) } else { written }),
        cached_input: cached.or_else(|| wire::count(cache_hits)),
        reasoning,
        ..Usage::default()
    };
    (!usage.is_empty()).then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn thinking_is_counted_once_wherever_it_is_told() {
        for (usage, expected) in [
            // xAI.
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":334,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(322), Some(320)),
            ),
            // OpenAI.
            (
                r#"{"prompt_tokens":12,"completion_tokens":322,"total_tokens":334,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(322), Some(320)),
            ),
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":14,"completion_tokens_details":{"reasoning_tokens":0}}"#,
                (Some(2), Some(0)),
            ),
            (
                r#"{"prompt_tokens":12,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":320}}"#,
                (Some(2), Some(320)),
            ),
            (r#"{"prompt_tokens":12,"completion_tokens":2,"total_tokens":334}"#, (Some(2), None)),
        ] {
            let raw = RawValue::from_string(usage.to_owned()).expect("JSON");
            let read = read_usage(Json::from(&*raw)).expect("counts");
            assert_eq!((read.output, read.reasoning), expected, "{usage}");
        }
    }
    #[test]
    fn odd_details_lose_only_themselves() {
        for odd in ["[]", "[1]", "\"none\"", "7", "true", "null", "{}"] {
            let usage = format!(
                r#"{{"prompt_tokens":12,"completion_tokens":2,"prompt_tokens_details":{odd},"completion_tokens_details":{{"reasoning_tokens":1}}}}"#
            );
            let raw = RawValue::from_string(usage).expect("JSON");
            let read = read_usage(Json::from(&*raw)).expect(odd);
            assert_eq!((read.input, read.output), (Some(12), Some(2)), "{odd}");
            assert_eq!((read.cached_input, read.reasoning), (None, Some(1)), "{odd}");
        }
    }
}
