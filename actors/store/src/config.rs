//! The store's configuration: section `[store]`. It reads no file and no environment.

use contract::units::Span;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Section `[store]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The SQLite file; created on the first start, with its folder. A relative path begins at the working directory. A change needs
    /// a restart.
    pub path: PathBuf,
    /// How long audit rows are kept.
    pub audit_retention: Span,
    /// The most audit rows kept; the oldest go first.
    pub audit_max_rows: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::from("haia.db"),
            audit_retention: Span::seconds(90 * 24 * 60 * 60),
            audit_max_rows: 1_000_000,
        }
    }
}

impl Config {
    /// The folder of the SQLite file.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Everything that is wrong with it: the key within the section, and what to do about it.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        if let Some(message) = self.wrong_path() {
            wrong.push(("path".to_owned(), message));
        }
        if self.audit_retention.0.is_zero() {
            wrong.push((
                "audit_retention".to_owned(),
                "would delete every audit row at once: write how long to keep them, for example \"90d\"".to_owned(),
            ));
        }
        if self.audit_max_rows == 0 {
            wrong.push((
                "audit_max_rows".to_owned(),
                "would delete every audit row at once: write the most rows to keep, for example 1000000".to_owned(),
            ));
        }
        wrong
    }

    fn wrong_path(&self) -> Option<String> {
        let text = self.path.to_string_lossy();
        let problem = if text.is_empty() {
            "is empty"
        } else if text.starts_with(':') || text.starts_with("file:") {
            "is not the path of a file"
        } else if text.contains('\0') {
            "holds a zero byte"
        } else if text.ends_with('/') || self.path.file_name().is_none() {
            "names a folder"
        } else {
            return None;
        };
        Some(format!("{problem}: write the path of the file to keep, for example \"/var/lib/haia/haia.db\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.path, PathBuf::from("haia.db"));
        assert_eq!(config.audit_retention.to_string(), "90d");
        assert_eq!(config.audit_max_rows, 1_000_000);
        assert_eq!(config.validate(), []);
    }

    #[test]
    fn reads_every_key_and_no_other() {
        let config: Config =
            toml::from_str("path = \"/x/y.db\"\naudit_retention = \"12h\"\naudit_max_rows = 5").unwrap();
        assert_eq!(config.path, PathBuf::from("/x/y.db"));
        assert_eq!(config.audit_retention, Span::seconds(12 * 3600));
        assert_eq!(config.audit_max_rows, 5);
        assert!(toml::from_str::<Config>("pth = \"x\"").unwrap_err().to_string().contains("pth"));
    }

    #[test]
    fn the_folder_is_the_files() {
        for (path, folder) in [("haia.db", "."), ("data/haia.db", "data"), ("/var/lib/haia/haia.db", "/var/lib/haia")] {
            let config = Config { path: path.into(), ..Config::default() };
            assert_eq!(config.folder(), Path::new(folder));
        }
    }

    #[test]
    fn says_what_is_wrong_with_each_key() {
        for path in ["", ":memory:", "file:x.db?mode=memory", "folder/", "/", "..", "a\0b"] {
            let config = Config { path: path.into(), ..Config::default() };
            let wrong = config.validate();
            assert_eq!(wrong.len(), 1, "{path:?}");
            assert_eq!(wrong[0].0, "path");
            assert!(wrong[0].1.contains("write the path"), "{wrong:?}");
        }
        let config = Config { path: "".into(), audit_retention: Span::seconds(0), audit_max_rows: 0 };
        let keys: Vec<_> = config.validate().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["path", "audit_retention", "audit_max_rows"]);
    }
}
