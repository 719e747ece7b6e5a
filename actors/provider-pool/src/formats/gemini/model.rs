//! What a Gemini model can do, told by its name: the API does not say, and refuses what a model does not know.

/// How a model is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// It cannot.
    Never,
    /// `thinkingBudget` in tokens (2.5).
    Budget,
    /// `thinkingLevel` (3 and later).
    Level,
}

/// A model by what its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How it is told how much to think.
    pub thinking: Thinking,
    /// A larger one (`pro`): it cannot leave thinking out, and knows fewer levels.
    pub is_pro: bool,
}

impl Known {
    /// The model of that name. A name without a version (`gemini-flash-latest`) is taken for a new model; another family's for one that
    /// cannot think.
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let rest = name.strip_prefix("gemini-");
        let version = rest.and_then(|rest| {
            let digits = rest.split('-').next()?;
            let mut parts = digits.split('.');
            let major: u32 = parts.next()?.parse().ok()?;
            Some((major, parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
        });
        let thinking = match (rest, version) {
            (None, _) => Thinking::Never,
            (Some(_), Some(version)) if version < (2, 5) => Thinking::Never,
            (Some(_), Some(version)) if version < (3, 0) => Thinking::Budget,
            _ => Thinking::Level,
        };
        Self { thinking, is_pro: name.split('-').any(|piece| piece == "pro") }
    }

    /// Whether calls have ids, and must come back with their thought signatures.
    pub fn is_third(self) -> bool {
        self.thinking == Thinking::Level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        for (name, thinking, is_pro) in [
            ("gemini-1.5-pro", Thinking::Never, true),
            ("gemini-2.0-flash-001", Thinking::Never, false),
            ("gemini-2.5-flash", Thinking::Budget, false),
            ("models/gemini-2.5-pro", Thinking::Budget, true),
            ("gemini-3-flash-preview", Thinking::Level, false),
            ("gemini-3.1-pro-preview", Thinking::Level, true),
            ("gemini-flash-latest", Thinking::Level, false),
            ("gemma-3-27b-it", Thinking::Never, false),
            ("tunedModels/mine", Thinking::Never, false),
        ] {
            assert_eq!(Known::of(name), Known { thinking, is_pro }, "{name}");
        }
    }
}
