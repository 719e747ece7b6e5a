//! The effective configuration for people and programs: every value with its origin, secrets masked. Pure.

use super::node::{Node, Value, join, key, quoted};
use super::schema::{Holds, KEYS, Shape, UNUSED, shape, sounds_secret};
use serde::Serialize;

/// One value of the effective configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The section's header, with its brackets.
    #[serde(skip)]
    pub section: String,
    /// The key within the section.
    #[serde(skip)]
    pub name: String,
    /// The whole path.
    pub key: String,
    /// The value as TOML writes it.
    #[serde(skip)]
    pub toml: String,
    /// The value for programs.
    pub value: serde_json::Value,
    /// Where it comes from.
    pub origin: String,
}

/// Every value, the defaults among them, in the order of the shipped file.
pub fn lines(document: &Node) -> Vec<Line> {
    let mut lines = Vec::new();
    walk(document, &shape(), &mut Vec::new(), &mut lines);
    lines
}

/// The lines as a file that could be loaded again (but for its secrets), with each origin as a comment.
pub fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut section = "";
    for line in lines {
        if line.section != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", line.section));
            section = &line.section;
        }
        let setting = format!("{} = {}", line.name, line.toml);
        text.push_str(&format!("{setting:<50}  # {}\n", line.origin));
    }
    text
}

fn walk(node: &Node, shape: &Shape, path: &mut Vec<String>, lines: &mut Vec<Line>) {
    match shape {
        Shape::Short(..) if !matches!(node.value, Value::Table(_)) => lines.push(line(path, node, shape)),
        Shape::Section(children) | Shape::Short(_, children) => {
            // Values first: in TOML what follows a header belongs to it.
            let (values, sections): (Vec<_>, Vec<_>) =
                children.iter().partition(|(_, shape)| matches!(shape, Shape::Value(_)));
            for (name, shape) in values.into_iter().chain(sections) {
                path.push((*name).to_owned());
                match (node.child(name), shape) {
                    (Some(child), shape) => walk(child, shape, path, lines),
                    (None, Shape::Value(at)) => {
                        if let Some(default) = default(*at) {
                            lines.push(line(path, &default, shape));
                        }
                    }
                    (None, Shape::Section(_)) => walk(&Node::empty(), shape, path, lines),
                    (None, _) => {}
                }
                path.pop();
            }
        }
        Shape::Named(child_shape) | Shape::Rules(child_shape) => {
            // What stands for itself first, for the same reason.
            let is_line = |child: &Node| !matches!(child.value, Value::Table(_));
            let (values, sections): (Vec<_>, Vec<_>) = node.entries().iter().partition(|(_, child)| is_line(child));
            for (name, child) in values.into_iter().chain(sections) {
                path.push(name.clone());
                walk(child, child_shape, path, lines);
                path.pop();
            }
        }
        Shape::List(item_shape) => {
            let Value::List(items) = &node.value else { return };
            let section = join(path);
            for (at, item) in items.iter().enumerate() {
                let mut inner = Vec::new();
                walk(item, item_shape, &mut Vec::new(), &mut inner);
                lines.extend(inner.into_iter().map(|line| Line {
                    section: format!(
                        "[[{section}]]{}",
                        if at == 0 { String::new() } else { format!("  # {}", at + 1) }
                    ),
                    name: line.key.clone(),
                    key: format!("{section}[{at}].{}", line.key),
                    ..line
                }));
            }
        }
        Shape::Value(_) => lines.push(line(path, node, shape)),
    }
}

/// The default of a key; none of a key that this version does not use.
fn default(at: usize) -> Option<Node> {
    let path = KEYS.get(at)?.path;
    let unused = UNUSED
        .iter()
        .any(|section| path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    if unused { None } else { Shape::Value(at).default() }
}

fn line(path: &[String], node: &Node, shape: &Shape) -> Line {
    let (name, above) = path.split_last().map_or((String::new(), &[][..]), |(name, above)| (key(name), above));
    let masked = mask(node, shape.holds());
    Line {
        section: format!("[{}]", join(above)),
        name,
        key: join(path),
        toml: toml(&masked),
        value: json(&masked),
        origin: node.origin.to_string(),
    }
}

/// The node with every secret replaced by its reference or `***`.
fn mask(node: &Node, holds: Option<Holds>) -> Node {
    let mut masked = node.clone();
    match holds {
        Some(Holds::Secret) => {
            let shown = node.reference.clone().or_else(|| reference_like(node)).unwrap_or_else(|| "***".to_owned());
            masked.value = Value::Text(shown);
        }
        Some(Holds::Anything) => mask_by_name(&mut masked),
        _ => {}
    }
    masked
}

/// The text of a secret of an unused section that was never resolved, if it is a reference.
fn reference_like(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => ["env:", "file:", "credential:"].iter().any(|s| text.starts_with(s)).then(|| text.clone()),
        _ => None,
    }
}

fn mask_by_name(node: &mut Node) {
    match &mut node.value {
        Value::Table(entries) => {
            for (name, child) in entries {
                if sounds_secret(name) {
                    child.value = Value::Text("***".to_owned());
                } else {
                    mask_by_name(child);
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(mask_by_name),
        _ => {}
    }
}

fn toml(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => toml::Value::Float(*number).to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Date(date) => date.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Table(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Table(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(name, child)| format!("{} = {}", key(name), toml(child))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Text(text) | Value::Date(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(yes) => (*yes).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(entries) => entries.iter().map(|(name, child)| (name.clone(), json(child))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use std::sync::Arc;

    fn shown(file: &str) -> Vec<Line> {
        let mut problems = Vec::new();
        let document = parse::file(file, &Arc::from("haia.toml"), &mut problems);
        assert_eq!(problems, []);
        lines(&document)
    }

    #[test]
    fn values_come_with_their_origin_and_secrets_are_masked() {
        let file = "[server]\nworkers = 2\n[server.keys.ui]\nkey = 'hush-hush'\n[providers.x]\nkind = 'openai'\napi_key = 'env:K'\n\
                    options = { a = 1, api_key = 'hush', deep = { token = 'hush' } }\n[proxmox.lab]\ntoken_secret = 'hush'\n\
                    [[notify.routes]]\nchannels = ['a']\n[[notify.routes]]\nchannels = ['b']\n";
        let text = text(&shown(file));
        for expected in [
            "workers = 2                                         # haia.toml:2\n",
            "listen = \"127.0.0.1:8000\"                           # default\n",
            "[server.keys.ui]\nkey = \"***\"                                         # haia.toml:4\n",
            "api_key = \"env:K\"                                   # haia.toml:7\n",
            "options = { a = 1, api_key = \"***\", deep = { token = \"***\" } }  # haia.toml:8\n",
            "[proxmox.lab]\ntoken_secret = \"***\"",
            "[[notify.routes]]\nchannels = [\"a\"]",
            "[[notify.routes]]  # 2\nchannels = [\"b\"]",
        ] {
            assert!(text.contains(expected), "{expected}\n---\n{text}");
        }
        assert!(!text.contains("hush"));
        assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
    }

    #[test]
    fn nothing_configured_shows_the_defaults_of_what_is_used() {
        let lines = shown("");
        assert!(lines.iter().all(|line| line.origin == "default"));
        let keys: Vec<&str> = lines.iter().map(|line| line.key.as_str()).collect();
        assert!(keys.contains(&"agent.tool_timeout") && keys.contains(&"mcp.serve") && !keys.contains(&"mqtt.url"));
    }

    #[test]
    fn programs_get_values() {
        let lines = shown("[agent]\nmax_tool_rounds = 3\n");
        let line = lines.iter().find(|line| line.key == "agent.max_tool_rounds").expect("the key");
        assert_eq!(
            serde_json::to_string(line).expect("JSON"),
            r#"{"key":"agent.max_tool_rounds","value":3,"origin":"haia.toml:2"}"#
        );
    }
}
