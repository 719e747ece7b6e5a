//! Takes typed sections out of the merged tree, and tells everything that is wrong with them at once.

use super::node::{Node, Value, join};
use super::problem::Problem;
use serde::de::DeserializeOwned;

/// Reads the section at `path`. What does not fit is told, left out, and the rest is read again, so that every problem comes out.
pub fn read<T: DeserializeOwned + Default>(document: &Node, path: &[&str], problems: &mut Vec<Problem>) -> T {
    read_rest(document, path, problems).0
}

/// Like [`read`]; gives also the full paths of what was left out, so that nothing more is said about it.
pub fn read_rest<T: DeserializeOwned + Default>(
    document: &Node,
    path: &[&str],
    problems: &mut Vec<Problem>,
) -> (T, Vec<Vec<String>>) {
    let Some(section) = document.at(path) else { return (T::default(), Vec::new()) };
    let mut rest = section.clone();
    let mut removed: Vec<Vec<String>> = Vec::new();
    loop {
        let error = match T::deserialize(&rest) {
            Ok(section) => return (section, removed),
            Err(error) => error,
        };
        let at = rest.nearest(&error.path);
        let full: Vec<&str> = path.iter().copied().chain(error.path.iter().map(String::as_str)).collect();
        let owned: Vec<String> = full.iter().map(|&step| step.to_owned()).collect();
        let key = join(&full);
        let message = if error.about_key {
            format!("\"{key}\" {}", error.message)
        } else {
            format!("\"{key}\": {}", error.message)
        };
        let lost = error.missing.map(|name| owned.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>());
        if lost.is_none_or(|path| !removed.contains(&path)) {
            problems.push(Problem::at(&at.origin, message));
        }
        removed.push(owned);
        if error.path.is_empty() || !matches!(rest.value, Value::Table(_)) || rest.at(&error.path).is_none() {
            return (T::default(), vec![path.iter().map(|&step| step.to_owned()).collect()]);
        }
        rest.remove(&error.path);
    }
}

/// Words that a section's message may begin with when it continues its key: `"agent.route" is empty`.
const VERBS: [&str; 9] = ["is", "are", "and", "has", "holds", "names", "needs", "must", "would"];

/// Gives the problems that a section found in itself (`key`, message) their places. Keys may be relative to the section.
pub fn place(document: &Node, section: &str, found: Vec<(String, String)>) -> Vec<Problem> {
    place_rest(document, section, found, &[])
}

/// Like [`place`], but for what was left out when the section was read: its default says nothing about the file.
pub fn place_rest(
    document: &Node,
    section: &str,
    found: Vec<(String, String)>,
    removed: &[Vec<String>],
) -> Vec<Problem> {
    found
        .into_iter()
        .filter_map(|(key, message)| {
            let path = resolve(document, section, &key);
            if removed.iter().any(|removed| path.starts_with(removed)) {
                return None;
            }
            let continues = VERBS.contains(&message.split(' ').next().unwrap_or_default());
            let colon = if continues { "" } else { ":" };
            Some(Problem::at(&document.nearest(&path).origin, format!("\"{}\"{colon} {message}", join(&path))))
        })
        .collect()
}

/// The path that a dotted key means. Names may hold dots themselves (models do), so the tree decides where a name ends.
fn resolve(document: &Node, section: &str, key: &str) -> Vec<String> {
    let key = key
        .strip_prefix(section)
        .and_then(|rest| rest.strip_prefix('.').or(rest.is_empty().then_some("")))
        .unwrap_or(key);
    let mut path = vec![section.to_owned()];
    let mut rest = key;
    while !rest.is_empty() {
        let here = document.at(&path);
        let named = here.and_then(|node| {
            let names = node.entries().iter().map(|(name, _)| name.as_str());
            names
                .filter(|name| rest == *name || rest.strip_prefix(name).is_some_and(|r| r.starts_with('.')))
                .max_by_key(|n| n.len())
        });
        let name = named.unwrap_or_else(|| rest.split('.').next().unwrap_or(rest)).to_owned();
        rest = rest[name.len()..].trim_start_matches('.');
        // An item of a list (`cors_origins[1]`) has the list's key.
        path.push(name.split('[').next().unwrap_or_default().to_owned());
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use contract::caller::Scope;
    use contract::secret::Secret;
    use contract::units::Span;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        name: String,
        count: u16,
        wait: Option<Span>,
        list: Vec<String>,
        ratio: f64,
        keys: BTreeMap<String, Key>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Key {
        key: Secret,
        scope: Scope,
    }

    fn tree(text: &str) -> Node {
        let mut problems = Vec::new();
        let tree = parse::file(text, &Arc::from("f"), &mut problems);
        assert_eq!(problems, []);
        tree
    }

    fn read_all(text: &str) -> (Config, Vec<String>) {
        let mut problems = Vec::new();
        let config = read(&tree(text), &["s"], &mut problems);
        (config, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_sound_section_is_read() {
        let (config, problems) =
            read_all("[s]\nname = 'x'\ncount = 7\nwait = '5m'\nratio = 1\nkeys.a = {key='k',scope='admin'}\n");
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            (config.name.as_str(), config.count, config.wait, config.ratio),
            ("x", 7, Some(Span::seconds(300)), 1.0)
        );
        assert_eq!(config.keys["a"].scope, Scope::Admin);
        assert_eq!(read_all(""), (Config::default(), vec![]));
    }

    #[test]
    fn every_wrong_value_is_told_at_once_with_its_line() {
        let text = "[s]\nname = 5\ncount = -1\nwait = '10 parsecs'\nlist = 'one'\nratio = '1'\n[s.keys.a]\nkey = 123456\nscope = 'root'\n\
                    [s.keys.b]\nkey = 'x'\n[s.keys]\nc = 1\n";
        let (config, problems) = read_all(text);
        assert_eq!(
            problems,
            [
                "f:2: \"s.name\" must be a text in quotes, not a whole number",
                "f:3: \"s.count\" must be a whole number from 0 to 65535, not -1",
                "f:4: \"s.wait\": \"10 parsecs\" is not a duration: write for example \"500ms\", \"10s\", \"5m\", \"2h\" or \"1d\"",
                "f:5: \"s.list\" must be a list, not a text",
                "f:6: \"s.ratio\" must be a number, not a text",
                "f:8: \"s.keys.a.key\" must be a text in quotes, not a whole number",
                "f:9: \"s.keys.a.scope\" must be one of \"read\", \"control\", \"admin\", not \"root\"",
                "f:10: \"s.keys.b\" needs the key \"scope\"",
                "f:13: \"s.keys.c\" must be a section, not a whole number",
            ]
        );
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_variable_that_looks_like_a_number_is_a_text_where_one_is_wanted() {
        let mut document = Node::empty();
        let origin = crate::config::origin::Origin::Default;
        let mut node = parse::value("12345", &origin).expect("a number");
        node.written = Some("12345".to_owned());
        document.set(&["s".to_owned(), "name".to_owned()], node.clone());
        document.set(&["s".to_owned(), "count".to_owned()], node);
        let mut problems = Vec::new();
        let config: Config = read(&document, &["s"], &mut problems);
        assert_eq!((problems.len(), config.name.as_str(), config.count), (0, "12345", 12345));
    }

    #[test]
    fn a_sections_own_problems_find_their_lines() {
        let document = tree("[providers.o]\nkind = 'x'\n[providers.o.model.'qwen2.5:7b']\nmax_tokens = 0\n");
        let found = place(
            &document,
            "providers",
            ["providers.o.kind", "o.model.qwen2.5:7b.max_tokens", "providers.o.base_url", "providers", "o.kind[3]"]
                .map(|key| (key.to_owned(), "this is wrong".to_owned()))
                .to_vec(),
        );
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "f:2: \"providers.o.kind\": this is wrong",
                "f:4: \"providers.o.model.\"qwen2.5:7b\".max_tokens\": this is wrong",
                "f:1: \"providers.o.base_url\": this is wrong",
                "f:1: \"providers\": this is wrong",
                "f:2: \"providers.o.kind\": this is wrong",
            ]
        );
        let found = place(&document, "providers", vec![("o".to_owned(), "is empty".to_owned())]);
        assert_eq!(found[0].to_string(), "f:1: \"providers.o\" is empty");
    }
}
