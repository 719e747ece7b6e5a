//! `haia.toml` as it is delivered: prose after `# `, settings after a bare `#`.

use super::super::*;
use super::{loaded, place};
use crate::config::schema::{KEYS, Key, Shape, shape};

const SHIPPED: &str = include_str!("../../../haia.toml");

fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c != ' ' && c != '#') => setting.to_owned(),
        _ => line.to_owned(),
    };
    SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn tree() -> Node {
    let mut problems = Vec::new();
    let tree = parse::file(&uncommented(), &Arc::from("haia.toml"), &mut problems);
    assert_eq!(problems, []);
    tree
}

#[test]
fn as_it_is_it_changes_nothing() {
    assert_eq!(loaded(SHIPPED, []).settings, loaded("", []).settings);
    assert!(SHIPPED.lines().all(|line| line.is_empty() || line.starts_with('#')));
}

#[test]
fn every_line_is_valid_once_it_is_uncommented() {
    const PLAIN: &str = "a-key-of-some-length";
    let environment = [
        ("HAIA_API_KEY", PLAIN),
        ("ANTHROPIC_API_KEY", PLAIN),
        ("OPENAI_API_KEY", PLAIN),
        ("GEMINI_API_KEY", PLAIN),
        ("OPENROUTER_API_KEY", PLAIN),
        ("LOCAL_API_KEY", PLAIN),
        ("OTHER_KEY", PLAIN),
        ("PROXMOX_TOKEN", PLAIN),
        ("NTFY_TOKEN", PLAIN),
        ("GOTIFY_TOKEN", PLAIN),
        ("WEBHOOK_SECRET", PLAIN),
        ("SMTP_PASSWORD", PLAIN),
        ("PROMETHEUS_TOKEN", PLAIN),
        ("ALERTMANAGER_TOKEN", PLAIN),
        ("WATCHDOG_TOKEN", PLAIN),
        ("TELEGRAM_BOT_TOKEN", "123456:ABC-DEF"),
        ("DISCORD_WEBHOOK_URL", "https://discord.com/api/webhooks/1/x"),
    ];
    let place = place(&uncommented(), environment);
    std::fs::write(place.folder.path().join("prompt.md"), "Be kind.").expect("written");
    std::fs::write(place.folder.path().join("haia_profile.toml"), "").expect("written");
    std::fs::write(place.folder.path().join("mcp_config.json"), r#"{"mcpServers":{}}"#).expect("written");
    if let Err(problems) = load(&place.options) {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
}

fn values<'a>(node: &'a Node, shape: &Shape, found: &mut Vec<(&'static Key, &'a Node)>) {
    match shape {
        Shape::Value(at) => found.push((&KEYS[*at], node)),
        Shape::Short(at, _) if node.entries().is_empty() => found.push((&KEYS[*at], node)),
        Shape::List(item) => {
            if let node::Value::List(items) = &node.value {
                items.iter().for_each(|child| values(child, item, found));
            }
        }
        _ => {
            for (name, child) in node.entries() {
                values(child, shape.child(name).unwrap_or_else(|| panic!("{name} is unknown")), found);
            }
        }
    }
}

#[test]
fn it_shows_every_key_with_its_default() {
    let tree = tree();
    let mut found = Vec::new();
    values(&tree, &shape(), &mut found);
    for key in KEYS {
        let shown: Vec<&Node> = found.iter().filter(|(k, _)| k.path == key.path).map(|(_, node)| *node).collect();
        // One level of a rule stands for the others.
        let covered = key.path.contains(".<rule>.") && key.path != "monitor.rules.<rule>.enabled";
        // These exclude their neighbours, so only the prose has them.
        let excluding = ["agent.system_prompt", "proxmox.<name>.tls.ca_file", "proxmox.<name>.tls.insecure"];
        let name = key.path.rsplit('.').next().unwrap_or_default();
        let told = excluding.contains(&key.path) && SHIPPED.contains(&format!("{name} = "));
        assert!(!shown.is_empty() || covered || told, "{} is not documented", key.path);
        let default = key.default.and_then(|default| parse::value(default, &Origin::Default));
        if let Some(default) = default {
            assert!(shown.iter().any(|node| node.same_as(&default)), "{} is not shown with its default", key.path);
        }
    }
}

#[test]
fn the_list_of_keys_has_the_actors_defaults() {
    let mut tree = Node::empty();
    for key in KEYS.iter().filter(|key| !key.path.contains('<') && !key.path.contains("[]")) {
        if let Some(default) = key.default.and_then(|default| parse::value(default, &Origin::Default)) {
            tree.set(&key.path.split('.').map(str::to_owned).collect::<Vec<_>>(), default);
        }
    }
    let mut problems = Vec::new();
    let place = place("", []);
    let settings = Settings::read(&tree, place.folder.path(), &Environment::default(), &mut problems);
    assert_eq!(problems, []);
    assert_eq!(settings, Settings::default());

    let mut written = Node::empty();
    let text = |text: &str| Node::new(node::Value::Text(text.to_owned()), Origin::Default);
    written.set(&["providers", "x", "kind"].map(str::to_owned), text("ollama"));
    let mut spelt = written.clone();
    for key in KEYS.iter().filter(|key| key.path.starts_with("providers.<name>.")) {
        if let Some(default) = key.default.and_then(|default| parse::value(default, &Origin::Default)) {
            let name = key.path.rsplit('.').next().unwrap_or_default();
            spelt.set(&["providers", "x", name].map(str::to_owned), default);
        }
    }
    let [bare, spelt] =
        [written, spelt].map(|tree| Settings::read(&tree, place.folder.path(), &Environment::default(), &mut problems));
    assert_eq!(problems, []);
    assert_eq!(bare, spelt);
}

#[test]
fn the_list_of_keys_has_every_field_of_the_actors() {
    // serde names the fields that a section has when it meets one that it has not.
    fn fields<T: serde::de::DeserializeOwned>(text: &str) -> Vec<String> {
        let error = toml::from_str::<T>(text).err().map(|error| error.message().to_owned()).unwrap_or_default();
        let listed = error.split_once("expected").map(|(_, listed)| listed.to_owned()).unwrap_or_default();
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
    for (section, fields) in [
        ("server", fields::<http_gateway::Config>("zzz = 1")),
        ("server.keys.<name>", fields::<http_gateway::KeyConfig>("zzz = 1")),
        ("server.keys.<name>.limits", fields::<contract::usage::KeyLimits>("zzz = 1")),
        ("store", fields::<store::Config>("zzz = 1")),
        ("agent", fields::<agent_supervisor::Config>("zzz = 1")),
        ("tools", fields::<toolbox::Config>("zzz = 1")),
        ("providers.<name>", fields::<provider_pool::ProviderConfig>("zzz = 1")),
        ("providers.<name>.model.<name>", fields::<provider_pool::ModelConfig>("zzz = 1")),
        ("providers.<name>.model.<name>.price", fields::<provider_pool::Price>("zzz = 1")),
        ("routes.<name>", fields::<provider_pool::RouteConfig>("zzz = 1")),
    ] {
        assert!(!fields.is_empty(), "{section}");
        for field in fields {
            let path = format!("{section}.{field}");
            let known = KEYS.iter().any(|key| key.path == path || key.path.starts_with(&format!("{path}.")));
            // `[mcp] allowed_hosts` is the gateway's, under another section.
            assert!(known || path == "server.allowed_hosts", "{path} is not in the list of keys");
        }
    }
}
