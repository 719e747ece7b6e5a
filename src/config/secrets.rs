//! Secret references: `"env:NAME"`, `"file:PATH"`, `"credential:NAME"`. Puts the secret in the place of its reference, before any section
//! is read. No message of this file holds a secret's text.

use super::environment::Environment;
use super::node::{Node, Value, join};
use super::origin::Origin;
use super::problem::Problem;
use super::schema::{Holds, Shape};
use std::path::{Path, PathBuf};

/// The largest secret file, in bytes: a key or a token, not a certificate store.
const MAX_SECRET: u64 = 64 * 1024;

/// Where references are looked up.
pub struct Sources<'a> {
    /// The environment, for `env:` and for `$CREDENTIALS_DIRECTORY`.
    pub environment: &'a Environment,
    /// The folder that a relative `file:` starts from: the configuration file's.
    pub folder: &'a Path,
}

/// Resolves every secret of the document. `skip` are paths of sections that nobody reads: theirs stay references.
pub fn resolve(
    document: &mut Node,
    shape: &Shape,
    skip: &[Vec<String>],
    sources: &Sources<'_>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    Walk { skip, sources, problems, warnings }.at(document, shape, &mut Vec::new());
}

struct Walk<'a> {
    skip: &'a [Vec<String>],
    sources: &'a Sources<'a>,
    problems: &'a mut Vec<Problem>,
    warnings: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn at(&mut self, node: &mut Node, shape: &Shape, path: &mut Vec<String>) {
        if self.skip.contains(path) {
            return;
        }
        if shape.holds() == Some(Holds::Secret) {
            self.secret(node, path);
            return;
        }
        let Some(entries) = node.entries_mut() else { return };
        for (name, child) in entries {
            if let Some(shape) = shape.child(name) {
                path.push(name.clone());
                self.at(child, shape, path);
                path.pop();
            }
        }
    }

    fn secret(&mut self, node: &mut Node, path: &[String]) {
        let key = join(path);
        let Value::Text(written) = &node.value else { return };
        let written = written.clone();
        match self.sources.read(&written) {
            Some(Ok(secret)) => {
                node.value = Value::Text(secret);
                node.reference = Some(written);
            }
            Some(Err(why)) => {
                self.problems.push(Problem::at(&node.origin, format!("\"{key}\": {why}")));
                // So that the section does not complain of the key a second time.
                node.value = Value::Text("unresolved".to_owned());
                node.reference = Some(written);
            }
            None if written.trim().is_empty() => {
                self.problems.push(Problem::at(
                    &node.origin,
                    format!("\"{key}\" is empty: write \"env:NAME\", \"file:PATH\" or \"credential:NAME\""),
                ));
            }
            None => {
                if let Err(why) = sound(&written) {
                    self.problems.push(Problem::at(&node.origin, format!("\"{key}\" {why}")));
                }
                if matches!(node.origin, Origin::File { .. }) {
                    let message = format!(
                        "\"{key}\" holds the secret itself: better write \"env:NAME\", \"file:PATH\" or \"credential:NAME\""
                    );
                    self.warnings.push(Problem::at(&node.origin, message));
                }
            }
        }
    }
}

impl Sources<'_> {
    /// The secret that a reference means; `None` if the text is no reference.
    fn read(&self, written: &str) -> Option<Result<String, String>> {
        let (scheme, name) = written.split_once(':')?;
        let name = name.trim();
        let found = match scheme {
            "env" | "file" | "credential" if name.is_empty() => {
                Err(format!("the reference \"{scheme}:\" needs a name"))
            }
            "env" => match self.environment.get(name) {
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("the environment variable {name} is not set")),
            },
            "file" => read_file(&self.folder.join(name)),
            "credential" => self.credential(name),
            _ => return None,
        };
        Some(found.and_then(|text| match sound(&text) {
            Ok(()) => Ok(text),
            Err(why) => Err(format!("what {scheme}:{name} holds {why}")),
        }))
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        if name.contains('/') || name == ".." {
            return Err(format!("the credential's name {name:?} must not be a path"));
        }
        match self.environment.get("CREDENTIALS_DIRECTORY") {
            Some(folder) => read_file(&PathBuf::from(folder).join(name)),
            None => Err(format!(
                "the credential {name} cannot be read: CREDENTIALS_DIRECTORY is not set; under systemd add LoadCredential={name}:PATH to the unit"
            )),
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let length = std::fs::metadata(path).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    if !length.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if length.len() > MAX_SECRET {
        return Err(format!("the file {shown} is larger than 64 KiB: it is not a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Whether a secret can go into a header: neither empty nor with control characters.
fn sound(secret: &str) -> Result<(), String> {
    if secret.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if secret.chars().any(char::is_control) {
        return Err("has a line break or another control character in it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, schema};
    use std::sync::Arc;

    struct Outcome {
        document: Node,
        problems: Vec<String>,
        warnings: Vec<String>,
    }

    fn resolve_text(text: &str, environment: &Environment, folder: &Path) -> Outcome {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let mut document = parse::file(text, &Arc::from("f"), &mut problems);
        let skip = schema::unused(&document);
        let sources = Sources { environment, folder };
        resolve(&mut document, &schema::shape(), &skip, &sources, &mut problems, &mut warnings);
        let told = |list: Vec<Problem>| list.iter().map(ToString::to_string).collect();
        Outcome { document, problems: told(problems), warnings: told(warnings) }
    }

    fn text_at<'a>(document: &'a Node, path: &[&str]) -> &'a str {
        match document.at(path).map(|node| &node.value) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    #[test]
    fn every_kind_of_reference_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("key.txt"), "from-file\n").expect("written");
        std::fs::write(folder.path().join("cred"), "from-credential\r\n").expect("written");
        let environment =
            Environment::of([("K", "from-env"), ("CREDENTIALS_DIRECTORY", &folder.path().display().to_string())]);
        let text = "[server.keys]\na.key = 'env:K'\nb.key = 'file:key.txt'\nc.key = 'credential:cred'\nd.key = 'plain-literal'\n";
        let outcome = resolve_text(text, &environment, folder.path());
        assert_eq!(outcome.problems, [""; 0]);
        let read = ["a", "b", "c", "d"].map(|name| text_at(&outcome.document, &["server", "keys", name, "key"]));
        assert_eq!(read, ["from-env", "from-file", "from-credential", "plain-literal"]);
        assert_eq!(
            outcome.warnings,
            [
                "f:5: \"server.keys.d.key\" holds the secret itself: better write \"env:NAME\", \"file:PATH\" or \"credential:NAME\""
            ]
        );
        let reference = outcome.document.at(&["server", "keys", "a", "key"]).and_then(|node| node.reference.as_deref());
        assert_eq!(reference, Some("env:K"));
    }

    #[test]
    fn all_missing_references_are_told_and_no_secret_is() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("two"), "hush\nhush\n").expect("written");
        std::fs::write(folder.path().join("none"), "\n").expect("written");
        let text = "[providers.a]\napi_key = 'env:UNSET'\n[providers.b]\napi_key = 'file:nowhere'\n[providers.c]\napi_key = 'credential:x'\n\
                    [providers.d]\napi_key = 'file:two'\n[providers.e]\napi_key = 'file:none'\n[providers.f]\napi_key = ''\n[providers.g]\n\
                    api_key = 'env:'\n[home_assistant]\ntoken = 'env:NOT_NEEDED'\n";
        let outcome = resolve_text(text, &Environment::of([("UNSET", "")]), folder.path());
        let folder = folder.path().display();
        assert_eq!(
            outcome.problems,
            [
                "f:2: \"providers.a.api_key\": the environment variable UNSET is not set".to_owned(),
                format!("f:4: \"providers.b.api_key\": the file {folder}/nowhere cannot be read: No such file or directory (os error 2)"),
                "f:6: \"providers.c.api_key\": the credential x cannot be read: CREDENTIALS_DIRECTORY is not set; under systemd add LoadCredential=x:PATH to the unit".to_owned(),
                "f:8: \"providers.d.api_key\": what file:two holds has a line break or another control character in it".to_owned(),
                "f:10: \"providers.e.api_key\": what file:none holds is empty".to_owned(),
                "f:12: \"providers.f.api_key\" is empty: write \"env:NAME\", \"file:PATH\" or \"credential:NAME\"".to_owned(),
                "f:14: \"providers.g.api_key\": the reference \"env:\" needs a name".to_owned(),
            ]
        );
        assert!(!outcome.problems.concat().contains("hush"));
        assert_eq!(outcome.warnings, [""; 0]);
    }
}
