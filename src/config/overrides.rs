//! `HAIA_SECTION__KEY=…` variables, and the command line's options, as layers of the configuration. Pure: works on the environment that
//! was read at the start.

use super::environment::Environment;
use super::node::{Node, Value, join};
use super::origin::Origin;
use super::parse;
use super::problem::Problem;
use super::schema::{Holds, Shape};
use super::spelling;

/// One setting of the command line.
#[derive(Clone, Debug)]
pub struct Override {
    /// The option's name, with the dashes.
    pub option: &'static str,
    /// The key it sets.
    pub path: &'static [&'static str],
    /// Its text.
    pub text: String,
}

/// The layer of the environment. `below` is what is configured so far: its names decide what `_` stands for.
pub fn of_environment(environment: &Environment, shape: &Shape, below: &Node, problems: &mut Vec<Problem>) -> Node {
    let mut layer = Node::empty();
    for name in environment.names() {
        let Some(rest) = name.strip_prefix("HAIA_").filter(|rest| rest.contains("__")) else { continue };
        let (origin, text) = (environment.origin(name), environment.get(name).unwrap_or_default());
        let segments: Vec<&str> = rest.split("__").collect();
        match locate(&segments, shape, below) {
            Ok((path, shape)) => layer.set(&path, read(text, shape, origin)),
            Err(message) => problems.push(Problem::at(&origin, message)),
        }
    }
    layer
}

/// The layer of the command line.
pub fn of_options(options: &[Override], shape: &Shape) -> Node {
    let mut layer = Node::empty();
    for option in options {
        let path: Vec<String> = option.path.iter().map(|part| (*part).to_owned()).collect();
        let place = path.iter().try_fold(shape, |shape, name| shape.child(name));
        layer.set(&path, read(&option.text, place.unwrap_or(shape), Origin::Option { name: option.option }));
    }
    layer
}

/// A variable's text as a value: TOML where it is TOML, else the text itself. A secret is always the text itself.
fn read(text: &str, shape: &Shape, origin: Origin) -> Node {
    let parsed = (shape.holds() != Some(Holds::Secret)).then(|| parse::value(text, &origin)).flatten();
    let mut node = parsed.unwrap_or_else(|| Node::new(Value::Text(text.to_owned()), origin));
    if !matches!(node.value, Value::Text(_) | Value::List(_) | Value::Table(_)) {
        node.written = Some(text.to_owned());
    }
    node
}

/// The key that the parts of a variable's name mean. Case does not matter, and `_` may stand for any sign that a variable's name cannot hold.
fn locate<'a>(segments: &[&str], shape: &'a Shape, below: &Node) -> Result<(Vec<String>, &'a Shape), String> {
    let mut place = shape;
    let mut existing = Some(below);
    let mut path: Vec<String> = Vec::new();
    for segment in segments {
        let plain = plain(segment);
        if plain.is_empty() {
            return Err("a part of the name is empty: write HAIA_SECTION__KEY".to_owned());
        }
        let here = if path.is_empty() { "the configuration".to_owned() } else { format!("\"{}\"", join(&path)) };
        match place {
            Shape::Value(_) if place.holds() == Some(Holds::Anything) => path.push(plain),
            Shape::Value(_) => return Err(format!("{here} is a value, not a section")),
            Shape::List(_) => return Err(format!("{here} is a list of sections: set it whole, as a list of TOML")),
            Shape::Named(child) => {
                let names = existing.map(Node::entries).unwrap_or_default().iter().map(|(name, _)| name);
                let fit: Vec<&String> = names.filter(|name| self::plain(name) == plain).collect();
                path.push(match fit.as_slice() {
                    [] => plain,
                    [name] => (*name).clone(),
                    [one, two, ..] => {
                        return Err(format!("{segment} may mean {one:?} or {two:?} in {here}: set it in the file"));
                    }
                });
                place = child;
            }
            Shape::Section(_) | Shape::Short(..) | Shape::Rules(_) => {
                path.push(plain.clone());
                place = match place.child(&plain) {
                    Some(child) => child,
                    None => return Err(spelling::unknown(place, &path)),
                };
            }
        }
        existing = existing.zip(path.last()).and_then(|(node, name)| node.child(name));
    }
    Ok((path, place))
}

/// A name as a variable can spell it.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;
    use std::sync::Arc;

    const FILE: &str = "[providers.my-llm]\nkind = 'openai'\n[providers.my-llm.model.'qwen2.5:7b']\nmax_tokens = 1\n\
                        [providers.a-b]\nkind='openai'\n[providers.a_b]\nkind='openai'\n";

    fn layer<const N: usize>(variables: [(&str, &str); N]) -> (Node, Vec<String>) {
        let mut problems = Vec::new();
        let below = parse::file(FILE, &Arc::from("f"), &mut problems);
        let layer = of_environment(&Environment::of(variables), &schema::shape(), &below, &mut problems);
        (layer, problems.iter().map(ToString::to_string).collect())
    }

    fn value(node: &Node, path: &[&str]) -> String {
        match node.at(path).map(|node| &node.value) {
            Some(Value::Text(text)) => format!("text {text}"),
            Some(Value::Integer(number)) => format!("integer {number}"),
            Some(Value::Float(number)) => format!("float {number}"),
            Some(Value::Boolean(yes)) => format!("boolean {yes}"),
            Some(Value::List(items)) => format!("list of {}", items.len()),
            Some(Value::Date(date)) => format!("date {date}"),
            Some(Value::Table(entries)) => format!("table of {}", entries.len()),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn variables_reach_every_key() {
        let (layer, problems) = layer([
            ("HAIA_SERVER__LISTEN", "0.0.0.0:1"),
            ("HAIA_Server__Max_Body", "1MiB"),
            ("HAIA_AGENT__MAX_TOOL_ROUNDS", "3"),
            ("HAIA_SERVER__CORS_ORIGINS", "[\"http://a\", \"http://b\"]"),
            ("HAIA_PROVIDERS__MY_LLM__API_KEY", "123"),
            ("HAIA_PROVIDERS__MY_LLM__MODEL__QWEN2_5_7B__TEMPERATURE", "0.5"),
            ("HAIA_PROVIDERS__NEW__KIND", "ollama"),
            ("HAIA_PROVIDERS__NEW__OPTIONS__NUM_CTX", "8192"),
            ("HAIA_PROVIDERS__OTHER", "{ kind = \"ollama\" }"),
            ("HAIA_SERVER__KEYS__UI__SCOPE", "control"),
            ("HAIA_TIME_FACTOR", "60"),
            ("HAIA_MODEL", "x"),
            ("HAIA_SERVER__WORKERS", ""),
            ("OTHER__THING", "1"),
        ]);
        assert_eq!(problems, [""; 0]);
        for (path, expected) in [
            (vec!["server", "listen"], "text 0.0.0.0:1"),
            (vec!["server", "max_body"], "text 1MiB"),
            (vec!["server", "workers"], "nothing"),
            (vec!["server", "cors_origins"], "list of 2"),
            (vec!["server", "keys", "ui", "scope"], "text control"),
            (vec!["agent", "max_tool_rounds"], "integer 3"),
            (vec!["providers", "my-llm", "api_key"], "text 123"),
            (vec!["providers", "my-llm", "model", "qwen2.5:7b", "temperature"], "float 0.5"),
            (vec!["providers", "new", "options", "num_ctx"], "integer 8192"),
            (vec!["providers", "other", "kind"], "text ollama"),
        ] {
            assert_eq!(value(&layer, &path), expected, "{path:?}");
        }
        assert_eq!(
            layer.at(&["server", "listen"]).map(|node| node.origin.to_string()).as_deref(),
            Some("HAIA_SERVER__LISTEN")
        );
    }

    #[test]
    fn wrong_names_are_told_by_the_variable() {
        for (name, expected) in [
            ("HAIA_SERVER__LISTN", "HAIA_SERVER__LISTN: unknown key \"server.listn\"; did you mean \"server.listen\"?"),
            ("HAIA_SERVR__LISTEN", "HAIA_SERVR__LISTEN: unknown key \"servr\"; did you mean \"server\"?"),
            ("HAIA_SERVER__LISTEN__PORT", "HAIA_SERVER__LISTEN__PORT: \"server.listen\" is a value, not a section"),
            ("HAIA_SERVER____LISTEN", "HAIA_SERVER____LISTEN: a part of the name is empty: write HAIA_SECTION__KEY"),
            (
                "HAIA_NOTIFY__ROUTES__0__SEVERITY",
                "HAIA_NOTIFY__ROUTES__0__SEVERITY: \"notify.routes\" is a list of sections: set it whole, as a list of TOML",
            ),
            (
                "HAIA_PROVIDERS__A_B__KIND",
                "HAIA_PROVIDERS__A_B__KIND: A_B may mean \"a-b\" or \"a_b\" in \"providers\": set it in the file",
            ),
        ] {
            assert_eq!(layer([(name, "1")]).1, [expected]);
        }
    }
}
