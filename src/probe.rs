//! The probes of `haia check`: every configured provider, cluster and channel, the store, the address. Each tells what it saw, or what to do.

use crate::cli::check::Probe;
use crate::config::{Loaded, Options};
use crate::daemon::{Daemon, Launch, Listen};
use contract::approvals::ActionClass;
use contract::cluster::{ActionProbe, ClusterProbe, ProbeCluster};
use contract::failure::{Failure, FailureClass};
use contract::provider::{BUILTIN, ProbeProvider};
use contract::status::StatusSource as _;
use notifier::ChannelConfig;
use prometheus::ProbeServers;
use proxmox_poller::actions::action_grant_command;
use std::net::TcpListener;
use std::time::Duration;

/// How long one provider may take.
const DEADLINE: Duration = Duration::from_secs(25);

/// Probes everything, with a private daemon's actors.
///
/// # Errors
/// The actors do not start.
pub async fn probe_all(loaded: Loaded, options: Options) -> anyhow::Result<Vec<Probe>> {
    let listen = loaded.settings.server.listen.clone();
    let providers: Vec<(String, String)> = loaded
        .settings
        .providers
        .providers
        .0
        .iter()
        // The built-in model is nowhere, and always there.
        .filter(|(_, config)| config.kind != BUILTIN)
        .map(|(name, config)| (name.clone(), config.base_url().to_owned()))
        .collect();
    let clusters: Vec<(String, Policy)> = loaded
        .settings
        .clusters
        .clusters
        .iter()
        .map(|(name, config)| {
            let named = loaded.settings.approvals.named_classes(name);
            (name.clone(), Policy { token_id: config.token_id.clone(), named })
        })
        .collect();
    let servers = &loaded.settings.prometheus;
    let servers = [
        ("prometheus", servers.prometheus.as_ref().map(|server| server.url.clone())),
        ("alertmanager", servers.alertmanager.as_ref().map(|server| server.url.clone())),
    ];
    let servers: Vec<(&str, String)> =
        servers.into_iter().filter_map(|(name, url)| url.map(|url| (name, url))).collect();
    let channels = loaded.settings.channels.channels.clone();
    let running = crate::daemon::is_running(&loaded, &options);
    let folder = std::env::temp_dir().join(format!("haia-check-{}.sock", std::process::id()));
    let daemon = Daemon::start(Launch { loaded, options, listen: Listen::Private(folder), amend: None }).await?;
    let mut probes = Vec::new();
    if !running {
        probes.push(address(&listen));
    }
    let asked = providers.iter().map(|(name, url)| async {
        let probe = daemon.actors().probe.ask(ProbeProvider { provider: name.as_str().into() }, DEADLINE).await;
        let found = probe.unwrap_or_else(|fault| Err(Failure::from(fault)));
        provider(name, url, found.map(|models| models.len()))
    });
    probes.extend(futures_util::future::join_all(asked).await);
    let asked = clusters.iter().map(|(name, policy)| async {
        let probe = ProbeCluster { cluster: name.as_str().into() };
        let probe = daemon.actors().probe_cluster.ask(probe, DEADLINE).await;
        cluster(name, policy, probe.unwrap_or_else(|fault| Err(Failure::from(fault))))
    });
    probes.extend(futures_util::future::join_all(asked).await.into_iter().flatten());
    let (open, clock) = (notifier::wire::open_network(), daemon.clock());
    let asked = channels
        .iter()
        .map(|(name, config)| async { channel(name, config, notifier::probe(config, &open, &clock).await) });
    probes.extend(futures_util::future::join_all(asked).await);
    for (name, found) in daemon.actors().probe_servers.ask(ProbeServers, DEADLINE).await.unwrap_or_default() {
        let url = servers.iter().find(|(known, _)| *known == name).map_or("", |(_, url)| url.as_str());
        probes.push(match found {
            Ok(version) => Probe::ok(name, url, format!("version {version}")),
            Err(problem) => Probe::failed(name, url, problem, "is the server running, and is url right?"),
        });
    }
    let status = daemon.actors().reporter.status().await;
    if let Some(store) = status.store {
        probes.push(match store.problem {
            None => Probe::ok("store", store.path, format!("schema {}", store.schema)),
            Some(problem) => {
                Probe::failed("store", store.path, problem, "chat goes on without it; keys and the audit trail do not")
            }
        });
    }
    daemon.stop().await;
    Ok(probes)
}

fn address(listen: &str) -> Probe {
    match TcpListener::bind(listen) {
        Ok(_) => Probe::ok("server.listen", listen, "free"),
        Err(error) => {
            let advice = "stop the program that listens there, or set server.listen to another address";
            Probe::failed("server.listen", listen, error.to_string(), advice)
        }
    }
}

fn provider(name: &str, url: &str, found: Result<usize, Failure>) -> Probe {
    let name = format!("providers.{name}");
    match found {
        Ok(models) => Probe::ok(name, url, format!("{models} models")),
        Err(failure) => {
            let advice = advice(failure.class);
            Probe::failed(name, url, failure.message, advice)
        }
    }
}

/// No message is sent: whether one arrives is seen with `haia alerts test`.
fn channel(name: &str, config: &ChannelConfig, found: Result<String, String>) -> Probe {
    let (probe, kind) = (format!("notify.channels.{name}"), config.kind());
    match found {
        Ok(seen) => Probe::ok(probe, kind, seen),
        Err(problem) => {
            let advice = format!("once it is mended, \"haia alerts test {name}\" sends a test message");
            Probe::failed(probe, kind, problem, advice)
        }
    }
}

/// What the policy of approvals means for a cluster.
struct Policy {
    /// The token that the cluster knows HAIA by.
    token_id: String,
    /// The classes of actions that the rules name; `None`: there are no rules, and any may be proposed.
    named: Option<Vec<ActionClass>>,
}

/// What the token may do on guests: a line of its own for what a rule names and the token may not, one for all the rest.
fn actions(name: &str, policy: &Policy, found: &[ActionProbe]) -> Vec<Probe> {
    let is_named = |class: &ActionClass| policy.named.as_ref().is_none_or(|named| named.contains(class));
    let wanted: Vec<&ActionProbe> = found.iter().filter(|one| is_named(&one.class)).collect();
    let (able, unable): (Vec<&ActionProbe>, Vec<&ActionProbe>) =
        wanted.into_iter().partition(|one| one.missing.is_empty());
    let words = |probes: &[&ActionProbe]| probes.iter().map(|one| one.class.as_str()).collect::<Vec<_>>().join(", ");
    let lacking = |one: &ActionProbe| format!("{} (lacks {})", one.class.as_str(), one.missing.join(", "));
    let lacks = unable.iter().map(|one| lacking(one)).collect::<Vec<_>>().join(", ");
    let mut missing: Vec<&'static str> = Vec::new();
    for privilege in unable.iter().flat_map(|one| one.missing.iter()) {
        if !missing.contains(privilege) {
            missing.push(privilege);
        }
    }
    let cure = || action_grant_command(&policy.token_id, missing.iter().copied());
    let able_text = if able.is_empty() { "none".to_owned() } else { words(&able) };
    // Without rules nobody asked for all of them: a token may be meant for some. With rules somebody did.
    match (unable.is_empty(), policy.named.is_some() || able.is_empty()) {
        (true, _) if able.is_empty() => Vec::new(),
        (true, _) => vec![Probe::ok(name, "actions", able_text)],
        (false, false) => vec![Probe::ok(name, "actions", format!("{able_text}; the token may not: {lacks}"))],
        (false, true) => {
            let problem = format!("may be proposed but not done: {lacks}; can be done: {able_text}");
            let advice =
                format!("grant the privileges ({}), or leave these classes out of [[approvals.allow]]", cure());
            vec![Probe::failed(name, "actions", problem, advice)]
        }
    }
}

fn cluster(name: &str, policy: &Policy, found: Result<ClusterProbe, Failure>) -> Vec<Probe> {
    let name = format!("proxmox.{name}");
    let found = match found {
        Ok(found) => found,
        Err(failure) => return vec![Probe::failed(name, "the cluster", failure.message, "look at HAIA's log")],
    };
    let mut probes = Vec::new();
    for endpoint in &found.endpoints {
        let address = endpoint.address.to_string();
        let fingerprint = endpoint.fingerprint.as_deref();
        probes.push(match &endpoint.problem {
            None => Probe::ok(&name, address, seen(endpoint.version.as_deref(), endpoint.clock_difference_s)),
            Some(problem) => {
                let advice = fingerprint.map(|shown| {
                    format!("it shows the certificate {shown}; if that is right, write it into tls.fingerprints")
                });
                Probe::failed(&name, address, problem.as_str(), advice.unwrap_or_else(|| "see the message".to_owned()))
            }
        });
    }
    for privilege in found.privileges.iter().filter(|privilege| !privilege.granted) {
        let advice = found.grant.clone().unwrap_or_default();
        let problem = format!("not granted; without it: {}", privilege.lost_without);
        probes.push(Probe::failed(&name, privilege.privilege, problem, advice));
    }
    probes.extend(actions(&name, policy, &found.actions));
    probes
}

fn seen(version: Option<&str>, clock_difference_s: Option<i64>) -> String {
    let version = version.map_or_else(|| "answers".to_owned(), |version| format!("Proxmox VE {version}"));
    match clock_difference_s {
        Some(seconds) if seconds.abs() > 5 => format!("{version}, its clock differs by {seconds} s"),
        _ => version,
    }
}

fn advice(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Authentication | FailureClass::Permission => {
            "check api_key: is it this provider's, whole, and not expired?"
        }
        FailureClass::Billing => "look at the account's credits",
        FailureClass::Unreachable => "is the server running, and is base_url right (host, port, with or without /v1)?",
        FailureClass::NotFound => {
            "base_url seems to lack its path: openai wants /v1 at its end, anthropic and ollama none"
        }
        FailureClass::RateLimit | FailureClass::Overloaded => "try again later",
        FailureClass::Timeout => "the server accepts connections but does not answer: look at its log",
        _ => "look at the server's log",
    }
}
