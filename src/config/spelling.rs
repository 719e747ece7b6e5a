//! Holds a layer of the configuration against the list of keys: names the nearest key for each that is not known. Pure.

use super::node::{Node, Value, join};
use super::problem::Problem;
use super::schema::{Holds, KEYS, RULES, Shape, is_section};

/// Tells every key of `layer` that does not exist, or that is a section where a value belongs or the other way round, and removes it.
pub fn check(layer: &mut Node, shape: &Shape, problems: &mut Vec<Problem>) {
    check_at(layer, shape, &mut Vec::new(), problems);
}

fn check_at(node: &mut Node, shape: &Shape, path: &mut Vec<String>, problems: &mut Vec<Problem>) {
    let Some(entries) = node.entries_mut() else { return };
    entries.retain_mut(|(name, child)| {
        path.push(name.clone());
        let keep = match shape.child(name) {
            None => {
                problems.push(Problem::at(&child.origin, unknown(shape, path)));
                false
            }
            Some(shape) => fits(child, shape, path, problems),
        };
        path.pop();
        keep
    });
}

/// Whether a node has the form its place asks for; goes on below it.
fn fits(node: &mut Node, shape: &Shape, path: &mut Vec<String>, problems: &mut Vec<Problem>) -> bool {
    let wrong = match (shape, &mut node.value) {
        (Shape::Value(_), Value::Table(_)) if shape.holds() != Some(Holds::Anything) => {
            "is a value, not a section".to_owned()
        }
        (Shape::Value(_), _) => return true,
        (Shape::Short(..), value) if !matches!(value, Value::Table(_)) => return true,
        (Shape::List(shape), Value::List(items)) => {
            let whole = items.iter().all(is_section);
            if whole {
                items.iter_mut().for_each(|item| check_at(item, shape, path, problems));
                return true;
            }
            format!("is a list of sections: write [[{}]]", join(path))
        }
        (Shape::List(_), _) => format!("is a list of sections: write [[{}]]", join(path)),
        (_, Value::Table(_)) => {
            check_at(node, shape, path, problems);
            return true;
        }
        (_, other) => format!("is a section, not {}: write [{}]", other.kind(), join(path)),
    };
    problems.push(Problem::at(&node.origin, format!("\"{}\" {wrong}", join(path))));
    false
}

/// The message for a key that does not exist, with the nearest that does.
pub fn unknown<S: AsRef<str>>(shape: &Shape, path: &[S]) -> String {
    let written = join(path);
    let Some((name, above)) = path.split_last() else { return "an empty key".to_owned() };
    let name = name.as_ref();
    let full = |sibling: &str| join(&above.iter().map(AsRef::as_ref).chain([sibling]).collect::<Vec<_>>());
    let siblings: Vec<&str> = match shape {
        Shape::Section(children) | Shape::Short(_, children) => children.iter().map(|(key, _)| *key).collect(),
        Shape::Rules(_) => RULES.to_vec(),
        _ => Vec::new(),
    };
    let best = siblings.iter().map(|key| (likeness(name, key), *key)).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((likeness, key)) = best
        && likeness >= 0.7
    {
        return format!("unknown key \"{written}\"; did you mean \"{}\"?", full(key));
    }
    // A right key in the wrong section is more likely than a far relative in this one.
    let elsewhere = KEYS.iter().map(|key| key.path).find(|path| path.rsplit('.').next() == Some(name));
    match (elsewhere, best) {
        (Some(path), _) => format!("unknown key \"{written}\"; did you mean \"{path}\"?"),
        (None, Some((_, key))) => format!("unknown key \"{written}\"; the nearest known key is \"{}\"", full(key)),
        (None, None) => format!("unknown key \"{written}\""),
    }
}

/// How alike two keys are, from 0 to 1.
fn likeness(written: &str, known: &str) -> f64 {
    let written = written.to_ascii_lowercase().replace('-', "_");
    strsim::normalized_damerau_levenshtein(&written, known).max(strsim::jaro_winkler(&written, known) - 0.15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{parse, schema};
    use std::sync::Arc;

    fn check_text(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut layer = parse::file(text, &Arc::from("haia.toml"), &mut problems);
        check(&mut layer, &schema::shape(), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_nearest_key_is_named() {
        let table = [
            ("[server]\nlistn = 1", "haia.toml:2: unknown key \"server.listn\"; did you mean \"server.listen\"?"),
            ("[servr]\nlisten = 1", "haia.toml:1: unknown key \"servr\"; did you mean \"server\"?"),
            (
                "[server]\n\nmax-body = 1",
                "haia.toml:3: unknown key \"server.max-body\"; did you mean \"server.max_body\"?",
            ),
            ("listen = 1", "haia.toml:1: unknown key \"listen\"; did you mean \"server.listen\"?"),
            (
                "[server]\nzzz = 1",
                "haia.toml:2: unknown key \"server.zzz\"; the nearest known key is \"server.limits\"",
            ),
            (
                "[agent]\nmax_toolrounds = 1",
                "haia.toml:2: unknown key \"agent.max_toolrounds\"; did you mean \"agent.max_tool_rounds\"?",
            ),
            (
                "[providers.x]\nkind = 'openai'\napikey = 'a'",
                "haia.toml:3: unknown key \"providers.x.apikey\"; did you mean \"providers.x.api_key\"?",
            ),
            (
                "[providers.x.model.'a:b']\nprice = { inputs = 1 }",
                "haia.toml:2: unknown key \"providers.x.model.\"a:b\".price.inputs\"; did you mean \"providers.x.model.\"a:b\".price.input\"?",
            ),
            (
                "[monitor.rules.storge_usage]\nenabled = true",
                "haia.toml:1: unknown key \"monitor.rules.storge_usage\"; did you mean \"monitor.rules.storage_usage\"?",
            ),
            (
                "[[monitor.overrides]]\nmatch = { tagg = 'x' }",
                "haia.toml:2: unknown key \"monitor.overrides.match.tagg\"; did you mean \"monitor.overrides.match.tag\"?",
            ),
            (
                "[routes.fast]\nstrateg = 'weighted'",
                "haia.toml:2: unknown key \"routes.fast.strateg\"; did you mean \"routes.fast.strategy\"?",
            ),
            ("server = 5", "haia.toml:1: \"server\" is a section, not a whole number: write [server]"),
            ("[server.listen]\nx = 1", "haia.toml:1: \"server.listen\" is a value, not a section"),
            ("[notify.routes]\nx = 1", "haia.toml:1: \"notify.routes\" is a list of sections: write [[notify.routes]]"),
        ];
        for (text, expected) in table {
            assert_eq!(check_text(text), [expected], "{text}");
        }
    }

    #[test]
    fn all_of_them_come_at_once_and_free_tables_stay_free() {
        let text =
            "[server]\na = 1\n[store]\nb = 2\n[providers.x.options]\nanything = { goes = 1 }\n[routes]\nmine = []\n";
        assert_eq!(check_text(text).len(), 2);
    }
}
