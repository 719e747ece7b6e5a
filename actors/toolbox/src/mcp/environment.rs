//! The variables that entries may refer to, and `${VAR}` in their texts. Values are secrets: nothing here shows one.
//!
//! There is no command substitution: `$(…)` and backticks stay as they are written.

use contract::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a child gets of HAIA's own environment: enough to find programs and its home, and no secret.
const PASSED_ON: &[&str] = &[
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// The variables of HAIA's environment, as the composition root read them at the start.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, Secret>>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

impl PartialEq for Environment {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()))
    }
}

/// A text with its variables filled in.
#[derive(Clone, PartialEq)]
pub(crate) struct Expanded {
    /// The text.
    pub(crate) text: Secret,
    /// The values that went into it: to be kept out of logs.
    pub(crate) values: Vec<Secret>,
}

impl Environment {
    /// The variables that every child gets.
    pub(crate) fn for_children(&self) -> impl Iterator<Item = (&str, &str)> {
        PASSED_ON.iter().filter_map(|name| self.0.get(*name).map(|value| (*name, value.expose())))
    }

    /// Fills in `${VAR}`, `${env:VAR}` and `${VAR:-otherwise}`.
    ///
    /// # Errors
    /// The name of what is not set, or of what HAIA cannot fill in (`${input:token}`).
    pub(crate) fn expand(&self, text: &str) -> Result<Expanded, String> {
        let mut filled = String::with_capacity(text.len());
        let mut values = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            filled.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                return Err("a \"${\" is not closed by \"}\"".to_owned());
            };
            let inner = &rest[at + 2..at + end];
            let (name, otherwise) = match inner.split_once(":-") {
                Some((name, otherwise)) => (name, Some(otherwise)),
                None => (inner, None),
            };
            let name = name.strip_prefix("env:").unwrap_or(name);
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(format!("HAIA cannot fill in ${{{}}}: write ${{NAME}} or ${{env:NAME}}", shown(inner)));
            }
            match (self.0.get(name), otherwise) {
                (Some(value), _) => {
                    filled.push_str(value.expose());
                    values.push(value.clone());
                }
                (None, Some(otherwise)) => filled.push_str(otherwise),
                (None, None) => return Err(format!("the environment variable {name} is not set")),
            }
            rest = &rest[at + end + 1..];
        }
        filled.push_str(rest);
        Ok(Expanded { text: Secret::new(filled), values })
    }
}

fn shown(name: &str) -> String {
    super::text::clean_line(name, 64)
}

/// Takes known secrets out of a text that goes to logs or people.
#[derive(Clone, Default)]
pub(crate) struct Masks(Arc<Vec<Secret>>);

impl Masks {
    /// Shorter values are words that may stand anywhere.
    const SHORTEST: usize = 6;

    pub(crate) fn new(values: impl IntoIterator<Item = Secret>) -> Self {
        let mut values: Vec<Secret> =
            values.into_iter().filter(|value| value.expose().len() >= Self::SHORTEST).collect();
        // The longest first: one may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self(Arc::new(values))
    }

    /// The text with `***` in place of each secret.
    pub(crate) fn apply(&self, mut text: String) -> String {
        for secret in self.0.iter().filter(|secret| !secret.expose().is_empty()) {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "***");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        [("TOKEN", "s3cret-value"), ("EMPTY", ""), ("PATH", "/bin"), ("OTHER", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect()
    }

    #[test]
    fn fills_in_variables_and_nothing_else() {
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("Bearer ${TOKEN}", Ok("Bearer s3cret-value")),
            ("${env:TOKEN}/${OTHER}", Ok("s3cret-value/x")),
            ("[${EMPTY}]", Ok("[]")),
            ("${NOPE:-else}", Ok("else")),
            ("${TOKEN:-else}", Ok("s3cret-value")),
            ("$TOKEN $(id) `id` $${OTHER}", Ok("$TOKEN $(id) `id` $x")),
            ("${NOPE}", Err("NOPE is not set")),
            ("${open", Err("not closed")),
            ("${input:key}", Err("cannot fill in ${input:key}")),
            ("${}", Err("cannot fill in")),
            ("${a b}", Err("cannot fill in")),
        ] {
            match (environment().expand(text), expected) {
                (Ok(expanded), Ok(wanted)) => assert_eq!(expanded.text.expose(), wanted, "{text}"),
                (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
                (found, _) => panic!("{text}: {:?}", found.map(|expanded| expanded.text.expose().to_owned())),
            }
        }
    }

    #[test]
    fn children_get_no_secret() {
        assert_eq!(environment().for_children().collect::<Vec<_>>(), [("PATH", "/bin")]);
        assert_eq!(format!("{:?}", environment()), "Environment(4 variables)");
    }

    #[test]
    fn secrets_are_masked() {
        let masks = Masks::new(["s3cret-value", "s3cret", "x"].map(Secret::new));
        assert_eq!(masks.apply("x s3cret-value s3cret x".to_owned()), "x *** *** x");
    }
}
