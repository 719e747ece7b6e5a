//! `haia demo`: the daemon on embedded defaults; what to open and to try, printed once it serves, and then each alert as people are told of it.

use crate::cli::one_line;
use crate::config::Settings;
use anyhow::Context as _;
use contract::alerts::{AlertEvent, ReadAlertHistory};
use contract::clock::SharedClock;
use contract::secret::Secret;
use contract::units::Span;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proxmox_poller::actions::ActionTimeouts;
use proxmox_poller::{ClusterConfig, TlsConfig};
use runtime::Port;
use sim_cluster::{SimCluster, SimConfig, SimHandle};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What to print once the demo serves. Every line of it can be tried as it stands, in any folder. `program` is how a shell finds HAIA.
pub fn banner(program: &str, address: SocketAddr, needs_key: bool, model: Option<&str>, is_simulated: bool) -> String {
    let base = format!("http://{address}");
    let answers = match model {
        Some(model) => format!("It answers with {model}, and with the built-in responder when that is down."),
        None => "No model is configured, so the built-in responder answers: it needs no key and no network.".to_owned(),
    };
    let key = if needs_key { " -H \"Authorization: Bearer YOUR_KEY\"" } else { "" };
    let cluster = if is_simulated { CLUSTER_TEXT.replace("PROGRAM", program) } else { String::new() };
    format!(
        "\
HAIA is running. {answers}

Open     {base}/            what this is, with every model id
Connect  {base}/v1          as an OpenAI API: in Open WebUI under Settings, Connections

{cluster}Try, in another terminal:
  {program} ask \"what can you do?\"
  {program} ask \"how are you?\"
  {program} status
  curl {base}/v1/models{key}
  curl {base}/v1/chat/completions{key} -H 'Content-Type: application/json' \\
    -d '{{\"model\":\"haia\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"what time is it?\"}}]}}'

With a model: ANTHROPIC_API_KEY=… {program} demo, or HAIA_MODEL=ollama:qwen2.5-coder:7b {program} demo.
Ctrl-C ends it.
"
    )
}

/// What happens in the simulated cluster, and what to ask of it.
const CLUSTER_TEXT: &str = "\
It looks at a simulated Proxmox cluster of three nodes. Within a minute web-01 crashes, root@pam shuts media-01 down, and the storage
nas-nfs fills. Then ask:
  PROGRAM ask \"why did web-01 stop?\"
  PROGRAM ask \"why did media-01 stop?\"
  PROGRAM ask \"is everything healthy?\"
  PROGRAM ask \"how full is storage?\"
  PROGRAM ask \"any failed backups?\"
  PROGRAM alerts
  PROGRAM alerts show 1

Each alert that people would be told of is one line below, about half a minute after it opened: what comes together is told together.

";

/// How often the demo looks for news of alerts.
const LOOK: Duration = Duration::from_secs(1);

/// The simulated cluster's name in the configuration.
const CLUSTER: &str = "homelab";

/// Starts the simulated cluster. What it returns beside it puts it into a configuration that has none.
///
/// # Errors
/// No port is free, or no thread.
pub fn cluster(clock: SharedClock) -> anyhow::Result<(SimHandle, impl Fn(&mut Settings) + 'static)> {
    let simulated = SimCluster::start(SimConfig::demo(), clock).context("the simulated cluster cannot be started")?;
    let config = ClusterConfig {
        endpoints: simulated.endpoints.clone(),
        token_id: simulated.token_id.clone(),
        token_secret: Secret::new(simulated.token_secret.clone()),
        tls: TlsConfig { fingerprints: vec![simulated.fingerprint.clone()], ..TlsConfig::default() },
        // Shorter than Proxmox renews its figures, so that what is asked at once is already known.
        poll_interval: Span::seconds(2),
        allow_actions: false,
        action_timeouts: ActionTimeouts::default(),
    };
    let amend = move |settings: &mut Settings| {
        settings.clusters.clusters.entry(CLUSTER.to_owned()).or_insert_with(|| config.clone());
    };
    Ok((simulated, amend))
}

/// Tells of alerts on the terminal, a line each, as people are told of them elsewhere. Ends only by being dropped.
pub async fn tell(history: Port<ReadAlertHistory>, clock: SharedClock, mut say: impl FnMut(&str) -> io::Result<()>) {
    let mut since = clock.now();
    let mut said: HashSet<(u64, Timestamp, Arc<str>)> = HashSet::new();
    // Of what was never told, the end is no news.
    let mut told: HashSet<u64> = HashSet::new();
    loop {
        clock.pause(LOOK).await;
        let asked = ReadAlertHistory { since: Some(since), limit: 50 };
        // The alert desk may be starting still, or again.
        let Ok(Ok(events)) = history.ask(asked, LOOK).await else { continue };
        for event in events.iter().rev() {
            let Some(line) = line(event).filter(|_| event.what.as_ref() == "told" || told.contains(&event.alert))
            else {
                continue;
            };
            told.insert(event.alert);
            // A closed terminal hears nothing; the demo goes on.
            if said.insert((event.alert, event.at, Arc::clone(&event.what))) && say(&line).is_err() {
                return std::future::pending().await;
            }
            since = since.max(event.at);
        }
        said.retain(|(_, at, _)| *at >= since);
    }
}

/// An event that people are told of, on one line.
fn line(event: &AlertEvent) -> Option<String> {
    let (number, text) = (event.alert, one_line(&event.text));
    let time = event.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
    match &*event.what {
        "told" | "escalated" => Some(format!("{time}  alert {number}, {}: {text}", event.severity.as_str())),
        "resolved" => Some(format!("{time}  alert {number} is over: {text}")),
        _ => None,
    }
}

/// How a shell finds this program: by its name where `path` leads to it, else by its place, as after `cargo run`.
pub fn program(this: Option<&Path>, path: Option<&str>) -> String {
    const NAME: &str = "haia";
    let Some(this) = this else { return NAME.to_owned() };
    let first =
        path.into_iter().flat_map(std::env::split_paths).map(|folder| folder.join(NAME)).find(|file| file.is_file());
    let same = |file: &Path| matches!((file.canonicalize(), this.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let place = this.to_string_lossy();
    match first {
        Some(file) if same(&file) => NAME.to_owned(),
        _ if place.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c)) => place.into_owned(),
        _ => format!("'{}'", place.replace('\'', r"'\''")),
    }
}

/// Where a demo without a configured store keeps its store and socket.
pub fn folder() -> PathBuf {
    std::env::temp_dir().join("haia-demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_what_is_there() {
        let address: SocketAddr = "127.0.0.1:8000".parse().expect("an address");
        let plain = banner("/opt/haia", address, false, None, true);
        assert!(plain.contains("http://127.0.0.1:8000/v1 ") && plain.contains("built-in responder answers"));
        assert!(!plain.contains("Bearer") && plain.contains("\n  /opt/haia status\n"));
        let keyed = banner("haia", address, true, Some("anthropic/claude-haiku-4-5"), false);
        assert!(plain.contains("/opt/haia ask \"why did web-01 stop?\"") && !keyed.contains("web-01"));
        assert!(keyed.contains("Bearer YOUR_KEY") && keyed.contains("anthropic/claude-haiku-4-5"));
    }

    #[test]
    fn what_people_are_told_is_a_line() {
        let event = |what: &str| AlertEvent {
            alert: 5,
            at: Timestamp::UNIX_EPOCH,
            what: what.into(),
            name: "guest_crashed:lab/guest/101".into(),
            severity: contract::alerts::Severity::Critical,
            who: None,
            text: "web-01 (101)\ncrashed".to_owned(),
        };
        let told = line(&event("told")).expect("a line");
        assert!(told.ends_with("  alert 5, critical: web-01 (101) crashed"), "{told}");
        assert!(line(&event("resolved")).is_some_and(|line| line.contains("alert 5 is over")));
        assert_eq!(line(&event("opened")), None);
    }

    #[test]
    fn a_shell_finds_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let on_path = folder.path().join("haia");
        std::fs::write(&on_path, "").expect("written");
        let path = format!("/nowhere:{}", folder.path().display());
        assert_eq!(program(Some(&on_path), Some(&path)), "haia");
        assert_eq!(program(Some(Path::new("/src/target/release/haia")), Some(&path)), "/src/target/release/haia");
        assert_eq!(program(Some(Path::new("/my src/it's/haia")), None), r"'/my src/it'\''s/haia'");
        assert_eq!(program(None, Some(&path)), "haia");
    }
}
