//! What stands where in a configuration: the keys as a tree, for the spelling of keys, for secrets, for `haia config print`, and for the tests
//! that hold the shipped `haia.toml` and the actors' own defaults against it. Reads nothing and holds no value of a user.

pub use super::keys::{KEYS, RULES, UNUSED};
use super::node::{Node, Value};
use super::origin::Origin;
use super::parse;

/// One key. In its path `<name>` stands for a name that the user chooses, `<rule>` for one of [`RULES`], and a part that ends in `[]`
/// for a list of sections.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The dotted path.
    pub path: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Its default as TOML writes it; `None` where there is none.
    pub default: Option<&'static str>,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A plain value.
    Plain,
    /// A secret or a reference to one.
    Secret,
    /// Whatever the user writes: it is passed on as it is.
    Anything,
}

/// What may stand at one place of the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A value: which key it is, as its place in [`KEYS`].
    Value(usize),
    /// A section with these keys.
    Section(Vec<(&'static str, Shape)>),
    /// A value, which is short for a section with these keys.
    Short(usize, Vec<(&'static str, Shape)>),
    /// A section whose names the user chooses.
    Named(Box<Shape>),
    /// A section whose names are the rules'.
    Rules(Box<Shape>),
    /// A list of sections.
    List(Box<Shape>),
}

/// The tree of everything that may be configured.
pub fn shape() -> Shape {
    let keys: Vec<(Vec<&'static str>, usize)> =
        KEYS.iter().enumerate().map(|(at, key)| (key.path.split('.').collect(), at)).collect();
    grow(&keys)
}

fn grow(keys: &[(Vec<&'static str>, usize)]) -> Shape {
    let mut names: Vec<&'static str> = Vec::new();
    let mut value = None;
    for (path, at) in keys {
        match path.first() {
            None => value = Some(*at),
            Some(name) if !names.contains(name) => names.push(name),
            Some(_) => {}
        }
    }
    if let (Some(at), true) = (value, names.is_empty()) {
        return Shape::Value(at);
    }
    let below = |name: &'static str| {
        let below: Vec<_> = keys
            .iter()
            .filter(|(path, _)| path.first() == Some(&name))
            .map(|(path, at)| (path[1..].to_vec(), *at))
            .collect();
        grow(&below)
    };
    match names.as_slice() {
        ["<name>"] => Shape::Named(Box::new(below("<name>"))),
        ["<rule>"] => Shape::Rules(Box::new(below("<rule>"))),
        _ => {
            let child = |name: &&'static str| match name.strip_suffix("[]") {
                Some(list) => (list, Shape::List(Box::new(below(name)))),
                None => (*name, below(name)),
            };
            let children = names.iter().map(child).collect();
            match value {
                Some(at) => Shape::Short(at, children),
                None => Shape::Section(children),
            }
        }
    }
}

impl Shape {
    /// What may stand under `name`.
    pub fn child(&self, name: &str) -> Option<&Shape> {
        match self {
            Shape::Section(children) | Shape::Short(_, children) => {
                children.iter().find(|(key, _)| *key == name).map(|(_, shape)| shape)
            }
            Shape::Named(shape) => Some(shape),
            Shape::Rules(shape) => RULES.contains(&name).then_some(&**shape),
            Shape::Value(_) | Shape::List(_) => None,
        }
    }

    /// What the key at this place holds; `None` for a section.
    pub fn holds(&self) -> Option<Holds> {
        match self {
            Shape::Value(at) | Shape::Short(at, _) => KEYS.get(*at).map(|key| key.holds),
            _ => None,
        }
    }

    /// The default of the key at this place.
    pub fn default(&self) -> Option<Node> {
        match self {
            Shape::Value(at) => parse::value(KEYS.get(*at)?.default?, &Origin::Default),
            _ => None,
        }
    }
}

/// The paths of `document` that lie in [`UNUSED`] sections.
pub fn unused(document: &Node) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for pattern in UNUSED {
        let mut paths = vec![Vec::new()];
        for part in pattern.split('.') {
            paths = paths
                .into_iter()
                .flat_map(|path: Vec<String>| {
                    let names = document.at(&path).map(Node::entries).unwrap_or_default().iter().map(|(name, _)| name);
                    let fit: Vec<_> = names.filter(|name| part == "<name>" || part == name.as_str()).cloned().collect();
                    fit.into_iter().map(move |name| path.iter().cloned().chain([name]).collect())
                })
                .collect();
        }
        found.extend(paths);
    }
    found
}

/// Whether a key below a free table looks like a secret by its name: it is then masked wherever it is shown.
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "password", "authorization", "credential"]
        .iter()
        .any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// Whether a value may stand where a section is wanted, and the other way round.
pub fn is_section(node: &Node) -> bool {
    matches!(node.value, Value::Table(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_toml() {
        for key in KEYS {
            if let Some(default) = key.default {
                assert!(parse::value(default, &Origin::Default).is_some(), "{}", key.path);
            }
        }
    }

    #[test]
    fn the_tree_leads_to_every_key() {
        let shape = shape();
        for (at, key) in KEYS.iter().enumerate() {
            let found = key.path.split('.').try_fold(&shape, |shape, part| match (part.strip_suffix("[]"), part) {
                (Some(list), _) => match shape.child(list) {
                    Some(Shape::List(item)) => Some(&**item),
                    _ => None,
                },
                (None, "<rule>") => shape.child(RULES[0]),
                (None, name) => shape.child(name),
            });
            let leads = matches!(found, Some(Shape::Value(found) | Shape::Short(found, _)) if *found == at);
            assert!(leads, "{}: {found:?}", key.path);
        }
        assert_eq!(shape.child("nothing"), None);
    }

    #[test]
    fn secrets_are_known_by_name() {
        assert!(sounds_secret("api_key") && sounds_secret("Authorization") && sounds_secret("token"));
        assert!(!sounds_secret("monkey") && !sounds_secret("num_ctx") && !sounds_secret("keep_alive"));
    }
}
