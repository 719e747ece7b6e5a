//! The configuration as a tree in which every value knows where it comes from. Pure: reads no file and knows no section.

use super::origin::Origin;

/// A value and where it comes from.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it, or for a table its first mention, comes from.
    pub origin: Origin,
    /// The text of a variable or option before it was read as TOML: what is meant where a text is wanted.
    pub written: Option<String>,
    /// The reference (`env:NAME`, …) that a secret was read through.
    pub reference: Option<String>,
}

/// A value of TOML.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A date or time, as it is written.
    Date(String),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order it was written.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// A value from somewhere.
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin, written: None, reference: None }
    }

    /// An empty table that nobody wrote.
    pub fn empty() -> Self {
        Self::new(Value::Table(Vec::new()), Origin::Default)
    }

    /// The entries of a table; none for any other value.
    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The entries of a table, to change them.
    pub fn entries_mut(&mut self) -> Option<&mut Vec<(String, Node)>> {
        match &mut self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry `name` of a table.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The node that `path` leads to.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.child(name.as_ref()))
    }

    /// The node that `path` leads to, or the nearest above it: where a message about a missing key points to.
    pub fn nearest<S: AsRef<str>>(&self, path: &[S]) -> &Node {
        let mut node = self;
        for name in path {
            match node.child(name.as_ref()) {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// Sets the node at `path`, making the tables on the way. A value that is in the way is replaced.
    pub fn set(&mut self, path: &[String], node: Node) {
        let Some((name, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if self.entries_mut().is_none() {
            self.value = Value::Table(Vec::new());
        }
        let Some(entries) = self.entries_mut() else { return };
        let at = entries.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
            entries.push((name.clone(), Node::new(Value::Table(Vec::new()), node.origin.clone())));
            entries.len() - 1
        });
        entries[at].1.set(rest, node);
    }

    /// Removes the node at `path`, if there is one.
    pub fn remove(&mut self, path: &[String]) {
        let Some((name, rest)) = path.split_first() else { return };
        let Some(entries) = self.entries_mut() else { return };
        if rest.is_empty() {
            entries.retain(|(key, _)| key != name);
        } else if let Some((_, child)) = entries.iter_mut().find(|(key, _)| key == name) {
            child.remove(rest);
        }
    }

    /// Lays `over` on top: tables are merged, everything else is replaced.
    pub fn merge(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (name, node) in above {
                    match below.iter_mut().find(|(key, _)| *key == name) {
                        Some((_, child)) => child.merge(node),
                        None => below.push((name, node)),
                    }
                }
            }
            (_, value) => *self = Node { value, ..over },
        }
    }

    /// Whether both hold the same, wherever it comes from.
    pub fn same_as(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Table(one), Value::Table(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|((a, x), (b, y))| a == b && x.same_as(y))
            }
            (Value::List(one), Value::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(x, y)| x.same_as(y))
            }
            (one, two) => one == two,
        }
    }
}

impl Value {
    /// What kind of value it is, in words for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a section",
        }
    }
}

/// A path as messages write it: parts that are no bare TOML key are quoted.
pub fn join<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().map(|part| key(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// A key as TOML writes it.
pub fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A text as TOML writes it, on one line whatever is in it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::new(Value::Text(text.to_owned()), Origin::Default)
    }

    fn path(path: &str) -> Vec<String> {
        path.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn layers_merge_key_by_key() {
        let mut below = Node::empty();
        below.set(&path("a.b"), text("1"));
        below.set(&path("a.c"), text("2"));
        let mut above = Node::empty();
        above.set(&path("a.c"), text("3"));
        above.set(&path("d"), text("4"));
        below.merge(above);
        let shown = |at: &str| match below.at(&path(at)).map(|node| &node.value) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        assert_eq!([shown("a.b"), shown("a.c"), shown("d")], ["1", "3", "4"]);
    }

    #[test]
    fn removing_leaves_the_rest() {
        let mut node = Node::empty();
        node.set(&path("a.b"), text("1"));
        node.set(&path("a.c"), text("2"));
        node.remove(&path("a.b"));
        node.remove(&path("x.y"));
        assert!(node.at(&path("a.b")).is_none() && node.at(&path("a.c")).is_some());
    }

    #[test]
    fn a_quoted_text_is_one_line_of_toml_and_reads_the_same() {
        for text in ["", "plain", "a \"b\" \\ c", "two\nlines\r\n\ttab \u{1b}[2J \u{7f} \u{85} \u{e4}"] {
            let line = quoted(text);
            assert!(!line.contains(char::is_control), "{line:?}");
            let read: toml::Table = toml::from_str(&format!("x = {line}")).expect("TOML");
            assert_eq!(read["x"].as_str(), Some(text));
        }
    }

    #[test]
    fn odd_keys_are_quoted() {
        assert_eq!(join(&["providers", "ollama", "model", "qwen2.5:7b"]), "providers.ollama.model.\"qwen2.5:7b\"");
    }
}
