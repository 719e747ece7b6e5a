//! Where a value of the configuration comes from, as messages and `haia config print` name it. Holds no value itself.

use std::fmt;
use std::sync::Arc;

/// Where a value, or a problem with it, comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file as messages name it.
        file: Arc<str>,
        /// The line, from 1; 0 for the file as a whole.
        line: u32,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: Arc<str>,
        /// The `.env` file it was read from, if it is not of the process itself.
        dotenv: Option<Arc<str>>,
    },
    /// An option of the command line.
    Option {
        /// Its name, with the dashes.
        name: &'static str,
    },
    /// Nobody set it.
    Default,
}

impl Origin {
    /// A line of a file.
    pub fn line(file: &Arc<str>, line: u32) -> Self {
        Origin::File { file: Arc::clone(file), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { file, line: 0 } => f.write_str(file),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Variable { name, dotenv: None } => f.write_str(name),
            Origin::Variable { name, dotenv: Some(file) } => write!(f, "{name} (in {file})"),
            Origin::Option { name } => f.write_str(name),
            Origin::Default => f.write_str("default"),
        }
    }
}
