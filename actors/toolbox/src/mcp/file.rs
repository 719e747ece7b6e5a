//! `mcp_config.json` as other MCP hosts write it: an object of servers under `mcpServers` or `servers`. Pure.
//!
//! One bad entry never stops the others; a file that is no such object is refused as a whole, and what was read before stays.

use super::entry::{self, Entry};
use super::environment::Environment;
use super::text::clean_line;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest name of a server.
const NAME_BYTES: usize = 64;
/// The most servers.
const MOST: usize = 1000;

/// A server of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    /// What it is; or why it cannot be used.
    pub(crate) entry: Result<Entry, String>,
    /// What is odd about it.
    pub(crate) notes: Vec<String>,
}

/// Every server of the file by its name.
pub(crate) type Servers = BTreeMap<Arc<str>, Listed>;

/// Reads the file's text; an empty one means no servers.
///
/// # Errors
/// Why it is no such file, with line and column.
pub(crate) fn read(text: &str, environment: &Environment) -> Result<Servers, String> {
    if text.trim().is_empty() {
        return Ok(Servers::new());
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let Some(file) = file.as_object() else {
        return Err("it must be an object with \"mcpServers\"".to_owned());
    };
    let mut servers = Servers::new();
    let mut slugs: BTreeMap<String, Arc<str>> = BTreeMap::new();
    let mut found = false;
    for key in ["mcpServers", "servers"] {
        let Some(entries) = file.get(key) else { continue };
        found = true;
        let Some(entries) = entries.as_object() else {
            return Err(format!("{key:?} must be an object: a name and an entry for each server"));
        };
        for (name, value) in entries {
            if servers.len() >= MOST {
                return Err(format!("it has more than {MOST} servers"));
            }
            let shown: Arc<str> = clean_line(name, NAME_BYTES).into();
            let slug = super::names::slug(name).to_ascii_lowercase();
            let (entry, notes) = match (name_problem(name), slugs.get(&slug)) {
                (Some(problem), _) => (Err(problem), Vec::new()),
                (None, Some(other)) => (
                    Err(format!("its name is too much like {other:?}, which has the same tool names: rename one")),
                    Vec::new(),
                ),
                (None, None) => match entry::read(value, environment) {
                    Ok((entry, notes)) => (Ok(entry), notes),
                    Err(problem) => (Err(problem), Vec::new()),
                },
            };
            slugs.entry(slug).or_insert_with(|| Arc::clone(&shown));
            servers.entry(shown).or_insert(Listed { entry, notes });
        }
    }
    if !found {
        return Err("it has neither \"mcpServers\" nor \"servers\"".to_owned());
    }
    Ok(servers)
}

fn name_problem(name: &str) -> Option<String> {
    let is_odd = name.is_empty() || name.len() > NAME_BYTES || *name != clean_line(name, NAME_BYTES);
    is_odd.then(|| format!("a server's name has 1 to {NAME_BYTES} visible characters in one line"))
}

#[cfg(test)]
mod tests;
