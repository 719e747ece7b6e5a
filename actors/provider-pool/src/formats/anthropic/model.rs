//! What a Claude model can do, told by its name: the API does not say, and refuses what a model does not know.

/// How a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// It cannot.
    Never,
    /// `thinking.budget_tokens` (3.7 to 4.5).
    Budget,
    /// `thinking: adaptive` and `output_config.effort` (4.6 and later).
    Adaptive,
}

/// How the model of that name thinks. A name without a version is taken for a new model.
pub fn thinking(model: &str) -> Thinking {
    match version(model) {
        Some((major, minor)) if (major, minor) < (3, 7) => Thinking::Never,
        Some((major, minor)) if (major, minor) < (4, 6) => Thinking::Budget,
        _ => Thinking::Adaptive,
    }
}

/// The fewest tokens that the API keeps in its cache for this model, as its documentation says; of a new model the largest figure known.
pub fn cacheable_tokens(model: &str) -> usize {
    let is = |family: &str| model.contains(family);
    match version(model) {
        Some(old) if is("haiku") && old < (4, 5) => 2048,
        Some(old) if is("sonnet") && old < (4, 6) => 1024,
        Some(old) if is("opus") && old < (4, 5) => 1024,
        Some(_) if is("sonnet") => 2048,
        _ => 4096,
    }
}

/// `claude-3-7-sonnet-20250219` is 3.7, `claude-opus-4-20250514` is 4.0, `claude-haiku-4.5` is 4.5.
fn version(model: &str) -> Option<(u32, u32)> {
    let mut pieces = model.split(['-', '.', '@', ':', '/']).skip_while(|piece| number(piece).is_none());
    let major = pieces.next().and_then(number)?;
    Some((major, pieces.next().and_then(number).unwrap_or(0)))
}

/// A piece of a version; dates are longer.
fn number(piece: &str) -> Option<u32> {
    if piece.len() <= 2 { piece.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_cached_prompt_depends_on_the_model() {
        for (name, tokens) in [
            ("claude-3-haiku-20240307", 2048),
            ("claude-haiku-4-5", 4096),
            ("claude-3-7-sonnet-20250219", 1024),
            ("claude-sonnet-4-5", 1024),
            ("claude-sonnet-4-6", 2048),
            ("claude-opus-4-1", 1024),
            ("claude-opus-4-6", 4096),
            ("claude-next", 4096),
        ] {
            assert_eq!(cacheable_tokens(name), tokens, "{name}");
        }
    }

    #[test]
    fn versions_are_read_from_names() {
        for (name, expected) in [
            ("claude-3-haiku-20240307", Thinking::Never),
            ("claude-3-5-sonnet-latest", Thinking::Never),
            ("claude-3-7-sonnet-20250219", Thinking::Budget),
            ("claude-sonnet-4-20250514", Thinking::Budget),
            ("claude-haiku-4-5-20251001", Thinking::Budget),
            ("claude-sonnet-4.5", Thinking::Budget),
            ("claude-opus-4-5@20251101", Thinking::Budget),
            ("claude-opus-4-6", Thinking::Adaptive),
            ("claude-fable-5", Thinking::Adaptive),
            ("claude-next", Thinking::Adaptive),
        ] {
            assert_eq!(thinking(name), expected, "{name}");
        }
    }
}
