//! Checks an answer against what the published interface says it returns: `returns.txt` holds its names and types.

use serde_json::Value;
use std::collections::HashMap;

/// A type of `returns.txt`.
#[derive(Debug, PartialEq)]
enum Shape {
    Any,
    Flag,
    Integer,
    Number,
    Text,
    OneOf(Vec<String>),
    List(Box<Shape>),
    /// Name, whether it is optional, type.
    Fields(Vec<(String, bool, Shape)>),
}

/// The read calls.
pub struct Schema(HashMap<String, Shape>);

impl Schema {
    pub fn load() -> Self {
        let lines = include_str!("returns.txt").lines().filter(|line| !line.starts_with('#'));
        let calls = lines.map(|line| {
            let (call, shape) = line.split_once(' ').unwrap_or_else(|| panic!("no type in {line}"));
            let (shape, rest) = Shape::parse(shape);
            assert_eq!(rest, "", "{line}");
            (call.to_owned(), shape)
        });
        Self(calls.collect())
    }

    /// What the answer of a call, its path as the interface writes it, has wrong.
    pub fn wrong(&self, call: &str, data: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        match self.0.get(call) {
            Some(shape) => shape.check(data, call, &mut wrong),
            None => wrong.push(format!("{call} is not in returns.txt")),
        }
        wrong
    }
}

impl Shape {
    /// The type that the text begins with, and the rest.
    fn parse(text: &str) -> (Self, &str) {
        if let Some(inner) = text.strip_prefix('[') {
            let (item, rest) = Self::parse(inner);
            return (Self::List(Box::new(item)), rest.strip_prefix(']').expect("a closed list"));
        }
        if let Some(inner) = text.strip_prefix('(') {
            let (words, rest) = inner.split_once(')').expect("closed words");
            return (Self::OneOf(words.split('|').map(str::to_owned).collect()), rest);
        }
        if let Some(mut inner) = text.strip_prefix('{') {
            let mut fields = Vec::new();
            loop {
                inner = inner.trim_start();
                if let Some(rest) = inner.strip_prefix('}') {
                    return (Self::Fields(fields), rest);
                }
                let (name, after) = inner.split_once(':').expect("a field's type");
                let (shape, rest) = Self::parse(after);
                fields.push((name.trim_end_matches('?').to_owned(), name.ends_with('?'), shape));
                inner = rest;
            }
        }
        let words = [
            ("any", Self::Any),
            ("flag", Self::Flag),
            ("integer", Self::Integer),
            ("number", Self::Number),
            ("text", Self::Text),
        ];
        let found = words.into_iter().find_map(|(word, shape)| Some((shape, text.strip_prefix(word)?)));
        found.unwrap_or_else(|| panic!("no type: {text}"))
    }

    fn check(&self, data: &Value, place: &str, wrong: &mut Vec<String>) {
        let right = match self {
            Self::Any => true,
            Self::Flag => matches!(data.to_string().as_str(), "0" | "1" | "\"0\"" | "\"1\""),
            Self::Integer => data.is_i64() || data.is_u64(),
            Self::Number => data.is_number(),
            Self::Text => data.is_string(),
            Self::OneOf(words) => words.iter().any(|word| data == word),
            Self::List(_) => data.is_array(),
            Self::Fields(_) => data.is_object(),
        };
        if !right {
            return wrong.push(format!("{place}: {data} is not {self:?}"));
        }
        if let Self::List(item) = self {
            for (at, row) in data.as_array().into_iter().flatten().enumerate() {
                item.check(row, &format!("{place}[{at}]"), wrong);
            }
        }
        if let Self::Fields(fields) = self {
            for (name, optional, shape) in fields {
                match data.get(name) {
                    Some(value) => shape.check(value, &format!("{place}.{name}"), wrong),
                    None if *optional => {}
                    None => wrong.push(format!("{place}: {name} is missing in {data}")),
                }
            }
        }
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let schema = Schema::load();
    let row =
        serde_json::json!({ "id": "node/pve1", "type": "planet", "cpu": "much", "maxmem": 1.5, "template": true });
    let wrong = schema.wrong("/cluster/resources", &serde_json::json!([row, 7, {}]));
    // Four wrong types, a row that is none, and an empty one without its two fields.
    assert_eq!(wrong.len(), 7, "{wrong:#?}");
    assert!(schema.wrong("/cluster/resources", &serde_json::json!([])).is_empty());
    assert_eq!(schema.wrong("/nonsense", &Value::Null), ["/nonsense is not in returns.txt"]);
}
