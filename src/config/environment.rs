//! The environment, read once, with the `.env` file beneath it. Never changes the process's own variables, and never shows a value.

use super::origin::Origin;
use super::problem::Problem;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The environment's variables. An empty variable counts as unset.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
    unreadable: Vec<String>,
}

#[derive(Clone)]
struct Variable {
    text: String,
    dotenv: Option<Arc<str>>,
}

impl Environment {
    /// The process's environment.
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, text) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match text.into_string() {
                Ok(text) => environment.insert(name, text, None),
                Err(_) => environment.unreadable.push(name),
            }
        }
        environment
    }

    /// An environment of these variables: for tests.
    #[cfg(test)]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let mut environment = Self::default();
        variables.into_iter().for_each(|(name, text)| environment.insert(name.to_owned(), text.to_owned(), None));
        environment
    }

    fn insert(&mut self, name: String, text: String, dotenv: Option<Arc<str>>) {
        self.variables.insert(name, Variable { text, dotenv });
    }

    /// Adds the variables of a `.env` file; what the process has already wins, later lines win over earlier ones.
    pub fn with_dotenv(mut self, text: &str, file: &Arc<str>, problems: &mut Vec<Problem>) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            match entry {
                Ok((name, value)) => {
                    let free = self.variables.get(&name).is_none_or(|old| old.text.is_empty() || old.dotenv.is_some());
                    if free {
                        self.insert(name, value, Some(Arc::clone(file)));
                    }
                }
                // The line itself may hold a secret: only its number is told.
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let number = text.find(line.as_str()).map_or(0, |at| text[..at].matches('\n').count() + 1);
                    let origin = Origin::line(file, u32::try_from(number).unwrap_or(0));
                    let message =
                        "this line is not NAME=VALUE: put a value with spaces or special characters in single quotes";
                    problems.push(Problem::at(&origin, message));
                }
                Err(_) => {
                    problems.push(Problem::at(&Origin::line(file, 0), "the file cannot be read as NAME=VALUE lines"))
                }
            }
        }
        self
    }

    /// The variable's text; `None` if it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Where the variable comes from.
    pub fn origin(&self, name: &str) -> Origin {
        let dotenv = self.variables.get(name).and_then(|variable| variable.dotenv.clone());
        Origin::Variable { name: Arc::from(name), dotenv }
    }

    /// The names of all variables that are set, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().filter(|(_, variable)| !variable.text.is_empty()).map(|(name, _)| name.as_str())
    }

    /// The names of variables whose values are no Unicode text.
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_wins_over_the_file_and_empty_is_unset() {
        let mut problems = Vec::new();
        let text = "# comment\nA=file\nB='two words'\nexport C=1\nC=2\nEMPTY=file\n";
        let environment = Environment::of([("A", "process"), ("EMPTY", ""), ("NOTHING", "")]).with_dotenv(
            text,
            &Arc::from(".env"),
            &mut problems,
        );
        assert_eq!(problems, []);
        let read = ["A", "B", "C", "EMPTY", "NOTHING"].map(|name| environment.get(name));
        assert_eq!(read, [Some("process"), Some("two words"), Some("2"), Some("file"), None]);
        assert_eq!(environment.origin("B").to_string(), "B (in .env)");
        assert_eq!(environment.names().collect::<Vec<_>>(), ["A", "B", "C", "EMPTY"]);
    }

    #[test]
    fn a_broken_line_is_told_by_number_and_never_shown() {
        let mut problems = Vec::new();
        let text = "A=1\nKEY=sk very secret\nB=2\nalso broken\n";
        let environment = Environment::default().with_dotenv(text, &Arc::from(".env"), &mut problems);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with(".env:2: this line is not NAME=VALUE") && told[1].starts_with(".env:4: "),
            "{told:?}"
        );
        assert!(!told.concat().contains("secret"));
        assert_eq!((environment.get("A"), environment.get("B")), (Some("1"), Some("2")));
    }
}
