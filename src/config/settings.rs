//! The sum of the sections that this version uses. Each actor's crate owns its section; here they are only read and checked together.

use super::environment::Environment;
use super::node::{Node, Value};
use super::origin::Origin;
use super::problem::Problem;
use super::section;
use super::texts;
use agent_supervisor::approvals;
use contract::caller::Scope;
use contract::monitor::RuleBook;
use contract::provider::BUILTIN;
use contract::secret::Secret;
use provider_pool::{Ordered, ProviderConfig};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What the actors are started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `[server]`, and `[mcp]` as far as it is about HAIA as a server.
    pub server: http_gateway::Config,
    /// `[store]`.
    pub store: store::Config,
    /// `[agent]`.
    pub agent: agent_supervisor::Config,
    /// The texts of the files that `[agent]` names.
    pub prompts: agent_supervisor::Prompts,
    /// `[approvals]`.
    pub approvals: approvals::Config,
    /// `[mcp]`, with the text of the file that lists the servers.
    pub mcp: toolbox::mcp::Settings,
    /// `[tools]`.
    pub tools: toolbox::Config,
    /// `[providers]` and `[routes]`, with the limits of `[server.keys]`.
    pub providers: provider_pool::Config,
    /// `[proxmox]`.
    pub clusters: proxmox_poller::Config,
    /// `[monitor]` and `[[notify.routes]]`.
    pub desk: alert_desk::Config,
    /// `[jobs]`.
    pub jobs: scheduler::Config,
    /// `[notify.channels]`.
    pub channels: notifier::Config,
    /// `[prometheus]` and `[alertmanager]`.
    pub prometheus: prometheus::Config,
}

impl Settings {
    /// Reads and checks every section of the merged document.
    pub fn read(document: &Node, folder: &Path, environment: &Environment, problems: &mut Vec<Problem>) -> Self {
        let mut server: http_gateway::Config =
            checked(document, &["server"], problems, |server| server_problems(server).into_iter().collect());
        server.allowed_hosts = section::read::<Hosts>(document, &["mcp"], problems).allowed_hosts;
        server.mcp = section::read(document, &["mcp"], problems);
        let of_mcp = http_gateway::Config {
            allowed_hosts: server.allowed_hosts.clone(),
            mcp: server.mcp.clone(),
            ..http_gateway::Config::default()
        };
        problems.extend(section::place(document, "mcp", server_problems(&of_mcp)));
        let before = problems.len();
        let agent = checked(document, &["agent"], problems, agent_supervisor::Config::validate);
        let sound = problems.len() == before;
        let prompts = if sound { texts::read(document, &agent, folder, problems) } else { Default::default() };
        let mcp = mcp(document, folder, environment, problems);
        let store = checked(document, &["store"], problems, store::Config::validate);
        let tools = checked(document, &["tools"], problems, toolbox::Config::validate);
        let mut providers = providers(document, problems);
        let of_keys = server
            .keys
            .iter()
            .map(|(name, key)| (name, key.limits))
            .chain(server.limits.iter().map(|(name, limits)| (name, *limits)));
        providers.limits =
            of_keys.filter(|(_, limits)| !limits.is_empty()).map(|(name, limits)| (name.clone(), limits)).collect();
        problems.extend(unknown_route(document, &agent, &providers));
        let clusters = checked(document, &["proxmox"], problems, proxmox_poller::Config::validate);
        let channels = checked(document, &["notify", "channels"], problems, notifier::Config::validate);
        let desk = desk(document, &channels, problems);
        let names: Vec<&str> = channels.channels.keys().map(String::as_str).collect();
        let approvals = checked(document, &["approvals"], problems, approvals::Config::validate);
        problems.extend(section::place(document, "approvals", unknown_channels(&approvals, &names)));
        let jobs = checked(document, &["jobs"], problems, |jobs: &scheduler::Config| jobs.validate(&names));
        let prometheus = prometheus(document, problems);
        Self {
            server,
            store,
            agent,
            prompts,
            approvals,
            mcp,
            tools,
            providers,
            clusters,
            desk,
            jobs,
            channels,
            prometheus,
        }
    }

    /// Adds to the document what the sections themselves fill in, so that `haia config print` shows it.
    pub fn complete(&self, document: &mut Node) {
        if self.prompts.profile.is_some() && self.agent.profile.is_none() {
            let name = Value::Text(texts::PROFILE.to_owned());
            document.set(&["agent".to_owned(), "profile".to_owned()], Node::new(name, Origin::Default));
        }
        for (name, provider) in &self.providers.providers.0 {
            let path = ["providers".to_owned(), name.clone(), "base_url".to_owned()];
            // The built-in model is nowhere.
            if document.at(&path).is_none() && provider.kind != BUILTIN {
                document.set(&path, Node::new(Value::Text(provider.base_url().to_owned()), Origin::Default));
            }
        }
    }
}

/// The key of `[mcp]` that is the gateway's in general.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Hosts {
    allowed_hosts: Vec<String>,
}

/// Reads a section and judges its values, except for those that could not be read: no problem is told twice.
fn checked<T: serde::de::DeserializeOwned + Default>(
    document: &Node,
    path: &[&str],
    problems: &mut Vec<Problem>,
    validate: impl Fn(&T) -> Vec<(String, String)>,
) -> T {
    let (read, removed) = section::read_rest(document, path, problems);
    if let Some(name) = path.first() {
        problems.extend(section::place_rest(document, name, validate(&read), &removed));
    }
    read
}

/// `[mcp]` and the file it names. Single bad entries of the file are told in the servers' states; only a file that cannot be read as a whole is
/// a problem.
fn mcp(
    document: &Node,
    folder: &Path,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> toolbox::mcp::Settings {
    let config = checked(document, &["mcp"], problems, toolbox::mcp::Config::validate);
    let path = folder.join(&config.config);
    let mut wrong = |message: String| {
        let origin = &document.nearest(&["mcp", "config"]).origin;
        problems.push(Problem::at(origin, format!("\"mcp.config\": {message}")));
    };
    let is_named = document.at(&["mcp", "config"]).is_some_and(|node| node.origin != Origin::Default);
    let text = match texts::read_text(&path) {
        Ok(None) if is_named => {
            wrong(format!("the file {} does not exist", path.display()));
            None
        }
        Ok(text) => text,
        Err(message) => {
            wrong(message);
            None
        }
    };
    let variables =
        environment.names().filter_map(|name| Some((name.to_owned(), environment.get(name)?.to_owned()))).collect();
    let settings = toolbox::mcp::Settings { config, servers: text.unwrap_or_default().into(), environment: variables };
    if let Some(problem) = settings.problem() {
        wrong(format!("{}: {problem}", path.display()));
    }
    settings
}

/// The channels that proposals are told on must be there.
fn unknown_channels(approvals: &approvals::Config, known: &[&str]) -> Vec<(String, String)> {
    let unknown = approvals.notify.iter().filter(|name| !known.contains(&name.as_str()));
    let said = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
    unknown
        .map(|name| ("approvals.notify".to_owned(), format!("there is no channel {name:?}; known: {said}")))
        .collect()
}

/// `[monitor]` is read twice: the rules by themselves, because the poller's and the desk's stand in one section.
fn desk(document: &Node, channels: &notifier::Config, problems: &mut Vec<Problem>) -> alert_desk::Config {
    let (monitor, mut removed) = section::read_rest(document, &["monitor"], problems);
    let (rules, without_rules): (RuleBook, _) = section::read_rest(document, &["monitor"], problems);
    let (routes, without) = section::read_rest(document, &["notify", "routes"], problems);
    removed.extend(without_rules);
    // A channel that could not be read at all is still one that a route may name.
    let written = document.at(&["notify", "channels"]).map(Node::entries).unwrap_or_default();
    let names = written.iter().map(|(name, _)| name.as_str()).chain(channels.channels.keys().map(String::as_str));
    let names: BTreeSet<&str> = names.collect();
    let channels = names.into_iter().map(Arc::from).collect();
    let config = alert_desk::Config { monitor, rules, routes, channels, configured: None };
    for (key, message) in config.validate() {
        let (section, removed) = if key.starts_with("notify") { ("notify", &without) } else { ("monitor", &removed) };
        problems.extend(section::place_rest(document, section, vec![(key, message)], removed));
    }
    problems.extend(section::place_rest(document, "monitor", proxmox_poller::validate_rules(&config.rules), &removed));
    config
}

fn prometheus(document: &Node, problems: &mut Vec<Problem>) -> prometheus::Config {
    let config = prometheus::Config {
        prometheus: section::read(document, &["prometheus"], problems),
        alertmanager: section::read(document, &["alertmanager"], problems),
    };
    for (key, message) in config.validate() {
        let section = key.split('.').next().unwrap_or_default().to_owned();
        problems.extend(section::place(document, &section, vec![(key, message)]));
    }
    config
}

fn providers(document: &Node, problems: &mut Vec<Problem>) -> provider_pool::Config {
    let (providers, removed) = section::read_rest(document, &["providers"], problems);
    let (routes, without) = section::read_rest(document, &["routes"], problems);
    let config = provider_pool::Config { providers, routes, ..Default::default() };
    // A provider that could not be read at all is still one that a route may name.
    let complete = removed.iter().all(|path| path.len() > 2);
    for (key, message) in config.validate() {
        if !key.starts_with("routes.") {
            problems.extend(section::place_rest(document, "providers", vec![(key, message)], &removed));
        } else if complete {
            problems.extend(section::place_rest(document, "routes", vec![(key, message)], &without));
        }
    }
    config
}

/// The agent's route must exist, but for `default`, which HAIA makes itself where it is not written.
fn unknown_route(
    document: &Node,
    agent: &agent_supervisor::Config,
    providers: &provider_pool::Config,
) -> Option<Problem> {
    const DEFAULT: &str = "default";
    let mut known: Vec<&str> = providers.routes.0.iter().map(|(name, _)| name.as_str()).collect();
    // A route that could not be read is one all the same.
    let written = document.at(&["routes", agent.route.as_str()]).is_some();
    if agent.route == DEFAULT || known.contains(&agent.route.as_str()) || written {
        return None;
    }
    known.retain(|name| *name != DEFAULT);
    let known: Vec<&str> = [DEFAULT].into_iter().chain(known).collect();
    let message = format!("\"agent.route\": there is no route {:?}; known: {}", agent.route, known.join(", "));
    Some(Problem::at(&document.nearest(&["agent", "route"]).origin, message))
}

/// What `[server]` finds wrong with itself, except for missing keys: whether the store holds some is not known here ([`needs_keys`]).
fn server_problems(server: &http_gateway::Config) -> Vec<(String, String)> {
    let mut judged = server.clone();
    if judged.keys.is_empty() {
        // As if the store held one.
        let key =
            http_gateway::KeyConfig { key: Secret::new("stored"), scope: Scope::Read, limits: Default::default() };
        judged.keys.insert("stored".to_owned(), key);
    }
    judged.validate().into_iter().map(|problem| (problem.key, problem.message)).collect()
}

/// What is no error and yet not what its writer means.
pub fn doubts(document: &Node, settings: &Settings) -> Vec<Problem> {
    let providers = &settings.providers.providers;
    let unpriced = unpriced(providers);
    let knows_costs = providers.0.iter().any(|(_, provider)| tells_costs(provider) || !priced(provider).is_empty());
    let because = match (knows_costs, unpriced.is_empty()) {
        (true, true) => return Vec::new(),
        (true, false) => format!("does not count the calls of {}: no price is known of them", unpriced.join(", ")),
        (false, _) => "is never reached: no cost is known".to_owned(),
    };
    let in_money = settings.providers.limits.iter().flat_map(|(name, limits)| {
        [("usd_per_day", limits.usd_per_day), ("usd_per_month", limits.usd_per_month)]
            .into_iter()
            .filter_map(move |(limit, most)| most.map(|_| (name, limit)))
    });
    in_money
        .map(|(name, limit)| {
            let path: &[&str] = match settings.server.keys.contains_key(name) {
                true => &["server", "keys", name, "limits", limit],
                false => &["server", "limits", name, limit],
            };
            let message = format!(
                "\"{}\" {because}; give the models a price under [providers.NAME.model.MODEL]",
                super::node::join(path)
            );
            Problem::at(&document.nearest(path).origin, message)
        })
        .collect()
}

/// Whether what its calls cost needs no price.
fn tells_costs(provider: &ProviderConfig) -> bool {
    provider.kind == "openrouter"
}

fn priced(provider: &ProviderConfig) -> Vec<&str> {
    let priced = provider.model.iter().filter(|(_, model)| model.price.is_some());
    priced.map(|(name, _)| name.as_str()).collect()
}

/// Whose calls cost nobody knows what. Ollama's cost nothing but electricity.
fn unpriced(providers: &Ordered<ProviderConfig>) -> Vec<String> {
    let costly = providers.0.iter().filter(|(_, it)| !tells_costs(it) && it.kind != "ollama" && it.kind != BUILTIN);
    let models = costly.flat_map(|(name, provider)| {
        let priced = priced(provider);
        let listed = provider.models.iter().filter(|model| !priced.contains(&model.as_str()));
        let mut unpriced: Vec<String> = listed.map(|model| format!("{name}/{model}")).collect();
        if provider.models.is_empty() {
            unpriced.push(match priced.as_slice() {
                [] => name.clone(),
                priced => format!("{name} (all models but {})", priced.join(", ")),
            });
        }
        unpriced
    });
    models.collect()
}

/// Whether HAIA would listen beyond loopback and the configuration itself holds no key: then the store must hold one.
pub fn needs_keys(server: &http_gateway::Config) -> bool {
    let host = server.listen.rsplit_once(':').map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']'));
    let loopback = host.is_none_or(|host| match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    });
    server.keys.is_empty() && !loopback
}

/// The problem to tell when [`needs_keys`] holds and the store has no key either.
pub fn keys_missing(document: &Node, server: &http_gateway::Config) -> Problem {
    let origin = document.at(&["server", "listen"]).map_or(Origin::Default, |node| node.origin.clone());
    let message = format!(
        "\"server.listen\": {:?} is reachable from other machines, but there is no key: add [server.keys.NAME], make one with \
         \"haia keys new NAME --scope control\", or listen on 127.0.0.1",
        server.listen
    );
    Problem::at(&origin, message)
}
