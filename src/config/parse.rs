//! TOML text to a tree with the line of every key. Pure: the file has been read by others.

use super::node::{Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a whole file. With any problem of syntax, what is returned holds only a part of it.
pub fn file(text: &str, name: &Arc<str>, problems: &mut Vec<Problem>) -> Node {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let source = Source { text, file: name };
    for error in errors {
        let (line, column) = error.span().map_or((0, None), |span| source.position(span.start));
        let message = format!("this is not TOML: {}", error.message().trim());
        problems.push(Problem { origin: Origin::line(name, line), column, message });
    }
    source.table(document.get_ref(), Origin::line(name, 0), problems)
}

/// Reads one value, as a variable holds it. `None` if the text is no TOML value.
pub fn value(text: &str, origin: &Origin) -> Option<Node> {
    if text.contains(['\n', '\r']) {
        return None;
    }
    let line = format!("value = {text}");
    let document = DeTable::parse(&line).ok()?;
    let file: Arc<str> = Arc::from("");
    let source = Source { text: &line, file: &file };
    let mut problems = Vec::new();
    let mut node = source.table(document.get_ref(), origin.clone(), &mut problems).child("value")?.clone();
    if !problems.is_empty() || document.get_ref().len() != 1 {
        return None;
    }
    set_origin(&mut node, origin);
    Some(node)
}

fn set_origin(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| set_origin(item, origin)),
        Value::Table(entries) => entries.iter_mut().for_each(|(_, child)| set_origin(child, origin)),
        _ => {}
    }
}

struct Source<'a> {
    text: &'a str,
    file: &'a Arc<str>,
}

impl Source<'_> {
    fn position(&self, at: usize) -> (u32, Option<u32>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).ok())
    }

    fn origin(&self, at: usize) -> Origin {
        Origin::line(self.file, self.position(at).0)
    }

    fn table(&self, table: &DeTable<'_>, origin: Origin, problems: &mut Vec<Problem>) -> Node {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries
            .into_iter()
            .map(|(key, value)| {
                let node = self.value(value, self.origin(key.span().start), problems);
                (key.get_ref().to_string(), node)
            })
            .collect();
        Node::new(Value::Table(entries), origin)
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, origin: Origin, problems: &mut Vec<Problem>) -> Node {
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    problems.push(Problem::at(&origin, format!("the number {number} is too large")));
                    Value::Integer(0)
                }
            },
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(yes) => Value::Boolean(*yes),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => Value::List(
                items.iter().map(|item| self.value(item, self.origin(item.span().start), problems)).collect(),
            ),
            DeValue::Table(table) => return self.table(table, origin, problems),
        };
        Node::new(value, origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        file(text, &Arc::from("haia.toml"), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_key_knows_its_line_and_tables_keep_their_order() {
        let text = "[zebra]\nb = 1\na = [\n 2,\n]\n\n[apple.x]\nc = { d = true }\n";
        let mut found = Vec::new();
        let node = file(text, &Arc::from("f"), &mut found);
        assert_eq!(found, []);
        let names: Vec<&str> = node.entries().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["zebra", "apple"]);
        for (path, origin) in [
            (vec!["zebra"], "f:1"),
            (vec!["zebra", "b"], "f:2"),
            (vec!["zebra", "a"], "f:3"),
            (vec!["apple", "x"], "f:7"),
            (vec!["apple", "x", "c", "d"], "f:8"),
        ] {
            assert_eq!(node.at(&path).map(|node| node.origin.to_string()).as_deref(), Some(origin), "{path:?}");
        }
    }

    #[test]
    fn all_errors_of_syntax_are_told_with_line_and_column() {
        assert_eq!(problems("[server]\nlisten = \nworkers = 1\n\nx = 'a\n").len(), 2);
        assert!(problems("[server]\nlisten = \n")[0].starts_with("haia.toml:2:10: this is not TOML: "));
        assert_eq!(problems("a = 99999999999999999999"), ["haia.toml:1: the number 99999999999999999999 is too large"]);
    }

    #[test]
    fn a_variable_is_toml_or_nothing() {
        let read = |text: &str| value(text, &Origin::Default).map(|node| node.value.kind());
        for (text, kind) in [
            ("5", Some("a whole number")),
            ("true", Some("true or false")),
            ("[\"a\", \"b\"]", Some("a list")),
            ("{ a = 1 }", Some("a section")),
            ("\"5\"", Some("a text")),
            ("10s", None),
            ("127.0.0.1:8000", None),
            ("1\nother = 2", None),
            ("", None),
        ] {
            assert_eq!(read(text), kind, "{text:?}");
        }
    }
}
