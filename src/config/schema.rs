//! Every key of the configuration, in one list: for the spelling of keys, for secrets, for `haia config print`, and for the tests that
//! hold the shipped `haia.toml` and the actors' own defaults against it. Reads nothing and holds no value of a user.

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

const fn key(path: &'static str, default: &'static str) -> Key {
    Key { path, holds: Holds::Plain, default: Some(default) }
}

const fn open(path: &'static str) -> Key {
    Key { path, holds: Holds::Plain, default: None }
}

const fn secret(path: &'static str) -> Key {
    Key { path, holds: Holds::Secret, default: None }
}

const fn anything(path: &'static str, default: Option<&'static str>) -> Key {
    Key { path, holds: Holds::Anything, default }
}

/// Every key, in the order of the shipped file.
pub const KEYS: &[Key] = &[
    key("server.listen", "\"127.0.0.1:8000\""),
    key("server.cors_origins", "[\"http://localhost:3000\"]"),
    key("server.max_body", "\"32MiB\""),
    key("server.workers", "0"),
    secret("server.keys.<name>.key"),
    key("server.keys.<name>.scope", "\"control\""),
    open("server.keys.<name>.limits.tokens_per_day"),
    open("server.keys.<name>.limits.tokens_per_month"),
    open("server.keys.<name>.limits.usd_per_day"),
    open("server.keys.<name>.limits.usd_per_month"),
    open("server.limits.<name>.tokens_per_day"),
    open("server.limits.<name>.tokens_per_month"),
    open("server.limits.<name>.usd_per_day"),
    open("server.limits.<name>.usd_per_month"),
    key("store.path", "\"haia.db\""),
    key("store.audit_retention", "\"90d\""),
    key("store.audit_max_rows", "1000000"),
    key("agent.route", "\"default\""),
    open("agent.system_prompt"),
    open("agent.system_prompt_file"),
    open("agent.profile"),
    key("agent.max_tool_rounds", "8"),
    key("agent.tool_timeout", "\"30s\""),
    key("agent.tool_result_bytes", "\"32KiB\""),
    key("agent.turn_timeout", "\"600s\""),
    key("agent.context_messages", "100"),
    key("agent.context_tokens", "0"),
    key("agent.max_concurrent_turns", "32"),
    key("agent.max_queued_turns", "64"),
    key("approvals.expiry", "\"1h\""),
    key("approvals.background", "false"),
    key("approvals.notify", "[]"),
    open("approvals.allow[].classes"),
    open("approvals.allow[].match.tag"),
    open("approvals.allow[].match.vmid"),
    open("approvals.allow[].match.name"),
    open("approvals.allow[].match.node"),
    open("approvals.allow[].match.storage"),
    open("approvals.allow[].match.cluster"),
    open("approvals.allow[].tools"),
    open("approvals.allow[].approvers"),
    key("approvals.allow[].second_approval", "\"never\""),
    open("approvals.allow[].hours"),
    open("approvals.allow[].timezone"),
    key("approvals.allow[].max_per_hour", "10"),
    open("approvals.deny[].classes"),
    open("approvals.deny[].match.tag"),
    open("approvals.deny[].match.vmid"),
    open("approvals.deny[].match.name"),
    open("approvals.deny[].match.node"),
    open("approvals.deny[].match.storage"),
    open("approvals.deny[].match.cluster"),
    open("approvals.deny[].tools"),
    key("tools.disabled", "[]"),
    key("tools.max_arguments", "\"64KiB\""),
    key("tools.max_listed", "64"),
    key("tools.max_listed_bytes", "\"64KiB\""),
    key("tools.favourites", "[]"),
    open("providers.<name>.kind"),
    open("providers.<name>.base_url"),
    secret("providers.<name>.api_key"),
    key("providers.<name>.models", "[]"),
    key("providers.<name>.connect_timeout", "\"5s\""),
    key("providers.<name>.first_token_timeout", "\"120s\""),
    open("providers.<name>.answer_timeout"),
    key("providers.<name>.idle_timeout", "\"60s\""),
    key("providers.<name>.max_concurrent", "16"),
    key("providers.<name>.max_queued", "64"),
    key("providers.<name>.queue_timeout", "\"30s\""),
    key("providers.<name>.requests_per_minute", "0"),
    key("providers.<name>.tokens_per_minute", "0"),
    key("providers.<name>.retries", "1"),
    anything("providers.<name>.options", Some("{}")),
    key("providers.<name>.prompt_caching", "true"),
    key("providers.<name>.fetch_pictures", "true"),
    secret("providers.<name>.model.<name>.api_key"),
    open("providers.<name>.model.<name>.max_tokens"),
    open("providers.<name>.model.<name>.temperature"),
    open("providers.<name>.model.<name>.context_tokens"),
    open("providers.<name>.model.<name>.max_concurrent"),
    open("providers.<name>.model.<name>.requests_per_minute"),
    open("providers.<name>.model.<name>.tokens_per_minute"),
    anything("providers.<name>.model.<name>.options", Some("{}")),
    open("providers.<name>.model.<name>.price.input"),
    open("providers.<name>.model.<name>.price.output"),
    open("providers.<name>.model.<name>.price.cached_input"),
    open("providers.<name>.model.<name>.price.cache_write"),
    open("providers.<name>.model.<name>.price.reasoning"),
    open("routes.<name>"),
    key("routes.<name>.strategy", "\"ordered\""),
    open("routes.<name>.entries"),
    open("routes.<name>.weights"),
    open("proxmox.<name>.endpoints"),
    open("proxmox.<name>.token_id"),
    secret("proxmox.<name>.token_secret"),
    open("proxmox.<name>.tls.fingerprints"),
    open("proxmox.<name>.tls.ca_file"),
    open("proxmox.<name>.tls.insecure"),
    key("proxmox.<name>.poll_interval", "\"10s\""),
    key("proxmox.<name>.allow_actions", "false"),
    key("proxmox.<name>.action_timeouts.start", "\"5m\""),
    key("proxmox.<name>.action_timeouts.shutdown", "\"5m\""),
    key("proxmox.<name>.action_timeouts.stop", "\"3m\""),
    key("proxmox.<name>.action_timeouts.reboot", "\"5m\""),
    key("proxmox.<name>.action_timeouts.suspend", "\"5m\""),
    key("proxmox.<name>.action_timeouts.resume", "\"5m\""),
    key("proxmox.<name>.action_timeouts.migrate", "\"2h\""),
    key("proxmox.<name>.action_timeouts.snapshot", "\"30m\""),
    key("proxmox.<name>.action_timeouts.backup", "\"12h\""),
    open("monitor.timezone"),
    key("monitor.retention", "\"90d\""),
    key("monitor.grouping.wait", "\"30s\""),
    key("monitor.grouping.recovery", "\"2m\""),
    key("monitor.reminder.after", "\"1d\""),
    open("monitor.reminder.every"),
    key("monitor.flapping.openings", "3"),
    key("monitor.flapping.within", "\"1h\""),
    key("monitor.flapping.factor", "8"),
    key("monitor.flapping.calm", "\"5m\""),
    key("monitor.rules.<rule>.enabled", "true"),
    open("monitor.rules.<rule>.except[].tag"),
    open("monitor.rules.<rule>.except[].vmid"),
    open("monitor.rules.<rule>.except[].name"),
    open("monitor.rules.<rule>.except[].node"),
    open("monitor.rules.<rule>.except[].storage"),
    open("monitor.rules.<rule>.except[].cluster"),
    open("monitor.rules.<rule>.within"),
    open("monitor.rules.<rule>.grace"),
    open("monitor.rules.<rule>.info.above"),
    open("monitor.rules.<rule>.info.below"),
    open("monitor.rules.<rule>.info.clear"),
    open("monitor.rules.<rule>.info.for"),
    open("monitor.rules.<rule>.info.clear_for"),
    open("monitor.rules.<rule>.info.enabled"),
    open("monitor.rules.<rule>.warning.above"),
    open("monitor.rules.<rule>.warning.below"),
    open("monitor.rules.<rule>.warning.clear"),
    open("monitor.rules.<rule>.warning.for"),
    open("monitor.rules.<rule>.warning.clear_for"),
    open("monitor.rules.<rule>.warning.enabled"),
    open("monitor.rules.<rule>.critical.above"),
    open("monitor.rules.<rule>.critical.below"),
    open("monitor.rules.<rule>.critical.clear"),
    open("monitor.rules.<rule>.critical.for"),
    open("monitor.rules.<rule>.critical.clear_for"),
    open("monitor.rules.<rule>.critical.enabled"),
    open("monitor.overrides[].match.tag"),
    open("monitor.overrides[].match.vmid"),
    open("monitor.overrides[].match.name"),
    open("monitor.overrides[].match.node"),
    open("monitor.overrides[].match.storage"),
    open("monitor.overrides[].match.cluster"),
    open("monitor.overrides[].rules"),
    anything("monitor.overrides[].set", None),
    open("monitor.quiet_hours.from"),
    open("monitor.quiet_hours.to"),
    open("monitor.quiet_hours.timezone"),
    open("monitor.maintenance[].match.tag"),
    open("monitor.maintenance[].match.vmid"),
    open("monitor.maintenance[].match.name"),
    open("monitor.maintenance[].match.node"),
    open("monitor.maintenance[].match.storage"),
    open("monitor.maintenance[].match.cluster"),
    open("monitor.maintenance[].schedule"),
    open("monitor.maintenance[].for"),
    open("monitor.maintenance[].timezone"),
    key("monitor.explain.enabled", "true"),
    key("monitor.explain.severity", "[\"critical\"]"),
    key("monitor.explain.max_per_day", "50"),
    key("monitor.explain.max_tool_rounds", "6"),
    key("monitor.explain.max_tokens", "1024"),
    key("monitor.explain.timeout", "\"3m\""),
    open("monitor.heartbeats.<name>.every"),
    key("monitor.heartbeats.<name>.grace", "\"1m\""),
    open("monitor.watchdog.url"),
    secret("monitor.watchdog.token"),
    open("monitor.watchdog.every"),
    open("monitor.watchdog.method"),
    open("monitor.watchdog.timeout"),
    open("jobs.<name>.schedule"),
    open("jobs.<name>.every"),
    open("jobs.<name>.once"),
    key("jobs.<name>.on_start", "false"),
    open("jobs.<name>.timezone"),
    open("jobs.<name>.ask"),
    open("jobs.<name>.check"),
    key("jobs.<name>.digest", "false"),
    key("jobs.<name>.notify", "[]"),
    key("jobs.<name>.notify_empty", "true"),
    open("jobs.<name>.route"),
    key("jobs.<name>.enabled", "true"),
    open("jobs.<name>.grace"),
    key("jobs.<name>.coalesce", "\"latest\""),
    key("jobs.<name>.max_instances", "1"),
    key("jobs.<name>.jitter", "\"0s\""),
    key("jobs.<name>.timeout", "\"5m\""),
    key("jobs.<name>.keep_runs", "100"),
    open("notify.channels.<name>.kind"),
    secret("notify.channels.<name>.bot_token"),
    open("notify.channels.<name>.chat_id"),
    open("notify.channels.<name>.thread_id"),
    open("notify.channels.<name>.api_base"),
    open("notify.channels.<name>.allowed_users"),
    secret("notify.channels.<name>.webhook_url"),
    open("notify.channels.<name>.url"),
    open("notify.channels.<name>.topic"),
    secret("notify.channels.<name>.token"),
    secret("notify.channels.<name>.secret"),
    open("notify.channels.<name>.smtp"),
    open("notify.channels.<name>.from"),
    open("notify.channels.<name>.to"),
    open("notify.channels.<name>.username"),
    secret("notify.channels.<name>.password"),
    open("notify.routes[].severity"),
    open("notify.routes[].rules"),
    open("notify.routes[].match.tag"),
    open("notify.routes[].match.vmid"),
    open("notify.routes[].match.name"),
    open("notify.routes[].match.node"),
    open("notify.routes[].match.storage"),
    open("notify.routes[].match.cluster"),
    open("notify.routes[].channels"),
    key("notify.routes[].continue", "false"),
    key("mcp.config", "\"mcp_config.json\""),
    key("mcp.max_starting", "6"),
    key("mcp.start_timeout", "\"30s\""),
    key("mcp.call_timeout", "\"60s\""),
    key("mcp.max_call_timeout", "\"10m\""),
    key("mcp.idle_stop", "\"10m\""),
    key("mcp.max_result", "\"24KiB\""),
    key("mcp.max_tools", "1000"),
    key("mcp.concurrent_calls", "8"),
    key("mcp.serve", "true"),
    key("mcp.serve_attached", "true"),
    key("mcp.allowed_hosts", "[]"),
    key("mcp.session_timeout", "\"30m\""),
    open("home_assistant.url"),
    secret("home_assistant.token"),
    open("mqtt.url"),
    open("mqtt.base_topic"),
    open("prometheus.url"),
    secret("prometheus.token"),
    open("alertmanager.url"),
    secret("alertmanager.token"),
    open("alertmanager.allow_actions"),
];

/// The sections, and single keys, that this version takes without using them yet.
pub const UNUSED: &[&str] = &["home_assistant", "mqtt"];

/// The monitoring rules' names.
pub const RULES: &[&str] = &[
    "node_down",
    "quorum_lost",
    "api_blind",
    "guest_crashed",
    "guest_stopped",
    "restart_loop",
    "guest_error",
    "guest_lock_stuck",
    "no_data",
    "node_cpu",
    "node_memory",
    "guest_cpu",
    "guest_memory",
    "guest_disk",
    "storage_usage",
    "storage_inactive",
    "thin_metadata",
    "ceph_health",
    "osd_down",
    "zfs_pool",
    "disk_health",
    "backup_failed",
    "backup_stale",
    "replication",
    "ha_error",
    "certificate",
    "snapshot_old",
    "time_drift",
    "task_failed",
    "updates",
    "subscription",
    "job_failed",
    "provider_down",
    "mcp_server_failed",
    "mcp_definition_changed",
    "actor_failed",
    "heartbeat_missed",
    "channel_failed",
];

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
