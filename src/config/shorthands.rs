//! The first run without a file: `HAIA_MODEL`, `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `GEMINI_API_KEY`, `OPENROUTER_API_KEY` and
//! `OLLAMA_HOST` as a layer above the file. Pure; which kinds of provider exist is told from outside.

use super::environment::Environment;
use super::node::{Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use contract::provider::{BUILTIN, BUILTIN_OFFLINE};

/// Providers whose key in the environment is enough to define them, in the order of the default route.
const KEYS: [(&str, &str); 4] = [
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("openai", "OPENAI_API_KEY"),
    ("gemini", "GEMINI_API_KEY"),
    ("openrouter", "OPENROUTER_API_KEY"),
];
const OLLAMA: &str = "ollama";
const OLLAMA_HOST: &str = "OLLAMA_HOST";
const OLLAMA_PORT: u16 = 11434;
const MODEL: &str = "HAIA_MODEL";

/// The layer of the shorthands. `file` is what the file says: a provider that it defines is left alone.
pub fn layer(
    environment: &Environment,
    file: &Node,
    kinds: &[&str],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Node {
    let mut layer = Node::empty();
    for (name, variable) in KEYS {
        if environment.get(variable).is_none() || file.at(&["providers", name]).is_some() {
            continue;
        }
        let origin = environment.origin(variable);
        if kinds.contains(&name) {
            define(&mut layer, name, &origin);
        } else {
            warnings.push(Problem::at(
                &origin,
                format!("providers of the kind {name:?} are not available in this version: the key is not used"),
            ));
        }
    }
    if let Some(host) = environment.get(OLLAMA_HOST)
        && file.at(&["providers", OLLAMA]).is_none()
        && kinds.contains(&OLLAMA)
    {
        let origin = environment.origin(OLLAMA_HOST);
        match ollama_url(host) {
            Ok(url) => {
                define(&mut layer, OLLAMA, &origin);
                layer.set(&path(&["providers", OLLAMA, "base_url"]), Node::new(Value::Text(url), origin));
            }
            Err(message) => problems.push(Problem::at(&origin, message)),
        }
    }
    if let Some(model) = environment.get(MODEL) {
        let origin = environment.origin(MODEL);
        match default_route(model, &mut layer, file, kinds, &origin) {
            Ok(route) => {
                let entries = route.into_iter().map(|entry| Node::new(Value::Text(entry), origin.clone())).collect();
                layer.set(&path(&["routes", "default"]), Node::new(Value::List(entries), origin));
            }
            Err(message) => problems.push(Problem::at(&origin, message)),
        }
    }
    layer
}

/// Defines the provider `name` of the kind of that name, with every default.
fn define(layer: &mut Node, name: &str, origin: &Origin) {
    let text = |text: &str| Node::new(Value::Text(text.to_owned()), origin.clone());
    layer.set(&path(&["providers", name, "kind"]), text(name));
    if let Some((_, variable)) = KEYS.iter().find(|(kind, _)| *kind == name) {
        layer.set(&path(&["providers", name, "api_key"]), text(&format!("env:{variable}")));
    }
}

fn default_route(
    model: &str,
    layer: &mut Node,
    file: &Node,
    kinds: &[&str],
    origin: &Origin,
) -> Result<Vec<String>, String> {
    let example = "write <provider>:<model>, for example \"anthropic:claude-haiku-4-5\" or \"ollama:qwen2.5-coder:7b\"";
    let (provider, model) = model.split_once(':').ok_or_else(|| format!("{model:?} names no provider: {example}"))?;
    let (provider, model) = (provider.trim(), model.trim());
    if provider.is_empty() || model.is_empty() {
        return Err(example.to_owned());
    }
    if format!("{provider}/{model}") == BUILTIN_OFFLINE {
        return Ok(vec![BUILTIN_OFFLINE.to_owned()]);
    }
    let defined = |layer: &Node| [file, layer].iter().any(|node| node.at(&["providers", provider]).is_some());
    if !defined(layer) {
        if !kinds.contains(&provider) {
            let known = kinds.iter().copied().chain([BUILTIN]).collect::<Vec<_>>().join(", ");
            return Err(format!("there is no provider {provider:?}: {example}; known here: {known}"));
        }
        define(layer, provider, origin);
    }
    Ok(vec![format!("{provider}/{model}"), BUILTIN_OFFLINE.to_owned()])
}

/// Ollama's own variable as a URL: `host`, `host:port`, `:port`, or a URL. A server's "any address" is read as this machine.
fn ollama_url(host: &str) -> Result<String, String> {
    let host = host.trim().trim_end_matches('/');
    if host.contains("://") {
        return Ok(host.to_owned());
    }
    let wrong = || format!("{host:?} is not a host: write for example \"127.0.0.1:11434\" or \"http://nas.lan:11434\"");
    let (name, port) = match host.rsplit_once(':') {
        // An address of IPv6 without brackets has no port.
        Some(_) if host.matches(':').count() > 1 && !host.starts_with('[') => (format!("[{host}]"), OLLAMA_PORT),
        Some((name, _)) if name.starts_with('[') && !name.ends_with(']') => (host.to_owned(), OLLAMA_PORT),
        Some((name, port)) => (name.to_owned(), port.parse().map_err(|_| wrong())?),
        None => (host.to_owned(), OLLAMA_PORT),
    };
    let name = match name.as_str() {
        "" | "0.0.0.0" | "[::]" => "127.0.0.1",
        name => name,
    };
    if name.chars().any(|c| c.is_whitespace() || "/?#@".contains(c)) {
        return Err(wrong());
    }
    Ok(format!("http://{name}:{port}"))
}

fn path(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use std::sync::Arc;

    const KINDS: &[&str] = &["anthropic", "openai", "gemini", "ollama"];

    fn shorthands<const N: usize>(file: &str, variables: [(&str, &str); N]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let file = parse::file(file, &Arc::from("f"), &mut problems);
        let layer = layer(&Environment::of(variables), &file, KINDS, &mut problems, &mut warnings);
        let mut lines = Vec::new();
        flatten(&layer, &mut Vec::new(), &mut lines);
        let told = |list: Vec<Problem>| list.iter().map(ToString::to_string).collect();
        (lines, told(problems), told(warnings))
    }

    fn flatten(node: &Node, path: &mut Vec<String>, lines: &mut Vec<String>) {
        for (name, child) in node.entries() {
            path.push(name.clone());
            match &child.value {
                Value::Text(text) => lines.push(format!("{} = {text}", path.join("."))),
                Value::List(items) => {
                    let items = items.iter().map(|item| match &item.value {
                        Value::Text(text) => text.as_str(),
                        _ => "?",
                    });
                    lines.push(format!("{} = {}", path.join("."), items.collect::<Vec<_>>().join(" ")));
                }
                _ => flatten(child, path, lines),
            }
            path.pop();
        }
    }

    #[test]
    fn keys_define_providers() {
        let (lines, problems, warnings) = shorthands(
            "",
            [
                ("ANTHROPIC_API_KEY", "sk"),
                ("OPENAI_API_KEY", ""),
                ("OLLAMA_HOST", "nas"),
                ("GEMINI_API_KEY", "g"),
                ("OPENROUTER_API_KEY", "o"),
            ],
        );
        assert_eq!(
            lines,
            [
                "providers.anthropic.kind = anthropic",
                "providers.anthropic.api_key = env:ANTHROPIC_API_KEY",
                "providers.gemini.kind = gemini",
                "providers.gemini.api_key = env:GEMINI_API_KEY",
                "providers.ollama.kind = ollama",
                "providers.ollama.base_url = http://nas:11434",
            ]
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            warnings,
            [
                "OPENROUTER_API_KEY: providers of the kind \"openrouter\" are not available in this version: the key is not used"
            ]
        );
    }

    #[test]
    fn a_provider_of_the_file_is_left_alone() {
        let file = "[providers.anthropic]\nkind = 'anthropic'\n[providers.ollama]\nkind = 'ollama'\n";
        let (lines, _, _) = shorthands(file, [("ANTHROPIC_API_KEY", "sk"), ("OLLAMA_HOST", "nas")]);
        assert_eq!(lines, [""; 0]);
    }

    #[test]
    fn the_model_sets_the_default_route() {
        let (lines, problems, _) = shorthands("", [("HAIA_MODEL", "ollama:qwen2.5-coder:7b")]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            lines,
            ["providers.ollama.kind = ollama", "routes.default = ollama/qwen2.5-coder:7b builtin/offline"]
        );
        let (lines, _, _) = shorthands("[providers.mine]\nkind = 'openai'\n", [("HAIA_MODEL", "mine:m")]);
        assert_eq!(lines, ["routes.default = mine/m builtin/offline"]);
        let (lines, _, _) = shorthands("", [("HAIA_MODEL", "anthropic:claude-haiku-4-5"), ("ANTHROPIC_API_KEY", "k")]);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("routes.default = anthropic/claude-haiku-4-5 builtin/offline")
        );
        let (lines, _, _) = shorthands("", [("HAIA_MODEL", "builtin:offline")]);
        assert_eq!(lines, ["routes.default = builtin/offline"]);
    }

    #[test]
    fn a_wrong_model_is_told() {
        let example =
            "write <provider>:<model>, for example \"anthropic:claude-haiku-4-5\" or \"ollama:qwen2.5-coder:7b\"";
        for (model, expected) in [
            ("claude", format!("HAIA_MODEL: \"claude\" names no provider: {example}")),
            (":x", format!("HAIA_MODEL: {example}")),
            (
                "nobody:x",
                format!(
                    "HAIA_MODEL: there is no provider \"nobody\": {example}; known here: anthropic, openai, gemini, ollama, builtin"
                ),
            ),
        ] {
            assert_eq!(shorthands("", [("HAIA_MODEL", model)]).1, [expected]);
        }
    }

    #[test]
    fn ollamas_host_comes_in_many_forms() {
        for (host, url) in [
            ("nas.lan", "http://nas.lan:11434"),
            ("nas.lan:8080", "http://nas.lan:8080"),
            (":8080", "http://127.0.0.1:8080"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:99", "http://127.0.0.1:99"),
            ("[::1]", "http://[::1]:11434"),
            ("[::1]:99", "http://[::1]:99"),
            ("::1", "http://[::1]:11434"),
            ("http://nas:1/", "http://nas:1"),
            ("https://ollama.example", "https://ollama.example"),
        ] {
            assert_eq!(ollama_url(host).as_deref(), Ok(url));
        }
        assert!(ollama_url("nas:port").is_err() && ollama_url("a b").is_err() && ollama_url("a/b").is_err());
    }
}
