//! `haia config print`: the effective configuration, each value with its origin, secrets masked.

use super::Exit;
use super::output::Output;
use crate::config::{self, Loaded};
use serde::Serialize;
use std::io;

#[derive(Serialize)]
struct Printed<'a> {
    file: Option<String>,
    values: &'a [config::Line],
    warnings: Vec<String>,
}

/// Prints it.
///
/// # Errors
/// stdout is closed.
pub fn print(loaded: &Loaded, json: bool, output: &mut Output) -> io::Result<Exit> {
    let values = config::lines(&loaded.document);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    if json {
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        output.json(&Printed { file, values: &values, warnings })?;
        return Ok(Exit::Done);
    }
    warnings.iter().for_each(|warning| output.warning(warning));
    if loaded.file.is_none() {
        output.progress("no configuration file: built-in defaults, environment and command line");
    }
    output.write(&config::text(&values))?;
    if !values.iter().any(|line| line.key == "routes.default") {
        output.progress(
            "routes.default is not set: the first model of each provider that has a key, then builtin/offline",
        );
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::*;
    use crate::config::{Environment, Options};

    #[test]
    fn both_forms_mask_secrets_and_tell_origins() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = "[server.keys.ui]\nkey = 'hush-hush-hush'\n[agent]\nmax_tool_rounds = 3\n";
        std::fs::write(folder.path().join("haia.toml"), file).expect("written");
        let options = Options {
            file: None,
            overrides: Vec::new(),
            environment: Environment::of([("OPENAI_API_KEY", "hush-too")]),
            directory: folder.path().to_owned(),
        };
        let loaded = config::load(&options).unwrap_or_else(|problems| panic!("{problems:?}"));
        for json in [false, true] {
            let (mut output, out, error) = output();
            assert_eq!(print(&loaded, json, &mut output).expect("written"), Exit::Done);
            let text = out.text();
            assert!(!text.contains("hush") && !error.text().contains("hush"), "{text}");
            assert!(
                text.contains("***") && text.contains("env:OPENAI_API_KEY") && text.contains("haia.toml:4"),
                "{text}"
            );
            if json {
                let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert!(read["values"].as_array().is_some_and(|values| values.len() > 10));
            }
        }
    }
}
